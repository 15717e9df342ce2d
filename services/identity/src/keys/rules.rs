//! What is asked of keys and scopes. Nothing here waits, reads or writes.

use aws_lc_rs::{digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_core::{Error, Principal, Result, Subject, Timestamp};

const LONGEST_NAME: usize = 100;
const MOST_SCOPES: usize = 50;
const LONGEST_SCOPE: usize = 64;
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
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes).map_err(|_| Error::internal(anyhow::anyhow!("the system gave no random bytes")))?;
    let secret = format!("nsl_{}", URL_SAFE_NO_PAD.encode(bytes));
    let digest = hex::encode(digest::digest(&digest::SHA256, secret.as_bytes()));
    Ok(Fresh { prefix: secret[..SHOWN].to_owned(), digest, secret })
}

/// What a caller may name as a digest: anything else can't be of a key.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A name that people see in lists: no control characters, which could hide the rest of a line.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) || name.trim() != name {
        return Err(Error::invalid(
            "identity.name",
            format!("a name has 1 to {LONGEST_NAME} visible characters and no space at its ends"),
        ));
    }
    Ok(())
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
        if !covers(granted_by, scope) {
            return Err(Error::new(
                nsl_core::Code::Forbidden,
                "identity.scope_not_held",
                format!("this credential lacks the scope {scope}, so it cannot grant it"),
            )
            .detail("scope", scope.as_str()));
        }
    }
    Ok(())
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

fn covers(principal: &Principal, scope: &str) -> bool {
    match scope {
        "*" => principal.scopes.iter().any(|held| held == "*"),
        // `holds` asks for one permission; all of a service is more than any one of its verbs.
        scope if scope.ends_with(":*") => principal.scopes.iter().any(|held| held == "*" || held == scope),
        scope => principal.holds(scope),
    }
}

/// When a new key ends: when it was asked to, and no later than the credential that makes it, unless that
/// administers the tenant.
pub(crate) fn expiry(asked: Option<Timestamp>, granted_by: &Principal, now: Timestamp) -> Result<Option<Timestamp>> {
    if asked.is_some_and(|at| at <= now) {
        return Err(Error::invalid("identity.expiry", "the expiry lies in the past"));
    }
    let Some(end) = granted_by.expires_at.filter(|_| !granted_by.holds("identity:admin")) else { return Ok(asked) };
    match asked {
        Some(at) if at > end => Err(Error::new(
            nsl_core::Code::Forbidden,
            "identity.expiry_not_held",
            "this credential ends before that, so it cannot make a key that lasts so long",
        )
        .detail("latest", end.rfc3339())),
        asked => Ok(Some(asked.unwrap_or(end))),
    }
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
    fn malformed_scopes_and_names_are_refused_even_to_those_who_hold_everything() {
        for scope in ["", "storage", "storage:", ":read", "*:read", "a:b:c", "Storage:read", "storage:**", "a b:c"] {
            assert_eq!(
                check_scopes(&[scope.to_owned()], KNOWN, &holding(&["*"])).unwrap_err().slug,
                "identity.scopes",
                "{scope}"
            );
        }
        assert!(check_scopes(&[], KNOWN, &holding(&["*"])).is_err());
        assert!(check_scopes(&vec!["*".to_owned(); 51], KNOWN, &holding(&["*"])).is_err());
        for name in ["", " x", "x ", "a\nb", "a\u{1b}[2Jb", &"x".repeat(101)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("Lager Süd 3").is_ok() && check_name(&"ü".repeat(100)).is_ok());
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
