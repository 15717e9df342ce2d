use nsl_api::signin::{Factor, SecondFactor, SignedIn};
use reqwest::Method;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    client::{Client, Reply},
    commands::hidden,
    exit::{Exit, Failure},
};

/// Where the code of the second factor comes from.
#[derive(Clone, Copy)]
pub(super) struct Second {
    pub(super) from_stdin: bool,
}

const INSTEAD: &str = "use --password-stdin, with the code on the second line";

/// The reply with the tokens.
pub(super) async fn sign_in(
    client: &Client,
    email: &str,
    register: bool,
    tenant: Option<&str>,
    second: Second,
) -> Result<String, Failure> {
    let password = match second.from_stdin {
        true => hidden::from_stdin("the password")?,
        false => hidden::ask("Password", "use --password-stdin")?,
    };
    if register && !second.from_stdin {
        let again = hidden::ask("Password again", "use --password-stdin")?;
        if again != password {
            return Err(Failure::usage("the two passwords are not the same"));
        }
    }
    let mut body = json!({ "email": email, "password": password.as_str() });
    if let Some(tenant) = tenant.filter(|_| !register) {
        body["tenant"] = tenant.into();
    }
    let route = if register { "register" } else { "login" };
    let reply = client.ask(Method::POST, &["v1", "auth", route]).body(&body).send().await?;
    finish(client, reply, second).await
}

/// Shows the second factor, where the account has one.
pub(super) async fn finish(client: &Client, reply: Reply, second: Second) -> Result<String, Failure> {
    let SignedIn::SecondFactor(asked) = reply.read()? else { return Ok(reply.text().to_owned()) };
    let code = code(&asked, second)?;
    let mut body = json!({ "mfa_token": asked.mfa_token.0 });
    body[field(&code)] = code.as_str().into();
    let reply = client.ask(Method::POST, &["v1", "auth", "mfa"]).body(&body).send().await?;
    Ok(reply.text().to_owned())
}

fn code(asked: &SecondFactor, second: Second) -> Result<Zeroizing<String>, Failure> {
    if !asked.factors.iter().any(|factor| matches!(factor, Factor::Totp | Factor::RecoveryCode)) {
        let message = "the account asks for a passkey, which needs a browser: sign in by nsl login alone";
        return Err(Failure::new(Exit::Refused, message));
    }
    let code = match second.from_stdin {
        true => hidden::from_stdin("the second line of standard input, where the code of your app belongs,")?,
        false => hidden::ask("Code of your authenticator app, or a recovery code", INSTEAD)?,
    };
    Ok(Zeroizing::new(code.trim().to_owned()))
}

/// Six digits are a code of an app; recovery codes look otherwise.
pub(crate) fn field(code: &str) -> &'static str {
    let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    if is_code { "code" } else { "recovery_code" }
}
