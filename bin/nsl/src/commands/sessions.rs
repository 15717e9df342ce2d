use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Asking, Asks, Done};
use crate::{client::Client, exit::Failure, show};

pub(crate) type Sessions = Asking<Command>;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Where you are signed in, newest first
    List {
        /// Where somebody else of the tenant is
        #[arg(long, value_name = "ID")]
        user: Option<String>,
    },
    /// End a session, by its id, or all others of yours; in effect within a second
    End {
        #[arg(required_unless_present = "others")]
        id: Option<String>,
        /// All but the one that asks
        #[arg(long, conflicts_with = "id")]
        others: bool,
    },
    /// Let a device in that shows this code: it signs in as you
    Approve {
        code: String,
        /// The tenant that it works in; the one of your session when absent
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// Do not ask whether the device is yours
        #[arg(long)]
        yes: bool,
    },
    /// Do not let the device in that shows this code
    Deny { code: String },
}

const SESSIONS: [&str; 3] = ["v1", "auth", "sessions"];

impl Asks for Command {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Self::List { user } => {
                let reply = client.ask(Method::GET, &SESSIONS).query("user", user).send().await?;
                let columns = [
                    ("ID", "id"),
                    ("HERE", "current"),
                    ("TENANT", "tenant"),
                    ("BY", "amr"),
                    ("ADDRESS", "address"),
                    ("PROGRAM", "agent"),
                    ("OPENED", "created_at"),
                    ("LAST USED", "last_used_at"),
                    ("ENDS", "expires_at"),
                ];
                let here = |item: &Value| {
                    let mut item = item.clone();
                    item["current"] = if item["current"] == true { "here".into() } else { Value::Null };
                    item
                };
                Ok(Done::one(reply, |reply| {
                    let items: Vec<Value> = reply["items"].as_array().into_iter().flatten().map(here).collect();
                    show::table(&columns, &items)
                }))
            }
            Self::End { id: Some(id), .. } => {
                let reply = client.ask(Method::DELETE, &[&SESSIONS[..], &[&id]].concat()).send().await?;
                Ok(Done::one(reply, |_| format!("ended {}\n", show::clean(&id))))
            }
            Self::End { id: None, .. } => {
                let reply = client.ask(Method::DELETE, &SESSIONS).send().await?;
                Ok(Done::one(reply, |reply| format!("ended {} sessions\n", reply["ended"])))
            }
            Self::Approve { code, tenant, yes } => {
                if !yes {
                    confirm(client, &code).await?;
                }
                let mut body = json!({ "user_code": code });
                body.as_object_mut().into_iter().for_each(|body| {
                    body.extend(tenant.iter().map(|tenant| ("tenant".to_owned(), Value::from(tenant.as_str()))));
                });
                let reply = client.ask(Method::POST, &["v1", "auth", "device", "approve"]).body(&body).send().await?;
                Ok(Done::one(reply, |reply| format!("let in: {}\n", named(reply))))
            }
            Self::Deny { code } => {
                let body = json!({ "user_code": code });
                let reply = client.ask(Method::POST, &["v1", "auth", "device", "deny"]).body(&body).send().await?;
                Ok(Done::one(reply, |reply| format!("not let in: {}\n", named(reply))))
            }
        }
    }
}

fn named(device: &Value) -> String {
    show::clean(device["client_name"].as_str().unwrap_or_default())
}

/// Shows what asks to be let in, since a code that somebody else sent may be a trap.
async fn confirm(client: &Client, code: &str) -> Result<(), Failure> {
    let body = json!({ "user_code": code });
    let reply = client.ask(Method::POST, &["v1", "auth", "device", "look"]).body(&body).send().await?;
    let device: Value = reply.read()?;
    let fields = [("program", "client_name"), ("from", "address"), ("calls itself", "agent"), ("asked", "asked_at")];
    let question = format!(
        "{}It will do what you may. Only if you started it yourself: let it in?",
        show::pairs(&fields, &device)
    );
    super::hidden::confirm(&question, "say --yes")
}
