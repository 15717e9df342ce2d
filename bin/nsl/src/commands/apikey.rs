use clap::{Args, Subcommand};
use nsl_kit::Environment;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Done, IDEMPOTENCY_KEY, login::who, page};
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
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Where it may be used: addresses or ranges such as 10.0.0.0/8; from anywhere when absent
        #[arg(long = "network", value_name = "NETWORK", value_delimiter = ',')]
        networks: Vec<String>,
        /// A word of your own: sent again, no second key is made
        #[arg(long, value_name = "WORD")]
        idempotency_key: Option<String>,
    },
    /// Change what a key is called, where it may be used, or when it ends
    Update(Box<Update>),
    /// Give a key a new secret, shown this once; the old one works on for a while
    Rotate {
        id: String,
        /// For how many seconds; 0 ends all earlier secrets at once; a day when absent, unless the operator set another
        /// time
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
        /// A word of your own: sent again, the key is not rotated twice
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

#[derive(Args)]
struct Update {
    id: String,
    #[arg(long)]
    name: Option<String>,
    /// What it is for; empty for nothing
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where it may be used from now on
    #[arg(long = "network", value_name = "NETWORK", value_delimiter = ',')]
    networks: Vec<String>,
    /// It may be used from anywhere
    #[arg(long, conflicts_with = "networks")]
    any_network: bool,
    /// When it ends, RFC 3339
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// It does not expire
    #[arg(long, conflicts_with = "expires_at")]
    no_expiry: bool,
}

impl Update {
    fn body(self) -> Result<Value, Failure> {
        let mut body = Map::new();
        body.extend(self.name.map(|name| ("name".to_owned(), name.into())));
        let described = |text: String| if text.is_empty() { Value::Null } else { text.into() };
        body.extend(self.description.map(|text| ("description".to_owned(), described(text))));
        if self.any_network || !self.networks.is_empty() {
            body.insert("networks".to_owned(), self.networks.into());
        }
        if self.no_expiry || self.expires_at.is_some() {
            body.insert("expires_at".to_owned(), self.expires_at.into());
        }
        match body.is_empty() {
            true => Err(Failure::usage("say what is to change: --name, --description, --network, --expires-at")),
            false => Ok(body.into()),
        }
    }
}

/// What is shown of a key that was made or changed.
const FIELDS: [(&str, &str); 10] = [
    ("key", "secret"),
    ("id", "id"),
    ("name", "name"),
    ("description", "description"),
    ("subject", "subject"),
    ("owner", "owner"),
    ("scopes", "scopes"),
    ("networks", "networks"),
    ("expires", "expires_at"),
    ("old secret until", "overlap_until"),
];
const NOTE: &str = "The key is shown this once: keep it now.\n";

/// An empty list of networks is not worth a line.
fn shown(key: &Value) -> String {
    let mut key = key.clone();
    if key["networks"].as_array().is_some_and(Vec::is_empty) {
        key["networks"] = Value::Null;
    }
    show::pairs(&FIELDS, &key)
}

impl Apikey {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        const KEYS: [&str; 3] = ["v1", "identity", "keys"];
        let client = self.reach.client(environment)?;
        match self.command {
            Command::Create { name, scopes, subject, expires_at, description, networks, idempotency_key } => {
                let mut body = json!({ "name": name, "scopes": scopes, "networks": networks });
                for (field, value) in [("subject", subject), ("expires_at", expires_at), ("description", description)] {
                    if let Some(value) = value {
                        body[field] = value.into();
                    }
                }
                let ask = client.ask(Method::POST, &KEYS).header(IDEMPOTENCY_KEY, idempotency_key).body(&body);
                Ok(Done::one(ask.send().await?, |reply| format!("{}{NOTE}", shown(reply))))
            }
            Command::Update(update) => {
                let id = update.id.clone();
                let ask = client.ask(Method::PATCH, &[&KEYS[..], &[&id]].concat()).body(&update.body()?);
                Ok(Done::one(ask.send().await?, shown))
            }
            Command::Rotate { id, overlap, idempotency_key } => {
                let body = overlap.map_or_else(|| json!({}), |overlap| json!({ "overlap_s": overlap }));
                let ask = client.ask(Method::POST, &[&KEYS[..], &[&id, "rotate"]].concat()).body(&body);
                let reply = ask.header(IDEMPOTENCY_KEY, idempotency_key).send().await?;
                Ok(Done::one(reply, |reply| format!("{}{NOTE}", shown(reply))))
            }
            Command::List { page } => {
                let columns = [
                    ("ID", "id"),
                    ("NAME", "name"),
                    ("KEY", "prefix"),
                    ("SUBJECT", "subject"),
                    ("OWNER", "owner"),
                    ("SCOPES", "scopes"),
                    ("NETWORKS", "networks"),
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
            Command::Whoami => who(client.ask(Method::GET, &["v1", "identity", "whoami"]).send().await?),
        }
    }
}
