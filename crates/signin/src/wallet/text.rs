//! The messages: EIP-4361 for Neo X, and the same text for an account of Neo N3.

use nsl_core::{Error, Result, Timestamp};

use super::{grammar, n3, x};

/// Bytes of a message, at most.
pub const LONGEST_MESSAGE: usize = 4096;

/// Whose account signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    NeoN3,
    NeoX,
}

impl Kind {
    fn invitation(self) -> &'static str {
        match self {
            Self::NeoN3 => " wants you to sign in with your Neo N3 account:",
            Self::NeoX => " wants you to sign in with your Ethereum account:",
        }
    }

    fn network(self) -> &'static str {
        match self {
            Self::NeoN3 => "Network: ",
            Self::NeoX => "Chain ID: ",
        }
    }

    fn is_address(self, text: &str) -> bool {
        match self {
            Self::NeoN3 => n3::account(text).is_ok(),
            Self::NeoX => x::Address::parse_exact(text).is_some(),
        }
    }
}

/// A time as it was written, so that it is written back the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    text: String,
    at: Timestamp,
}

impl Time {
    /// The instant that it names.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    fn read(text: &str) -> Option<Self> {
        grammar::time(text).map(|at| Self { text: text.to_owned(), at })
    }
}

impl From<Timestamp> for Time {
    /// Written in whole milliseconds, as browsers write times.
    fn from(at: Timestamp) -> Self {
        let at = Timestamp(at.0 - at.0.rem_euclid(1_000));
        let mut text = at.rfc3339();
        text.replace_range(23..26, "");
        Self { text, at }
    }
}

/// What an account signs to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: Kind,
    /// The scheme of the origin that asks.
    pub scheme: Option<String>,
    /// The authority of the origin that asks.
    pub domain: String,
    /// With the checksum that its chain gives addresses.
    pub address: String,
    pub statement: Option<String>,
    pub uri: String,
    /// The chain id of Neo X, or the magic of Neo N3.
    pub network: u64,
    pub nonce: String,
    pub issued_at: Time,
    pub expiration: Option<Time>,
    pub not_before: Option<Time>,
    pub request_id: Option<String>,
    pub resources: Option<Vec<String>>,
}

impl Message {
    /// Reads a message; anything but the one form is refused.
    pub fn parse(kind: Kind, text: &str) -> Result<Self> {
        if text.len() > LONGEST_MESSAGE {
            return Err(malformed(format!("it has more than {LONGEST_MESSAGE} bytes")));
        }
        Reader { lines: text.split('\n').collect(), next: 0 }.message(kind)
    }

    /// The text that is signed. Refused when a field has what the text cannot carry.
    pub fn write(&self) -> Result<String> {
        let mut text = String::with_capacity(512);
        if let Some(scheme) = &self.scheme {
            text.extend([scheme, "://"]);
        }
        text.extend([&self.domain, self.kind.invitation(), "\n", &self.address, "\n\n"]);
        if let Some(statement) = &self.statement {
            text.extend([statement, "\n"]);
        }
        text.extend(["\nURI: ", &self.uri, "\nVersion: 1\n", self.kind.network(), &self.network.to_string()]);
        text.extend(["\nNonce: ", &self.nonce, "\nIssued At: ", &self.issued_at.text]);
        if let Some(time) = &self.expiration {
            text.extend(["\nExpiration Time: ", &time.text]);
        }
        if let Some(time) = &self.not_before {
            text.extend(["\nNot Before: ", &time.text]);
        }
        if let Some(id) = &self.request_id {
            text.extend(["\nRequest ID: ", id]);
        }
        if let Some(resources) = &self.resources {
            text.push_str("\nResources:");
            resources.iter().for_each(|resource| text.extend(["\n- ", resource]));
        }
        match Self::parse(self.kind, &text)? == *self {
            true => Ok(text),
            false => Err(malformed("a field has what ends it")),
        }
    }
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Reader<'a> {
    fn message(mut self, kind: Kind) -> Result<Message> {
        let origin = self.line()?.strip_suffix(kind.invitation()).ok_or_else(|| malformed("its first line"))?;
        let (scheme, domain) = match origin.split_once("://") {
            Some((scheme, domain)) => (Some(scheme), domain),
            None => (None, origin),
        };
        check(scheme.is_none_or(grammar::scheme) && grammar::authority(domain), "its domain")?;
        let address = self.line()?;
        check(kind.is_address(address), "its address")?;
        check(self.line()?.is_empty(), "an empty line after the address")?;
        let statement = Some(self.line()?).filter(|line| !line.is_empty());
        if let Some(statement) = statement {
            check(grammar::statement(statement), "its statement")?;
            check(self.line()?.is_empty(), "an empty line after the statement")?;
        }
        let uri = self.field("URI: ").filter(|uri| grammar::uri(uri)).ok_or_else(|| malformed("its URI"))?;
        check(self.line()? == "Version: 1", "its version")?;
        let network = self.field(kind.network()).and_then(number).ok_or_else(|| malformed("its network"))?;
        let nonce =
            self.field("Nonce: ").filter(|nonce| grammar::nonce(nonce)).ok_or_else(|| malformed("its nonce"))?;
        let issued_at = self.field("Issued At: ").and_then(Time::read).ok_or_else(|| malformed("the time of issue"))?;
        let expiration = self.time("Expiration Time: ")?;
        let not_before = self.time("Not Before: ")?;
        let request_id = self.field("Request ID: ");
        check(request_id.is_none_or(grammar::pchars), "its request id")?;
        let resources = self.resources()?;
        check(self.next == self.lines.len(), "its end")?;
        Ok(Message {
            kind,
            scheme: scheme.map(str::to_owned),
            domain: domain.to_owned(),
            address: address.to_owned(),
            statement: statement.map(str::to_owned),
            uri: uri.to_owned(),
            network,
            nonce: nonce.to_owned(),
            issued_at,
            expiration,
            not_before,
            request_id: request_id.map(str::to_owned),
            resources,
        })
    }

    fn line(&mut self) -> Result<&'a str> {
        let line = self.lines.get(self.next).ok_or_else(|| malformed("it ends early"))?;
        self.next += 1;
        Ok(line)
    }

    /// The rest of the next line when it begins so; else that line stays the next.
    fn field(&mut self, name: &str) -> Option<&'a str> {
        let value = self.lines.get(self.next)?.strip_prefix(name)?;
        self.next += 1;
        Some(value)
    }

    fn time(&mut self, name: &str) -> Result<Option<Time>> {
        let wrong = || malformed(name.trim_end_matches(": ").to_lowercase());
        self.field(name).map(|text| Time::read(text).ok_or_else(wrong)).transpose()
    }

    fn resources(&mut self) -> Result<Option<Vec<String>>> {
        if self.lines.get(self.next) != Some(&"Resources:") {
            return Ok(None);
        }
        self.next += 1;
        let mut resources = Vec::new();
        while let Some(resource) = self.field("- ") {
            check(grammar::uri(resource), "a resource")?;
            resources.push(resource.to_owned());
        }
        Ok(Some(resources))
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|digit| digit.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn check(right: bool, what: &str) -> Result<()> {
    if right { Ok(()) } else { Err(malformed(what)) }
}

fn malformed(what: impl AsRef<str>) -> Error {
    Error::invalid("wallet.message", format!("the message has not the form of one to sign in: {}", what.as_ref()))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
