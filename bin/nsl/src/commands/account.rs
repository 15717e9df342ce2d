mod sponsor;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value};

use super::{Asking, Asks, Done, IDEMPOTENCY_KEY, chain::Chain, input};
use crate::{
    client::Client,
    exit::{Exit, Failure, aside},
    show,
};

pub(crate) type Account = Asking<Command>;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an account with a fresh key, or take one over; its key is kept sealed and never shown
    Add(Box<Add>),
    /// List the accounts that can send
    List { chain: Chain },
    /// What an account holds of GAS, and of NEO on Neo N3
    Balance {
        chain: Chain,
        /// Not needed where the tenant has one account only
        account: Option<String>,
    },
    /// What transactions of a chain may cost
    #[command(subcommand)]
    Budget(Budget),
    /// Accounts of Neo N3 that pay for what others sign
    #[command(subcommand)]
    Sponsor(sponsor::Sponsor),
}

#[derive(Args)]
pub(crate) struct Add {
    chain: Chain,
    /// A name for people, by which --account finds it
    #[arg(long, default_value = "")]
    label: String,
    /// Neo N3: file with the WIF of the account, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_file", "wallet"])]
    wif_file: Option<PathBuf>,
    /// File with the private key as 64 hex digits, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "wallet")]
    key_file: Option<PathBuf>,
    /// A wallet (NEP-6) on Neo N3, a keystore on Neo X
    #[arg(long, value_name = "FILE", requires = "passphrase_file")]
    wallet: Option<PathBuf>,
    /// File with the passphrase of the wallet, - for standard input
    #[arg(long, value_name = "FILE", requires = "wallet")]
    passphrase_file: Option<PathBuf>,
    /// Which account of the wallet, where it has several
    #[arg(long, value_name = "ADDRESS", requires = "wallet")]
    address: Option<String>,
    /// A word of your own: sent again with the same request, nothing is done twice
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Budget {
    /// Show the bounds, and what is gone of them today
    Get { chain: Chain },
    /// Set the bounds; what is not given is not bounded
    Set {
        chain: Chain,
        /// The most for one transaction: in the smallest unit, or such as 0.5gas
        #[arg(long, value_name = "AMOUNT")]
        per_transaction: Option<String>,
        /// The most for all transactions of one day (UTC)
        #[arg(long, value_name = "AMOUNT")]
        per_day: Option<String>,
        /// Needed to take every bound away
        #[arg(long, conflicts_with_all = ["per_transaction", "per_day"])]
        unbounded: bool,
    },
}

impl Asks for Command {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Self::Add(add) => add.run(client).await,
            Self::List { chain } => {
                let columns =
                    [("ACCOUNT", "account"), ("ADDRESS", "address"), ("LABEL", "label"), ("CREATED", "created_at")];
                let reply = client.ask(Method::GET, &["v1", "accounts", chain.name()]).send().await?;
                Ok(Done::one(reply, |reply| {
                    show::table(&columns, reply["items"].as_array().map(Vec::as_slice).unwrap_or_default())
                }))
            }
            Self::Balance { chain, account } => balance(client, chain, account).await,
            Self::Budget(budget) => budget.run(client).await,
            Self::Sponsor(sponsor) => sponsor.run(client).await,
        }
    }
}

impl Add {
    async fn run(self, client: &Client) -> Result<Done, Failure> {
        let mut body = Map::new();
        body.insert("label".to_owned(), self.label.clone().into());
        input::one_stdin([self.wallet.as_ref(), self.passphrase_file.as_ref()])?;
        if let Some(key) = self.key()? {
            body.insert("key".to_owned(), key);
        }
        if let (Some(wallet), Some(passphrase)) = (&self.wallet, &self.passphrase_file) {
            body.insert("wallet".to_owned(), input::json(wallet)?);
            body.insert("passphrase".to_owned(), input::secret(passphrase, "the passphrase")?.as_str().into());
            if let Some(address) = &self.address {
                body.insert("address".to_owned(), address.as_str().into());
            }
        }
        let key = self.idempotency_key.unwrap_or_else(|| nsl_core::fresh("cli"));
        let ask = client.ask(Method::POST, &["v1", "accounts", self.chain.name()]).body(&body);
        let reply = ask.header(IDEMPOTENCY_KEY, Some(key)).send().await?;
        if !self.label.is_empty() {
            warn_of_namesakes(client, self.chain, &self.label, &reply.read()?).await;
        }
        let fields = [("account", "account"), ("address", "address"), ("label", "label"), ("chain", "chain")];
        Ok(Done::one(reply, |reply| show::pairs(&fields, reply)))
    }

    /// The key as the API takes it: a WIF on Neo N3, hex on Neo X.
    fn key(&self) -> Result<Option<Value>, Failure> {
        if self.chain == Chain::NeoX {
            if self.wif_file.is_some() {
                return Err(Failure::usage("a WIF is of Neo N3: on neo-x use --key-file"));
            }
            let Some(file) = &self.key_file else { return Ok(None) };
            return Ok(Some(input::secret(file, "a private key")?.trim().into()));
        }
        let key = super::n3::private_key(self.wif_file.as_ref(), self.key_file.as_ref())?;
        Ok(key.map(|key| key.to_wif().as_str().into()))
    }
}

async fn balance(client: &Client, chain: Chain, account: Option<String>) -> Result<Done, Failure> {
    let account = super::sending::account(client, chain, account.as_deref()).await?;
    let asked = client.ask(Method::GET, &["v1", "accounts", chain.name(), &account, "balance"]).send().await;
    let reply = asked.map_err(|mut failure| {
        if failure.exit == Exit::Unavailable {
            failure.message = format!("what {} holds is not known now: {}", show::clean(&account), failure.message);
        }
        failure
    })?;
    Ok(Done::one(reply, |held| {
        let neo = held["neo"].as_str().map(|neo| format!("{} NEO\n", show::clean(neo))).unwrap_or_default();
        chain.gas(held["gas"].as_str().unwrap_or_default()) + "\n" + &neo
    }))
}

/// A label that two accounts have finds neither. The account is made all the same: labels are for people.
async fn warn_of_namesakes(client: &Client, chain: Chain, label: &str, made: &Value) {
    // Who may not list accounts is not warned.
    let Ok(reply) = client.ask(Method::GET, &["v1", "accounts", chain.name()]).send().await else { return };
    let listed: Value = reply.read().unwrap_or_default();
    let same = |other: &&Value| other["label"] == label && other["account"] != made["account"];
    let Some(first) = listed["items"].as_array().into_iter().flatten().find(same) else { return };
    let address = show::clean(first["address"].as_str().unwrap_or_default());
    aside(&format!("nsl: warning: {address} has the label {label:?} too: name the two by address or hash from now on"));
}

impl Budget {
    async fn run(self, client: &Client) -> Result<Done, Failure> {
        let (chain, reply) = match self {
            Self::Get { chain } => (chain, client.ask(Method::GET, &["v1", "budgets", chain.name()]).send().await?),
            Self::Set { chain, per_transaction, per_day, unbounded } => {
                let mut limits = Map::new();
                for (name, limit) in [("per_transaction", per_transaction), ("per_day", per_day)] {
                    if let Some(limit) = limit {
                        limits.insert(name.to_owned(), chain.amount(&limit)?.into());
                    }
                }
                if limits.is_empty() && !unbounded {
                    return Err(Failure::usage("say --per-transaction, --per-day or both, or --unbounded"));
                }
                let ask = client.ask(Method::PUT, &["v1", "budgets", chain.name()]).body(&limits);
                (chain, ask.header(IDEMPOTENCY_KEY, Some(nsl_core::fresh("cli"))).send().await?)
            }
        };
        Ok(Done::one(reply, |reply| {
            let mut ready = reply.clone();
            for field in ["per_transaction", "per_day", "spent_today"] {
                ready[field] = reply[field].as_str().map_or("not bounded".into(), |amount| chain.gas(amount).into());
            }
            let fields =
                [("one transaction", "per_transaction"), ("one day", "per_day"), ("spent today", "spent_today")];
            show::pairs(&fields, &ready)
        }))
    }
}
