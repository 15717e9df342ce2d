use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Asking, Asks, Done, IDEMPOTENCY_KEY, page};
use crate::{client::Client, exit::Failure, show};

pub(crate) type Clients = Asking<Command>;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a client: a machine that gets its tokens by OAuth 2.0; its secret is shown this once
    Create {
        /// What it is called in lists
        name: String,
        /// What its tokens may do at most
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<String>,
        /// How it gets its tokens; client-credentials when absent
        #[arg(long = "grant", value_delimiter = ',')]
        grants: Vec<Grant>,
        /// A program on people's own devices: it gets no secret
        #[arg(long)]
        public: bool,
        /// From where it may ask for tokens: addresses or ranges such as 10.0.0.0/8
        #[arg(long = "network", value_name = "NETWORK", value_delimiter = ',')]
        networks: Vec<String>,
        /// When it ends, RFC 3339
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// A word of your own: sent again, no second client is made
        #[arg(long, value_name = "WORD")]
        idempotency_key: Option<String>,
    },
    /// List clients, newest first
    List {
        #[command(flatten)]
        page: page::Paging,
    },
    /// Show a client
    Show { id: String },
    /// Refuse a client's tokens within a second, and give it no others
    Suspend { id: String },
    /// Undo suspend
    Resume { id: String },
    /// Give a client a new secret, shown this once; the old one works on for a while
    Rotate {
        id: String,
        /// For how many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        overlap: u64,
    },
    /// End a client and its tokens
    Delete { id: String },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Grant {
    ClientCredentials,
    DeviceCode,
    TokenExchange,
}

impl Grant {
    fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "device_code",
            Self::TokenExchange => "token_exchange",
        }
    }
}

const CLIENTS: [&str; 3] = ["v1", "oauth", "clients"];
const FIELDS: [(&str, &str); 10] = [
    ("client id", "id"),
    ("secret", "secret"),
    ("name", "name"),
    ("scopes", "scopes"),
    ("grants", "grants"),
    ("networks", "networks"),
    ("expires", "expires_at"),
    ("suspended", "suspended_at"),
    ("last used", "last_used_at"),
    ("old secret until", "old_secret_until"),
];

fn shown(client: &Value) -> String {
    let note = match client["secret"].is_string() {
        true => "The secret is shown this once: keep it now.\n",
        false => "",
    };
    let mut client = client.clone();
    if client["networks"].as_array().is_some_and(Vec::is_empty) {
        client["networks"] = Value::Null;
    }
    format!("{}{note}", show::pairs(&FIELDS, &client))
}

impl Asks for Command {
    async fn with(self, client: &Client) -> Result<Done, Failure> {
        let one = |method, id: &str| client.ask(method, &[&CLIENTS[..], &[id]].concat());
        let reply = match self {
            Self::Create { name, scopes, grants, public, networks, expires_at, idempotency_key } => {
                let mut body = Map::new();
                body.insert("name".to_owned(), name.into());
                body.insert("scopes".to_owned(), scopes.into());
                body.insert("public".to_owned(), public.into());
                if !grants.is_empty() {
                    let grants: Vec<&str> = grants.into_iter().map(Grant::name).collect();
                    body.insert("grants".to_owned(), grants.into());
                }
                if !networks.is_empty() {
                    body.insert("networks".to_owned(), networks.into());
                }
                body.extend(expires_at.map(|end| ("expires_at".to_owned(), end.into())));
                client.ask(Method::POST, &CLIENTS).header(IDEMPOTENCY_KEY, idempotency_key).body(&body).send().await?
            }
            Self::List { page } => {
                let columns = [
                    ("ID", "id"),
                    ("NAME", "name"),
                    ("SCOPES", "scopes"),
                    ("GRANTS", "grants"),
                    ("EXPIRES", "expires_at"),
                    ("SUSPENDED", "suspended_at"),
                    ("LAST USED", "last_used_at"),
                ];
                return page.run(|| client.ask(Method::GET, &CLIENTS), &columns).await;
            }
            Self::Show { id } => one(Method::GET, &id).send().await?,
            Self::Suspend { id } => one(Method::PATCH, &id).body(&json!({ "suspended": true })).send().await?,
            Self::Resume { id } => one(Method::PATCH, &id).body(&json!({ "suspended": false })).send().await?,
            Self::Rotate { id, overlap } => {
                let path = [&CLIENTS[..], &[&id, "secret"]].concat();
                client.ask(Method::POST, &path).body(&json!({ "overlap_s": overlap })).send().await?
            }
            Self::Delete { id } => {
                let reply = one(Method::DELETE, &id).send().await?;
                return Ok(Done::one(reply, |_| format!("deleted {}\n", show::clean(&id))));
            }
        };
        Ok(Done::one(reply, shown))
    }
}
