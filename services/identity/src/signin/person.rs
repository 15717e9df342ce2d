//! Whether the person themselves asks. Nothing here waits, reads or writes.

use nsl_core::{Code, Cx, Error, PrincipalKind, Result};

/// The person of a session, and the session: nobody who only acts for them. It may be a program that they let in for
/// less than all they may: see [`person`].
pub(crate) fn signed_in(cx: &Cx) -> Result<(&str, &str)> {
    let principal = &cx.principal;
    match &principal.session {
        Some(session) if principal.kind == PrincipalKind::Token && principal.actor.is_none() => {
            Ok((principal.subject.as_str(), session))
        }
        _ if principal.kind == PrincipalKind::Anonymous => {
            Err(Error::new(Code::Unauthenticated, "auth.missing", "this needs a credential"))
        }
        _ => Err(needed()),
    }
}

/// The person of a session, and the session: nobody who only acts for them, and no program that they let in for less
/// than all they may.
pub(crate) fn person(cx: &Cx) -> Result<(&str, &str)> {
    let found = signed_in(cx)?;
    if cx.principal.whole { Ok(found) } else { Err(needed()) }
}

fn needed() -> Error {
    let message = "this needs a person who signed in, not a key, a certificate or a client";
    Error::new(Code::Forbidden, "auth.person_needed", message)
}
