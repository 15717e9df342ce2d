use std::{path::PathBuf, time::Duration};

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{Chain, Done, artefact};
use crate::{
    client::Client,
    commands::sending::{self, Sending},
    exit::{Exit, Failure},
    show,
};

#[derive(Args)]
pub(crate) struct Deploy {
    chain: Chain,
    /// Neo N3: FILE.nef FILE.manifest.json. Neo X: FILE.json with abi and bytecode
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Neo N3: the manifest. Neo X: the arguments of the constructor, read as its ABI says
    #[arg(value_name = "MORE", allow_negative_numbers = true)]
    more: Vec<String>,
    /// Neo N3: what the contract's `_deploy` is given
    #[arg(long, value_name = "ARG", allow_negative_numbers = true)]
    data: Option<String>,
    /// Neo X: wei that go along, or such as 1.5gas
    #[arg(long, value_name = "AMOUNT")]
    value: Option<String>,
    /// Neo X: which contract of the file, where it has several
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,
    #[command(flatten)]
    sending: Sending,
}

impl Deploy {
    pub(super) async fn run(self, client: &Client) -> Result<Done, Failure> {
        let chain = self.chain;
        let mut body = self.body()?;
        self.sending.fill(client, chain, &mut body).await?;
        let stay = self.sending.stay();
        let mut sent = self.sending.post(client, &["v1", "contracts", chain.name()], &body).await?;
        let transaction = sent["transaction"].take();
        let hash = sent["hash"].take();
        let (hash, stands) = match self.sending.waits() {
            true => {
                let stands = sending::until_decided(client, chain, transaction, stay).await?;
                (stood(client, chain, hash, &stands, stay.until).await?, stands)
            }
            false => (hash, transaction),
        };
        let mut json = sending::brief(&stands);
        json["hash"] = hash.clone();
        let hash = hash.as_str().map(show::clean);
        let shown = match (hash, self.sending.waits()) {
            (Some(hash), true) => format!("deployed {hash}\n"),
            (Some(hash), false) => format!("will be {hash}\n"),
            (None, _) => String::new(),
        };
        Ok(Done { json: json.to_string(), shown: shown + &sending::line(chain, &stands) })
    }

    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let mut files = vec![self.file.clone()];
        if self.chain == Chain::NeoN3 {
            files.extend(self.more.iter().map(PathBuf::from));
            if self.value.is_some() {
                return Err(Failure::usage("--value is of neo-x"));
            }
        } else {
            if self.data.is_some() {
                return Err(Failure::usage("--data is of neo-n3: arguments of a constructor follow after the file"));
            }
            body.insert("args".to_owned(), json!(self.more));
        }
        artefact::fill(self.chain, &files, self.contract.as_deref(), &mut body)?;
        if let Some(data) = &self.data {
            body.insert("data".to_owned(), data.as_str().into());
        }
        if let Some(value) = &self.value {
            body.insert("value".to_owned(), self.chain.amount(value)?.into());
        }
        Ok(body)
    }
}

/// The contract that a final transaction made, when the server has compared it with what was to be.
async fn stood(
    client: &Client,
    chain: Chain,
    predicted: Value,
    stands: &Value,
    until: Instant,
) -> Result<Value, Failure> {
    const PAUSE: Duration = Duration::from_millis(100);
    let request = stands["id"].as_str().unwrap_or_default();
    let path = ["v1", "contracts", chain.name(), "by-request", request];
    loop {
        let known: Value = client.ask(Method::GET, &path).send().await?.read()?;
        match known["state"].as_str() {
            Some("deployed") => return Ok(known["hash"].clone()),
            Some("mismatched" | "failed") => {
                let unsaid = "the chain has something else than was sent";
                let reason = show::clean(known["reason"].as_str().unwrap_or(unsaid));
                let mut problem = sending::brief(stands);
                problem["detail"] = reason.as_str().into();
                problem["hash"] = known["hash"].clone();
                return Err(Failure { exit: Exit::Failed, message: reason, problem: Some(problem) });
            }
            _ if Instant::now() >= until => {
                let mut problem = sending::brief(stands);
                let detail = "the transaction is final, and the contract not compared yet with what was sent";
                problem["detail"] = detail.into();
                problem["hash"] = predicted;
                return Err(Failure { exit: Exit::Unavailable, message: detail.to_owned(), problem: Some(problem) });
            }
            _ => sleep(PAUSE).await,
        }
    }
}
