//! The types that a manifest gives parameters and return values.

use serde::{Deserialize, Serialize};

/// The type of a method's parameter or of what it returns, as manifests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParameterType {
    /// Any of the others.
    Any,
    /// True or false.
    Boolean,
    /// An integer of at most 256 bits.
    Integer,
    /// Data.
    ByteArray,
    /// UTF-8 text.
    String,
    /// An account or a contract.
    Hash160,
    /// A transaction or a block.
    Hash256,
    /// A point of the curve secp256r1.
    PublicKey,
    /// 64 bytes.
    Signature,
    /// A list.
    Array,
    /// Keys and their values.
    Map,
    /// Something that only lives within the VM, such as an iterator.
    InteropInterface,
    /// Nothing; only for what a method returns.
    Void,
}
