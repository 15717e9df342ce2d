//! NEF: a compiled contract.
