use std::{
    collections::HashMap,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use nsl_api::sessions::Revocation;
use nsl_core::Timestamp;
use parking_lot::RwLock;

use super::known::Known;

/// Clocks may differ by so much; a revocation is kept for as much longer than it matters.
const GRACE: Duration = Duration::from_secs(60);

struct Mark {
    seq: i64,
    until: Timestamp,
}

/// What was taken back, for as long as a token that it refuses could still be shown.
#[derive(Default)]
pub(super) struct Revoked {
    marks: RwLock<HashMap<String, Mark>>,
    head: AtomicI64,
}

impl Revoked {
    /// The number of the newest that is known.
    pub(super) fn head(&self) -> i64 {
        self.head.load(Ordering::Acquire)
    }

    /// Takes over what is new; the head moves last, so that who sees it finds all up to it.
    pub(super) fn add(&self, news: Vec<Revocation>) {
        let Some(newest) = news.iter().map(|item| item.seq).max() else { return };
        let mut marks = self.marks.write();
        for Revocation { seq, what, until } in news {
            let mark = marks.entry(what).or_insert(Mark { seq, until });
            mark.seq = mark.seq.max(seq);
            mark.until = mark.until.max(until);
        }
        drop(marks);
        self.head.fetch_max(newest, Ordering::AcqRel);
    }

    /// Whether one of them refuses this.
    pub(super) fn refuses(&self, known: &Known) -> bool {
        let marks = self.marks.read();
        known.marks.iter().any(|mark| marks.get(mark).is_some_and(|found| found.seq > known.revision))
    }

    /// The same for what was let in under the revocation `cleared` and before: it is only looked up after news.
    pub(super) fn refuses_since(&self, cleared: &AtomicI64, known: &Known) -> bool {
        let head = self.head();
        if cleared.load(Ordering::Acquire) == head {
            return false;
        }
        let refused = self.refuses(known);
        if !refused {
            cleared.store(head, Ordering::Release);
        }
        refused
    }

    /// Forgets what only refuses tokens that have ended.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut marks = self.marks.write();
        marks.retain(|_, mark| mark.until.plus(GRACE) > now);
        if marks.capacity() > 1_024 && marks.len() * 4 < marks.capacity() {
            marks.shrink_to_fit();
        }
        metrics::gauge!("edge_revocations").set(marks.len() as f64);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.marks.read().len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nsl_core::{Subject, TenantId};
    use nsl_token::Checked;

    use super::*;

    fn token(revision: i64) -> Known {
        let checked = Checked {
            tenant: TenantId::parse("ten_1").unwrap(),
            subject: Subject::parse("usr_1").unwrap(),
            id: "jti_1".into(),
            scopes: Arc::new([]),
            revision,
            expires_at: Timestamp(i64::MAX),
            session: Some("ses_1".into()),
            second_factor_at: None,
            actor: Some(Subject::parse("bot").unwrap()),
            whole: false,
            bound_to: None,
        };
        Known::of_token(checked, true)
    }

    fn news(seq: i64, what: &str, until: i64) -> Vec<Revocation> {
        vec![Revocation { seq, what: what.to_owned(), until: Timestamp(until) }]
    }

    #[test]
    fn a_token_is_refused_by_each_of_its_marks_unless_it_is_newer() {
        for what in ["sid:ses_1", "jti:jti_1", "sub:usr_1", "sub:usr_1@ten_1", "sub:bot", "sub:bot@ten_1"] {
            let revoked = Revoked::default();
            revoked.add(news(7, what, 1));
            assert_eq!(revoked.head(), 7);
            assert!(revoked.refuses(&token(6)) && revoked.refuses(&token(0)), "{what}");
            assert!(!revoked.refuses(&token(7)), "{what}: its rights were looked up afterwards");
            revoked.add(news(9, what, 1));
            revoked.add(news(8, what, 1));
            assert!(revoked.refuses(&token(8)) && revoked.head() == 9, "{what}");
        }
        let revoked = Revoked::default();
        for what in ["sid:ses_2", "jti:jti_", "sub:usr_1@ten_2", "sub:", "usr_1"] {
            revoked.add(news(7, what, 1));
        }
        assert!(!revoked.refuses(&token(0)));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let revoked = Revoked::default();
        for number in 1..=10_000 {
            revoked.add(news(number, &format!("sid:ses_{number}"), number * 1_000_000));
        }
        revoked.forget(Timestamp(9_000_000_000).plus(GRACE));
        assert_eq!((revoked.len(), revoked.head()), (1_000, 10_000));
    }
}
