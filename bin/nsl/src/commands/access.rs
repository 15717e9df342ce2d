use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Asking, Asks, Done, input, page};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    show,
};

pub(crate) type Access = Asking<Command>;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Whether somebody may do something, and why; exits 4 when not
    Explain(Box<Explain>),
    /// Who may do something
    WhoCan {
        permission: String,
        #[command(flatten)]
        page: page::Paging,
    },
    /// List all that can be asked for
    Permissions,
    /// What roles cannot say: policies in the language Cedar
    #[command(subcommand)]
    Policies(Policies),
}

#[derive(Args)]
pub(crate) struct Explain {
    /// Such as storage:write
    permission: String,
    /// Somebody else of the tenant; yourself when absent
    #[arg(long = "as", value_name = "USER")]
    subject: Option<String>,
    /// What it is asked for: KIND:ID, such as item:greeting
    #[arg(long, value_name = "KIND:ID")]
    resource: Option<String>,
    /// NAME=VALUE of the thing's tags
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    tags: Vec<String>,
    /// As if at this time, RFC 3339
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As if from this address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// In whole coins: 1.5
    #[arg(long)]
    amount: Option<String>,
    #[arg(long)]
    chain: Option<super::chain::Chain>,
    #[arg(long, value_name = "HASH")]
    contract: Option<String>,
    /// Method of the contract
    #[arg(long)]
    method: Option<String>,
    /// As if a second factor was shown so many seconds ago
    #[arg(long, value_name = "SECONDS")]
    second_factor_age: Option<u64>,
}

impl Explain {
    fn body(self) -> Result<Value, Failure> {
        let mut resource = Map::new();
        if let Some(text) = &self.resource {
            let (kind, id) = text.split_once(':').unwrap_or((text, ""));
            resource.insert("kind".to_owned(), kind.into());
            resource.insert("id".to_owned(), id.into());
        }
        if !self.tags.is_empty() {
            let pair = |tag: &String| {
                let (name, value) = tag.split_once('=')?;
                Some((name.to_owned(), Value::from(value)))
            };
            let tags: Option<Map<_, _>> = self.tags.iter().map(pair).collect();
            let tags = tags.ok_or_else(|| Failure::usage("a tag is written NAME=VALUE"))?;
            resource.insert("tags".to_owned(), tags.into());
        }
        let chain = self.chain.map(|chain| chain.name().to_owned());
        let texts = [
            ("now", self.at),
            ("ip", self.ip),
            ("amount", self.amount),
            ("chain", chain),
            ("contract", self.contract),
            ("method", self.method),
        ];
        let mut context: Map<String, Value> =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
        context.extend(self.second_factor_age.map(|age| ("second_factor_age_s".to_owned(), age.into())));
        let mut body = json!({ "permission": self.permission, "resource": resource, "context": context });
        if let Some(subject) = self.subject {
            body["subject"] = subject.into();
        }
        Ok(body)
    }
}

#[derive(Subcommand)]
pub(crate) enum Policies {
    /// List policies by name
    List {
        #[command(flatten)]
        page: page::Paging,
    },
    /// Print a policy
    Show { name: String },
    /// Make a policy or change it
    Put {
        name: String,
        /// File with one statement of Cedar, - for standard input
        file: PathBuf,
        /// File with a list of questions and the answers that you expect; a policy that decides otherwise is not saved
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
        /// Only say what it would decide
        #[arg(long)]
        dry_run: bool,
        /// Only if this is its version now; 0: only if there is none
        #[arg(long, value_name = "N")]
        if_version: Option<i64>,
    },
    /// Remove a policy
    Remove {
        name: String,
        /// Only if this is its version now
        #[arg(long, value_name = "N")]
        if_version: Option<i64>,
    },
    /// The versions of a policy, newest first
    Versions {
        name: String,
        #[command(flatten)]
        page: page::Paging,
    },
}

impl Asks for Command {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Self::Explain(explain) => {
                let ask = client.ask(Method::POST, &["v1", "access", "explain"]).body(&explain.body()?);
                let reply = ask.send().await?;
                let decision: Value = reply.read()?;
                let done = Done::one(reply, decided);
                match decision["allowed"] == true {
                    true => Ok(done),
                    // A script asks by the exit code; a person reads the same lines.
                    false => Err(Failure {
                        exit: Exit::Refused,
                        message: done.shown.trim_end().to_owned(),
                        problem: Some(decision),
                    }),
                }
            }
            Self::WhoCan { permission, page } => {
                let ask = || {
                    client.ask(Method::GET, &["v1", "access", "who-can"]).query("permission", Some(permission.as_str()))
                };
                let ready = |item: &Value| {
                    let mut item = item.clone();
                    item["allowed"] = item["decision"]["allowed"].clone();
                    item
                };
                let columns = [("SUBJECT", "subject"), ("ROLES", "roles"), ("ALLOWED", "allowed")];
                page.run_showing(ask, &columns, ready, |_| "nobody\n".to_owned()).await
            }
            Self::Permissions => {
                let reply = client.ask(Method::GET, &["v1", "access", "permissions"]).send().await?;
                let columns = [("PERMISSION", "name"), ("SERVICE", "service"), ("POLICIES MAY GRANT IT", "grantable")];
                Ok(Done::one(reply, |reply| {
                    show::table(&columns, reply["items"].as_array().map(Vec::as_slice).unwrap_or_default())
                }))
            }
            Self::Policies(policies) => policies.with(client).await,
        }
    }
}

/// The decision with its grounds, a line each.
fn decided(decision: &Value) -> String {
    let text = |value: &Value| show::clean(value.as_str().unwrap_or_default());
    let (who, what) = (text(&decision["subject"]), text(&decision["permission"]));
    let mut lines = match decision["allowed"] == true {
        true => format!("{who} may {what}\n"),
        false => format!("{who} may not {what} ({})\n", text(&decision["code"])),
    };
    for step in decision["steps"].as_array().into_iter().flatten() {
        let name = step["name"].as_str().map(|name| format!(" {}", show::clean(name))).unwrap_or_default();
        let why = step["explain"].as_str().map(|why| format!(": {}", show::clean(why))).unwrap_or_default();
        lines.push_str(&format!("  {}{name} {}{why}\n", text(&step["kind"]), text(&step["effect"])));
    }
    for need in decision["needs"].as_array().into_iter().flatten() {
        lines.push_str(&format!("  needed: {}\n", text(need)));
    }
    lines
}

fn policies<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["v1", "access", "policies"], rest].concat()
}

impl Policies {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        let columns = [
            ("NAME", "name"),
            ("VERSION", "version"),
            ("BY", "updated_by"),
            ("AT", "updated_at"),
            ("REMOVED", "removed"),
        ];
        match self {
            Self::List { page } => page.run(|| client.ask(Method::GET, &policies(&[])), &columns[..4]).await,
            Self::Show { name } => {
                let reply = client.ask(Method::GET, &policies(&[&name])).send().await?;
                Ok(Done::one(reply, |policy| {
                    let text = policy["text"].as_str().unwrap_or_default();
                    let safe = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
                    format!("{}\n", text.trim_end().chars().map(safe).collect::<String>())
                }))
            }
            Self::Put { name, file, cases, dry_run, if_version } => {
                input::one_stdin([Some(&file), cases.as_ref()])?;
                let text = input::read(&file)?;
                let text =
                    std::str::from_utf8(&text).map_err(|_| Failure::usage(format!("{} is no text", file.display())))?;
                let mut body = json!({ "text": text, "dry_run": dry_run });
                if let Some(cases) = &cases {
                    body["cases"] = input::json::<Value>(cases)?;
                }
                if let Some(version) = if_version {
                    body["expected_version"] = version.into();
                }
                let reply = client.ask(Method::PUT, &policies(&[&name])).body(&body).send().await?;
                Ok(Done::one(reply, |reply| {
                    let what = if reply["saved"] == true { "saved" } else { "not saved, would be" };
                    let decisions: String = reply["decisions"].as_array().into_iter().flatten().map(decided).collect();
                    format!("{what} {} version {}\n{decisions}", show::clean(&name), reply["version"])
                }))
            }
            Self::Remove { name, if_version } => {
                let ask = client.ask(Method::DELETE, &policies(&[&name])).query("expected_version", if_version);
                Ok(Done::one(ask.send().await?, |_| format!("removed {}\n", show::clean(&name))))
            }
            Self::Versions { name, page } => {
                page.run(|| client.ask(Method::GET, &policies(&[&name, "versions"])), &columns).await
            }
        }
    }
}
