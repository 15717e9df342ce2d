//! The way of a transaction until the chain has decided.

use std::{io::IsTerminal, time::Duration};

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Stay, ended};
use crate::{
    client::Client,
    commands::{Done, chain::Chain},
    exit::{Exit, Failure, aside},
    show,
};

/// Stays with a transaction until the chain has decided; anything but final is a failure.
pub(crate) async fn until_decided(
    client: &Client,
    chain: Chain,
    transaction: Value,
    stay: Stay,
) -> Result<Value, Failure> {
    let transaction = stay_with(client, chain, transaction, stay).await?;
    if transaction["state"] == "final" {
        return Ok(transaction);
    }
    if is_decided(&transaction["state"]) {
        return Err(ended::failure(client, chain, &transaction).await);
    }
    let id = show::clean(transaction["id"].as_str().unwrap_or_default());
    let state = show::clean(transaction["state"].as_str().unwrap_or("unknown"));
    let name = chain.name();
    let why = transaction["reason"].as_str().map(|why| format!(": {}", show::clean(why))).unwrap_or_default();
    Err(Failure {
        exit: Exit::Unavailable,
        message: format!("{id} is {state} and not decided yet{why}; nsl tx wait {name} {id} stays with it"),
        problem: Some(ended::told(&transaction, "not decided within the time")),
    })
}

/// Stays with a transaction until the chain has decided or the time is over, and gives it as it stands then.
pub(crate) async fn stay_with(
    client: &Client,
    chain: Chain,
    mut transaction: Value,
    stay: Stay,
) -> Result<Value, Failure> {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);
    let id = transaction["id"].as_str().unwrap_or_default().to_owned();
    let until = stay.until;
    let mut pause = FIRST;
    let mut progress = Progress::new(stay);
    loop {
        if is_decided(&transaction["state"]) {
            return Ok(transaction);
        }
        progress.tell(&transaction);
        if Instant::now() >= until {
            return Ok(transaction);
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

/// Says beside the output what it waits for, at once and whenever that changes.
struct Progress {
    is_told: bool,
    last: Option<String>,
}

impl Progress {
    fn new(stay: Stay) -> Self {
        Self { is_told: !stay.is_quiet || std::io::stderr().is_terminal(), last: None }
    }

    fn tell(&mut self, transaction: &Value) {
        let step = step(transaction);
        if self.is_told && self.last.as_ref() != Some(&step) {
            aside(&step);
            self.last = Some(step);
        }
    }
}

/// Where a transaction is, and why it is there still.
pub(crate) fn step(transaction: &Value) -> String {
    let text = |field: &str| transaction[field].as_str().map(show::clean);
    let mut step = format!("{} {}", text("id").unwrap_or_default(), text("state").unwrap_or_default());
    if let Some(reason) = text("reason") {
        step.push_str(&format!(": {reason}"));
    }
    step
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_says_why_it_waits_on_one_line() {
        let waits = json!({ "id": "rel_1", "state": "accepted", "reason": "no\nGAS" });
        assert_eq!(step(&waits), "rel_1 accepted: no\u{fffd}GAS");
        assert_eq!(step(&json!({ "id": "rel_1", "state": "sent", "reason": null })), "rel_1 sent");
    }

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
