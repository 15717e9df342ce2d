//! Transactions, made of what was tried out.

use aws_lc_rs::rand;
use neo::{
    Hash256,
    fee::{Verification, network_fee},
    tx::{Attribute, Transaction, Witness},
    wire::Wire,
};
use nsl_chain::n3::Rules;
use nsl_core::{Error, Result};

use super::{N3Signer, scope::Tried};
use crate::{nonces::Hash, validity::Try};

/// Bytes of an invocation script that pushes one signature.
const PUSH_SIGNATURE: [u8; 2] = [0x0c, 64];

/// What a try is to be, besides what it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// The last block that may have it.
    pub(crate) valid_until: u32,
    /// Tries of which at most one may be on the chain together with it.
    pub(crate) conflicts: Vec<Hash>,
    /// It offers more than this to the consensus nodes.
    pub(crate) more_than: i64,
}

/// A signed transaction.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) one: Try,
    pub(crate) raw: Vec<u8>,
    /// Both fees.
    pub(crate) fee: i64,
}

/// A transaction that lacks nothing but signatures. `signers` are in the order of those that were tried out.
pub(crate) fn unsigned(tried: &Tried, signers: &[&dyn N3Signer], terms: &Terms, rules: &Rules) -> Result<Transaction> {
    let mut nonce = [0; 4];
    rand::fill(&mut nonce).map_err(|_| Error::internal(anyhow::anyhow!("no randomness")))?;
    let mut transaction = Transaction {
        nonce: u32::from_le_bytes(nonce),
        system_fee: tried.run.gas_consumed,
        valid_until_block: terms.valid_until,
        signers: tried.signers.clone(),
        attributes: terms.conflicts.iter().map(|hash| Attribute::Conflicts(Hash256::from_le(*hash))).collect(),
        // Never what a node says of it: this is what gets signed.
        script: tried.script.clone(),
        ..Transaction::default()
    };
    let ways: Vec<_> = signers.iter().map(|signer| Verification::Script(signer.verification().to_vec())).collect();
    let asked = network_fee(&transaction, &ways, &rules.prices).map_err(unfit)?;
    transaction.network_fee = asked.max(terms.more_than.saturating_add(1));
    transaction.check_unsigned().map_err(unfit)?;
    Ok(transaction)
}

/// Signs for all of them.
pub(crate) async fn signed(mut transaction: Transaction, signers: &[&dyn N3Signer], magic: u32) -> Result<Made> {
    let message = transaction.message(magic);
    for signer in signers {
        let signature = signer.sign(&message).await?;
        let invocation = [&PUSH_SIGNATURE[..], &signature].concat();
        let witness = Witness { invocation, verification: signer.verification().to_vec() };
        transaction.set_witness(&signer.account(), witness).map_err(Error::internal)?;
    }
    transaction.check().map_err(unfit)?;
    Ok(Made::of(&transaction, false))
}

impl Made {
    pub(crate) fn of(transaction: &Transaction, is_void: bool) -> Self {
        let (valid_until, network_fee) = (transaction.valid_until_block, transaction.network_fee);
        let one = Try { hash: *transaction.hash().as_le(), valid_until, network_fee, is_void };
        Self { one, raw: transaction.to_bytes(), fee: transaction.fees() }
    }
}

fn unfit(error: neo::Error) -> Error {
    Error::invalid("relay.transaction_unfit", format!("no node takes the transaction: {error}"))
}
