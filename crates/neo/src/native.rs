//! The contracts that every N3 network has, by their fixed hashes.

use crate::hash::Hash160;

macro_rules! natives {
    ($($(#[$doc:meta])* $constant:ident = $id:literal $name:literal $hash:literal;)*) => {
        $($(#[$doc])* pub const $constant: Hash160 = Hash160::from_le(le($hash));)*

        /// Each with the name that its manifest has, in the order in which nodes list them.
        pub const ALL: &[(&str, Hash160)] = &[$(($name, $constant)),*];

        /// The contract of this id, as it stands in state proofs.
        pub const fn of_id(id: i32) -> Option<Hash160> {
            match id {
                $($id => Some($constant),)*
                _ => None,
            }
        }
    };
}

natives! {
    /// Deploys and updates contracts.
    CONTRACT_MANAGEMENT = -1 "ContractManagement" b"fffdc93764dbaddd97c48f252a53ea4643faa3fd";
    /// Turns values into text and bytes and back.
    STD_LIB = -2 "StdLib" b"acce6fd80d44e1796aa0c2c625e9e4e0ce39efc0";
    /// Hashes, signatures, pairings.
    CRYPTO_LIB = -3 "CryptoLib" b"726cb6e0cd8628a1350a611384688911ab75f51b";
    /// Blocks and transactions of the past.
    LEDGER = -4 "LedgerContract" b"da65b600f7124ce6c79950c1772a36403104f2be";
    /// The token that votes.
    NEO = -5 "NeoToken" b"ef4073a0f2b305a38ec4050e4d3d28bc40ea63f5";
    /// The token that pays.
    GAS = -6 "GasToken" b"d2a4cff31913016155e38e474a2c06d08be276cf";
    /// Prices and blocked accounts.
    POLICY = -7 "PolicyContract" b"cc5e4edd9f5f8dba8bb65734541df7a1c081c67b";
    /// Who are oracles, state validators, notaries.
    ROLE_MANAGEMENT = -8 "RoleManagement" b"49cf4e5378ffcd4dec034fd98a174c5491e395e2";
    /// Requests to the world outside.
    ORACLE = -9 "OracleContract" b"fe924b7cfe89ddd271abaf7210a80a7e11178758";
    /// Deposits for transactions whose signatures are collected by notaries.
    NOTARY = -10 "Notary" b"c1e14f19c3e60d0b9244d06dd7ba9b113135ec3b";
    /// What the network keeps of fees.
    TREASURY = -11 "Treasury" b"156326f25b1b5d839a4d326aeaa75383c9563ac1";
}

/// The name of a native contract.
pub fn name(contract: &Hash160) -> Option<&'static str> {
    ALL.iter().find(|(_, hash)| hash == contract).map(|(name, _)| *name)
}

const fn le(hex: &[u8; 40]) -> [u8; 20] {
    let mut bytes = [0; 20];
    let mut at = 0;
    while at < 20 {
        bytes[19 - at] = digit(hex[2 * at]) << 4 | digit(hex[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn digit(hex: u8) -> u8 {
    if hex.is_ascii_digit() { hex - b'0' } else { hex - b'a' + 10 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nef::contract_hash;

    #[test]
    fn a_constant_is_the_hash_that_its_name_gives() {
        assert_eq!(GAS.to_string(), "0xd2a4cff31913016155e38e474a2c06d08be276cf");
        for (name, hash) in ALL {
            assert_eq!(contract_hash(Hash160::ZERO, 0, name), *hash, "{name}");
        }
        assert_eq!((of_id(-6), of_id(-12), of_id(0)), (Some(GAS), None, None));
        assert_eq!((name(&GAS), name(&Hash160::ZERO)), (Some("GasToken"), None));
    }
}
