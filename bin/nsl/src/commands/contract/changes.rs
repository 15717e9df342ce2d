//! Updates: what they change, and how they are made.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::{Chain, Done, artefact};
use crate::{
    client::Client,
    commands::sending::{self, Sending},
    exit::{Exit, Failure},
    show,
};

/// A contract, and the files that take its place.
#[derive(Args)]
struct Change {
    chain: Chain,
    hash: String,
    /// Neo N3: FILE.nef FILE.manifest.json. Neo X: FILE.json with abi and bytecode
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Neo X: which contract of the file, where it has several
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,
}

#[derive(Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    change: Change,
}

#[derive(Args)]
pub(crate) struct Update {
    #[command(flatten)]
    change: Change,
    /// Neo X: the contract, deployed already, that the proxy shall hand its calls to
    #[arg(long, value_name = "ADDRESS")]
    implementation: Option<String>,
    /// Neo N3: the third argument of the contract's `update`. Neo X: data of the call that follows, 0x…
    #[arg(long, value_name = "ARG", allow_negative_numbers = true)]
    data: Option<String>,
    /// Make it, having seen what it changes
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    sending: Sending,
}

impl Change {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        artefact::fill(self.chain, &self.files, self.contract.as_deref(), &mut body)?;
        Ok(body)
    }
}

impl Diff {
    pub(super) async fn run(self, client: &Client) -> Result<Done, Failure> {
        let chain = self.change.chain;
        let (hash, body) = (chain.contract(&self.change.hash)?, self.change.body()?);
        let ask = client.ask(Method::POST, &["v1", "contracts", chain.name(), &hash, "diff"]).body(&body);
        Ok(Done::one(ask.send().await?, differences))
    }
}

impl Update {
    pub(super) async fn run(self, client: &Client) -> Result<Done, Failure> {
        let chain = self.change.chain;
        match (chain, &self.implementation) {
            (Chain::NeoN3, Some(_)) => return Err(Failure::usage("--implementation is of neo-x")),
            (Chain::NeoX, None) => {
                return Err(Failure::usage("on neo-x deploy the new contract first, and name it by --implementation"));
            }
            _ => {}
        }
        let (hash, mut body) = (chain.contract(&self.change.hash)?, self.change.body()?);
        let path = |verb| ["v1", "contracts", chain.name(), &hash, verb];
        // Programs are not asked.
        if !(self.yes || self.sending.as_json()) {
            let seen: Value = client.ask(Method::POST, &path("diff")).body(&body).send().await?.read()?;
            let shown = differences(&seen);
            return Err(Failure::usage(format!(
                "this is what the update changes; with --yes it is made\n{}",
                shown.trim_end()
            )));
        }
        if let Some(implementation) = &self.implementation {
            body.insert("implementation".to_owned(), implementation.as_str().into());
        }
        if let Some(data) = &self.data {
            body.insert("data".to_owned(), data.as_str().into());
        }
        self.sending.fill(client, chain, &mut body).await?;
        let stay = self.sending.stay();
        let mut sent = self.sending.post(client, &path("update"), &body).await?;
        let changed = sent["differences"].take();
        let mut stands = sent["transaction"].take();
        if self.sending.waits() {
            stands = sending::until_decided(client, chain, stands, stay).await?;
            took(client, chain, &hash, &stands, stay.until).await?;
        }
        let shown = differences(&changed) + &sending::line(chain, &stands);
        let mut json = sending::brief(&stands);
        json["hash"] = hash.into();
        json["differences"] = changed;
        Ok(Done { json: json.to_string(), shown })
    }
}

/// A final transaction is no update yet: the server compares what the chain has then with what was sent.
async fn took(client: &Client, chain: Chain, hash: &str, stands: &Value, until: Instant) -> Result<(), Failure> {
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        let known: Value = client.ask(Method::GET, &["v1", "contracts", chain.name(), hash]).send().await?.read()?;
        // Of several updates only the last one is remembered.
        let update = Some(&known["update"]).filter(|update| update["request"] == stands["id"]);
        let (exit, detail) = match update.and_then(|update| update["state"].as_str()) {
            None | Some("updated") => return Ok(()),
            Some("failed" | "mismatched") => {
                let unsaid = "the chain has something else than was sent";
                (Exit::Failed, show::clean(known["update"]["reason"].as_str().unwrap_or(unsaid)))
            }
            Some(_) if Instant::now() < until => {
                sleep(PAUSE).await;
                continue;
            }
            Some(_) => (Exit::Unavailable, "the transaction is final, and the contract not compared yet".to_owned()),
        };
        let mut problem = sending::brief(stands);
        problem["detail"] = detail.as_str().into();
        return Err(Failure { exit, message: detail, problem: Some(problem) });
    }
}

/// One line for each, the weightiest first.
fn differences(found: &Value) -> String {
    let changes = found["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if changes.is_empty() {
        return "nothing changes that users of the contract can see\n".to_owned();
    }
    let line = |change: &Value| {
        let text = |field: &str| show::clean(change[field].as_str().unwrap_or_default());
        format!("{:<8} {}\n", text("weight"), text("text"))
    };
    changes.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_a_line() {
        let found =
            json!({ "changes": [{ "weight": "breaks", "text": "method f is removed" }], "before": {}, "after": {} });
        assert_eq!(differences(&found), "breaks   method f is removed\n");
        assert!(differences(&json!({ "changes": [] })).starts_with("nothing changes"));
    }
}
