//! The reader of tokens against the test vectors of others.

mod wycheproof;
