use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use nsl_core::Timestamp;

use super::der::{OCTETS, OID, Reader, SEQUENCE, SET};

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Whom a verified client certificate names; an extension of the requests on its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The common name of the subject, if it has one.
    pub common_name: Option<String>,
    /// The alternative names: DNS names, URIs (SPIFFE ids among them), mail addresses, IP addresses.
    pub names: Vec<String>,
    /// SHA-256 of the whole certificate.
    pub fingerprint: [u8; 32],
}

impl PeerIdentity {
    /// Reads a certificate; nothing when it is not one.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let parts = Parts::of(certificate)?;
        let fingerprint = digest(&SHA256, certificate).as_ref().try_into().expect("SHA-256 has 32 bytes");
        let names = parts.alternative_names.map(alternative_names).unwrap_or_default();
        Some(Self { common_name: common_name(parts.subject), names, fingerprint })
    }

    /// Whether the certificate was issued for this name.
    pub fn is(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name) || self.common_name.as_deref() == Some(name)
    }
}

/// When a certificate ends.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let mut validity = Reader(Parts::of(certificate)?.validity);
    validity.next()?;
    let (tag, text) = validity.next()?;
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |from: usize| rest.get(from..from + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    Timestamp::parse(&format!("{year:04}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

struct Parts<'a> {
    validity: &'a [u8],
    subject: &'a [u8],
    alternative_names: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(certificate: &'a [u8]) -> Option<Self> {
        let mut signed = Reader(Reader(Reader(certificate).expect(SEQUENCE)?).expect(SEQUENCE)?);
        let (tag, _) = signed.next()?;
        if tag == 0xa0 {
            // That was the version: the serial number follows.
            signed.next()?;
        }
        signed.expect(SEQUENCE)?;
        signed.expect(SEQUENCE)?;
        let validity = signed.expect(SEQUENCE)?;
        let subject = signed.expect(SEQUENCE)?;
        let mut alternative_names = None;
        while let Some((tag, content)) = signed.next() {
            if tag == 0xa3 {
                alternative_names = extension(content, ALTERNATIVE_NAMES);
            }
        }
        Some(Self { validity, subject, alternative_names })
    }
}

fn extension<'a>(content: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut list = Reader(Reader(content).expect(SEQUENCE)?);
    while let Some(item) = list.expect(SEQUENCE) {
        let mut item = Reader(item);
        if item.expect(OID)? != wanted {
            continue;
        }
        while let Some((tag, content)) = item.next() {
            if tag == OCTETS {
                return Some(content);
            }
        }
    }
    None
}

fn common_name(subject: &[u8]) -> Option<String> {
    let mut subject = Reader(subject);
    let mut last = None;
    while let Some(set) = subject.expect(SET) {
        let mut pair = Reader(Reader(set).expect(SEQUENCE)?);
        let kind = pair.expect(OID)?;
        // UTF8String, PrintableString and IA5String are all read as UTF-8.
        if let (true, Some((0x0c | 0x13 | 0x16, value))) = (kind == COMMON_NAME, pair.next()) {
            last = name(value);
        }
    }
    last
}

fn alternative_names(content: &[u8]) -> Vec<String> {
    let Some(list) = Reader(content).expect(SEQUENCE) else { return Vec::new() };
    let mut list = Reader(list);
    let mut names = Vec::new();
    while let Some((tag, value)) = list.next() {
        names.extend(match tag {
            0x81 | 0x82 | 0x86 => name(value),
            0x87 => address(value),
            _ => None,
        });
    }
    names
}

/// A name with control characters in it is a trick, not a name.
fn name(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn address(value: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()?;
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_and_end_of_a_certificate_are_read() {
        let mut params = CertificateParams::new(vec!["storage.internal".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Neo");
        params.distinguished_name.push(DnType::CommonName, "storage");
        params.subject_alt_names.push(SanType::URI("spiffe://nsl/storage".try_into().unwrap()));
        params.not_after = rcgen::date_time_ymd(2051, 2, 3);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let identity = PeerIdentity::of(certificate.der()).unwrap();
        assert_eq!(identity.common_name.as_deref(), Some("storage"));
        assert_eq!(identity.names, ["storage.internal", "127.0.0.1", "spiffe://nsl/storage"]);
        assert!(identity.is("spiffe://nsl/storage") && !identity.is("Neo"));
        assert_eq!(not_after(certificate.der()).unwrap().rfc3339(), "2051-02-03T00:00:00.000000Z");

        params.not_after = rcgen::date_time_ymd(2031, 12, 3);
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(not_after(certificate.der()).unwrap().rfc3339(), "2031-12-03T00:00:00.000000Z");
    }

    #[test]
    fn a_cut_certificate_is_none() {
        let certified = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        let der = certified.cert.der();
        for end in 0..der.len().min(120) {
            assert_eq!(PeerIdentity::of(&der[..end]), None, "{end}");
        }
    }
}
