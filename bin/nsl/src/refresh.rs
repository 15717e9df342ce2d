//! Tokens of a sign-in that stay good: renewed by whichever command needs it first, by one at a time.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use nsl_api::{Revealed, sessions::TokenReply};
use nsl_core::{Clock, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    client::{Client, refusal},
    commands::IDEMPOTENCY_KEY,
    credentials::{Credential, Credentials, Session},
    exit::{Exit, Failure},
};

/// A token is renewed this long before its end, so that it does not end on the way.
const MARGIN: Duration = Duration::from_secs(30);

/// A token that works; another than `refused`, which did not.
pub(crate) async fn token(
    client: &Client,
    credentials: &Credentials,
    refused: Option<&Revealed>,
) -> Result<Revealed, Failure> {
    let works = |session: &Session| {
        session.expires_at > SystemClock.now().plus(MARGIN)
            && refused.is_none_or(|refused| refused.0 != session.access_token.0)
    };
    if let Some(session) = kept(client, credentials)?.filter(works) {
        return Ok(session.access_token);
    }
    let turn = credentials.turn().await?;
    // Another command may have done it while this one waited.
    let session = kept(client, credentials)?.ok_or_else(|| signed_out(client))?;
    if works(&session) {
        return Ok(session.access_token);
    }
    let Some(spent) = &session.refresh_token else { return Err(signed_out(client)) };
    let ask = client.ask(Method::POST, &["v1", "auth", "refresh"]).body(&json!({ "refresh_token": spent.0 }));
    let next = match ask.header(IDEMPOTENCY_KEY, Some(once(spent))).once(None).await? {
        (status, text) if status.is_success() => read(&text)?,
        (StatusCode::UNAUTHORIZED, _) => {
            // Kept as one that has ended, so that no later command goes on as somebody else: by the key that `nsl dev`
            // left.
            let over = Session {
                access_token: Revealed(String::new()),
                refresh_token: None,
                expires_at: SystemClock.now(),
                ..session
            };
            turn.set(client.base(), Credential::Session(over))?;
            return Err(signed_out(client));
        }
        (status, text) => return Err(refusal(status, &text)),
    };
    let token = next.access_token.clone();
    turn.set(client.base(), Credential::Session(next))?;
    Ok(token)
}

/// What a reply with tokens says, as it is kept.
pub(crate) fn read(text: &str) -> Result<Session, Failure> {
    let reply: TokenReply = serde_json::from_str(text)
        .map_err(|_| Failure::new(Exit::Failed, "the server's answer has no tokens that read"))?;
    Ok(Session {
        access_token: reply.access_token,
        refresh_token: reply.refresh_token,
        expires_at: SystemClock.now().plus(Duration::from_secs(reply.expires_in)),
        tenant: reply.tenant.to_string(),
        session_id: reply.session_id,
    })
}

/// Whether a refusal is one that a newer token may mend.
pub(crate) fn is_stale(text: &str) -> bool {
    says(text, "code").starts_with("auth.token_")
}

fn says(text: &str, field: &str) -> String {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    problem[field].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn kept(client: &Client, credentials: &Credentials) -> anyhow::Result<Option<Session>> {
    Ok(match credentials.get(client.base())? {
        Some(Credential::Session(session)) => Some(session),
        _ => None,
    })
}

/// One for each refresh token, so that a command that was killed before it heard the answer gets the same one again.
fn once(spent: &Revealed) -> String {
    let name = digest(&SHA256, format!("refresh {}", spent.0).as_bytes());
    format!("cli-{}", hex::encode(&name.as_ref()[..16]))
}

/// What is kept has come to an end at the server.
pub(crate) fn signed_out(client: &Client) -> Failure {
    let server = client.base().as_str().trim_end_matches('/');
    let again = format!("nsl login --url {server} (or nsl logout, to go on without one)");
    Failure::new(Exit::Refused, format!("your sign-in at {server} has ended: {again}"))
}
