//! What is asked of keys and scopes. Nothing here waits, reads or writes.

use std::time::Duration;

use nsl_api::identity::KeyInfo;
use nsl_core::{Error, Network, Principal, Result, Subject, Timestamp};

use crate::secrets::{digest_of, secret};

const MOST_SCOPES: usize = 50;
const LONGEST_SCOPE: usize = 64;
const LONGEST_DESCRIPTION: usize = 500;
const MOST_NETWORKS: usize = 50;
/// What lists show of a key: `nsl_` and 6 of its 43 characters, too few to help a guesser.
const SHOWN: usize = 10;

/// A new key as its owner gets it, and what is kept of it.
pub(crate) struct Fresh {
    pub(crate) secret: String,
    pub(crate) prefix: String,
    pub(crate) digest: String,
}

/// `nsl_` and 32 random bytes in base64url.
pub(crate) fn fresh() -> Result<Fresh> {
    let secret = secret("nsl_")?;
    Ok(Fresh { prefix: secret[..SHOWN].to_owned(), digest: digest_of(&secret), secret })
}

/// What a caller may name as a digest: anything else can't be of a key.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether the scopes are well formed, some service asks for each of them (`known`), and the granting principal
/// holds them.
pub(crate) fn check_scopes(scopes: &[String], known: &[&str], granted_by: &Principal) -> Result<()> {
    if scopes.is_empty() || scopes.len() > MOST_SCOPES {
        return Err(Error::invalid("identity.scopes", format!("a key has 1 to {MOST_SCOPES} scopes")));
    }
    for scope in scopes {
        if !is_scope(scope) {
            return Err(Error::invalid("identity.scopes", "a scope is service:verb, service:* or *")
                .detail("scope", scope.as_str()));
        }
        if !is_known(scope, known) {
            let message = format!(
                "nothing asks for the scope {scope}: known are {}, and service:* or * for more of them",
                known.join(", ")
            );
            let error = Error::invalid("identity.scope_unknown", message);
            return Err(error.detail("scope", scope.as_str()).detail("known", known.to_vec()));
        }
        if !granted_by.holds(scope) {
            return Err(scope_not_held(scope));
        }
        if is_lent(granted_by) && ["*", "identity:*", "identity:admin"].contains(&scope.as_str()) {
            let message = "who was let in for less, or acts for another, gives nobody the administration of the tenant";
            let error = Error::new(nsl_core::Code::Forbidden, "identity.scope_lent", message);
            return Err(error.detail("scope", scope.as_str()));
        }
    }
    Ok(())
}

/// A person's rights in other hands: those of a program that they let in, or of one that acts for them.
fn is_lent(principal: &Principal) -> bool {
    principal.actor.is_some() || (principal.session.is_some() && !principal.whole)
}

fn scope_not_held(scope: &str) -> Error {
    let message = format!("this credential lacks the scope {scope}, so it cannot grant it");
    Error::new(nsl_core::Code::Forbidden, "identity.scope_not_held", message).detail("scope", scope)
}

fn is_scope(scope: &str) -> bool {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
    };
    scope.len() <= LONGEST_SCOPE
        && (scope == "*"
            || scope.split_once(':').is_some_and(|(service, verb)| word(service) && (verb == "*" || word(verb))))
}

fn is_known(scope: &str, known: &[&str]) -> bool {
    let of = |service: &str| known.iter().any(|known| known.split(':').next() == Some(service));
    scope == "*" || known.contains(&scope) || scope.strip_suffix(":*").is_some_and(of)
}

/// Where a key may be used: what was asked for, in one way of writing, within the networks of the credential that asks
/// (`held`; none: anywhere).
pub(crate) fn networks(asked: &[String], held: &[String]) -> Result<Vec<String>> {
    if asked.len() > MOST_NETWORKS {
        return Err(Error::invalid("identity.networks", format!("a key has at most {MOST_NETWORKS} networks")));
    }
    let bounds = parsed(held)?;
    let mut written = Vec::with_capacity(asked.len());
    for (text, network) in asked.iter().zip(parsed(asked)?) {
        if !bounds.is_empty() && !bounds.iter().any(|bound| bound.covers(&network)) {
            return Err(Error::new(
                nsl_core::Code::Forbidden,
                "identity.network_not_held",
                "this credential may not be used from there, so it cannot make a key that may",
            )
            .detail("network", text.as_str())
            .detail("held", held.to_vec()));
        }
        let text = network.to_string();
        if !written.contains(&text) {
            written.push(text);
        }
    }
    if written.is_empty() { Ok(held.to_vec()) } else { Ok(written) }
}

fn parsed(networks: &[String]) -> Result<Vec<Network>> {
    let parse = |text: &String| {
        text.parse::<Network>()
            .map_err(|form| Error::invalid("identity.networks", form).detail("network", text.as_str()))
    };
    networks.iter().map(parse).collect()
}

/// Whether a key with these networks and this end may do anything that it could not before.
pub(crate) fn widens(key: &KeyInfo, networks: Option<&[String]>, expires_at: Option<Option<Timestamp>>) -> bool {
    let later = |at: Option<Timestamp>| key.expires_at.is_some_and(|end| at.is_none_or(|at| at > end));
    let further = |asked: &[String]| !key.networks.is_empty() && self::networks(asked, &key.networks).is_err();
    let lifted = |asked: &[String]| !key.networks.is_empty() && asked.is_empty();
    expires_at.is_some_and(later) || networks.is_some_and(|asked| lifted(asked) || further(asked))
}

/// Whether who asks could have made this key as it is: otherwise it must not learn its secret, nor widen it.
pub(crate) fn check_reach(key: &KeyInfo, asks: &Principal, held: &[String], now: Timestamp) -> Result<()> {
    for scope in &key.scopes {
        if !asks.holds(scope) {
            return Err(scope_not_held(scope));
        }
    }
    if !held.is_empty() && key.networks.is_empty() {
        return Err(Error::new(
            nsl_core::Code::Forbidden,
            "identity.network_not_held",
            "the key may be used from anywhere, and this credential may not",
        )
        .detail("held", held.to_vec()));
    }
    networks(&key.networks, held)?;
    match (key.expires_at, bound(asks)) {
        (None, Some(end)) => Err(expiry_not_held(end)),
        (at, _) => expiry(at.filter(|at| *at > now), asks, now).map(drop),
    }
}

/// How long the secret of before works on: None for no time at all.
pub(crate) fn overlap(asked: Option<u64>, config: &super::Config) -> Result<Option<Duration>> {
    let overlap = asked.map_or(config.overlap, Duration::from_secs);
    if overlap > config.longest_overlap {
        let most = config.longest_overlap.as_secs();
        let message = format!("the secret of before works on for at most {most} seconds");
        return Err(Error::invalid("identity.overlap", message).detail("most", most));
    }
    Ok((!overlap.is_zero()).then_some(overlap))
}

/// What it is for, as people wrote it.
pub(crate) fn check_description(text: &str) -> Result<()> {
    let shown = |c: char| !c.is_control() || c == '\n';
    if text.chars().count() > LONGEST_DESCRIPTION || !text.chars().all(shown) {
        let message = format!("a description has at most {LONGEST_DESCRIPTION} visible characters");
        return Err(Error::invalid("identity.description", message));
    }
    Ok(())
}

/// When a new key ends: when it was asked to, and no later than the credential that makes it, unless that
/// administers the tenant or belongs to a person.
pub(crate) fn expiry(asked: Option<Timestamp>, granted_by: &Principal, now: Timestamp) -> Result<Option<Timestamp>> {
    if asked.is_some_and(|at| at <= now) {
        return Err(Error::invalid("identity.expiry", "the expiry lies in the past"));
    }
    let Some(end) = bound(granted_by) else { return Ok(asked) };
    match asked {
        Some(at) if at > end => Err(expiry_not_held(end)),
        asked => Ok(Some(asked.unwrap_or(end))),
    }
}

/// What a key of this credential cannot outlast. A person who signed in owns the keys that they make, so those end with
/// the person's rights and not with a token of some minutes; neither a program that they let in nor one that acts for
/// them is that person.
fn bound(granted_by: &Principal) -> Option<Timestamp> {
    let may_last = granted_by.whole || granted_by.holds("identity:admin");
    granted_by.expires_at.filter(|_| is_lent(granted_by) || !may_last)
}

fn expiry_not_held(end: Timestamp) -> Error {
    Error::new(
        nsl_core::Code::Forbidden,
        "identity.expiry_not_held",
        "this credential ends before that, so it cannot make a key that lasts so long",
    )
    .detail("latest", end.rfc3339())
}

/// Refuses what the platform calls itself.
pub(crate) fn check_subject(subject: &Subject) -> Result<()> {
    if subject.is_reserved() {
        return Err(Error::invalid("identity.subject", format!("the subject {subject} belongs to the platform")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nsl_core::PrincipalKind;

    use super::*;

    const KNOWN: &[&str] = &["storage:read", "storage:write", "identity:read", "identity:write"];

    fn holding(scopes: &[&str]) -> Principal {
        Principal {
            kind: PrincipalKind::ApiKey,
            subject: Subject::parse("alice").unwrap(),
            credential: "key_1".into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: None,
            session: None,
            second_factor_at: None,
            actor: None,
            whole: false,
        }
    }

    #[test]
    fn a_key_has_43_characters_after_its_prefix_and_is_never_twice_the_same() {
        let (one, two) = (fresh().unwrap(), fresh().unwrap());
        assert_eq!(one.secret.len(), 47);
        assert!(one.secret.starts_with("nsl_") && one.secret.starts_with(&one.prefix) && one.prefix.len() == 10);
        assert!(one.secret != two.secret && one.digest != two.digest && is_digest(&one.digest));
        assert!(!is_digest(&one.digest.to_uppercase()) && !is_digest("") && !is_digest(&one.secret));
    }

    #[test]
    fn nobody_grants_what_they_lack() {
        for (held, asked, granted) in [
            (&["*"][..], &["*"][..], true),
            (&["*"], &["storage:*", "identity:read"], true),
            (&["storage:*"], &["storage:*", "storage:read"], true),
            (&["storage:read"], &["storage:read"], true),
            (&["storage:read"], &["storage:*"], false),
            (&["storage:read", "storage:write"], &["storage:*"], false),
            (&["storage:*"], &["*"], false),
            (&["storage:*"], &["storage:read", "identity:read"], false),
            (&["storage"], &["storage:read"], false),
        ] {
            let asked: Vec<String> = asked.iter().map(|scope| (*scope).to_owned()).collect();
            assert_eq!(check_scopes(&asked, KNOWN, &holding(held)).is_ok(), granted, "{held:?} grants {asked:?}");
        }
    }

    #[test]
    fn malformed_scopes_are_refused_even_to_those_who_hold_everything() {
        for scope in ["", "storage", "storage:", ":read", "*:read", "a:b:c", "Storage:read", "storage:**", "a b:c"] {
            assert_eq!(
                check_scopes(&[scope.to_owned()], KNOWN, &holding(&["*"])).unwrap_err().slug,
                "identity.scopes",
                "{scope}"
            );
        }
        assert!(check_scopes(&[], KNOWN, &holding(&["*"])).is_err());
        assert!(check_scopes(&vec!["*".to_owned(); 51], KNOWN, &holding(&["*"])).is_err());
    }

    #[test]
    fn a_scope_that_nothing_asks_for_is_refused_with_those_that_are_known() {
        let all = holding(&["*"]);
        for scope in ["storage:raed", "sotrage:*", "storage:admin", "orders:read", "store:*"] {
            let refused = check_scopes(&["storage:read".to_owned(), scope.to_owned()], KNOWN, &all).unwrap_err();
            assert_eq!((&*refused.slug, refused.code), ("identity.scope_unknown", nsl_core::Code::Invalid), "{scope}");
            assert!(
                refused.message.contains(scope) && refused.message.contains(&KNOWN.join(", ")),
                "{}",
                refused.message
            );
        }
        for scope in ["*", "storage:*", "identity:*", "storage:write"] {
            assert!(check_scopes(&[scope.to_owned()], KNOWN, &all).is_ok(), "{scope}");
        }
    }

    #[test]
    fn a_key_ends_ahead_and_no_later_than_what_made_it() {
        let (now, soon, later) = (Timestamp(5), Timestamp(6), Timestamp(9));
        let lasting = holding(&["identity:write"]);
        assert_eq!(expiry(None, &lasting, now).unwrap(), None);
        assert_eq!(expiry(Some(later), &lasting, now).unwrap(), Some(later));
        assert_eq!(expiry(Some(now), &lasting, now).unwrap_err().slug, "identity.expiry");
        let passing = Principal { expires_at: Some(soon), ..lasting };
        assert_eq!(expiry(None, &passing, now).unwrap(), Some(soon));
        assert_eq!(expiry(Some(soon), &passing, now).unwrap(), Some(soon));
        assert_eq!(expiry(Some(later), &passing, now).unwrap_err().slug, "identity.expiry_not_held");
        let admin = Principal { expires_at: Some(soon), ..holding(&["identity:admin", "identity:write"]) };
        assert_eq!(expiry(None, &admin, now).unwrap(), None);
        assert_eq!(expiry(Some(later), &admin, now).unwrap(), Some(later));
    }
}
