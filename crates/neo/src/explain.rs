//! A transaction in words: which contract is called, with what, and what value moves.
