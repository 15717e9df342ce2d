//! What is asked of providers, and of where they are. Nothing here waits, reads or writes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nsl_core::{Error, Result};
use url::{Host, Url};

const LONGEST_NAME: usize = 64;
const LONGEST_URL: usize = 512;
const MOST_SCOPES: usize = 20;
const MOST_REDIRECTS: usize = 20;

/// The name of a provider: a part of addresses.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(fits)
        && name.starts_with(|first: char| first.is_ascii_lowercase());
    if is_name { Ok(()) } else { Err(unfit("a provider's name is 1 to 64 of a-z, 0-9 and -, with a letter first")) }
}

/// An issuer, and every other address that a provider names: `private` ones only where operators allow it.
pub(crate) fn check_issuer(issuer: &str, private: bool) -> Result<()> {
    let url = Url::parse(issuer).map_err(|_| unfit("an issuer is an https:// address"))?;
    if issuer.len() > LONGEST_URL || url.query().is_some() {
        return Err(unfit("an issuer is an https:// address without a query"));
    }
    check_place(&url, private)
}

/// Whether the address may be called: its scheme, and its host where that is a number. Names are checked when they
/// are resolved.
pub(crate) fn check_place(url: &Url, private: bool) -> Result<()> {
    let scheme = url.scheme() == "https" || (private && url.scheme() == "http");
    if !scheme || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(unfit("a provider is at https:// addresses without a user name and a fragment"));
    }
    let reachable = match url.host() {
        Some(Host::Ipv4(ip)) => private || is_public(ip.into()),
        Some(Host::Ipv6(ip)) => private || is_public(ip.into()),
        Some(Host::Domain(name)) => !name.is_empty(),
        None => false,
    };
    if reachable { Ok(()) } else { Err(unfit("a provider is not at an address that only this network reaches")) }
}

/// A place that a provider may send people back to.
pub(crate) fn check_redirect(uri: &str, private: bool) -> Result<()> {
    let url = Url::parse(uri).map_err(|_| unfit("a place to come back to is an https:// address"))?;
    let here = url.scheme() == "http" && private;
    let bare = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let fits = uri.len() <= LONGEST_URL && (url.scheme() == "https" || here) && url.host().is_some() && bare;
    if fits { Ok(()) } else { Err(unfit("a place to come back to is an https:// address without a fragment")) }
}

pub(crate) fn check_redirects(uris: &[String], private: bool) -> Result<()> {
    if uris.len() > MOST_REDIRECTS {
        return Err(unfit(&format!("a provider has at most {MOST_REDIRECTS} further places to come back to")));
    }
    uris.iter().try_for_each(|uri| check_redirect(uri, private))
}

/// Scopes as RFC 6749 has them, without quotes or spaces.
pub(crate) fn check_scopes(scopes: &[String]) -> Result<()> {
    let is_scope = |scope: &String| {
        (1..=128).contains(&scope.len())
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    match scopes.len() <= MOST_SCOPES && scopes.iter().all(is_scope) {
        true => Ok(()),
        false => Err(unfit("at most 20 scopes, each of visible ASCII characters")),
    }
}

/// Whether an address is of the open internet: not of this machine, this network, or a range kept for a purpose.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let kept = matches!(
        (a, b, c),
        (0 | 10 | 127, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, ..)
    );
    !kept
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    // Only 2000::/3 is given out, and some of it carries IPv4 addresses or leads elsewhere.
    let given_out = (first & 0xe000) == 0x2000;
    let carries_others = matches!((first, second), (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff));
    given_out && !carries_others
}

pub(crate) fn unfit(message: &str) -> Error {
    Error::invalid("federation.provider_unfit", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_open_internet_are_called() {
        for ip in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn issuers_are_https_and_elsewhere_unless_operators_say_otherwise() {
        for good in ["https://accounts.example.com", "https://example.com/tenant/v2.0", "https://8.8.8.8:8443/"] {
            assert!(check_issuer(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://user:pass@example.com",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "ftp://example.com",
            "file:///etc/passwd",
            "example.com",
            "",
        ] {
            assert!(check_issuer(bad, false).is_err(), "{bad}");
        }
        assert!(check_issuer("http://127.0.0.1:4000", true).is_ok());
        assert!(check_issuer("ftp://127.0.0.1", true).is_err());
    }

    #[test]
    fn names_are_parts_of_addresses() {
        assert!(check_name("google").is_ok() && check_name("a-1").is_ok());
        for bad in ["", "Google", "a/b", "a_b", "-a", "1a", "ä", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
