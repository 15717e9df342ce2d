//! The way of a transaction until the chain has decided.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::ended;
use crate::{
    client::Client,
    commands::{Done, chain::Chain},
    exit::{Exit, Failure},
    show,
};

/// Stays with a transaction until the chain has decided; anything but final is a failure.
pub(crate) async fn until_decided(
    client: &Client,
    chain: Chain,
    mut transaction: Value,
    until: Instant,
) -> Result<Value, Failure> {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);
    let id = transaction["id"].as_str().unwrap_or_default().to_owned();
    let mut pause = FIRST;
    let mut progress = Progress::new();
    loop {
        progress.show(&transaction["state"]);
        if transaction["state"] == "final" {
            return Ok(transaction);
        }
        if is_decided(&transaction["state"]) {
            return Err(ended::failure(client, chain, &transaction).await);
        }
        if Instant::now() >= until {
            let state = transaction["state"].as_str().unwrap_or("unknown");
            let name = chain.name();
            let why = transaction["reason"].as_str().map(|why| format!(": {}", show::clean(why))).unwrap_or_default();
            return Err(Failure {
                exit: Exit::Unavailable,
                message: format!("{id} is {state} and not decided yet{why}; nsl tx wait {name} {id} stays with it"),
                problem: Some(ended::told(&transaction, "not decided within the time")),
            });
        }
        sleep(pause.min(until.saturating_duration_since(Instant::now()))).await;
        pause = (pause * 5 / 4).min(LONGEST);
        match client.ask(Method::GET, &["v1", "tx", chain.name(), &id]).send().await {
            Ok(reply) => transaction = reply.read()?,
            // It goes on without us, and the server may come back.
            Err(failure) if failure.exit == Exit::Unavailable && Instant::now() < until => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// Says on a terminal, beside the output, how far it has come.
struct Progress {
    out: std::io::Stderr,
    began: Instant,
    is_shown: bool,
}

impl Progress {
    fn new() -> Self {
        Self { out: std::io::stderr(), began: Instant::now(), is_shown: false }
    }

    fn show(&mut self, state: &Value) {
        let waited = self.began.elapsed();
        if waited > Duration::from_secs(1) && self.out.is_terminal() {
            self.is_shown = true;
            let state = show::clean(state.as_str().unwrap_or_default());
            let _ = write!(self.out, "\r\x1b[K{state}, {} s", waited.as_secs());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(self.out, "\r\x1b[K");
        }
    }
}

/// Whether what was done left a transaction that the chain has still to decide.
pub(crate) fn is_under_way(done: &Done) -> bool {
    let told: Value = serde_json::from_str(&done.json).unwrap_or(Value::Null);
    told["id"].is_string() && told["state"].is_string() && !is_decided(&told["state"])
}

/// Whether a transaction stays in this state for good.
pub(crate) fn is_decided(state: &Value) -> bool {
    ["final", "failed", "replaced", "expired"].iter().any(|end| state == end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_decided_is_under_way() {
        for (json, under_way) in [
            (r#"{"id":"rel_1","state":"sent","tx":"0x1"}"#, true),
            (r#"{"id":"rel_1","state":"final"}"#, false),
            (r#"{"hash":"0x1","state":"deployed"}"#, false),
            ("[]", false),
        ] {
            assert_eq!(is_under_way(&Done { json: json.to_owned(), shown: String::new() }), under_way, "{json}");
        }
    }
}
