//! Proofs of state against a state root.
