mod cancel;
mod told;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value};
pub(crate) use told::estimate;

use super::{
    Asking, Asks, Done, IDEMPOTENCY_KEY,
    chain::Chain,
    input, page,
    sending::{self, Patience, Sending},
};
use crate::{
    client::{Client, Reply},
    exit::Failure,
    show,
};

pub(crate) type Tx = Asking<Command>;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send a transaction as it is; `nsl contract invoke` knows the types of a contract's arguments
    Send {
        chain: Chain,
        #[command(flatten)]
        call: Box<Call>,
        #[command(flatten)]
        sending: Sending,
    },
    /// What sending it would take; sends nothing
    Estimate {
        chain: Chain,
        #[command(flatten)]
        call: Box<Call>,
        #[command(flatten)]
        sending: Sending,
    },
    /// Show a transaction as it stands
    Get { chain: Chain, id: String },
    /// List transactions, newest first
    List {
        chain: Chain,
        /// Only those that are not decided yet, of all pages
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        page: page::Paging,
    },
    /// Stay with a transaction until the chain has decided; exits 0 only when it is final
    Wait {
        chain: Chain,
        id: String,
        #[command(flatten)]
        patience: Patience,
    },
    /// Take a transaction back, if the chain has not taken it yet; exits 4 when it is too late
    Cancel(cancel::Cancel),
    /// Why a transaction is where it is: the fault or revert, and by which instruction
    Explain {
        chain: Chain,
        id: String,
        /// Neo X: the ABI of the contract, or an artefact that has it, where the server does not know it
        #[arg(long, value_name = "FILE.json")]
        abi: Option<PathBuf>,
    },
    /// The states that a transaction passed, oldest first
    States {
        chain: Chain,
        id: String,
        /// Only those after the state of this number
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
    },
}

/// What to send.
#[derive(Args)]
pub(crate) struct Call {
    /// Neo X: the account or contract that is called; absent to deploy
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Neo X: wei that go along, or such as 1.5gas
    #[arg(long, value_name = "AMOUNT")]
    value: Option<String>,
    /// The data of the call on Neo X, the script on Neo N3: hex or base64, or a file with it, - for standard input
    #[arg(long, value_name = "DATA", conflicts_with = "contract")]
    data: Option<String>,
    /// Neo N3: the contract that is called, in place of a script
    #[arg(long, value_name = "HASH", requires = "method")]
    contract: Option<String>,
    /// Neo N3: its method
    #[arg(long, value_name = "NAME", requires = "contract")]
    method: Option<String>,
    /// Neo N3: an argument as nodes take it, {"type":"Integer","value":"5"}; in the method's order
    #[arg(long = "arg", value_name = "JSON", requires = "contract")]
    args: Vec<String>,
    #[command(flatten)]
    terms: Terms,
}

/// How a call on Neo N3 goes.
#[derive(Args)]
#[command(next_help_heading = "Neo N3")]
pub(crate) struct Terms {
    /// It may share one transaction with other calls of its account
    #[arg(long)]
    share: bool,
    /// How far the account's signature reaches; by itself never beyond the called contract
    #[arg(long)]
    scope: Option<Scope>,
    /// Another account of the tenant that pays, by hash, address or label
    #[arg(long, value_name = "ACCOUNT")]
    sponsor: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scope {
    Minimal,
    None,
    #[value(alias = "called_by_entry")]
    CalledByEntry,
    Contracts,
    Global,
}

impl Terms {
    pub(crate) async fn fill(
        &self,
        client: &Client,
        chain: Chain,
        body: &mut Map<String, Value>,
    ) -> Result<(), Failure> {
        if self.share {
            body.insert("share".to_owned(), true.into());
        }
        if let Some(scope) = self.scope {
            let name = match scope {
                Scope::Minimal => "minimal",
                Scope::None => "none",
                Scope::CalledByEntry => "called_by_entry",
                Scope::Contracts => "contracts",
                Scope::Global => "global",
            };
            body.insert("scope".to_owned(), name.into());
        }
        if let Some(sponsor) = &self.sponsor {
            body.insert("sponsor".to_owned(), sending::account(client, chain, Some(sponsor)).await?.into());
        }
        Ok(())
    }
}

impl Call {
    async fn body(&self, client: &Client, chain: Chain) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
        set("to", self.to.as_deref().map(|to| chain.address(to)).transpose()?.map(Value::from));
        set("value", self.value.as_deref().map(|value| chain.amount(value)).transpose()?.map(Value::from));
        let data = self.data.as_deref().map(|data| match data {
            "0x" => Ok(Vec::new()),
            _ => input::bytes(data, false),
        });
        set("data", data.transpose()?.map(|bytes| format!("0x{}", hex::encode(bytes)).into()));
        set("contract", self.contract.as_deref().map(|hash| chain.contract(hash)).transpose()?.map(Value::from));
        set("method", self.method.as_deref().map(Value::from));
        let args: Vec<Value> = self.args.iter().map(|arg| argument(arg)).collect::<Result<_, _>>()?;
        set("args", (!args.is_empty()).then(|| args.into()));
        self.terms.fill(client, chain, &mut body).await?;
        Ok(body)
    }
}

fn argument(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).ok().filter(|value: &Value| value["type"].is_string()).ok_or_else(|| {
        Failure::usage(format!(
            "{text:?} is not {{\"type\":…,\"value\":…}}; `nsl contract invoke` knows types by itself"
        ))
    })
}

/// What helps where something else was given than the id of a request.
fn wanted(id: &str, mut failure: Failure) -> Failure {
    if let Some(problem) = failure.problem.as_mut().filter(|_| !id.starts_with("rel_")) {
        problem["mend"] = "the id of a request is wanted, rel_...: nsl tx list CHAIN shows it".into();
    }
    failure
}

async fn found(client: &Client, chain: Chain, id: &str) -> Result<Reply, Failure> {
    let ask = client.ask(Method::GET, &["v1", "tx", chain.name(), id]);
    ask.send().await.map_err(|failure| wanted(id, failure))
}

impl Asks for Command {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Self::Send { chain, call, sending } => {
                let mut body = call.body(client, chain).await?;
                sending.fill(client, chain, &mut body).await?;
                let sent = sending.post(client, &["v1", "tx", chain.name()], &body).await?;
                let stands = sending.follow(client, chain, sent).await?;
                Ok(Done { json: stands.to_string(), shown: sending::line(chain, &stands) })
            }
            Self::Estimate { chain, call, sending } => {
                let mut body = call.body(client, chain).await?;
                sending.fill(client, chain, &mut body).await?;
                let ask = client.ask(Method::POST, &["v1", "tx", chain.name(), "estimate"]).body(&body);
                Ok(Done::one(ask.send().await?, |reply| estimate(chain, reply)))
            }
            Self::Get { chain, id } => {
                Ok(Done::one(found(client, chain, &id).await?, |reply| told::transaction(chain, reply)))
            }
            Self::List { chain, open, page } => {
                let columns = [
                    ("REQUEST", "id"),
                    ("STATE", "state"),
                    ("ACCOUNT", "account"),
                    ("HEIGHT", "height"),
                    ("TX", "tx"),
                    ("UPDATED", "updated_at"),
                ];
                let ask = || client.ask(Method::GET, &["v1", "tx", chain.name()]);
                match open {
                    true => page.run_only(ask, &columns, |one| !sending::is_decided(&one["state"])).await,
                    false => page.run(ask, &columns).await,
                }
            }
            Self::Wait { chain, id, patience } => {
                let reply = found(client, chain, &id).await?;
                let stands = sending::until_decided(client, chain, reply.read()?, patience.stay()).await?;
                Ok(Done { json: stands.to_string(), shown: sending::line(chain, &stands) })
            }
            Self::Cancel(cancel) => cancel.run(client).await,
            Self::Explain { chain, id, abi } => {
                let abi = abi.map(|file| super::contract::abi(&file, None)).transpose()?;
                let explained = sending::explain(client, chain, &id, abi).await;
                let explained = explained.map_err(|failure| wanted(&id, failure))?;
                Ok(Done { shown: told::explanation(&explained), json: explained.to_string() })
            }
            Self::States { chain, id, after } => {
                let ask = client.ask(Method::GET, &["v1", "tx", chain.name(), &id, "states"]).query("after", after);
                let columns =
                    [("NUMBER", "number"), ("STATE", "state"), ("AT", "at"), ("TX", "tx"), ("REASON", "reason")];
                let reply = ask.send().await.map_err(|failure| wanted(&id, failure))?;
                Ok(Done::one(reply, |reply| {
                    show::table(&columns, reply["items"].as_array().map(Vec::as_slice).unwrap_or_default())
                }))
            }
        }
    }
}
