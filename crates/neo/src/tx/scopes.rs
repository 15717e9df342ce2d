//! Where signatures count.

use std::{fmt, ops::BitOr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result, malformed};

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
}
