//! What is asked of clients and codes. Nothing here waits, reads or writes.

use nsl_core::{Code, Error, Result};
use nsl_token::Actor;

use crate::secrets::{digest_of, random};

/// No vowels, so that no code is a word, and nothing that is read as something else (RFC 8628 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;
/// How many may stand behind each other in one token.
const MOST_ACTORS: usize = 3;

/// An error that has a name in RFC 6749 and its kin beside ours.
pub(crate) fn spoken(name: &'static str, error: Error) -> Error {
    error.detail("error", name)
}

pub(crate) fn invalid_client() -> Error {
    spoken(
        "invalid_client",
        Error::new(Code::Unauthenticated, "oauth.invalid_client", "the client is not known by this"),
    )
}

pub(crate) fn invalid_grant(message: &'static str) -> Error {
    spoken("invalid_grant", Error::new(Code::Invalid, "oauth.invalid_grant", message))
}

pub(crate) fn invalid_request(message: impl Into<String>) -> Error {
    spoken("invalid_request", Error::new(Code::Invalid, "oauth.invalid_request", message))
}

/// `BCDF-GHJK`: 34 bits, for a few minutes and with few tries.
pub(crate) fn user_code() -> Result<String> {
    let mut letters = String::with_capacity(LENGTH + 1);
    while letters.len() < LENGTH {
        // Of 256 values the upper 16 are left out, so that each letter is as likely as any other.
        let fair = random::<16>()?.into_iter().filter(|&byte| byte < 240);
        letters.extend(
            fair.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()])).take(LENGTH - letters.len()),
        );
    }
    letters.insert(LENGTH / 2, '-');
    Ok(letters)
}

/// What is kept of a code that somebody typed, however they did; none when it can't be one.
pub(crate) fn typed(code: &str) -> Option<String> {
    if code.len() > 32 {
        return None;
    }
    let letters: String = code.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    let fits = letters.len() == LENGTH && letters.bytes().all(|byte| LETTERS.contains(&byte));
    fits.then(|| digest_of(&letters))
}

/// Puts a further actor in front of those who acted before.
pub(crate) fn acting(actor: nsl_core::Subject, before: Option<&Actor>) -> Result<Actor> {
    let now = Actor { sub: actor, act: before.cloned().map(Box::new) };
    let depth = std::iter::successors(Some(&now), |actor| actor.act.as_deref()).count();
    if depth > MOST_ACTORS {
        return Err(spoken(
            "invalid_request",
            Error::new(
                Code::Invalid,
                "oauth.acting_too_deep",
                format!("at most {MOST_ACTORS} may act behind each other"),
            ),
        ));
    }
    Ok(now)
}

#[cfg(test)]
mod tests {
    use nsl_core::Subject;

    use super::*;

    #[test]
    fn codes_are_read_however_they_are_typed() {
        let code = user_code().unwrap();
        assert_eq!((code.len(), code.find('-')), (9, Some(4)));
        let kept = typed(&code).unwrap();
        for same in [code.to_lowercase(), code.replace('-', ""), code.replace('-', " "), format!(" {code} ")] {
            assert_eq!(typed(&same).as_ref(), Some(&kept), "{same}");
        }
        for bad in ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF_GHJK", "ßCDF-GHJK", &"B".repeat(40)] {
            assert_eq!(typed(bad), None, "{bad}");
        }
    }

    #[test]
    fn codes_use_all_letters_about_as_often() {
        let mut seen = [0; 256];
        for _ in 0..2_000 {
            user_code().unwrap().bytes().for_each(|byte| seen[usize::from(byte)] += 1);
        }
        for letter in LETTERS {
            assert!((600..1_000).contains(&seen[usize::from(*letter)]), "{}", char::from(*letter));
        }
    }

    #[test]
    fn no_more_than_three_act_behind_each_other() {
        let who = |name| Subject::parse(name).unwrap();
        let one = acting(who("a"), None).unwrap();
        let two = acting(who("b"), Some(&one)).unwrap();
        let three = acting(who("c"), Some(&two)).unwrap();
        assert_eq!(three.act.as_ref().unwrap().act.as_ref().unwrap().sub, who("a"));
        assert_eq!(&*acting(who("d"), Some(&three)).unwrap_err().slug, "oauth.acting_too_deep");
    }
}
