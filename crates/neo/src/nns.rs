//! The Neo Name Service: its names, and scripts that ask and change them.
//!
//! The service is a contract like others, not the same on every network: the caller says which. What it returns is
//! text or null ([`StackItem::as_text`](crate::stack::StackItem::as_text)); it faults for a name that nobody has or
//! that has expired.
//!
//! ```
//! use neo::{Hash160, nns::{Name, Nns, RecordType}};
//!
//! let name: Name = "wallet.alice.neo".parse()?;
//! assert_eq!(name.registered(), "alice.neo");
//! let mainnet: Hash160 = "0x50ac1c37690cc2cfc594472833cf57505d5f46de".parse()?;
//! let script = Nns::new(mainnet).resolve(&name, RecordType::Txt)?;
//! # Ok::<(), neo::Error>(())
//! ```

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ripemd::{Digest, Ripemd160};

use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    script::{Builder, CallFlags},
    stack::Param,
};

/// The bytes of a name, at most.
pub const MAX_NAME: usize = 255;

/// A name that the service takes: two labels or more, the last of which is a root such as `neo`.
///
/// A label has up to 63 of `a-z`, `0-9` and, not at its ends, `-`; a root has up to 16 and begins with a letter. (The
/// first version of the contract had no `-` yet and no more than eight labels.)
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| malformed("name", why);
        if !(3..=MAX_NAME).contains(&text.len()) {
            return Err(wrong("not of 3 to 255 characters"));
        }
        let (rest, root) = text.rsplit_once('.').ok_or_else(|| wrong("it has no root, such as .neo"))?;
        if !label(root, 16) || !root.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(wrong("the root is not of 1 to 16 characters a-z, 0-9 that begin with a letter"));
        }
        if !rest.split('.').all(|part| label(part, 63)) {
            return Err(wrong("a label is not of 1 to 63 characters a-z, 0-9 and - between others"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn label(text: &str, most: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= most
        && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
        && bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its labels; the root comes last.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// Its last two labels: what somebody registered and owns as a token. The token's name are these bytes.
    pub fn registered(&self) -> &str {
        let mut dots = self.0.rmatch_indices('.').skip(1);
        dots.next().map_or(&self.0, |(at, _)| &self.0[at + 1..])
    }

    /// Whether it is such a name itself, and not one below it.
    pub fn is_registered_level(&self) -> bool {
        self.registered() == self.0
    }

    /// RIPEMD-160 of the name, by which the contract files it.
    pub fn hash(&self) -> [u8; 20] {
        ripemd160(&self.0)
    }

    /// The key in the contract's storage of what it knows of the registered name.
    pub fn state_key(&self) -> Vec<u8> {
        let mut key = vec![0x21];
        key.extend_from_slice(&ripemd160(self.registered()));
        key
    }

    /// The key in the contract's storage of a record of this name.
    pub fn record_key(&self, kind: RecordType) -> Vec<u8> {
        let mut key = vec![0x22];
        key.extend_from_slice(&ripemd160(self.registered()));
        key.extend_from_slice(&self.hash());
        key.push(kind as u8);
        key
    }
}

fn ripemd160(text: &str) -> [u8; 20] {
    Ripemd160::digest(text.as_bytes()).into()
}

/// The types of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordType {
    /// An IPv4 address.
    A = 1,
    /// Another name.
    Cname = 5,
    /// Text.
    Txt = 16,
    /// An IPv6 address.
    Aaaa = 28,
}

impl RecordType {
    /// Refuses what the contract refuses as the data of a record of this type.
    pub fn check(self, data: &str) -> Result<()> {
        let good = match self {
            RecordType::A => data.parse().is_ok_and(public_v4),
            RecordType::Cname => data.parse::<Name>().is_ok(),
            RecordType::Txt => data.len() <= 255,
            RecordType::Aaaa => !data.contains('.') && data.parse().is_ok_and(public_v6),
        };
        if good { Ok(()) } else { Err(malformed("record", format!("this is not for type {self:?}"))) }
    }
}

fn public_v4(address: Ipv4Addr) -> bool {
    let [first, second, _, last] = address.octets();
    let reserved = matches!(first, 0 | 10 | 127 | 224..)
        || (first == 169 && second == 254)
        || (first == 172 && (16..=31).contains(&second))
        || (first == 192 && second == 168);
    !reserved && !matches!(last, 0 | 255)
}

fn public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [first, ..] => (0x2000..=0x3fff).contains(&first) && first != 0x2002 && first != 0x3ffe,
    }
}

/// Scripts for one deployment of the service. Each leaves what its method returns on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nns {
    contract: Hash160,
}

impl Nns {
    /// The service that this contract is.
    pub fn new(contract: Hash160) -> Self {
        Self { contract }
    }

    /// The data of a name's record, followed through up to two `CNAME` records; null if there is none.
    pub fn resolve(&self, name: &Name, kind: RecordType) -> Result<Vec<u8>> {
        self.read("resolve", &[name.into(), (kind as u32).into()])
    }

    /// The data of exactly this record.
    pub fn record(&self, name: &Name, kind: RecordType) -> Result<Vec<u8>> {
        self.read("getRecord", &[name.into(), (kind as u32).into()])
    }

    /// An iterator over all records of a registered name.
    pub fn all_records(&self, name: &Name) -> Result<Vec<u8>> {
        self.read("getAllRecords", &[name.into()])
    }

    /// Who owns the registered name.
    pub fn owner(&self, name: &Name) -> Result<Vec<u8>> {
        self.read("ownerOf", &[name.registered().as_bytes().into()])
    }

    /// Name, expiration (milliseconds since 1970) and admin of the registered name: a map.
    pub fn properties(&self, name: &Name) -> Result<Vec<u8>> {
        self.read("properties", &[name.registered().as_bytes().into()])
    }

    /// Whether the name may be registered now.
    pub fn is_available(&self, name: &Name) -> Result<Vec<u8>> {
        self.read("isAvailable", &[self.owned(name)?])
    }

    /// What a name costs for a year, by how many characters its first label has. (In the first version of the contract
    /// all names cost the same, and this method takes no argument.)
    pub fn price(&self, length: u8) -> Result<Vec<u8>> {
        self.read("getPrice", &[u32::from(length).into()])
    }

    /// Registers a name for a year. The owner must sign, and the price is burnt.
    pub fn register(&self, name: &Name, owner: &Hash160) -> Result<Vec<u8>> {
        self.write("register", &[self.owned(name)?, (*owner).into()])
    }

    /// Keeps a name for so many years more, 1 to 10.
    pub fn renew(&self, name: &Name, years: u8) -> Result<Vec<u8>> {
        if !(1..=10).contains(&years) {
            return Err(malformed("name", format!("renewed for {years} years, not 1 to 10")));
        }
        match years {
            // The form that every version of the contract has.
            1 => self.write("renew", &[self.owned(name)?]),
            _ => self.write("renew", &[self.owned(name)?, u32::from(years).into()]),
        }
    }

    /// Lets another account change the records of a name, or nobody but its owner. Both must sign.
    pub fn set_admin(&self, name: &Name, admin: Option<Hash160>) -> Result<Vec<u8>> {
        self.write("setAdmin", &[self.owned(name)?, admin.into()])
    }

    /// Sets a record.
    pub fn set_record(&self, name: &Name, kind: RecordType, data: &str) -> Result<Vec<u8>> {
        kind.check(data)?;
        self.write("setRecord", &[name.into(), (kind as u32).into(), data.into()])
    }

    /// Takes a record away.
    pub fn delete_record(&self, name: &Name, kind: RecordType) -> Result<Vec<u8>> {
        self.write("deleteRecord", &[name.into(), (kind as u32).into()])
    }

    fn owned(&self, name: &Name) -> Result<Param> {
        if name.is_registered_level() {
            return Ok(name.into());
        }
        Err(malformed("name", "only names of two labels are registered"))
    }

    fn read(&self, method: &str, args: &[Param]) -> Result<Vec<u8>> {
        Builder::new().call(&self.contract, method, CallFlags::READ_ONLY, args).finish()
    }

    fn write(&self, method: &str, args: &[Param]) -> Result<Vec<u8>> {
        Builder::new().call(&self.contract, method, CallFlags::ALL, args).finish()
    }
}

impl From<&Name> for Param {
    fn from(name: &Name) -> Self {
        name.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_contract() {
        let longest = format!("{}.neo", "a".repeat(63));
        for good in ["a.b", "neo.com", "0.neo", "a-b.neo", "a.b.c.d.neo", "a.neo1", longest.as_str()] {
            assert_eq!(good.parse::<Name>().unwrap().to_string(), good);
        }
        let (label, root) = (format!("{}.neo", "a".repeat(64)), format!("a.{}", "r".repeat(17)));
        let long = format!("{}neo", "abc.".repeat(64));
        for bad in [
            "", "neo", "a.", ".neo", "A.neo", "a..neo", "-a.neo", "a-.neo", "a.1neo", "é.neo", "a_b.neo", "a.neo.",
            &label, &root, &long,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_belongs_to_the_one_that_was_registered() {
        let name: Name = "x.wallet.alice.neo".parse().unwrap();
        assert_eq!((name.registered(), name.is_registered_level()), ("alice.neo", false));
        assert_eq!(name.labels().next_back(), Some("neo"));
        let own: Name = "alice.neo".parse().unwrap();
        assert!(own.is_registered_level());
        assert_eq!(own.state_key(), name.state_key());
        let key = name.record_key(RecordType::Aaaa);
        assert_eq!((key.len(), key[0], key[41]), (42, 0x22, 28));
        assert_eq!((&key[1..21], &key[21..41]), (own.hash().as_slice(), name.hash().as_slice()));
        let service = Nns::new(crate::native::NEO);
        assert!(service.register(&name, &crate::native::GAS).is_err() && service.renew(&own, 11).is_err());
        assert!(service.renew(&own, 10).is_ok() && service.set_admin(&own, None).is_ok());
    }

    #[test]
    fn records_hold_what_the_contract_takes() {
        use RecordType::*;
        for (kind, data, good) in [
            (A, "8.8.8.8", true),
            (A, "10.0.0.1", false),
            (A, "172.15.0.1", true),
            (A, "172.16.0.1", false),
            (A, "1.1.1.255", false),
            (A, "01.1.1.1", false),
            (A, "1.1.1", false),
            (Aaaa, "2001:4860:4860::8888", true),
            (Aaaa, "2001:db8::1", false),
            (Aaaa, "2002::1", false),
            (Aaaa, "::1", false),
            (Aaaa, "2003::1.2.3.4", false),
            (Cname, "alice.neo", true),
            (Cname, "alice", false),
            (Txt, "anything at all", true),
        ] {
            assert_eq!(kind.check(data).is_ok(), good, "{kind:?} {data}");
        }
        assert!(Txt.check(&"x".repeat(256)).is_err());
    }
}
