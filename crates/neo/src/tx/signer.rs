//! Who signs a transaction, and what the signature may be used for.

use std::{fmt, ops::BitOr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::rule::WitnessRule;
use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    keys::PublicKey,
    wire::{Reader, Wire, write_list},
};

/// Contracts, groups, rules or combined conditions in one list, at most.
pub const MOST_ITEMS: u64 = 16;

/// Where a signature counts: a set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Nowhere: it only pays the fees.
    pub const NONE: Self = Self(0);
    /// In the transaction's script and in the contracts that it calls itself.
    pub const CALLED_BY_ENTRY: Self = Self(0x01);
    /// In the contracts that the signer lists.
    pub const CUSTOM_CONTRACTS: Self = Self(0x10);
    /// In contracts of the groups that the signer lists.
    pub const CUSTOM_GROUPS: Self = Self(0x20);
    /// Where the signer's rules say so.
    pub const WITNESS_RULES: Self = Self(0x40);
    /// Everywhere. It can't be combined with others.
    pub const GLOBAL: Self = Self(0x80);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::CALLED_BY_ENTRY, "CalledByEntry"),
        (Self::CUSTOM_CONTRACTS, "CustomContracts"),
        (Self::CUSTOM_GROUPS, "CustomGroups"),
        (Self::WITNESS_RULES, "WitnessRules"),
        (Self::GLOBAL, "Global"),
    ];

    /// From its byte. Unknown scopes, and others besides the global one, are refused.
    pub fn from_bits(bits: u8) -> Result<Self> {
        if bits & !0xf1 != 0 {
            return Err(malformed("scopes", format!("unknown scopes in {bits:#04x}")));
        }
        if bits & Self::GLOBAL.0 != 0 && bits != Self::GLOBAL.0 {
            return Err(malformed("scopes", "Global can't be combined with others"));
        }
        Ok(Self(bits))
    }

    /// Its byte.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Scopes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("None");
        }
        let names = Self::NAMES.iter().filter(|(scope, _)| self.contains(*scope)).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Scopes {
    type Err = Error;

    /// Reads names with commas between them.
    fn from_str(text: &str) -> Result<Self> {
        let bits = text.split(',').map(str::trim).try_fold(0, |bits, name| {
            let known = Self::NAMES.iter().find(|(_, known)| *known == name).map(|(scope, _)| scope.0);
            let scope = known.or((name == "None").then_some(0));
            scope.map(|scope| bits | scope).ok_or_else(|| malformed("scopes", "not a name of a scope"))
        })?;
        Self::from_bits(bits)
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    /// Reads the names that nodes write, and the number that some wallets write.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = Scopes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names of scopes, or their number")
            }

            fn visit_u64<E: de::Error>(self, bits: u64) -> Result<Scopes, E> {
                let bits = u8::try_from(bits).map_err(|_| E::custom("scopes: more than a byte"))?;
                Scopes::from_bits(bits).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, names: &str) -> Result<Scopes, E> {
                names.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// An account that signs, and the scopes of its signature. The first of a transaction pays the fees.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Form")]
pub struct Signer {
    /// The account or contract.
    pub account: Hash160,
    /// Where its signature counts.
    pub scopes: Scopes,
    /// The contracts of scope `CustomContracts`.
    pub allowed_contracts: Vec<Hash160>,
    /// The groups of scope `CustomGroups`.
    pub allowed_groups: Vec<PublicKey>,
    /// The rules of scope `WitnessRules`.
    pub rules: Vec<WitnessRule>,
}

impl Signer {
    /// A signer without lists.
    pub fn new(account: Hash160, scopes: Scopes) -> Self {
        Self { account, scopes, ..Self::default() }
    }

    /// Whose signature only pays the fees.
    pub fn none(account: Hash160) -> Self {
        Self::new(account, Scopes::NONE)
    }

    /// Whose signature counts in what the transaction calls itself: the usual choice.
    pub fn called_by_entry(account: Hash160) -> Self {
        Self::new(account, Scopes::CALLED_BY_ENTRY)
    }

    /// Whose signature counts in these contracts only.
    pub fn contracts(account: Hash160, contracts: Vec<Hash160>) -> Self {
        Self { allowed_contracts: contracts, ..Self::new(account, Scopes::CUSTOM_CONTRACTS) }
    }

    /// Refuses what nodes refuse, and lists that no scope makes use of.
    pub fn check(&self) -> Result<()> {
        Scopes::from_bits(self.scopes.0)?;
        let lists = [
            ("allowed contracts", Scopes::CUSTOM_CONTRACTS, self.allowed_contracts.len()),
            ("allowed groups", Scopes::CUSTOM_GROUPS, self.allowed_groups.len()),
            ("witness rules", Scopes::WITNESS_RULES, self.rules.len()),
        ];
        for (what, scope, size) in lists {
            if size as u64 > MOST_ITEMS {
                return Err(Error::TooLarge { what, size: size as u64, most: MOST_ITEMS });
            }
            if size > 0 && !self.scopes.contains(scope) {
                return Err(malformed(what, format!("given without the scope {scope}")));
            }
        }
        self.rules.iter().try_for_each(WitnessRule::check)
    }
}

impl Wire for Signer {
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        out.push(self.scopes.0);
        if self.scopes.contains(Scopes::CUSTOM_CONTRACTS) {
            write_list(&self.allowed_contracts, out);
        }
        if self.scopes.contains(Scopes::CUSTOM_GROUPS) {
            write_list(&self.allowed_groups, out);
        }
        if self.scopes.contains(Scopes::WITNESS_RULES) {
            write_list(&self.rules, out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let account = Hash160::read(from)?;
        let scopes = Scopes::from_bits(from.u8("scopes")?)?;
        let mut signer = Self::new(account, scopes);
        if scopes.contains(Scopes::CUSTOM_CONTRACTS) {
            signer.allowed_contracts = from.list(MOST_ITEMS, "allowed contracts")?;
        }
        if scopes.contains(Scopes::CUSTOM_GROUPS) {
            signer.allowed_groups = from.list(MOST_ITEMS, "allowed groups")?;
        }
        if scopes.contains(Scopes::WITNESS_RULES) {
            signer.rules = from.list(MOST_ITEMS, "witness rules")?;
        }
        Ok(signer)
    }
}

impl Serialize for Signer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            account: &'a Hash160,
            scopes: Scopes,
            #[serde(skip_serializing_if = "Option::is_none")]
            allowedcontracts: Option<&'a [Hash160]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            allowedgroups: Option<&'a [PublicKey]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rules: Option<&'a [WitnessRule]>,
        }
        let has = |scope| self.scopes.contains(scope);
        Shown {
            account: &self.account,
            scopes: self.scopes,
            allowedcontracts: has(Scopes::CUSTOM_CONTRACTS).then_some(&self.allowed_contracts),
            allowedgroups: has(Scopes::CUSTOM_GROUPS).then_some(&self.allowed_groups),
            rules: has(Scopes::WITNESS_RULES).then_some(&self.rules),
        }
        .serialize(serializer)
    }
}

#[derive(Deserialize)]
struct Form {
    account: Hash160,
    scopes: Scopes,
    #[serde(alias = "allowedContracts")]
    allowedcontracts: Option<Vec<Hash160>>,
    #[serde(alias = "allowedGroups")]
    allowedgroups: Option<Vec<PublicKey>>,
    rules: Option<Vec<WitnessRule>>,
}

impl TryFrom<Form> for Signer {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self> {
        // Some wallets leave lists out of the JSON: taken for empty, it would be the JSON of another transaction.
        fn list<T>(what: &'static str, named: bool, list: Option<Vec<T>>) -> Result<Vec<T>> {
            match list {
                None if named => Err(malformed(what, "missing, although the scopes name them")),
                list => Ok(list.unwrap_or_default()),
            }
        }
        let named = |scope| form.scopes.contains(scope);
        let (contracts, groups, rules) =
            (named(Scopes::CUSTOM_CONTRACTS), named(Scopes::CUSTOM_GROUPS), named(Scopes::WITNESS_RULES));
        let signer = Self {
            account: form.account,
            scopes: form.scopes,
            allowed_contracts: list("allowed contracts", contracts, form.allowedcontracts)?,
            allowed_groups: list("allowed groups", groups, form.allowedgroups)?,
            rules: list("witness rules", rules, form.rules)?,
        };
        signer.check()?;
        Ok(signer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_names_a_number_and_a_byte() {
        let both = Scopes::CUSTOM_CONTRACTS | Scopes::CALLED_BY_ENTRY;
        for (scopes, names, bits) in [
            (Scopes::NONE, "None", 0),
            (both, "CalledByEntry, CustomContracts", 0x11),
            (Scopes::WITNESS_RULES, "WitnessRules", 0x40),
            (Scopes::GLOBAL, "Global", 0x80),
        ] {
            assert_eq!(serde_json::to_value(scopes).unwrap(), names);
            assert_eq!(serde_json::from_value::<Scopes>(names.into()).unwrap(), scopes);
            assert_eq!(serde_json::from_value::<Scopes>(bits.into()).unwrap(), scopes);
            assert_eq!(Scopes::from_bits(bits).unwrap().bits(), scopes.bits());
        }
        for bad in [0x81, 0x02, 0x90, 0x08, 0x04] {
            assert!(Scopes::from_bits(bad).is_err(), "{bad:#x}");
        }
        for bad in ["", "Global, CalledByEntry", "calledbyentry", "Anything"] {
            assert!(bad.parse::<Scopes>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Scopes>("256").is_err() && serde_json::from_str::<Scopes>("-1").is_err());
    }

    #[test]
    fn a_list_goes_with_its_scope() {
        let mut signer = Signer::contracts(Hash160::ZERO, vec![Hash160::ZERO; 16]);
        assert!(signer.check().is_ok());
        signer.allowed_contracts.push(Hash160::ZERO);
        assert!(signer.check().is_err());
        assert!(Signer::from_bytes(&signer.to_bytes()).is_err());
        signer.allowed_contracts.truncate(1);
        signer.scopes = Scopes::CALLED_BY_ENTRY;
        assert!(signer.check().is_err(), "the signature would count in more than the list says");
    }
}
