//! Just enough JSON-RPC to see that a node answers and to give it transactions.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

/// The result of one call.
pub(crate) async fn call(url: &str, method: &str, params: Value) -> Result<Value> {
    // Nodes are on loopback: a proxy that the environment names must not be asked.
    let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let asking = || format!("asking {url} for {method}");
    let reply = client.post(url).json(&body).send().await.map_err(reqwest::Error::without_url).with_context(asking)?;
    let mut reply: Value = reply.json().await.map_err(reqwest::Error::without_url).with_context(asking)?;
    if let Some(error) = reply.get("error").filter(|error| !error.is_null()) {
        bail!("{}: {error}", asking());
    }
    Ok(reply["result"].take())
}
