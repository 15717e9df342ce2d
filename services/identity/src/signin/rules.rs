//! What is asked of addresses, and what wrong tries lead to. Nothing here waits, reads or writes.

use std::{net::IpAddr, time::Duration};

use nsl_core::{Error, Result};

const LONGEST_EMAIL: usize = 254;
const LONGEST_LOCAL: usize = 64;

/// An address as accounts are found by it: in lower case. Stricter than RFC 5321: no quotes, no comments, no literal
/// addresses, a domain of at least two labels.
pub(crate) fn email(text: &str) -> Result<String> {
    let fits = text.len() <= LONGEST_EMAIL
        && text.split_once('@').is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
    match fits {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(Error::invalid("signin.email", "that is no email address that can be used here")),
    }
}

fn is_local(text: &str) -> bool {
    let atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&c);
    text.len() <= LONGEST_LOCAL && text.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let mut labels = text.split('.');
    let top_is_name = text.rsplit('.').next().is_some_and(|top| !top.bytes().all(|c| c.is_ascii_digit()));
    labels.clone().count() >= 2 && labels.all(label) && top_is_name
}

/// What one household or office has of the internet, as far as an address tells: 256 addresses, or one /64.
pub(crate) fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Some(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Which tries are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Those of one network.
    Network,
    /// Those of all networks that the account never signed in from.
    Strangers,
}

/// What further wrong tries there may be, after so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// For how long no try is looked at.
    pub(crate) blocked: Option<Duration>,
    /// How long the count is remembered.
    pub(crate) kept: Duration,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Counter {
    /// One network gets five tries, then waits: half a minute, a minute, two, up to an hour. Strangers together get a
    /// hundred, then one try in a second, in two, up to one in a minute: it slows guessers down, and never stops the
    /// owner, whose own networks are not counted here.
    pub(crate) fn sentence(self, failures: i64) -> Sentence {
        let (free, first, longest) = match self {
            Self::Network => (5, Duration::from_secs(30), HOUR),
            Self::Strangers => (100, Duration::from_secs(1), Duration::from_secs(60)),
        };
        if failures < free {
            return Sentence { blocked: None, kept: HOUR };
        }
        let doubled = u32::try_from((failures - free).min(16)).unwrap_or(16);
        let kept = if self == Self::Network { 24 * HOUR } else { HOUR };
        Sentence { blocked: Some((first * 2_u32.pow(doubled)).min(longest)), kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for (text, kept) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice.Long+tag@Sub.Example.COM", "alice.long+tag@sub.example.com"),
            ("o'brien@xn--bcher-kva.example", "o'brien@xn--bcher-kva.example"),
        ] {
            assert_eq!(email(text).unwrap(), kept);
        }
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}example.com", "a23456789.".repeat(25));
        for bad in [
            "",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.de",
            "a@b..de",
            ".a@b.de",
            "a.@b.de",
            "a..b@c.de",
            "a@-b.de",
            "a@b-.de",
            "a@b.de.",
            "a@1.2.3.4",
            "a@[1.2.3.4]",
            "\"a\"@b.de",
            "a@b@c.de",
            "a@b.de\n",
            "a\0@b.de",
            "ä@b.de",
            "a@bücher.de",
            "a@b.de ",
            "a,b@c.de",
            "<a@b.de>",
            &long_local,
            &long,
        ] {
            assert_eq!(email(bad).unwrap_err().slug, "signin.email", "{bad}");
        }
    }

    #[test]
    fn neighbours_share_a_network() {
        let of = |text: &str| network(Some(text.parse().unwrap()));
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2:3::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
    }

    #[test]
    fn waits_double_and_end() {
        let wait = |counter: Counter, failures| counter.sentence(failures).blocked.map(|wait| wait.as_secs());
        let network: Vec<_> = (4..=14).map(|failures| wait(Counter::Network, failures).unwrap_or(0)).collect();
        assert_eq!(network, [0, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
        let strangers: Vec<_> = (99..=108).map(|failures| wait(Counter::Strangers, failures).unwrap_or(0)).collect();
        assert_eq!(strangers, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait(Counter::Network, i64::MAX), Some(3_600));
        assert!((1..200).all(|failures| {
            let Sentence { blocked, kept } = Counter::Network.sentence(failures);
            blocked.is_none_or(|blocked| blocked < kept)
        }));
    }
}
