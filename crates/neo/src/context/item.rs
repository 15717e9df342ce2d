//! What one signer of a context gave so far.

use std::collections::BTreeMap;

use crate::{
    account,
    error::{Result, malformed},
    keys::PublicKey,
    manifest::ParameterType,
    script::Builder,
    stack::Param,
    tx::Witness,
};

/// Signatures by their keys.
pub(super) type Signatures = BTreeMap<PublicKey, [u8; 64]>;

/// One signer's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// An account of one key or of several.
    Keys { script: Vec<u8>, threshold: usize, keys: Vec<PublicKey>, signatures: Signatures },
    /// A contract, without a script, or an account with a script of another kind.
    Other { script: Option<Vec<u8>>, parameters: Vec<Slot>, signatures: Signatures },
}

/// A parameter, given or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) kind: ParameterType,
    pub(super) value: Option<Param>,
}

impl Item {
    pub(super) fn of_script(script: &[u8]) -> Result<Self> {
        let (threshold, keys) = match account::read_single(script) {
            Some(key) => (1, vec![key]),
            None => account::read_multi(script)
                .ok_or_else(|| malformed("signing context", "the script asks for other than signatures"))?,
        };
        Ok(Self::Keys { script: script.to_vec(), threshold, keys, signatures: Signatures::new() })
    }

    pub(super) fn of_contract(arguments: Vec<Param>) -> Result<Self> {
        // In the JSON, no value means that it was not given yet.
        if arguments.contains(&Param::Null) {
            return Err(malformed("signing context", "it can't hold a null"));
        }
        let slot = |value: Param| Slot { kind: value.kind(), value: Some(value) };
        let parameters = arguments.into_iter().map(slot).collect();
        Ok(Self::Other { script: None, parameters, signatures: Signatures::new() })
    }

    pub(super) fn has(&self, key: &PublicKey) -> bool {
        matches!(self, Self::Keys { keys, .. } if keys.contains(key))
    }

    /// Of how many keys it is.
    pub(super) fn keys(&self) -> usize {
        if let Self::Keys { keys, .. } = self { keys.len() } else { 0 }
    }

    pub(super) fn add(&mut self, key: &PublicKey, signature: [u8; 64], message: &[u8]) -> Result<()> {
        let Self::Keys { keys, signatures, .. } = self else {
            return Err(malformed("signing context", "the account takes other than signatures"));
        };
        if !keys.contains(key) {
            return Err(malformed("signing context", format!("{key} is no key of the account")));
        }
        if !key.verify(message, &signature) {
            return Err(malformed("signing context", format!("the signature of {key} does not fit")));
        }
        signatures.entry(*key).or_insert(signature);
        Ok(())
    }

    /// Adds the signature of whichever key made it.
    pub(super) fn add_unnamed(&mut self, signature: [u8; 64], message: &[u8]) -> Result<()> {
        let Self::Keys { keys, .. } = self else { return Ok(()) };
        let key = keys.iter().find(|key| key.verify(message, &signature)).copied();
        let key = key.ok_or_else(|| malformed("signing context", "a signature of none of the keys"))?;
        self.add(&key, signature, message)
    }

    pub(super) fn merge(&mut self, other: Self, message: &[u8]) -> Result<()> {
        match (&mut *self, other) {
            (Self::Keys { .. }, Self::Keys { signatures, .. }) => {
                signatures.into_iter().try_for_each(|(key, signature)| self.add(&key, signature, message))
            }
            (
                Self::Other { script, parameters, signatures },
                Self::Other { script: other, parameters: given, signatures: more },
            ) => {
                let same = |(mine, theirs): (&Slot, &Slot)| mine.kind == theirs.kind;
                if *script != other || parameters.len() != given.len() || !parameters.iter().zip(&given).all(same) {
                    return Err(malformed("signing context", "two scripts or methods of one account"));
                }
                for (mine, theirs) in parameters.iter_mut().zip(given) {
                    mine.value = mine.value.take().or(theirs.value);
                }
                signatures.extend(more);
                Ok(())
            }
            _ => Err(malformed("signing context", "an account and a contract of one hash")),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Keys { threshold, signatures, .. } => signatures.len() >= *threshold,
            Self::Other { parameters, .. } => parameters.iter().all(|slot| slot.value.is_some()),
        }
    }

    pub(super) fn witness(&self) -> Result<Witness> {
        let verification = match self {
            Self::Keys { script, .. } => script.clone(),
            Self::Other { script, .. } => script.clone().unwrap_or_default(),
        };
        let mut invocation = Builder::new();
        for value in self.slots().iter().rev().filter_map(|slot| slot.value.as_ref()) {
            invocation.push(value);
        }
        let witness = Witness { invocation: invocation.finish()?, verification };
        witness.check()?;
        Ok(witness)
    }

    /// The parameters as the JSON has them: the signatures that go into the witness, the last key's first, once
    /// there are enough.
    pub(super) fn slots(&self) -> Vec<Slot> {
        match self {
            Self::Other { parameters, .. } => parameters.clone(),
            Self::Keys { threshold, keys, signatures, .. } => {
                let slot = |value| Slot { kind: ParameterType::Signature, value };
                if signatures.len() < *threshold {
                    return vec![slot(None); *threshold];
                }
                let mut chosen: Vec<_> = keys.iter().filter_map(|key| signatures.get(key)).take(*threshold).collect();
                chosen.reverse();
                chosen.into_iter().map(|signature| slot(Some(Param::Signature(*signature)))).collect()
            }
        }
    }
}
