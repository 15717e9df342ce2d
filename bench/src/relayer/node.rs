use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// One connection to a node.
pub(super) struct Node {
    http: reqwest::Client,
    url: String,
}

impl Node {
    pub(super) fn at(url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, url: url.to_owned() })
    }

    pub(super) async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let asking = || format!("asking the node for {method}");
        let mut answer: Value = self
            .http
            .post(&self.url)
            .json(&body)
            .send()
            .await
            .with_context(asking)?
            .json()
            .await
            .with_context(asking)?;
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => bail!("{method}: {error}"),
            None => Ok(answer["result"].take()),
        }
    }
}
