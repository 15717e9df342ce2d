//! NEP-17 and NEP-11 tokens.
