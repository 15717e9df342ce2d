use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, Month, OffsetDateTime, format_description::well_known::Rfc3339};

/// Microseconds since 1970-01-01 UTC: an integer in SQLite, `timestamptz` in PostgreSQL, RFC 3339 in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_micros().try_into().unwrap_or(i64::MAX)))
    }

    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_micros().try_into().unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this, zero when the clock stepped back in between.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// RFC 3339, UTC, always with six decimals, so that texts sort as times do.
    pub fn rfc3339(self) -> String {
        self.to_string()
    }

    // Replies and entries are full of times, so the digits are put down without the machinery of formats.
    fn digits(self) -> [u8; 27] {
        let at = self.calendar();
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |from: usize, to: usize, mut number: u32| {
            for place in text[from..to].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, at.year().unsigned_abs());
        put(5, 7, u8::from(at.month()).into());
        put(8, 10, at.day().into());
        put(11, 13, at.hour().into());
        put(14, 16, at.minute().into());
        put(17, 19, at.second().into());
        put(20, 26, at.microsecond());
        text
    }

    /// Reads RFC 3339 with a `Z` or numeric offset.
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).ok().map(Self)
    }

    /// The first instant of the UTC month that lies `ahead` months after this one's.
    pub fn month_start(self, ahead: i32) -> Self {
        let at = self.calendar();
        let months = at.year() * 12 + i32::from(u8::from(at.month())) - 1 + ahead;
        let month = Month::try_from(months.rem_euclid(12) as u8 + 1).expect("within 1 to 12");
        let first = Date::from_calendar_date(months.div_euclid(12), month, 1).expect("each month has a first day");
        Self(first.midnight().assume_utc().unix_timestamp() * 1_000_000)
    }

    // Outside the years -9999 to 9999 there is no calendar: the epoch stands in for such nonsense.
    fn calendar(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

/// Where "now" comes from. Everything that depends on the time takes one, so that tests can move it.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one home of the wall clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_micros().try_into().unwrap_or(i64::MAX))
    }
}

/// A clock for tests: it stands until it is moved, forwards or back.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_micros() as i64, Ordering::SeqCst);
    }

    pub fn set(&self, to: Timestamp) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_written() {
        for (text, micros) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("2024-02-29T23:59:59.999999Z", 1_709_251_199_999_999),
            ("1969-12-31T23:59:59.999999Z", -1),
        ] {
            assert_eq!(Timestamp(micros).rfc3339(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp(micros)));
        }
        assert_eq!(Timestamp::parse("2024-02-29T12:00:00+02:00"), Timestamp::parse("2024-02-29T10:00:00Z"));
        for bad in [
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "x",
            "2024-01-01T00:00:00.Z",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn months_roll_over_the_year() {
        let december = Timestamp::parse("2024-12-15T08:00:00Z").unwrap();
        assert_eq!(december.month_start(0).rfc3339(), "2024-12-01T00:00:00.000000Z");
        assert_eq!(december.month_start(1).rfc3339(), "2025-01-01T00:00:00.000000Z");
        assert_eq!(december.month_start(-12).rfc3339(), "2023-12-01T00:00:00.000000Z");
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_negative_span() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
