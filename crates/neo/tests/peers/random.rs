//! What the tests are made of.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

use neo::{Hash160, Hash256, PrivateKey, PublicKey};

/// Random enough for tests, and the same again for the same seed (SplitMix64).
pub(crate) struct Random {
    state: u64,
    /// Making a public key costs more than all else here, so some are used again and again.
    publics: Vec<PublicKey>,
}

impl Random {
    /// A new seed, or the one of `PEERS_SEED`; printed either way.
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    pub(crate) fn new(what: &str) -> Self {
        let fresh = || RandomState::new().build_hasher().finish();
        let seed = std::env::var("PEERS_SEED").map_or_else(|_| fresh(), |seed| seed.parse().expect("a number"));
        println!("{what}: PEERS_SEED={seed}");
        Self { state: seed, publics: Vec::new() }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number of at most so many bits, small ones as likely as large ones.
    pub(crate) fn bits(&mut self, most: u32) -> u64 {
        let bits = self.below(u64::from(most) + 1) as u32;
        self.next().checked_shr(64 - bits).unwrap_or(0)
    }

    /// How long something shall be: short mostly, but also on both sides of each place where lengths grow.
    pub(crate) fn size(&mut self, most: usize) -> usize {
        let edges = [0, 1, 0x7f, 0x80, 0xfc, 0xfd, 0xff, 0x100];
        let size = if self.chance(4) { edges[self.below(8) as usize] } else { self.below(48) as usize };
        size.min(most)
    }

    /// True once in so many times.
    pub(crate) fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Between `least` and `most` things.
    pub(crate) fn some<T>(&mut self, least: usize, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = least + self.below((most - least + 1) as u64) as usize;
        (0..count).map(|_| make(self)).collect()
    }

    pub(crate) fn bytes(&mut self, size: usize) -> Vec<u8> {
        (0..size).map(|_| self.next() as u8).collect()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().expect("so many were made")
    }

    pub(crate) fn hash160(&mut self) -> Hash160 {
        Hash160::from_le(self.array())
    }

    pub(crate) fn hash256(&mut self) -> Hash256 {
        Hash256::from_le(self.array())
    }

    pub(crate) fn key(&mut self) -> PrivateKey {
        loop {
            // Some with zeros in front, which careless code loses.
            let mut bytes: [u8; 32] = self.array();
            if self.chance(8) {
                bytes[..3].fill(0);
            }
            if let Ok(key) = PrivateKey::from_bytes(&bytes) {
                return key;
            }
        }
    }

    pub(crate) fn public(&mut self) -> PublicKey {
        if self.publics.len() < 200 {
            let fresh = self.key().public();
            self.publics.push(fresh);
            return fresh;
        }
        let at = self.below(200) as usize;
        self.publics[at]
    }

    /// Text of several scripts, composed and decomposed letters among it.
    pub(crate) fn text(&mut self, most: usize) -> String {
        let letters =
            ["a", "Z", "0", " ", "_", "\"", "\\", "é", "e\u{301}", "ß", "你", "ハ\u{3099}", "가", "🦀", "\u{1f}"];
        self.some(0, most, |random| *random.pick(&letters)).concat()
    }
}
