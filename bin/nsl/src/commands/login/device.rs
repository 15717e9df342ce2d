use std::time::Duration;

use nsl_api::oauth::DeviceAuthorization;
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::tell;
use crate::{
    client::{Client, refusal},
    exit::{Exit, Failure},
    show,
};

/// What this program is to the server.
const CLIENT: &str = "nsl-cli";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How much slower is asked each time that the server wants it (RFC 8628).
const SLOWER: Duration = Duration::from_secs(5);

/// The reply with the tokens, once somebody let this device in.
pub(super) async fn sign_in(client: &Client, tenant: Option<&str>, as_json: bool) -> Result<String, Failure> {
    if tenant.is_some() {
        return Err(Failure::usage("who lets the device in names the tenant: leave --tenant out"));
    }
    let ask = client.ask(Method::POST, &["oauth2", "device_authorization"]).form(&[("client_id", CLIENT)]);
    let mut begun: DeviceAuthorization = ask.send().await?.read()?;
    for page in [&mut begun.verification_uri, &mut begun.verification_uri_complete] {
        *page = reachable(page, client.base());
    }
    let document = json!({
        "user_code": begun.user_code,
        "verification_uri": begun.verification_uri,
        "verification_uri_complete": begun.verification_uri_complete,
        "expires_in": begun.expires_in,
    });
    // By its name: browsers bind no passkey to a number.
    let page = begun.verification_uri.replacen("://127.0.0.1:", "://localhost:", 1);
    let (code, page) = (show::clean(&begun.user_code), show::clean(&page));
    let words = format!(
        "Open {page} and enter the code\n\n    {code}\n\nor, where somebody is signed in: nsl sessions approve {code}"
    );
    tell(as_json, &words, &document);
    let until = Instant::now() + Duration::from_secs(begun.expires_in);
    let mut pause = Duration::from_secs(begun.interval.max(1));
    loop {
        sleep(pause).await;
        let form = [("grant_type", GRANT), ("device_code", &begun.device_code.0), ("client_id", CLIENT)];
        let (status, text) = client.ask(Method::POST, &["oauth2", "token"]).form(&form).exchange().await?;
        if status.is_success() {
            return Ok(text);
        }
        match error(status, &text).as_str() {
            "authorization_pending" if Instant::now() < until => {}
            "slow_down" if Instant::now() < until => pause += SLOWER,
            "authorization_pending" | "slow_down" | "expired_token" => {
                let message = "nobody let this device in before its code ended: nsl login shows another";
                return Err(Failure::new(Exit::Refused, message));
            }
            "access_denied" => {
                return Err(Failure::new(Exit::Refused, "the sign-in was refused where it was to be let in"));
            }
            _ => return Err(refusal(status, &text)),
        }
    }
}

/// A server on this machine that was told no address of its own does not know its port.
fn reachable(page: &str, base: &Url) -> String {
    let is_here = |url: &Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match Url::parse(page) {
        Ok(mut url) if is_here(&url) && is_here(base) => match url.set_port(base.port()) {
            Ok(()) => url.into(),
            Err(()) => page.to_owned(),
        },
        _ => page.to_owned(),
    }
}

/// The error of RFC 6749; a server that is away for a moment is asked again.
fn error(status: StatusCode, text: &str) -> String {
    if matches!(status.as_u16(), 429 | 502..=504) {
        return "slow_down".to_owned();
    }
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    document["error"].as_str().unwrap_or_default().to_owned()
}
