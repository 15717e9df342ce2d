//! Calls: asked, tried out, sent.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Chain, Done};
use crate::{
    client::{Client, Reply},
    commands::{
        sending::{self, Sending},
        tx::{self, Terms},
    },
    exit::{Exit, Failure},
    show,
};

#[derive(Args)]
struct Target {
    chain: Chain,
    /// The contract; on Neo N3 also an address or the name of a native one, such as GasToken
    hash: String,
    /// A name; on Neo X a signature such as f(uint256) where names are shared
    method: String,
    /// Read as the manifest or ABI says: 0x… as bytes, other text for bytes as UTF-8, JSON for arrays and maps
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    args: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Call {
    #[command(flatten)]
    target: Target,
    /// Who is taken to call, by hash, address or label
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// As of the end of this block
    #[arg(long, value_name = "HEIGHT")]
    at: Option<u64>,
}

#[derive(Args)]
pub(crate) struct Invoke {
    #[command(flatten)]
    target: Target,
    /// Neo X: wei that go along, or such as 1.5gas
    #[arg(long, value_name = "AMOUNT")]
    value: Option<String>,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    sending: Sending,
}

impl Target {
    fn path<'a>(&self, contract: &'a str, verb: &'a str) -> [&'a str; 5] {
        ["v1", "contracts", self.chain.name(), contract, verb]
    }

    /// Each argument goes as text: only the service knows its type.
    fn body(&self) -> Map<String, Value> {
        let args: Vec<Value> = self.args.iter().map(|arg| Value::from(arg.as_str())).collect();
        [("method".to_owned(), self.method.as_str().into()), ("args".to_owned(), args.into())].into_iter().collect()
    }
}

impl Call {
    pub(super) async fn run(self, client: &Client) -> Result<Done, Failure> {
        let chain = self.target.chain;
        let contract = chain.contract(&self.target.hash)?;
        let mut body = self.target.body();
        if let Some(named) = &self.account {
            body.insert("account".to_owned(), sending::account(client, chain, Some(named)).await?.into());
        }
        if let Some(height) = self.at {
            body.insert("at".to_owned(), height.into());
        }
        let path = self.target.path(&contract, "call");
        match client.ask(Method::POST, &path).body(&body).send().await {
            Ok(reply) => Ok(Done::one(reply, |reply| stack(&reply["stack"]))),
            Err(failure) => Err(explained(client, chain, &contract, failure).await),
        }
    }
}

impl Invoke {
    async fn body(&self, client: &Client) -> Result<Map<String, Value>, Failure> {
        let chain = self.target.chain;
        let mut body = self.target.body();
        if let Some(value) = &self.value {
            body.insert("value".to_owned(), chain.amount(value)?.into());
        }
        self.terms.fill(client, chain, &mut body).await?;
        self.sending.fill(client, chain, &mut body).await?;
        Ok(body)
    }

    async fn ask(&self, client: &Client, verb: &str) -> Result<Reply, Failure> {
        let chain = self.target.chain;
        let contract = chain.contract(&self.target.hash)?;
        let body = self.body(client).await?;
        match client.ask(Method::POST, &self.target.path(&contract, verb)).body(&body).send().await {
            Ok(reply) => Ok(reply),
            Err(failure) => Err(explained(client, chain, &contract, failure).await),
        }
    }

    pub(super) async fn send(self, client: &Client) -> Result<Done, Failure> {
        let chain = self.target.chain;
        let contract = chain.contract(&self.target.hash)?;
        let body = self.body(client).await?;
        let sent = match self.sending.post(client, &self.target.path(&contract, "invoke"), &body).await {
            Ok(sent) => sent,
            Err(failure) => return Err(explained(client, chain, &contract, failure).await),
        };
        let stands = self.sending.follow(client, chain, sent).await?;
        Ok(Done { json: sending::brief(&stands).to_string(), shown: sending::line(chain, &stands) })
    }

    pub(super) async fn simulate(self, client: &Client) -> Result<Done, Failure> {
        let chain = self.target.chain;
        let trial: Value = self.ask(client, "simulate").await?.read()?;
        if trial["ok"] != true {
            let reason = show::clean(trial["reason"].as_str().unwrap_or("it would come to nothing"));
            let mut problem = trial.clone();
            problem["detail"] = reason.as_str().into();
            return Err(Failure { exit: Exit::Failed, message: reason, problem: Some(problem) });
        }
        let gas = trial["gas"].as_str().unwrap_or_default();
        let mut shown = match chain {
            Chain::NeoN3 => format!("would take {} to run\n", chain.gas(gas)),
            Chain::NeoX => format!("would take {} gas\n", show::clean(gas)),
        };
        shown.push_str(&stack(&trial["stack"]));
        for event in trial["events"].as_array().into_iter().flatten() {
            let event = super::ready(event);
            let text = |field: &str| show::clean(event[field].as_str().unwrap_or("-"));
            shown.push_str(&format!("event {} of {}: {}\n", text("name"), text("contract"), text("values")));
        }
        Ok(Done { json: trial.to_string(), shown })
    }

    pub(super) async fn estimate(self, client: &Client) -> Result<Done, Failure> {
        let chain = self.target.chain;
        Ok(Done::one(self.ask(client, "estimate").await?, |reply| tx::estimate(chain, reply)))
    }
}

/// What a contract could not be asked for, with what helps.
pub(super) async fn explained(client: &Client, chain: Chain, contract: &str, failure: Failure) -> Failure {
    if failure.problem.as_ref().is_none_or(|problem| problem["code"] != "contracts.abi_unknown") {
        return came_to_nothing(failure);
    }
    let found = client.ask(Method::GET, &["v1", "contracts", chain.name(), contract]).send().await;
    without_abi(chain, contract, failure, found.and_then(|reply| reply.read()))
}

/// Where no ABI is known, there may be no contract either: `found` is what the chain has there.
fn without_abi(chain: Chain, contract: &str, mut failure: Failure, found: Result<Value, Failure>) -> Failure {
    let (name, contract) = (chain.name(), show::clean(contract));
    let code = match &found {
        Ok(found) => found["live"]["code_bytes"].as_u64().unwrap_or(0),
        Err(missing) if missing.exit == Exit::NotFound => 0,
        // What is there can't be told now: the server's words stand.
        Err(_) => return failure,
    };
    let mend = match code {
        0 => {
            failure.exit = Exit::NotFound;
            failure.message = format!("there is no code at {contract} on {name}: no contract to ask");
            "check the address, and that it is of this network".to_owned()
        }
        _ => {
            failure.message = format!("{}; {contract} has {code} bytes of code", failure.message);
            format!("nsl contract add {name} {contract} FILE.json makes its ABI known")
        }
    };
    let problem = failure.problem.get_or_insert_default();
    problem["detail"] = failure.message.as_str().into();
    problem["mend"] = mend.into();
    failure
}

/// A contract that says no is no mistake of the command line.
fn came_to_nothing(mut failure: Failure) -> Failure {
    failure.message = show::clean(&failure.message);
    let Some(problem) = &mut failure.problem else { return failure };
    if problem["code"] == "contracts.reverted" {
        failure.exit = Exit::Failed;
        // The reason is in the message: nothing is left to look up.
        problem.as_object_mut().map(|problem| problem.remove("mend"));
    }
    if let Some(methods) = problem["details"]["methods"].as_array() {
        let methods: Vec<String> = methods.iter().filter_map(Value::as_str).map(show::clean).collect();
        failure.message.push_str(&format!("; it has {}", methods.join(", ")));
        problem.as_object_mut().map(|problem| problem.remove("mend"));
    }
    failure
}

/// What came back, an item a line.
fn stack(items: &Value) -> String {
    items.as_array().into_iter().flatten().map(|item| shown(item) + "\n").collect()
}

/// A value for people: stack items of Neo N3 by what they hold, bytes as text where they are text.
pub(super) fn shown(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>().join(", ");
    match (value["type"].as_str(), value.get("iterator").unwrap_or(&value["value"])) {
        (Some("ByteString" | "Buffer"), Value::String(text)) => match STANDARD.decode(text) {
            Ok(bytes) => data(&bytes),
            Err(_) => show::clean(text),
        },
        (Some("Map"), Value::Array(entries)) => {
            let each = entries.iter().map(|entry| format!("{}: {}", shown(&entry["key"]), shown(&entry["value"])));
            format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
        }
        (Some("Any"), Value::Null) => "null".to_owned(),
        (Some("InteropInterface"), Value::Array(items)) => {
            let more = if value["truncated"] == true { ", and more that is cut off" } else { "" };
            format!("[{}{more}]", list(items))
        }
        (Some(_), Value::Array(items)) => format!("[{}]", list(items)),
        (Some(_), Value::String(text)) => show::clean(text),
        (Some(_), held @ (Value::Bool(_) | Value::Number(_))) => held.to_string(),
        _ => match value {
            Value::String(text) => show::clean(text),
            Value::Array(items) => format!("[{}]", list(items)),
            other => show::clean(&other.to_string()),
        },
    }
}

fn data(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => json!(text).to_string(),
        _ => format!("0x{}", hex::encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_abi_is_known_it_is_told_whether_there_is_a_contract() {
        let failure = || Failure {
            problem: Some(json!({ "code": "contracts.abi_unknown", "mend": "PUT it" })),
            ..Failure::usage("the ABI of the contract is not known")
        };
        let told = |found| without_abi(Chain::NeoX, "0xab", failure(), found);
        let there = told(Ok(json!({ "live": { "code_bytes": 7 } })));
        assert_eq!(there.exit, Exit::Usage);
        assert!(there.message.ends_with("0xab has 7 bytes of code"), "{}", there.message);
        assert!(there.problem.unwrap()["mend"].as_str().unwrap().contains("nsl contract add neo-x 0xab"));
        for found in [Err(Failure::new(Exit::NotFound, "")), Ok(json!({ "live": null }))] {
            let absent = told(found);
            assert_eq!(absent.exit, Exit::NotFound);
            assert!(absent.message.contains("no code at 0xab on neo-x"), "{}", absent.message);
        }
        let unknown = told(Err(Failure::new(Exit::Unavailable, "")));
        assert_eq!((unknown.exit, unknown.problem.unwrap()["mend"].as_str()), (Exit::Usage, Some("PUT it")));
    }

    #[test]
    fn values_of_both_chains_are_shown_by_what_they_hold() {
        let bytes = |bytes: &[u8]| json!({ "type": "ByteString", "value": STANDARD.encode(bytes) });
        let number = json!({ "type": "Integer", "value": "-5" });
        for (value, text) in [
            (number.clone(), "-5"),
            (bytes(b"text"), "\"text\""),
            (bytes(&[0, 255]), "0x00ff"),
            (
                json!({ "type": "InteropInterface", "iterator": [bytes(b"a"), number], "truncated": false }),
                "[\"a\", -5]",
            ),
            (
                json!({ "type": "InteropInterface", "iterator": [number], "truncated": true }),
                "[-5, and more that is cut off]",
            ),
            (bytes(b""), "0x"),
            (bytes(b"\x1b[2J"), "0x1b5b324a"),
            (json!({ "type": "Boolean", "value": true }), "true"),
            (json!({ "type": "Any" }), "null"),
            (json!({ "type": "Struct", "value": [number, bytes(b"a")] }), "[-5, \"a\"]"),
            (json!({ "type": "Map", "value": [{ "key": bytes(b"k"), "value": number }] }), "{\"k\": -5}"),
            (json!("7"), "7"),
            (json!(["1", true, ["0xab"]]), "[1, true, [0xab]]"),
            (json!({ "who": "0xab" }), "{\"who\":\"0xab\"}"),
        ] {
            assert_eq!(shown(&value), text);
        }
    }
}
