use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde_json::{Value, json};

// What the first digits of a place say of who sends there.
const OURS: &str = "57020000";
const FOREIGN: &str = "57030000";

/// Where the request of this number sends its coin, as the 40 hex digits of an account: nobody else's.
pub(super) fn place(number: u64) -> String {
    format!("{OURS}{number:032x}")
}

/// The same of the other client.
pub(super) fn foreign_place(number: u64) -> String {
    format!("{FOREIGN}{number:032x}")
}

/// What a chain says of the requests.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How often each number is on the chain.
    pub(super) requests: BTreeMap<u64, u64>,
    /// What the other client brought in.
    pub(super) foreign: u64,
}

impl Seen {
    /// Counts a coin that went to this account.
    pub(super) fn note(&mut self, to: &str) -> Result<()> {
        if to.starts_with(FOREIGN) {
            self.foreign += 1;
        } else if let Some(digits) = to.strip_prefix(OURS) {
            *self.requests.entry(u64::from_str_radix(digits, 16)?).or_default() += 1;
        }
        Ok(())
    }
}

/// A real node under one account, and what can befall it.
pub(super) trait Ground: Sized {
    const CHAIN: &'static str;

    fn rpc(&self) -> String;

    /// The settings with which `nsl` asks the node at this URL.
    fn settings(&self, url: &str) -> Vec<(&'static str, String)>;

    /// The account and its key.
    fn account(&self) -> (String, String);

    /// The body that asks for the transaction of this number; each number moves one coin to a place of its own.
    fn body(&self, number: u64) -> Value;

    /// The node forgets what is on its way, changes how it makes blocks, or starts again.
    async fn upset(&mut self, turn: u64) -> Result<()>;

    /// From now on it does what nodes do.
    async fn calm(&mut self) -> Result<()>;

    /// Another client of the same key sends something of its own, which may fail as it likes.
    async fn foreign(&self, number: u64) -> Result<()>;

    async fn seen(&self, requests: u64) -> Result<Seen>;

    async fn end(&self);
}

/// The direct way to a node, past the faults.
pub(super) struct Direct(Client);

impl Direct {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?))
    }

    pub(super) async fn ask(&self, url: &str, method: &str, params: Value) -> Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer = self.post(url, &body).await.with_context(|| format!("asking the node for {method}"))?;
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => bail!("{method}: {error}"),
            None => Ok(answer["result"].take()),
        }
    }

    /// The results of many calls in one request, in order.
    pub(super) async fn all(&self, url: &str, calls: Vec<(&str, Value)>) -> Result<Vec<Value>> {
        let calls: Vec<Value> = calls
            .into_iter()
            .enumerate()
            .map(|(id, (method, params))| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .collect();
        let answers = self.post(url, &json!(calls)).await.context("asking the node for many things")?;
        let mut results = vec![Value::Null; calls.len()];
        for answer in answers.as_array().context("a list of answers")? {
            let id =
                answer["id"].as_u64().and_then(|id| usize::try_from(id).ok()).context("an answer has no number")?;
            results[id] = answer["result"].clone();
        }
        Ok(results)
    }

    async fn post(&self, url: &str, body: &Value) -> Result<Value> {
        Ok(self.0.post(url).json(body).send().await?.json().await?)
    }
}
