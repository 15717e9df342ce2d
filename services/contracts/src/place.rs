//! Which contract or account a text names, in the one form in which it is kept.

use neo::Hash160;
use nsl_api::Chain;
use nsl_chain::x::{self, Address};
use nsl_core::{Code, Error, Result};

/// A contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    N3(Hash160),
    X(Address),
}

impl Place {
    pub(crate) fn read(chain: Chain, text: &str) -> Result<Self> {
        let refused = || {
            let form = if chain == Chain::NeoN3 { ", nor an address of Neo N3" } else { "" };
            let message = format!("the hash of the contract is not 0x and 40 hex digits{form}");
            Error::invalid("contracts.hash_malformed", message)
        };
        match chain {
            Chain::NeoN3 => n3(text).map(Self::N3).ok_or_else(refused),
            Chain::NeoX => x::address(text).map(Self::X).ok_or_else(refused),
        }
    }

    pub(crate) fn chain(&self) -> Chain {
        match self {
            Self::N3(_) => Chain::NeoN3,
            Self::X(_) => Chain::NeoX,
        }
    }

    /// As it is kept.
    pub(crate) fn kept(&self) -> String {
        match self {
            Self::N3(hash) => hash.to_string(),
            Self::X(address) => format!("{address:#x}"),
        }
    }
}

/// A hash as it is kept, in the form that people of its chain know.
pub(crate) fn shown(chain: Chain, kept: &str) -> String {
    match (chain, x::address(kept)) {
        (Chain::NeoX, Some(address)) => address.to_checksum(None),
        _ => kept.to_owned(),
    }
}

fn n3(text: &str) -> Option<Hash160> {
    match text.starts_with('N') {
        true => Hash160::from_address(text).ok(),
        false if text.starts_with("0x") && text.len() == 42 => text.to_ascii_lowercase().parse().ok(),
        false => None,
    }
}

/// An account of Neo N3.
pub(crate) fn n3_account(text: &str) -> Result<Hash160> {
    n3(text).ok_or_else(|| {
        Error::invalid(
            "contracts.account_malformed",
            "the account is not 0x and 40 hex digits, nor an address of Neo N3",
        )
    })
}

/// An account of Neo X.
pub(crate) fn x_account(text: &str) -> Result<Address> {
    x::address(text)
        .ok_or_else(|| Error::invalid("contracts.account_malformed", "the account is not 0x and 40 hex digits"))
}

pub(crate) fn not_found() -> Error {
    Error::new(Code::NotFound, "contracts.not_found", "there is no such contract")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_has_one_form_on_each_chain() {
        let hash = "0xa755f41b43031e7c45b7ca534a5f3759ac665214";
        for text in [hash, "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU", &hash.replace("a755", "A755")] {
            assert_eq!(Place::read(Chain::NeoN3, text).unwrap().kept(), hash, "{text}");
        }
        let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let kept = Place::read(Chain::NeoX, address).unwrap().kept();
        assert_eq!(kept, address.to_lowercase());
        assert_eq!(shown(Chain::NeoX, &kept), address);
        assert_eq!(shown(Chain::NeoN3, hash), hash);
        for (chain, text) in [
            (Chain::NeoN3, &hash[2..]),
            (Chain::NeoN3, ""),
            (Chain::NeoX, "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU"),
            (Chain::NeoX, &address.replace("f39F", "F39F")),
        ] {
            assert_eq!(Place::read(chain, text).unwrap_err().slug, "contracts.hash_malformed", "{text}");
        }
    }
}
