//! The rules of RFC 3986 and RFC 3339 that messages are made of.

use std::net::{Ipv4Addr, Ipv6Addr};

use nsl_core::Timestamp;

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn sub_delim(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

fn gen_delim(byte: u8) -> bool {
    matches!(byte, b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@')
}

/// Whether the text has only bytes that `one` takes, and well-formed `%` pairs.
fn encoded(text: &str, one: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let right = match byte {
            b'%' => {
                let mut digit = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                digit() && digit()
            }
            byte => one(byte),
        };
        if !right {
            return false;
        }
    }
    true
}

/// `*pchar`
pub(super) fn pchars(text: &str) -> bool {
    encoded(text, |byte| unreserved(byte) || sub_delim(byte) || matches!(byte, b':' | b'@'))
}

/// `1*( reserved / unreserved / " " )`
pub(super) fn statement(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| unreserved(byte) || sub_delim(byte) || gen_delim(byte) || byte == b' ')
}

/// `8*( ALPHA / DIGIT )`
pub(super) fn nonce(text: &str) -> bool {
    text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// An authority with a host in it.
pub(super) fn authority(text: &str) -> bool {
    let (user, rest) = text.rsplit_once('@').unwrap_or(("", text));
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, after)) => {
            if !literal(inner) {
                return false;
            }
            (inner, after)
        }
        None => {
            let (host, port) = rest.find(':').map_or((rest, ""), |at| rest.split_at(at));
            // Four numbers that make no address of IPv4 are a name by the grammar.
            if host.parse::<Ipv4Addr>().is_err() && !encoded(host, |byte| unreserved(byte) || sub_delim(byte)) {
                return false;
            }
            (host, port)
        }
    };
    let numbered = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    !host.is_empty() && numbered && encoded(user, |byte| unreserved(byte) || sub_delim(byte) || byte == b':')
}

fn literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix(['v', 'V']) {
        return future.split_once('.').is_some_and(|(version, rest)| {
            !version.is_empty()
                && version.bytes().all(|digit| digit.is_ascii_hexdigit())
                && !rest.is_empty()
                && rest.bytes().all(|byte| unreserved(byte) || sub_delim(byte) || byte == b':')
        });
    }
    text.parse::<Ipv6Addr>().is_ok()
}

/// A URI with its scheme.
pub(super) fn uri(text: &str) -> bool {
    let Some((before, rest)) = text.split_once(':') else { return false };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let tail = |text: &str| {
        encoded(text, |byte| unreserved(byte) || sub_delim(byte) || matches!(byte, b':' | b'@' | b'/' | b'?'))
    };
    let path =
        |text: &str| encoded(text, |byte| unreserved(byte) || sub_delim(byte) || matches!(byte, b':' | b'@' | b'/'));
    let hier = match rest.strip_prefix("//") {
        Some(rest) => {
            let (host, way) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            // A file has no host.
            (host.is_empty() || authority(host)) && path(way)
        }
        None => path(rest),
    };
    scheme(before) && hier && tail(query) && tail(fragment)
}

/// RFC 3339 with capital `T` and `Z`.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let shape = |text: &[u8], form: &[u8]| {
        let fits = |(have, want): (&u8, &u8)| if *want == b'0' { have.is_ascii_digit() } else { have == want };
        text.len() == form.len() && text.iter().zip(form).all(fits)
    };
    let (whole, rest) = text.as_bytes().split_at_checked(19)?;
    if !shape(whole, b"0000-00-00T00:00:00") {
        return None;
    }
    let zone = match rest.split_first() {
        Some((b'.', rest)) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (1..=9).contains(&digits).then(|| &rest[digits..])?
        }
        _ => rest,
    };
    let zoned = zone == b"Z" || shape(zone, b"+00:00") || shape(zone, b"-00:00");
    zoned.then(|| Timestamp::parse(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_told_from_what_looks_like_them() {
        let good =
            ["localhost", "a.example:8080", "1.2.3.4", "999.1.1.1", "[::1]:80", "[v1.a:b]", "u:p@a.b", "a%20b", "a:"];
        good.into_iter().for_each(|text| assert!(authority(text), "{text}"));
        let bad = [
            "",
            ":80",
            "a b",
            "a/b",
            "a:8x",
            "[::1",
            "[::g]",
            "a@b@c",
            "a%2",
            "a%zz",
            "é.example",
            "a\u{0}",
            "[::1]x",
            "[v.a]",
        ];
        bad.into_iter().for_each(|text| assert!(!authority(text), "{text}"));
    }

    #[test]
    fn addresses_are_told_from_what_looks_like_them() {
        let good = [
            "https://a.example/login?x=y#z",
            "https://a.example",
            "ipfs://bafy/1",
            "urn:isbn:1",
            "file:///a",
            "mailto:a@b",
            "did:key:z6",
            "a:",
            "https://a.example?x=/?#/?",
        ];
        good.into_iter().for_each(|text| assert!(uri(text), "{text}"));
        let bad = [
            "",
            "a",
            "//a.example",
            "1a:b",
            ":a",
            "https://a b",
            "https://a/\\",
            "https://a/#a#b",
            "https://a:x/",
            "https://a/%",
            "https://ä/",
        ];
        bad.into_iter().for_each(|text| assert!(!uri(text), "{text}"));
    }

    #[test]
    fn times_have_one_form() {
        for good in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123Z", "2026-01-01T02:00:00.000001+02:00"] {
            assert!(time(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2026-01-01",
            "2026-01-01t00:00:00Z",
            "2026-01-01T00:00:00z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-02-30T00:00:00Z",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-01T00:00:00+0200",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:é0Z",
        ] {
            assert!(time(bad).is_none(), "{bad}");
        }
    }
}
