use clap::{Args, Subcommand};
use nsl_kit::Environment;
use reqwest::Method;
use serde_json::json;

use super::{Done, IDEMPOTENCY_KEY, page};
use crate::{client::Reach, exit::Failure, show};

#[derive(Args)]
pub(crate) struct Apikey {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key; it is shown this once
    Create {
        /// What the key is called in lists
        name: String,
        /// What it may do: service:verb, service:* or *
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<String>,
        /// Whose data it works on, if not your own
        #[arg(long)]
        subject: Option<String>,
        /// When it ends, RFC 3339
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// A word of your own: sent again, no second key is made
        #[arg(long, value_name = "WORD")]
        idempotency_key: Option<String>,
    },
    /// List keys, newest first
    List {
        #[command(flatten)]
        page: page::Paging,
    },
    /// End a key
    Revoke { id: String },
    /// Show what the key in use stands for
    Whoami,
}

impl Apikey {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        const KEYS: [&str; 3] = ["v1", "identity", "keys"];
        let client = self.reach.client(environment)?;
        match self.command {
            Command::Create { name, scopes, subject, expires_at, idempotency_key } => {
                let mut body = json!({ "name": name, "scopes": scopes });
                for (field, value) in [("subject", subject), ("expires_at", expires_at)] {
                    if let Some(value) = value {
                        body[field] = value.into();
                    }
                }
                let ask = client.ask(Method::POST, &KEYS).header(IDEMPOTENCY_KEY, idempotency_key).body(&body);
                let fields = [
                    ("key", "secret"),
                    ("id", "id"),
                    ("name", "name"),
                    ("subject", "subject"),
                    ("scopes", "scopes"),
                    ("expires", "expires_at"),
                ];
                let note = "The key is shown this once: keep it now.\n";
                Ok(Done::one(ask.send().await?, |reply| format!("{}{note}", show::pairs(&fields, reply))))
            }
            Command::List { page } => {
                let columns = [
                    ("ID", "id"),
                    ("NAME", "name"),
                    ("KEY", "prefix"),
                    ("SUBJECT", "subject"),
                    ("SCOPES", "scopes"),
                    ("EXPIRES", "expires_at"),
                    ("REVOKED", "revoked_at"),
                    ("LAST USED", "last_used_at"),
                ];
                page.run(|| client.ask(Method::GET, &KEYS), &columns).await
            }
            Command::Revoke { id } => {
                let reply = client.ask(Method::DELETE, &[&KEYS[..], &[&id]].concat()).send().await?;
                Ok(Done::one(reply, |_| format!("revoked {id}\n")))
            }
            Command::Whoami => {
                let reply = client.ask(Method::GET, &["v1", "identity", "whoami"]).send().await?;
                let fields = [
                    ("tenant", "tenant"),
                    ("subject", "subject"),
                    ("kind", "kind"),
                    ("credential", "credential"),
                    ("scopes", "scopes"),
                ];
                Ok(Done::one(reply, |reply| show::pairs(&fields, reply)))
            }
        }
    }
}
