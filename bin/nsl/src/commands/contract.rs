//! Contracts of both chains, through the server.

mod artefact;
mod calls;
mod changes;
mod deploy;

use std::io::IsTerminal;

pub(crate) use artefact::abi;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Asking, Asks, Done, IDEMPOTENCY_KEY, chain::Chain, page};
use crate::{
    client::Client,
    exit::{Failure, aside},
    show,
};

pub(crate) type Contract = Asking<Command>;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Deploy a contract
    Deploy(Box<deploy::Deploy>),
    /// Show what an update changes, and make it
    Update(Box<changes::Update>),
    /// Show what an update would change
    Diff(changes::Diff),
    /// Ask a contract, without a transaction
    Call(calls::Call),
    /// Call a contract by a transaction
    Invoke(Box<calls::Invoke>),
    /// Try an invocation out: what it gives, tells and takes; exits 1 when it would come to nothing
    Simulate(Box<calls::Invoke>),
    /// What the transaction of an invocation would take
    Estimate(Box<calls::Invoke>),
    /// List the contracts of the tenant, newest first
    List {
        chain: Chain,
        #[command(flatten)]
        page: page::Paging,
    },
    /// Show what is recorded of a contract, and what the chain says
    Show { chain: Chain, hash: String },
    /// What a contract told, oldest first
    Events(Events),
    /// Make the ABI of a contract known that others deployed on Neo X
    Add(artefact::Add),
}

#[derive(Args)]
pub(crate) struct Events {
    chain: Chain,
    hash: String,
    /// Only events of this name
    #[arg(long)]
    name: Option<String>,
    /// The first block
    #[arg(long, value_name = "HEIGHT")]
    from: Option<u64>,
    /// The last block
    #[arg(long, value_name = "HEIGHT")]
    to: Option<u64>,
    #[command(flatten)]
    page: page::Paging,
}

impl Asks for Command {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Self::Deploy(deploy) => deploy.run(client).await,
            Self::Update(update) => update.run(client).await,
            Self::Diff(diff) => diff.run(client).await,
            Self::Call(call) => call.run(client).await,
            Self::Invoke(invoke) => invoke.send(client).await,
            Self::Simulate(invoke) => invoke.simulate(client).await,
            Self::Estimate(invoke) => invoke.estimate(client).await,
            Self::List { chain, page } => {
                let columns =
                    [("HASH", "hash"), ("NAME", "name"), ("STATE", "state"), ("HEIGHT", "height"), ("TX", "tx")];
                page.run(|| client.ask(Method::GET, &["v1", "contracts", chain.name()]), &columns).await
            }
            Self::Show { chain, hash } => {
                let hash = chain.contract(&hash)?;
                let reply = client.ask(Method::GET, &["v1", "contracts", chain.name(), &hash]).send().await?;
                Ok(Done::one(reply, described))
            }
            Self::Events(events) => events.run(client).await,
            Self::Add(add) => add.run(client).await,
        }
    }
}

impl Events {
    async fn run(self, client: &Client) -> Result<Done, Failure> {
        let Self { chain, hash, name, from, to, page } = self;
        let hash = chain.contract(&hash)?;
        let columns = [("HEIGHT", "height"), ("EVENT", "name"), ("VALUES", "values"), ("TX", "tx")];
        let ask = || {
            client
                .ask(Method::GET, &["v1", "contracts", chain.name(), &hash, "events"])
                .query("name", name.as_ref())
                .query("from", from)
                .query("to", to)
        };
        let is_first = page.is_first();
        match page.run_showing(ask, &columns, ready, |read| nothing(name.as_deref(), read)).await {
            Ok(done) => {
                if let Some(name) = name.as_deref().filter(|_| is_first && is_empty(&done)) {
                    let known = known(client, chain, &hash, name).await;
                    // Scripts get the empty page alone.
                    if let Err(unknown) = known
                        && std::io::stderr().is_terminal()
                    {
                        aside(&unknown.message);
                    }
                }
                Ok(done)
            }
            Err(failure) => Err(calls::explained(client, chain, &hash, failure).await),
        }
    }
}

fn is_empty(done: &Done) -> bool {
    let read: Value = serde_json::from_str(&done.json).unwrap_or(Value::Null);
    read["items"].as_array().is_some_and(Vec::is_empty)
}

/// Finds fault with the name of an event that a contract of Neo N3 can't tell, as far as its manifest is known. Neo X refuses it
/// by itself.
async fn known(client: &Client, chain: Chain, hash: &str, name: &str) -> Result<(), Failure> {
    let asked = client.ask(Method::GET, &["v1", "contracts", chain.name(), hash]).send().await;
    let described: Value = asked.and_then(|reply| reply.read()).unwrap_or(Value::Null);
    has_event(&described, name)
}

fn has_event(described: &Value, name: &str) -> Result<(), Failure> {
    let Some(events) = described["manifest"]["abi"]["events"].as_array() else { return Ok(()) };
    let names: Vec<&str> = events.iter().filter_map(|event| event["name"].as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let has = if names.is_empty() { "no event at all".to_owned() } else { show::clean(&names.join(", ")) };
    Err(Failure::usage(format!("the contract has no event {name:?}; it has {has}")))
}

/// What is shown where there is no event: of which blocks that is true.
fn nothing(name: Option<&str>, read: &Value) -> String {
    let what = name.map_or_else(|| "no event".to_owned(), |name| format!("no event {name:?}"));
    match (read["from"].as_u64(), read["to"].as_u64()) {
        (Some(from), Some(to)) => format!("{what} in the blocks from {from} to {to}\n"),
        _ => format!("{what}: there is no final block to read there yet\n"),
    }
}

/// An event that the ABI does not know shows what it carries.
fn ready(event: &Value) -> Value {
    let mut shown = event.clone();
    let values = event["values"].as_object().map(|values| {
        let each: Vec<String> = values.iter().map(|(name, value)| format!("{name}={}", calls::shown(value))).collect();
        each.join(" ")
    });
    shown["values"] =
        values.unwrap_or_else(|| json!([event["state"], event["topics"], event["data"]]).to_string()).into();
    shown
}

/// A contract for people: what is known of it, and what can be asked of it.
fn described(contract: &Value) -> String {
    let mut ready = contract.clone();
    for field in ["code_bytes", "id", "update_counter", "compiler", "code_hash", "implementation"] {
        ready[field] = contract["live"][field].clone();
    }
    ready["on_chain"] = contract["live"]["checksum"].clone();
    if let Some(update) = contract["update"].as_object() {
        let text = |field: &str| update.get(field).and_then(Value::as_str).unwrap_or_default();
        ready["update"] = format!("{} {} {}", text("state"), text("request"), text("reason")).trim_end().into();
    }
    let fields = [
        ("contract", "hash"),
        ("name", "name"),
        ("state", "state"),
        ("reason", "reason"),
        ("account", "account"),
        ("request", "request"),
        ("transaction", "tx"),
        ("block", "height"),
        ("checksum", "checksum"),
        ("id", "id"),
        ("updates", "update_counter"),
        ("checksum now", "on_chain"),
        ("code hash now", "code_hash"),
        ("bytes of code", "code_bytes"),
        ("compiler", "compiler"),
        ("implementation", "implementation"),
        ("last update", "update"),
    ];
    let mut shown = show::pairs(&fields, &ready);
    let methods = contract["manifest"]["abi"]["methods"].as_array().or(contract["abi"].as_array());
    for method in methods.into_iter().flatten() {
        let kind = method["type"].as_str().unwrap_or("function");
        if kind != "function" {
            continue;
        }
        let takes = method["parameters"].as_array().or(method["inputs"].as_array());
        let takes: Vec<String> = takes.into_iter().flatten().map(parameter).collect();
        let reads = method["safe"] == true || matches!(method["stateMutability"].as_str(), Some("view" | "pure"));
        let name = show::clean(method["name"].as_str().unwrap_or_default());
        shown.push_str(&format!(
            "method          {name}({}){}\n",
            takes.join(", "),
            if reads { ", changes nothing" } else { "" }
        ));
    }
    shown
}

fn parameter(parameter: &Value) -> String {
    let text = |field: &str| show::clean(parameter[field].as_str().unwrap_or_default());
    match text("name").as_str() {
        "" => text("type"),
        name => format!("{name}: {}", text("type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_the_manifest_does_not_have_is_told() {
        let described = json!({ "manifest": { "abi": { "events": [{ "name": "Put" }, { "name": "Delete" }] } } });
        assert!(has_event(&described, "Put").is_ok() && has_event(&Value::Null, "put").is_ok());
        let refused = has_event(&described, "put").unwrap_err();
        assert!(refused.message.ends_with("no event \"put\"; it has Put, Delete"), "{}", refused.message);
    }

    #[test]
    fn an_empty_page_says_what_was_read() {
        let read = json!({ "items": [], "from": 5, "to": 90 });
        assert_eq!(nothing(Some("Put"), &read), "no event \"Put\" in the blocks from 5 to 90\n");
        assert!(nothing(None, &json!({ "items": [] })).starts_with("no event: there is no final block"));
    }
}
