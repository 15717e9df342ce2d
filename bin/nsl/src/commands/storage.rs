use std::{io::Read, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use nsl_api::storage::PrivacyRequest;
use nsl_kit::Environment;
use reqwest::{Method, header};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{Done, IDEMPOTENCY_KEY, page};
use crate::{
    client::{Client, Reach},
    exit::Failure,
    show,
};

#[derive(Args)]
pub(crate) struct Storage {
    #[command(flatten)]
    reach: Reach,
    /// The chain whose dApp the value belongs to
    #[arg(long, global = true, default_value = "neo-n3")]
    chain: Chain,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Chain {
    NeoN3,
    NeoX,
}

impl Chain {
    fn name(self) -> &'static str {
        match self {
            Self::NeoN3 => "neo-n3",
            Self::NeoX => "neo-x",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Access {
    Private,
    Tenant,
    Shared,
    Public,
}

impl Access {
    fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Tenant => "tenant",
            Self::Shared => "shared",
            Self::Public => "public",
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Store a value
    Put(Put),
    /// Print a value as it was stored; with --json the whole reply
    Get {
        key: String,
        /// A past version
        #[arg(long)]
        version: Option<i64>,
        /// The subject whose value it is, if not your own
        #[arg(long)]
        owner: Option<String>,
    },
    /// List keys in their order
    List {
        /// Only keys that begin with this
        #[arg(long)]
        prefix: Option<String>,
        /// The subject whose values to list, if not your own
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        page: page::Paging,
    },
    /// Delete a value; its history stays until it is trimmed
    Delete {
        key: String,
        /// Only if this is the current version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i64>,
    },
    /// List the versions of a key, newest first
    History {
        key: String,
        #[command(flatten)]
        page: page::Paging,
    },
    /// Make a past version the current one again
    Restore { key: String, version: i64 },
    /// Change what surrounds a value
    Amend {
        key: String,
        #[command(flatten)]
        surroundings: Surroundings,
        /// Only if this is the current version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i64>,
    },
    /// Show what the tenant holds and how much it may
    Usage,
    /// Ask for a person's data, or for its erasure
    #[command(subcommand)]
    Privacy(Privacy),
}

#[derive(Args)]
struct Put {
    key: String,
    /// The value as JSON; or use --text, --file
    #[arg(required_unless_present_any = ["text", "file"])]
    value: Option<String>,
    /// The value as text, stored as a JSON string
    #[arg(long, conflicts_with_all = ["value", "file"])]
    text: Option<String>,
    /// File with the value as JSON, - for standard input
    #[arg(long, conflicts_with = "value")]
    file: Option<PathBuf>,
    /// Seal the value under your data key
    #[arg(long)]
    encrypted: bool,
    #[command(flatten)]
    surroundings: Surroundings,
    /// Only if this is the current version; 0 for a key that does not exist
    #[arg(long, value_name = "VERSION")]
    if_version: Option<i64>,
    /// A word of your own: sent again with the same value, nothing is done twice
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
}

#[derive(Args)]
struct Surroundings {
    /// Who besides you may read it
    #[arg(long)]
    access: Option<Access>,
    /// Subjects that may read it; takes --access shared
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',')]
    shared_with: Vec<String>,
    /// When it ceases to be, RFC 3339
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Until when it can't be deleted or replaced, RFC 3339
    #[arg(long, value_name = "TIME")]
    retain_until: Option<String>,
    /// A JSON object of your own
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

#[derive(Subcommand)]
enum Privacy {
    /// Ask for a copy of all that is stored of a person
    Export {
        /// The person, if not yourself
        #[arg(long)]
        subject: Option<String>,
    },
    /// Destroy all that is stored of a person, for good
    Erase {
        #[arg(long)]
        subject: Option<String>,
        /// Needed, since nothing brings the data back
        #[arg(long)]
        yes: bool,
    },
    /// List the requests, newest first
    List {
        #[command(flatten)]
        page: page::Paging,
    },
    /// Show one request
    Show { id: String },
    /// Print the finished export, one part a line; with --json a list of the parts
    Download { id: String },
}

#[derive(Deserialize)]
struct OnlyValue<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

impl Surroundings {
    fn into_fields(self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        if !self.shared_with.is_empty() && !matches!(self.access, Some(Access::Shared)) {
            return Err(Failure::usage("--shared-with names who may read it, which takes --access shared"));
        }
        let mut set = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
        set("access", self.access.map(|access| access.name().into()));
        set("shared_with", (!self.shared_with.is_empty()).then(|| self.shared_with.into()));
        set("expires_at", self.expires_at.map(Value::from));
        set("retain_until", self.retain_until.map(Value::from));
        let metadata = self.metadata.as_deref().map(serde_json::from_str::<Map<String, Value>>).transpose();
        let metadata = metadata.map_err(|error| Failure::usage(format!("--metadata is not a JSON object: {error}")))?;
        set("metadata", metadata.map(Value::from));
        Ok(())
    }
}

impl Put {
    fn value(&self) -> Result<Box<RawValue>, Failure> {
        let text = match (&self.value, &self.text, &self.file) {
            (Some(value), ..) => value.clone(),
            (_, Some(text), _) => Value::from(text.as_str()).to_string(),
            (.., Some(file)) => {
                let mut text = String::new();
                let read = match file.as_os_str() == "-" {
                    true => std::io::stdin().read_to_string(&mut text).map(drop),
                    false => std::fs::read_to_string(file).map(|read| text = read),
                };
                read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
                text
            }
            (None, None, None) => return Err(Failure::usage("no value")),
        };
        let hint = "for plain text use --text";
        RawValue::from_string(text.trim().to_owned())
            .map_err(|error| Failure::usage(format!("the value is not JSON ({error}); {hint}")))
    }
}

impl Storage {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        let client = self.reach.client(environment)?;
        let chain = self.chain.name();
        let item = |key: &str| ["v1", "storage", chain, "items", key].map(str::to_owned);
        let to = |method, path: &[String]| client.ask(method, &path.iter().map(String::as_str).collect::<Vec<_>>());
        match self.command {
            Command::Put(put) => put_value(&client, chain, put).await,
            Command::Get { key, version, owner } => {
                let ask = client.ask(Method::GET, &["v1", "storage", "retrieve", chain, &key]);
                let reply = ask.query("version", version).query("owner", owner).send().await?;
                let shown = format!("{}\n", reply.read::<Box<RawValue>>().and_then(|whole| only_value(&whole))?);
                Ok(Done { json: reply.text().to_owned(), shown })
            }
            Command::List { prefix, owner, page } => {
                let columns = [
                    ("KEY", "key"),
                    ("VERSION", "version"),
                    ("BYTES", "size_bytes"),
                    ("SEALED", "encrypted"),
                    ("ACCESS", "access"),
                    ("UPDATED", "updated_at"),
                ];
                let ask = || {
                    client
                        .ask(Method::GET, &["v1", "storage", chain, "items"])
                        .query("prefix", prefix.as_ref())
                        .query("owner", owner.as_ref())
                };
                page.run(ask, &columns).await
            }
            Command::Delete { key, if_version } => {
                let ask = to(Method::DELETE, &item(&key)).header(header::IF_MATCH, etag(if_version));
                Ok(Done::one(ask.send().await?, |reply| format!("deleted {key} as version {}\n", reply["version"])))
            }
            Command::History { key, page } => {
                let columns = [
                    ("VERSION", "version"),
                    ("DELETED", "deleted"),
                    ("BYTES", "size_bytes"),
                    ("SEALED", "encrypted"),
                    ("UPDATED", "updated_at"),
                ];
                page.run(|| client.ask(Method::GET, &["v1", "storage", chain, "items", &key, "versions"]), &columns)
                    .await
            }
            Command::Restore { key, version } => {
                let from = version.to_string();
                let path = ["v1", "storage", chain, "items", &key, "versions", &from, "restore"];
                let reply = client.ask(Method::POST, &path).send().await?;
                Ok(Done::one(reply, |reply| format!("restored {key} from {version} as version {}\n", reply["version"])))
            }
            Command::Amend { key, surroundings, if_version } => {
                let mut body = Map::new();
                surroundings.into_fields(&mut body)?;
                let ask = to(Method::PATCH, &item(&key)).header(header::IF_MATCH, etag(if_version)).body(&body);
                Ok(Done::one(ask.send().await?, |reply| format!("amended {key} as version {}\n", reply["version"])))
            }
            Command::Usage => {
                let reply = client.ask(Method::GET, &["v1", "storage", "usage"]).send().await?;
                let fields =
                    [("bytes", "bytes"), ("of", "quota_bytes"), ("items", "items"), ("of items", "quota_items")];
                Ok(Done::one(reply, |reply| show::pairs(&fields, reply)))
            }
            Command::Privacy(privacy) => privacy.run(&client).await,
        }
    }
}

async fn put_value(client: &Client, chain: &str, put: Put) -> Result<Done, Failure> {
    let value = put.value()?;
    let mut body = Map::new();
    body.insert("key".to_owned(), put.key.clone().into());
    body.insert("encrypted".to_owned(), put.encrypted.into());
    put.surroundings.into_fields(&mut body)?;
    if let Some(version) = put.if_version {
        body.insert("expected_version".to_owned(), version.into());
    }
    // The value goes as it was written: read and written again it could lose digits.
    let fields: Map<String, Value> = body;
    let mut text = serde_json::to_string(&fields).expect("strings and JSON values serialise");
    text.truncate(text.len() - 1);
    let whole = format!("{text},\"value\":{}}}", value.get());
    let whole =
        RawValue::from_string(whole).map_err(|error| Failure::usage(format!("the value is not JSON: {error}")))?;
    let ask = client.ask(Method::POST, &["v1", "storage", "store", chain]).body(&whole);
    let reply = ask.header(IDEMPOTENCY_KEY, put.idempotency_key).send().await?;
    Ok(Done::one(reply, |reply| format!("stored {} as version {}\n", put.key, reply["version"])))
}

impl Privacy {
    async fn run(self, client: &Client) -> Result<Done, Failure> {
        const REQUESTS: [&str; 4] = ["v1", "storage", "privacy", "requests"];
        let fields = [
            ("request", "id"),
            ("kind", "kind"),
            ("subject", "subject"),
            ("status", "status"),
            ("due", "due_at"),
            ("completed", "completed_at"),
            ("parts", "parts"),
            ("reason", "reason"),
            ("receipt", "receipt"),
        ];
        let with = |more: &[&'static str]| [&REQUESTS[..], more].concat();
        let (kind, subject) = match self {
            Self::Export { subject } => ("export", subject),
            Self::Erase { subject, yes: true } => ("erasure", subject),
            Self::Erase { yes: false, .. } => {
                return Err(Failure::usage("an erasure destroys the data for good: say --yes"));
            }
            Self::List { page } => {
                let columns = [("REQUEST", "id"), ("KIND", "kind"), ("SUBJECT", "subject"), ("STATUS", "status")];
                return page.run(|| client.ask(Method::GET, &with(&[])), &columns).await;
            }
            Self::Show { id } => {
                let reply = client.ask(Method::GET, &[&REQUESTS[..], &[&id]].concat()).send().await?;
                return Ok(Done::one(reply, |reply| show::pairs(&fields, reply)));
            }
            Self::Download { id } => {
                let request: PrivacyRequest =
                    client.ask(Method::GET, &[&REQUESTS[..], &[&id]].concat()).send().await?.read()?;
                let path = [&REQUESTS[..], &[&id, "export"]].concat();
                let mut parts = Vec::new();
                // Also asked for when there is none yet: the server says best why.
                for part in 1..=request.parts.unwrap_or(1) {
                    let reply = client.ask(Method::GET, &path).query("part", Some(part)).send().await?;
                    parts.push(reply.text().to_owned());
                }
                return Ok(Done { json: format!("[{}]", parts.join(",")), shown: parts.join("\n") + "\n" });
            }
        };
        let mut body = json!({ "kind": kind });
        if let Some(subject) = subject {
            body["subject"] = subject.into();
        }
        let reply = client.ask(Method::POST, &with(&[])).body(&body).send().await?;
        Ok(Done::one(reply, |reply| show::pairs(&fields, reply)))
    }
}

fn etag(version: Option<i64>) -> Option<String> {
    version.map(|version| format!("\"{version}\""))
}

fn only_value(whole: &RawValue) -> Result<String, Failure> {
    serde_json::from_str::<OnlyValue<'_>>(whole.get())
        .map(|reply| reply.value.get().to_owned())
        .map_err(|error| Failure::new(crate::exit::Exit::Failed, format!("the server's answer does not read: {error}")))
}
