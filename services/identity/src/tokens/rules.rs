//! What refresh tokens look like and what scopes come to. Nothing here waits, reads or writes.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_core::Result;

use crate::secrets::secret;

const PREFIX: &str = "nsr_";

pub(super) fn refresh_token() -> Result<String> {
    secret(PREFIX)
}

/// Anything else was never given out as one.
pub(crate) fn is_refresh_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() == PREFIX.len() + 43 && text.starts_with(PREFIX) && text.bytes().all(fits)
}

/// The token that follows one spent under an idempotency key. Who has the spent token and the key can have the same
/// reply again as long as the salt is kept; who reads the database has neither.
pub(super) fn successor(spent: &str, salt: &[u8; 32], once: &str) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, spent.as_bytes()));
    context.update(b"nsl refresh 1");
    context.update(salt);
    context.update(once.as_bytes());
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(context.sign().as_ref()))
}

/// Whether one scope allows all that another does.
fn covers(held: &str, scope: &str) -> bool {
    held == "*"
        || held == scope
        || scope.split_once(':').is_some_and(|(service, _)| held.strip_suffix(":*") == Some(service))
}

/// What both allow: no more than either, in the order of `asked`.
pub(crate) fn narrow(held: &[String], asked: &[String]) -> Vec<String> {
    let mut both: Vec<String> = Vec::new();
    let mut add = |scope: &String| {
        if !both.contains(scope) {
            both.push(scope.clone());
        }
    };
    for scope in asked {
        if held.iter().any(|held| covers(held, scope)) {
            add(scope);
        } else {
            held.iter().filter(|held| covers(scope, held)).for_each(&mut add);
        }
    }
    both
}

/// The words of a scope parameter (RFC 6749 3.3), each once; none when something else is in it.
pub(crate) fn words(scope: &str) -> Option<Vec<String>> {
    let fits = |word: &str| {
        !word.is_empty()
            && word.len() <= 64
            && word.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    let mut words: Vec<String> = Vec::new();
    for word in scope.split(' ') {
        if !fits(word) {
            return None;
        }
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    (words.len() <= 100).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn refresh_tokens_have_one_form_and_are_never_twice_the_same() {
        let (one, two) = (refresh_token().unwrap(), refresh_token().unwrap());
        assert!(one != two && is_refresh_token(&one) && one.starts_with("nsr_") && one.len() == 47);
        for bad in ["", "nsr_", &one[..46], &format!("{one}a"), &one.replace("nsr_", "nsl_"), &one.replace('_', " ")] {
            assert!(!is_refresh_token(bad), "{bad}");
        }
    }

    #[test]
    fn a_successor_needs_token_salt_and_key() {
        let (one, two) = (refresh_token().unwrap(), refresh_token().unwrap());
        let next = successor(&one, &[1; 32], "k");
        assert!(is_refresh_token(&next));
        assert_eq!(next, successor(&one, &[1; 32], "k"));
        for other in [successor(&two, &[1; 32], "k"), successor(&one, &[2; 32], "k"), successor(&one, &[1; 32], "l")] {
            assert_ne!(next, other);
        }
    }

    #[test]
    fn what_both_allow_is_never_more_than_either() {
        for (held, asked, both) in [
            ("*", "storage:read", "storage:read"),
            ("storage:read storage:write", "*", "storage:read storage:write"),
            ("storage:*", "storage:read relay:send", "storage:read"),
            ("storage:read identity:read", "storage:*", "storage:read"),
            ("storage:read", "storage:write", ""),
            ("*", "*", "*"),
            ("storage:*", "*", "storage:*"),
            ("store:*", "storage:read", ""),
            ("", "*", ""),
            ("*", "", ""),
        ] {
            assert_eq!(narrow(&list(held), &list(asked)), list(both), "{held} and {asked}");
        }
    }

    #[test]
    fn words_of_a_scope_are_visible_and_single_spaced() {
        assert_eq!(words("a:b c:d a:b"), Some(list("a:b c:d")));
        for bad in ["", " a", "a  b", "a\tb", "a\"b", "ä"] {
            assert_eq!(words(bad), None, "{bad}");
        }
    }
}
