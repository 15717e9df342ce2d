//! Signing in, and what is kept of it for the commands that follow.

mod device;
pub(crate) mod password;
mod wallet;

use std::path::{Path, PathBuf};

use clap::Args;
use nsl_api::Revealed;
use nsl_core::Secret;
use nsl_kit::Environment;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Done, chain::Chain, input};
use crate::{
    client::{Client, Reach, Reply, refusal},
    credentials::{Credential, Credentials},
    exit::{Exit, Failure, aside},
    refresh, show,
};

/// Without a way to sign in named, shows a code that somebody who is signed in elsewhere lets in.
#[derive(Args)]
pub(crate) struct Login {
    #[command(flatten)]
    reach: Reach,
    /// Sign in with this email address and a password, which is asked for
    #[arg(long, value_name = "EMAIL", conflicts_with_all = ["key", "wallet"])]
    email: Option<String>,
    /// Make the account first
    #[arg(long, requires = "email")]
    register: bool,
    /// Read the password from standard input, and where one is asked for the code of the second factor from the next
    /// line
    #[arg(long, requires = "email")]
    password_stdin: bool,
    /// Keep an API key: the file that it is in, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "wallet")]
    key: Option<PathBuf>,
    /// Sign in with an account of this chain
    #[arg(long, value_name = "CHAIN", requires = "account")]
    wallet: Option<Chain>,
    /// The account: a file with a WIF, 64 hex digits, or a wallet (NEP-6), - for standard input
    #[arg(long, value_name = "FILE", requires = "wallet")]
    account: Option<PathBuf>,
    /// File with the passphrase of the wallet, - for standard input
    #[arg(long, value_name = "FILE", requires = "account")]
    passphrase_file: Option<PathBuf>,
    /// Which account of the wallet, where it has several
    #[arg(long, value_name = "ADDRESS", requires = "account")]
    address: Option<String>,
    /// The tenant to work in; the one that you belong to longest when absent
    #[arg(long, value_name = "TENANT", conflicts_with = "key")]
    tenant: Option<String>,
    // The same flag as everywhere: then standard error is for one document, and the code goes there as one too.
    #[arg(long, global = true, hide = true)]
    json: bool,
}

impl Login {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        let client = self.reach.stranger(environment)?;
        check_way(client.base())?;
        let credentials = home(environment)?;
        let wins = match environment.get("NSL_API_KEY").is_some_and(|key| !key.is_empty()) {
            true => "NSL_API_KEY is set and wins over this: unset it\n",
            false => "",
        };
        if let Some(file) = &self.key {
            let done = keep_key(client, &credentials, file).await?;
            return Ok(Done { shown: format!("{}{wins}", done.shown), ..done });
        }
        let reply = if let Some(email) = &self.email {
            let second = password::Second { from_stdin: self.password_stdin };
            password::sign_in(&client, email, self.register, self.tenant.as_deref(), second).await?
        } else if let (Some(chain), Some(file)) = (self.wallet, &self.account) {
            let held = wallet::Held { chain, file, passphrase: self.passphrase_file.as_ref(), address: self.address };
            wallet::sign_in(&client, held, self.tenant.as_deref()).await?
        } else {
            device::sign_in(&client, self.tenant.as_deref(), self.json).await?
        };
        let session = refresh::read(&reply)?;
        let turn = credentials.turn().await?;
        let before = credentials.get(client.base())?;
        turn.set(client.base(), Credential::Session(session.clone()))?;
        drop(turn);
        // What was kept until now would otherwise stay open where nobody holds it any more.
        let _ = end(&client, before).await;
        let said = json!({
            "server": shown(client.base()),
            "tenant": session.tenant,
            "session_id": session.session_id,
            "kept_in": credentials.file(),
        });
        let words = format!("signed in at {}, tenant {}\n{wins}", shown(client.base()), show::clean(&session.tenant));
        Ok(Done { json: said.to_string(), shown: words })
    }
}

/// A password or a token goes over an encrypted way, or stays on this machine.
fn check_way(base: &Url) -> Result<(), Failure> {
    let is_here = matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match base.scheme() == "https" || is_here {
        true => Ok(()),
        false => Err(Failure::usage(format!("{} is not encrypted: sign in at its https:// address", shown(base)))),
    }
}

fn shown(base: &Url) -> &str {
    base.as_str().trim_end_matches('/')
}

fn home(environment: &Environment) -> Result<Credentials, Failure> {
    Credentials::of(environment).ok_or_else(|| Failure::usage("nowhere to keep a sign-in: set HOME or XDG_CONFIG_HOME"))
}

async fn keep_key(client: Client, credentials: &Credentials, file: &Path) -> Result<Done, Failure> {
    let key = input::secret(file, "an API key")?;
    let client = client.with_key(Secret::new(key.trim()));
    let reply = client.ask(Method::GET, &["v1", "identity", "whoami"]).send().await?;
    let who: Value = reply.read()?;
    let turn = credentials.turn().await?;
    turn.set(client.base(), Credential::Key { api_key: Revealed(key.trim().to_owned()) })?;
    let said = json!({
        "server": shown(client.base()),
        "tenant": who["tenant"],
        "credential": who["credential"],
        "kept_in": credentials.file(),
    });
    let tenant = show::clean(who["tenant"].as_str().unwrap_or_default());
    let words = format!("the key is used at {} from now on, tenant {tenant}\n", shown(client.base()));
    Ok(Done { json: said.to_string(), shown: words })
}

/// Ends what was signed in, at the server.
async fn end(client: &Client, credential: Option<Credential>) -> Result<(), Failure> {
    let Some(Credential::Session(session)) = credential else { return Ok(()) };
    let Some(token) = &session.refresh_token else { return Ok(()) };
    let ask = client.ask(Method::POST, &["v1", "auth", "logout"]).body(&json!({ "refresh_token": token.0 }));
    match ask.once(None).await? {
        (status, _) if status.is_success() => Ok(()),
        (status, text) => Err(refusal(status, &text)),
    }
}

#[derive(Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    reach: Reach,
}

impl Logout {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        let (client, credentials) = (self.reach.stranger(environment)?, home(environment)?);
        let turn = credentials.turn().await?;
        let removed = turn.remove(client.base())?;
        drop(turn);
        let server = shown(client.base());
        let words = match &removed {
            None => format!("nobody was signed in at {server}\n"),
            Some(Credential::Key { .. }) => {
                format!("the key is used at {server} no more; it works until it is revoked\n")
            }
            Some(Credential::Session(_)) => format!("signed out at {server}\n"),
        };
        let was = removed.is_some();
        let words = match self.reach.left_key(environment)? {
            Some(dir) if was => {
                format!("{words}commands use the key that nsl dev left in {} from now on\n", dir.display())
            }
            _ => words,
        };
        if let Err(failure) = end(&client, removed).await {
            // Nothing is kept here any more, whatever the server says.
            let message = format!(
                "nothing is kept of your sign-in at {server}, but the server could not be told, so it ends there by \
                 itself: {failure}"
            );
            return Err(Failure::new(Exit::Unavailable, message));
        }
        Ok(Done { json: json!({ "server": server, "signed_out": was }).to_string(), shown: words })
    }
}

#[derive(Args)]
pub(crate) struct Whoami {
    #[command(flatten)]
    reach: Reach,
}

impl Whoami {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        let client = self.reach.client(environment)?;
        who(client.ask(Method::GET, &["v1", "identity", "whoami"]).send().await?)
    }
}

/// What a credential stands for.
pub(crate) fn who(reply: Reply) -> Result<Done, Failure> {
    let fields = [
        ("tenant", "tenant"),
        ("subject", "subject"),
        ("kind", "kind"),
        ("credential", "credential"),
        ("scopes", "scopes"),
        ("session", "session"),
        ("acts for it", "actor"),
        ("second factor", "second_factor_at"),
        ("ends", "expires_at"),
    ];
    Ok(Done::one(reply, |reply| show::pairs(&fields, reply)))
}

/// Says what a person has to do now, beside the output.
fn tell(as_json: bool, words: &str, document: &Value) {
    if as_json { aside(&document.to_string()) } else { aside(words) }
}
