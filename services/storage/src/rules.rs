//! Decisions of the store as pure functions: what is a valid request, who may read, what a write may do.

use nsl_api::storage::{Access, Put};
use nsl_core::{Code, Cx, Error, PrincipalKind, Result, Subject, Timestamp};

use crate::config::Quota;

pub(crate) const MOST_VALUE: usize = 1 << 20;
pub(crate) const MOST_METADATA: usize = 16 << 10;
pub(crate) const MOST_SHARED: usize = 100;
pub(crate) const MOST_BATCH: usize = 100;
/// Of the values of one batch, so that a group of writes, and a reply, stays small.
pub(crate) const MOST_BATCH_BYTES: usize = 3 << 20;
const MOST_KEY: usize = 256;

pub(crate) fn check_key(key: &str) -> Result<()> {
    check_prefix(key)?;
    if key.is_empty() {
        return Err(Error::invalid("storage.key_empty", "the key is empty"));
    }
    Ok(())
}

/// As a key, but may be empty.
pub(crate) fn check_prefix(key: &str) -> Result<()> {
    if key.len() > MOST_KEY {
        let message = format!("the key has {} bytes, more than {MOST_KEY}", key.len());
        return Err(Error::invalid("storage.key_too_long", message).detail("limit", MOST_KEY));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b':' || byte == b'_' || byte == b'-';
    if !key.bytes().all(fits) {
        return Err(Error::invalid("storage.key_malformed", "the key holds more than a-z A-Z 0-9 : _ -"));
    }
    Ok(())
}

pub(crate) fn check_put(put: &Put, now: Timestamp) -> Result<()> {
    check_key(&put.key)?;
    let size = put.value.size();
    if size > MOST_VALUE {
        let message = format!("the value has {size} bytes, more than {MOST_VALUE}");
        return Err(Error::invalid("storage.value_too_large", message).detail("limit_bytes", MOST_VALUE));
    }
    check_metadata(put.metadata.as_ref().map(|text| text.as_bytes()))?;
    check_shared(Some(put.access), &put.shared_with)?;
    check_times(put.expires_at, put.retain_until, now)
}

pub(crate) fn batch_too_large() -> Error {
    let message = format!("the values of the batch have more than {MOST_BATCH_BYTES} bytes");
    Error::invalid("storage.batch_too_large", message).detail("limit_bytes", MOST_BATCH_BYTES)
}

pub(crate) fn check_metadata(text: Option<&[u8]>) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    if text.len() > MOST_METADATA {
        let message = format!("the metadata has {} bytes, more than {MOST_METADATA}", text.len());
        return Err(Error::invalid("storage.metadata_too_large", message).detail("limit_bytes", MOST_METADATA));
    }
    if text.first() != Some(&b'{') {
        return Err(Error::invalid("storage.metadata_malformed", "the metadata is not a JSON object"));
    }
    Ok(())
}

/// `access` as the same request says it: subjects who are named and can't read would be a surprise.
pub(crate) fn check_shared(access: Option<Access>, with: &[Subject]) -> Result<()> {
    if !with.is_empty() && access != Some(Access::Shared) {
        let message = "the request names subjects in shared_with, but does not say access \"shared\"";
        return Err(Error::invalid("storage.shared_with_nobody", message));
    }
    if with.len() > MOST_SHARED {
        let message = format!("the value is shared with {} subjects, more than {MOST_SHARED}", with.len());
        return Err(Error::invalid("storage.shared_too_widely", message).detail("limit", MOST_SHARED));
    }
    Ok(())
}

// Times beyond the year 9999 have no RFC 3339 form, and PostgreSQL ends somewhere after.
const LATEST: Timestamp = Timestamp(253_402_300_799_999_999);

pub(crate) fn check_times(expires: Option<Timestamp>, retain: Option<Timestamp>, now: Timestamp) -> Result<()> {
    if expires.is_some_and(|at| at <= now || at > LATEST) {
        return Err(Error::invalid("storage.expiry_past", "the expiry does not lie in the future"));
    }
    if retain.is_some_and(|until| until > LATEST) {
        return Err(Error::invalid("storage.retention_malformed", "the retention lock ends too late"));
    }
    match (expires, retain) {
        (Some(expires), Some(retain)) if expires < retain => Err(expires_locked()),
        _ => Ok(()),
    }
}

fn expires_locked() -> Error {
    Error::invalid("storage.expires_locked", "the value would expire before its retention lock ends")
}

/// Where a list by prefix ends: above every key that starts with it, since keys are plain ASCII.
pub(crate) fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

/// Whether this caller may read a current value. Owners always; nobody else a private one.
pub(crate) fn may_read(cx: &Cx, owner: &Subject, access: Access, shared_with: &[Subject]) -> bool {
    let known = cx.principal.kind != PrincipalKind::Anonymous;
    match access {
        _ if known && cx.principal.subject == *owner => true,
        Access::Public => true,
        Access::Tenant => known,
        Access::Shared => known && shared_with.contains(&cx.principal.subject),
        Access::Private => false,
    }
}

/// What a write needs to know of the state that it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) version: i64,
    pub(crate) size_bytes: i64,
    pub(crate) deleted: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) retain_until: Option<Timestamp>,
}

impl Current {
    /// Its time is over, whether or not it was swept away yet.
    pub(crate) fn lapsed(&self, now: Timestamp) -> bool {
        !self.deleted && self.expires_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        !self.deleted && !self.lapsed(now)
    }
}

pub(crate) fn not_found() -> Error {
    Error::new(Code::NotFound, "storage.not_found", "there is no such value")
}

/// As [`not_found`] to the caller; the edge counts it as a refusal.
pub(crate) fn hidden() -> Error {
    not_found().detail(REFUSED, true)
}

/// The detail by which an error that looks like another is counted as a refusal. The edge shows it to nobody.
pub(crate) const REFUSED: &str = "refused";

/// The current state, if it lives; compare-and-set comes before everything else.
pub(crate) fn expect(current: Option<&Current>, expected: Option<i64>, now: Timestamp) -> Result<Option<&Current>> {
    let living = current.filter(|current| current.lives(now));
    let version = living.map_or(0, |current| current.version);
    match expected {
        Some(expected) if expected != version => {
            let message = format!("the current version is {version}, which is not what was expected");
            Err(Error::new(Code::Conflict, "storage.version_conflict", message).detail("current_version", version))
        }
        _ => Ok(living),
    }
}

/// Refuses to touch what a retention lock holds.
pub(crate) fn unlocked(living: Option<&Current>, now: Timestamp) -> Result<()> {
    match living.and_then(|current| current.retain_until).filter(|until| *until > now) {
        None => Ok(()),
        Some(until) => {
            Err(Error::new(Code::Conflict, "storage.retained", format!("the value is locked until {until}"))
                .detail("retain_until", until.rfc3339())
                .detail(REFUSED, true))
        }
    }
}

/// The expiry and lock after an amendment: a lock that runs may only be moved out.
pub(crate) fn amended_times(
    living: &Current,
    expires: Option<Timestamp>,
    retain: Option<Timestamp>,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    if let (Some(until), Some(wanted)) = (living.retain_until, retain)
        && until > now
        && wanted < until
    {
        unlocked(Some(living), now)?;
    }
    let (expires, retain) = (expires.or(living.expires_at), retain.or(living.retain_until));
    match (expires, retain) {
        (Some(expires), Some(retain)) if expires < retain && retain > now => Err(expires_locked()),
        _ => Ok((expires, retain)),
    }
}

/// Whether a tenant that holds this much may hold this much more. To shrink is always allowed.
pub(crate) fn within(quota: Quota, held: (i64, i64), more: (i64, i64)) -> Result<()> {
    let over = |held: i64, more: i64, most: i64| more > 0 && held.saturating_add(more) > most;
    let refuse = |slug, what: &str, most: i64| {
        let message = format!("the tenant's quota of {most} {what} would be passed");
        Err(Error::new(Code::Exhausted, slug, message).detail("quota", most))
    };
    if over(held.0, more.0, quota.bytes) {
        return refuse("storage.quota_bytes", "bytes", quota.bytes);
    }
    if over(held.1, more.1, quota.items) {
        return refuse("storage.quota_items", "items", quota.items);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nsl_core::{Principal, TenantId};
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn at(offset: i64) -> Timestamp {
        Timestamp(NOW.0 + offset)
    }

    fn current(version: i64) -> Current {
        Current {
            version,
            size_bytes: 5,
            deleted: false,
            created_at: at(-9),
            updated_at: at(-5),
            expires_at: None,
            retain_until: None,
        }
    }

    fn slug<T>(result: Result<T>) -> String {
        result.err().map(|error| error.slug.into_owned()).unwrap_or_default()
    }

    #[test]
    fn keys_are_short_plain_ascii() {
        for good in ["a", "A-z_0:9", &"k".repeat(256)] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for (bad, want) in [
            ("", "storage.key_empty"),
            ("a b", "storage.key_malformed"),
            ("a/b", "storage.key_malformed"),
            ("ä", "storage.key_malformed"),
            ("a\0", "storage.key_malformed"),
            ("a.b", "storage.key_malformed"),
            (&"k".repeat(257), "storage.key_too_long"),
        ] {
            assert_eq!(slug(check_key(bad)), want, "{bad}");
        }
    }

    #[test]
    fn compare_and_set_sees_only_what_lives() {
        let gone = Current { deleted: true, ..current(4) };
        let lapsed = Current { expires_at: Some(NOW), ..current(4) };
        for (found, expected, fits) in [
            (None, None, true),
            (None, Some(0), true),
            (None, Some(1), false),
            (Some(current(4)), None, true),
            (Some(current(4)), Some(4), true),
            (Some(current(4)), Some(3), false),
            (Some(current(4)), Some(0), false),
            (Some(gone.clone()), Some(0), true),
            (Some(gone), Some(4), false),
            (Some(lapsed.clone()), Some(0), true),
            (Some(lapsed), Some(4), false),
        ] {
            let outcome = expect(found.as_ref(), expected, NOW);
            assert_eq!(outcome.is_ok(), fits, "{found:?} {expected:?}");
            if !fits {
                assert_eq!(slug(outcome), "storage.version_conflict");
            }
        }
    }

    #[test]
    fn a_lock_holds_until_its_end_and_only_moves_out() {
        let locked = Current { retain_until: Some(at(10)), ..current(1) };
        assert_eq!(slug(unlocked(Some(&locked), NOW)), "storage.retained");
        assert!(unlocked(Some(&locked), at(10)).is_ok() && unlocked(None, NOW).is_ok());
        assert_eq!(slug(amended_times(&locked, None, Some(at(9)), NOW)), "storage.retained");
        assert_eq!(amended_times(&locked, None, Some(at(20)), NOW).unwrap(), (None, Some(at(20))));
        assert_eq!(slug(amended_times(&locked, Some(at(5)), None, NOW)), "storage.expires_locked");
        assert_eq!(amended_times(&locked, None, Some(at(9)), at(11)).unwrap(), (None, Some(at(9))));
        assert_eq!(slug(check_times(Some(at(5)), Some(at(6)), NOW)), "storage.expires_locked");
        assert_eq!(slug(check_times(Some(NOW), None, NOW)), "storage.expiry_past");
    }

    #[test]
    fn only_those_named_may_read() {
        let (owner, friend) = (Subject::parse("owner").unwrap(), Subject::parse("friend").unwrap());
        let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
        let mut may = |who: Option<&str>, access| {
            cx.principal = Principal::anonymous();
            if let Some(who) = who {
                cx.principal.kind = PrincipalKind::ApiKey;
                cx.principal.subject = Subject::parse(who).unwrap();
            }
            may_read(&cx, &owner, access, std::slice::from_ref(&friend))
        };
        for (access, owner, friend, other, stranger) in [
            (Access::Private, true, false, false, false),
            (Access::Tenant, true, true, true, false),
            (Access::Shared, true, true, false, false),
            (Access::Public, true, true, true, true),
        ] {
            let seen =
                (may(Some("owner"), access), may(Some("friend"), access), may(Some("x"), access), may(None, access));
            assert_eq!(seen, (owner, friend, other, stranger), "{access:?}");
        }
    }

    #[test]
    fn subjects_are_named_only_where_they_may_read() {
        let friend = [Subject::parse("friend").unwrap()];
        for access in [None, Some(Access::Private), Some(Access::Tenant), Some(Access::Public)] {
            assert_eq!(slug(check_shared(access, &friend)), "storage.shared_with_nobody", "{access:?}");
            assert!(check_shared(access, &[]).is_ok(), "{access:?}");
        }
        assert!(check_shared(Some(Access::Shared), &friend).is_ok() && check_shared(Some(Access::Shared), &[]).is_ok());
        assert_eq!(
            slug(check_shared(Some(Access::Shared), &vec![friend[0].clone(); 101])),
            "storage.shared_too_widely"
        );
    }

    #[test]
    fn an_anonymous_caller_is_nobody_even_by_name() {
        let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
        cx.principal = Principal::anonymous();
        assert!(!may_read(&cx, &cx.principal.subject, Access::Private, &[]));
    }

    proptest! {
        #[test]
        fn the_quota_is_never_passed_and_never_refuses_to_shrink(
            held in 0i64..2_000, items in 0i64..20, more in -500i64..500, plus in -1i64..=1
        ) {
            let quota = Quota { bytes: 1_000, items: 10 };
            let allowed = within(quota, (held, items), (more, plus)).is_ok();
            prop_assert_eq!(allowed, (more <= 0 || held + more <= 1_000) && (plus <= 0 || items + plus <= 10));
        }

        #[test]
        fn every_key_with_a_prefix_lies_in_its_range(prefix in "[a-zA-Z0-9:_-]{0,8}", key in "[a-zA-Z0-9:_-]{1,12}") {
            let within = *prefix <= *key && *key < *prefix_end(&prefix);
            prop_assert_eq!(within, key.starts_with(&prefix));
        }
    }
}
