//! What a signed message must say. Nothing here waits, reads or writes.

use std::time::Duration;

use nsl_api::Chain;
use nsl_core::{Code, Error, Result, Timestamp};
use nsl_signin::wallet::{Kind, Message, n3, x};
use url::Url;

use super::store::Challenge;

/// How long a message may be signed and handed in.
pub(super) const LIFETIME: Duration = Duration::from_secs(300);
/// Clocks of those who put messages together may be wrong by so much.
const LEEWAY: Duration = Duration::from_secs(60);
const STATEMENT: &str = "Sign in to Neo Service Layer. This costs nothing and moves nothing.";

/// Where a page comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) scheme: String,
    /// Its host, and its port where it is not the usual one.
    pub(super) domain: String,
}

impl Origin {
    /// As browsers write it: in lower case, without the port that its scheme has anyway.
    pub(super) fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let host = url.host_str()?;
        let domain = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Some(Self { scheme: url.scheme().to_owned(), domain })
    }

    /// That of a page on this machine.
    fn local(domain: &str) -> Option<Self> {
        let port = ["localhost", "127.0.0.1", "[::1]"].iter().find_map(|host| domain.strip_prefix(host))?;
        let right = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        right.then(|| Self { scheme: "http".to_owned(), domain: domain.to_owned() })
    }
}

/// The pages whose messages are taken.
pub(super) struct Origins {
    /// This server's own comes first.
    pub(super) known: Vec<Origin>,
    /// Whether pages on this machine are taken, whatever their port.
    pub(super) local: bool,
}

impl Origins {
    pub(super) fn find(&self, domain: Option<&str>) -> Result<Origin> {
        let found = match domain {
            None if self.known.is_empty() => {
                let message = "this server was told no address of its own that wallets could sign in at";
                return Err(Error::new(Code::Unavailable, "wallet.no_domain", message));
            }
            None => self.known.first().cloned(),
            Some(domain) => {
                let known = self.known.iter().find(|origin| origin.domain == domain).cloned();
                known.or_else(|| Origin::local(domain).filter(|_| self.local))
            }
        };
        found.ok_or_else(|| {
            Error::new(Code::Forbidden, "wallet.domain_unknown", "this server lets nobody in from that domain")
        })
    }
}

pub(super) fn kind(chain: Chain) -> Kind {
    match chain {
        Chain::NeoN3 => Kind::NeoN3,
        Chain::NeoX => Kind::NeoX,
    }
}

/// The address as its chain writes it, with its checksum.
pub(super) fn address(chain: Chain, text: &str) -> Result<String> {
    match chain {
        Chain::NeoN3 => Ok(n3::account(text)?.address()),
        Chain::NeoX => Ok(x::Address::parse(text)?.to_string()),
    }
}

/// The network that was asked for, or the usual one.
pub(super) fn network(taken: &[u64], wanted: Option<u64>) -> Result<u64> {
    let wanted = wanted.or(taken.first().copied());
    wanted.filter(|wanted| taken.contains(wanted)).ok_or_else(|| {
        Error::invalid("wallet.network_unknown", "accounts of that network are not taken")
            .detail("taken", taken.to_vec())
    })
}

/// The message of a challenge.
pub(super) fn message(challenge: &Challenge, origin: &Origin) -> Message {
    let Origin { scheme, domain } = origin;
    Message {
        kind: kind(challenge.chain),
        // Wallets take https for granted.
        scheme: (scheme != "https").then(|| scheme.clone()),
        domain: domain.clone(),
        address: challenge.address.clone(),
        statement: Some(statement(challenge)),
        uri: format!("{scheme}://{domain}/"),
        network: challenge.network,
        nonce: challenge.nonce.clone(),
        issued_at: challenge.issued_at.into(),
        expiration: Some(challenge.expires_at.into()),
        not_before: None,
        request_id: None,
        resources: None,
    }
}

fn statement(challenge: &Challenge) -> String {
    match &challenge.link_user {
        Some(user) => format!("Let this account sign in as {user} from now on. This costs nothing and moves nothing."),
        None => STATEMENT.to_owned(),
    }
}

/// Refuses a message that says anything else than its challenge. Pages may put messages together themselves around a
/// nonce of ours, with a statement of their own; what ties an account to a user is to be signed as it was given.
pub(super) fn check(message: &Message, challenge: &Challenge, origin: &Origin, now: Timestamp) -> Result<()> {
    let refused = |slug, message: &str| Err(Error::new(Code::Unauthenticated, slug, message));
    if message.address != challenge.address || message.kind != kind(challenge.chain) {
        return refused("wallet.nonce_other", "the nonce was given to another account");
    }
    if message.domain != challenge.domain || message.scheme.as_ref().is_some_and(|scheme| *scheme != origin.scheme) {
        return refused("wallet.domain", "the message is for another domain");
    }
    let own = format!("{}://{}", origin.scheme, origin.domain);
    let rest = message.uri.strip_prefix(&own);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        return refused("wallet.uri", "the URI of the message is not on its domain");
    }
    if message.network != challenge.network {
        return refused("wallet.network", "the message is for another network");
    }
    if challenge.link_user.is_some() && message.statement != Some(statement(challenge)) {
        return refused("wallet.statement", "the message does not say what it is for as it was given");
    }
    let over = message.expiration.as_ref().is_some_and(|end| end.at() <= now) || challenge.expires_at <= now;
    let issued = message.issued_at.at();
    if over || issued < challenge.issued_at.minus(LIFETIME) {
        return refused("wallet.expired", "the message has expired");
    }
    if issued > now.plus(LEEWAY) || message.not_before.as_ref().is_some_and(|start| start.at() > now) {
        return refused("wallet.not_yet", "the message holds from a later time on");
    }
    Ok(())
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
