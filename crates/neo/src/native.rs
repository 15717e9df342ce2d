//! The contracts that every N3 network has, by their fixed hashes.

use crate::hash::Hash160;

macro_rules! natives {
    ($($(#[$doc:meta])* $name:ident = $hash:literal;)*) => {
        $($(#[$doc])* pub const $name: Hash160 = Hash160::from_le(le($hash));)*

        /// Each with the name that its manifest has.
        pub const ALL: &[(&str, Hash160)] = &[$((stringify!($name), $name)),*];
    };
}

natives! {
    CONTRACT_MANAGEMENT = b"fffdc93764dbaddd97c48f252a53ea4643faa3fd";
    STD_LIB = b"acce6fd80d44e1796aa0c2c625e9e4e0ce39efc0";
    CRYPTO_LIB = b"726cb6e0cd8628a1350a611384688911ab75f51b";
    LEDGER = b"da65b600f7124ce6c79950c1772a36403104f2be";
    NEO = b"ef4073a0f2b305a38ec4050e4d3d28bc40ea63f5";
    GAS = b"d2a4cff31913016155e38e474a2c06d08be276cf";
    POLICY = b"cc5e4edd9f5f8dba8bb65734541df7a1c081c67b";
    ROLE_MANAGEMENT = b"49cf4e5378ffcd4dec034fd98a174c5491e395e2";
    ORACLE = b"fe924b7cfe89ddd271abaf7210a80a7e11178758";
    NOTARY = b"c1e14f19c3e60d0b9244d06dd7ba9b113135ec3b";
    TREASURY = b"156326f25b1b5d839a4d326aeaa75383c9563ac1";
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

    #[test]
    fn a_constant_is_the_hash_that_nodes_print() {
        assert_eq!(GAS.to_string(), "0xd2a4cff31913016155e38e474a2c06d08be276cf");
        assert_eq!(ALL.len(), 11);
    }
}
