//! Who signs a transaction, and what the signature may be used for.

use serde::{Deserialize, Serialize, Serializer};

use super::{rule::WitnessRule, scopes::Scopes};
use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    keys::PublicKey,
    wire::{Reader, Wire, write_list},
};

/// Contracts, groups, rules or combined conditions in one list, at most.
pub const MOST_ITEMS: u64 = 16;

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
        Scopes::from_bits(self.scopes.bits())?;
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
        out.push(self.scopes.bits());
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
