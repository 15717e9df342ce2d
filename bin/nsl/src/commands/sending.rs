//! What every command has in common that sends something to a chain: who, for how much, and the way until it is decided.

mod ended;
mod waiting;

use std::time::Duration;

use clap::Args;
pub(crate) use ended::{explain, place, told};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
pub(crate) use waiting::{is_decided, is_under_way, stay_with, step, until_decided};

use super::{IDEMPOTENCY_KEY, chain::Chain};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    show,
};

const RETURNED_FALSE: &str = "the contract returned false";
const REFUSED: &str = ": it may have refused what was asked of it, as tokens do where money is missing";

/// Who sends, and what it may cost.
#[derive(Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct Sending {
    /// The account that sends, by hash, address or label; not needed where the tenant has one only
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// The most it may cost: in the smallest unit, or such as 0.5gas
    #[arg(long, value_name = "AMOUNT")]
    max_fee: Option<String>,
    /// Give it up after so many seconds, where no block has it by then
    #[arg(long, value_name = "SECONDS")]
    valid_for: Option<u64>,
    /// A word of your own: sent again with the same request, nothing is done twice
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

/// How long to stay.
#[derive(Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct Waiting {
    /// Stay until the chain has decided; exits 0 only when it is final
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct Patience {
    /// Stay no longer than so many seconds; what was sent stays on its way
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    // The same flag as everywhere: then standard error is one document too, and no place for what is said on the way.
    #[arg(long, global = true, hide = true)]
    json: bool,
}

/// How long somebody stays.
#[derive(Clone, Copy)]
pub(crate) struct Stay {
    pub(crate) until: Instant,
    /// Only a person at a terminal is told on the way.
    pub(crate) is_quiet: bool,
}

impl Sending {
    /// Puts in who sends, and what it may cost.
    pub(crate) async fn fill(
        &self,
        client: &Client,
        chain: Chain,
        body: &mut Map<String, Value>,
    ) -> Result<(), Failure> {
        body.insert("account".to_owned(), account(client, chain, self.account.as_deref()).await?.into());
        if let Some(most) = &self.max_fee {
            body.insert("max_fee".to_owned(), chain.amount(most)?.into());
        }
        if let Some(seconds) = self.valid_for {
            body.insert("valid_for_ms".to_owned(), seconds.saturating_mul(1000).into());
        }
        Ok(())
    }

    /// Sends it under a key, so that it can be sent again without being done twice.
    pub(crate) async fn post(
        &self,
        client: &Client,
        path: &[&str],
        body: &Map<String, Value>,
    ) -> Result<Value, Failure> {
        let key = self.idempotency_key.clone().unwrap_or_else(|| nsl_core::fresh("cli"));
        let sent = client.ask(Method::POST, path).header(IDEMPOTENCY_KEY, Some(&key)).body(body).send().await;
        match sent {
            Ok(reply) => reply.read(),
            Err(mut failure) if failure.exit == Exit::Unavailable => {
                // Nobody knows whether it arrived.
                failure.message.push_str(&format!("; the same with --idempotency-key {key} does nothing twice"));
                Err(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Stays with a transaction if that was asked for.
    pub(crate) async fn follow(&self, client: &Client, chain: Chain, transaction: Value) -> Result<Value, Failure> {
        match self.waiting.wait {
            true => until_decided(client, chain, transaction, self.waiting.patience.stay()).await,
            false => Ok(transaction),
        }
    }

    pub(crate) fn waits(&self) -> bool {
        self.waiting.wait
    }

    pub(crate) fn stay(&self) -> Stay {
        self.waiting.patience.stay()
    }

    pub(crate) fn as_json(&self) -> bool {
        self.waiting.patience.json
    }
}

impl Patience {
    pub(crate) fn stay(&self) -> Stay {
        let until = Instant::now() + Duration::from_secs(self.timeout.min(30 * 24 * 3600));
        Stay { until, is_quiet: self.json }
    }
}

/// The account that is meant: by hash, address or label, or the only one.
pub(crate) async fn account(client: &Client, chain: Chain, named: Option<&str>) -> Result<String, Failure> {
    let address = |text: &str| text.starts_with("0x") || neo::Hash160::from_address(text).is_ok();
    if let Some(named) = named.filter(|named| address(named)) {
        return Ok(named.to_owned());
    }
    let reply: Value = client.ask(Method::GET, &["v1", "accounts", chain.name()]).send().await?.read()?;
    choose(chain, named, reply["items"].as_array().map(Vec::as_slice).unwrap_or_default())
}

fn choose(chain: Chain, named: Option<&str>, accounts: &[Value]) -> Result<String, Failure> {
    let name = chain.name();
    let fits = |account: &&Value| named.is_none_or(|label| account["label"] == label);
    let found: Vec<&Value> = accounts.iter().filter(fits).collect();
    let listed = |accounts: &[&Value]| {
        let line = |account: &&Value| {
            let text = |field: &str| show::clean(account[field].as_str().unwrap_or_default());
            format!("\n  {}  {}", text("address"), text("label"))
        };
        accounts.iter().map(line).collect::<String>()
    };
    match (found.as_slice(), named) {
        ([one], _) => one["account"].as_str().map(str::to_owned).ok_or_else(|| {
            Failure::new(Exit::Failed, "the server's answer does not read: an account without its hash")
        }),
        ([], Some(label)) => Err(Failure::usage(format!(
            "no account on {name} has the label {label:?}: nsl account list {name} shows those that there are"
        ))),
        ([], None) => {
            Err(Failure::usage(format!("there is no account on {name} yet: nsl account add {name} makes one")))
        }
        (several, Some(label)) => Err(Failure::usage(format!(
            "{} accounts on {name} have the label {label:?}, say by --account which one sends:{}",
            several.len(),
            listed(several)
        ))),
        (several, None) => Err(Failure::usage(format!(
            "there are {} accounts on {name}, say by --account which one sends:{}",
            several.len(),
            listed(several)
        ))),
    }
}

/// A transaction as scripts read it.
pub(crate) fn brief(transaction: &Value) -> Value {
    let mut brief = json!({ "tx": transaction["tx"], "state": transaction["state"], "id": transaction["id"] });
    for field in ["height", "fee", "reason"] {
        if !transaction[field].is_null() {
            brief[field] = transaction[field].clone();
        }
    }
    brief
}

/// A transaction in one line.
pub(crate) fn line(chain: Chain, transaction: &Value) -> String {
    let text = |field: &str| transaction[field].as_str().map(show::clean);
    let mut line = format!("{} {}", text("id").unwrap_or_default(), text("state").unwrap_or_default());
    if let Some(height) = transaction["height"].as_i64() {
        line.push_str(&format!(" in block {height}"));
    }
    if let Some(tx) = text("tx") {
        line.push_str(&format!(" as {tx}"));
    }
    if let Some(fee) = text("fee") {
        line.push_str(&format!(" for {}", chain.gas(&fee)));
    }
    line.push('\n');
    if let Some(reason) = text("reason").filter(|_| transaction["state"] == "final") {
        line.push_str(&format!("but {reason}{}\n", if reason == RETURNED_FALSE { REFUSED } else { "" }));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_one_tells_that_the_contract_refused() {
        let mut stands = json!({ "id": "rel_1", "state": "final", "tx": "0xab", "height": 7 });
        assert_eq!(line(Chain::NeoN3, &stands), "rel_1 final in block 7 as 0xab\n");
        assert!(brief(&stands).get("reason").is_none());
        stands["reason"] = "the contract returned false".into();
        let said = line(Chain::NeoN3, &stands);
        assert!(said.starts_with("rel_1 final in block 7 as 0xab\nbut the contract returned false: "), "{said}");
        assert_eq!(brief(&stands)["reason"], "the contract returned false");
    }

    #[test]
    fn the_only_account_needs_no_name_and_several_are_listed() {
        let account =
            |hash: &str, label: &str| json!({ "account": hash, "address": format!("N{hash}"), "label": label });
        let (a, b, c) = (account("0xa", "main"), account("0xb", "main"), account("0xc", "other"));
        let choose = |named, accounts: &[&Value]| {
            choose(Chain::NeoN3, named, &accounts.iter().map(|&one| one.clone()).collect::<Vec<_>>())
        };
        assert_eq!(choose(None, &[&a]).unwrap(), "0xa");
        assert_eq!(choose(Some("other"), &[&a, &b, &c]).unwrap(), "0xc");
        for (named, accounts, said) in [
            (None, vec![], "nsl account add neo-n3"),
            (None, vec![&a, &c], "N0xa  main\n  N0xc  other"),
            (Some("main"), vec![&a, &b, &c], "2 accounts"),
            (Some("none"), vec![&a], "\"none\": nsl account list neo-n3"),
        ] {
            let failure = choose(named, &accounts).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(said), "{}", failure.message);
        }
    }
}
