use clap::{Args, Subcommand};
use nsl_api::Revealed;
use nsl_kit::Environment;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Done, hidden, login::password};
use crate::{
    client::{Client, Reach},
    credentials::{Credential, Credentials},
    exit::Failure,
    refresh, show,
};

#[derive(Args)]
pub(crate) struct Mfa {
    #[command(flatten)]
    reach: Reach,
    /// Read what is asked for from standard input, a line each
    #[arg(long, global = true)]
    stdin: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What your account can show beside what it signs in with
    List,
    /// Set up an authenticator app: prints what it is set up with, then asks for a code of it; gives recovery codes
    Enrol,
    /// Show a second factor now, for what asks for a fresh one; counts for five minutes
    StepUp,
    /// Remove the authenticator app and the recovery codes
    Remove,
    /// Make new recovery codes; those of before work no longer
    RecoveryCodes,
}

impl Mfa {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        let client = self.reach.client(environment)?;
        let auth = |method, route: &[&str]| client.ask(method, &[&["v1", "auth"], route].concat());
        match self.command {
            Command::List => Ok(Done::one(auth(Method::GET, &["factors"]).send().await?, factors)),
            Command::Enrol => self.enrol(&client).await,
            Command::StepUp => self.step_up(&client, environment).await,
            Command::Remove => Ok(Done::one(auth(Method::DELETE, &["totp"]).send().await?, factors)),
            Command::RecoveryCodes => Ok(Done::one(auth(Method::POST, &["recovery-codes"]).send().await?, codes)),
        }
    }

    async fn enrol(&self, client: &Client) -> Result<Done, Failure> {
        let has: Value = client.ask(Method::GET, &["v1", "auth", "factors"]).send().await?.read()?;
        let mut body = json!({});
        let is_first = has["factors"].as_array().is_none_or(Vec::is_empty);
        if has["password"] == true && is_first {
            body["password"] = self.ask("Password")?.as_str().into();
        }
        let seed: Value = client.ask(Method::POST, &["v1", "auth", "totp"]).body(&body).send().await?.read()?;
        let uri = seed["uri"].as_str().unwrap_or_default();
        // For the eyes of who enrols, also where standard output is kept.
        crate::exit::aside(&format!("Add this to your authenticator app:\n\n    {}\n", show::clean(uri)));
        let code = self.ask("Code that the app shows")?;
        let ask = client.ask(Method::POST, &["v1", "auth", "totp", "confirm"]).body(&json!({ "code": code.trim() }));
        Ok(Done::one(ask.send().await?, codes))
    }

    /// The new access token takes the place of the one that is kept.
    async fn step_up(&self, client: &Client, environment: &Environment) -> Result<Done, Failure> {
        let kept = || -> Result<_, Failure> {
            let Some(credentials) = Credentials::of(environment) else { return Ok(None) };
            Ok(refresh::kept(client, &credentials)?.map(|_| credentials))
        };
        let credentials = kept()?.ok_or_else(|| Failure::usage("no sign-in is kept for this server: nsl login"))?;
        let code = self.ask("Code of your authenticator app, or a recovery code")?;
        let mut body = json!({});
        body[password::field(code.trim())] = code.trim().into();
        let reply = client.ask(Method::POST, &["v1", "auth", "step-up"]).body(&body).send().await?;
        let fresh = refresh::read(reply.text())?;
        let turn = credentials.turn().await?;
        let mut session = refresh::kept(client, &credentials)?.ok_or_else(|| refresh::signed_out(client))?;
        session.access_token = Revealed(fresh.access_token.0);
        session.expires_at = fresh.expires_at;
        turn.set(client.base(), Credential::Session(session))?;
        let said = json!({ "fresh_for_s": nsl_core::SECOND_FACTOR_AGE.as_secs() });
        Ok(Done { json: said.to_string(), shown: "your second factor is fresh for five minutes\n".to_owned() })
    }

    fn ask(&self, what: &str) -> Result<zeroize::Zeroizing<String>, Failure> {
        match self.stdin {
            true => hidden::from_stdin(what),
            false => hidden::ask(what, "use --stdin"),
        }
    }
}

fn factors(has: &Value) -> String {
    let fields = [("password", "password"), ("second factors", "factors"), ("recovery codes", "recovery_codes_left")];
    let mut has = has.clone();
    if has["factors"].as_array().is_some_and(Vec::is_empty) {
        has["factors"] = "none".into();
    }
    show::pairs(&fields, &has)
}

fn codes(reply: &Value) -> String {
    let codes = reply["recovery_codes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let lines: String = codes.map(|code| format!("{}\n", show::clean(code))).collect();
    format!("Recovery codes, each good once in place of a code of the app. Shown this once, so keep them now:\n{lines}")
}
