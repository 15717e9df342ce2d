//! Neo N3.

use neo::tx::Signer;

/// A run of the NeoVM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub script: Vec<u8>,
    /// Who is taken to have signed.
    pub signers: Vec<Signer>,
}
