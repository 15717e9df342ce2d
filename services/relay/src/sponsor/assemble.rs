//! A transaction of two signers: who pays, and who means it.

use std::time::Duration;

use aws_lc_rs::rand;
use neo::{
    Hash160, PrivateKey,
    fee::{Prices, Verification, network_fee},
    native,
    script::{Builder, CallFlags, Opcode},
    stack::Param,
    tx::{Signer, Transaction},
};
use nsl_api::relay::{Call, Scope};
use nsl_chain::n3::{self, NeoN3, VmState};
use nsl_core::{Code, Error, Result};
use serde::Deserialize;

use crate::{
    amounts::gas,
    balance::held,
    n3::{Desk, Trial},
};

/// Endpoints may be a few blocks apart in what they call too far ahead.
const ROOM: u32 = 5;

/// A user takes minutes to sign, and a balance that grew by a digit takes more to write: so much more is offered, in
/// percent. Otherwise it would fault for want of it, and cost all the same.
const MORE: i64 = 2;

/// What is to be made.
pub(crate) struct Draft<'a> {
    pub(crate) script: Vec<u8>,
    pub(crate) sponsor: Hash160,
    pub(crate) user: Hash160,
    /// The script of a user of several keys.
    pub(crate) verification: Option<&'a [u8]>,
    pub(crate) scope: Scope,
    pub(crate) valid_for: Duration,
}

/// An unsigned transaction, and for how long blocks may still have it.
pub(crate) struct Made {
    pub(crate) transaction: Transaction,
    pub(crate) valid_for: Duration,
}

/// The script of a call. A transfer that a token refuses faults, as wallets make it: else it would cost and do nothing.
pub(crate) fn script(call: &Call) -> Result<Vec<u8>> {
    let broken = || Error::internal(anyhow::anyhow!("a call without contract and method"));
    let contract: Hash160 = call.contract.as_deref().and_then(|text| text.parse().ok()).ok_or_else(broken)?;
    let method = call.method.as_deref().ok_or_else(broken)?;
    let args = call.args.iter().map(Param::deserialize).collect::<Result<Vec<_>, _>>().map_err(Error::internal)?;
    let mut script = Builder::new();
    script.call(&contract, method, CallFlags::ALL, &args);
    if method == "transfer" {
        script.op(Opcode::ASSERT);
    }
    script.finish().map_err(|error| Error::invalid("relay.data_too_large", format!("the script of the call: {error}")))
}

/// Tries the call out in the narrowest scope of the user's signature, and makes the transaction that does it.
pub(crate) async fn assemble(desk: &Desk, draft: Draft<'_>) -> Result<Made> {
    let trial = Trial { script: &draft.script, account: draft.user, sponsor: Some(draft.sponsor) };
    let (tried, rules, head) = tokio::join!(desk.try_out(trial, draft.scope), desk.rules(), desk.chain.head());
    let tried = tried?.map_err(|refusal| would_fail(&refusal.reason))?;
    let (rules, height) = (rules?, head?.height);
    let blocks = u64::try_from(draft.valid_for.as_millis()).unwrap_or(u64::MAX) / rules.ms_per_block;
    let most = rules.most_valid_blocks.saturating_sub(ROOM).max(1);
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX).clamp(1, most);
    let mut nonce = [0; 4];
    rand::fill(&mut nonce).map_err(|_| Error::internal(anyhow::anyhow!("no randomness")))?;
    let mut transaction = Transaction {
        nonce: u32::from_le_bytes(nonce),
        system_fee: roomy(tried.run.gas_consumed),
        valid_until_block: height.saturating_add(blocks),
        signers: tried.signers,
        script: draft.script,
        ..Transaction::default()
    };
    // What the sponsor signs proves nothing to any contract.
    if transaction.signers.first() != Some(&Signer::none(draft.sponsor)) {
        return Err(Error::internal(anyhow::anyhow!("the sponsor would sign for more than the fees")));
    }
    transaction.network_fee = fee(&transaction, draft.verification, &rules.prices)?;
    let valid_for = Duration::from_millis(rules.ms_per_block.saturating_mul(u64::from(blocks)));
    Ok(Made { transaction, valid_for })
}

/// Refuses a transaction that would fail by now, or cost more than it offers.
pub(crate) async fn still_works(chain: &NeoN3, transaction: &Transaction) -> Result<()> {
    let call = n3::Call { script: transaction.script.clone(), signers: transaction.signers.clone() };
    let run = chain.invoke(&call, None).await?;
    if run.state != VmState::Halt {
        return Err(would_fail(run.exception.as_deref().unwrap_or("it faults without a reason")));
    }
    if run.gas_consumed > transaction.system_fee {
        let message = "the call takes more by now than was prepared: prepare it again";
        return Err(Error::invalid("sponsored.would_fail", message));
    }
    Ok(())
}

/// Refuses when the account can't pay so much.
pub(crate) async fn can_pay(chain: &NeoN3, sponsor: Hash160, fee: i64) -> Result<()> {
    match held(chain, native::GAS, sponsor).await? {
        Some(has) if has >= fee => Ok(()),
        has => {
            let has = has.map_or_else(|| "an unknown amount".to_owned(), gas);
            let message = format!("the sponsor holds {has}, and the fee is {}: send GAS to its account", gas(fee));
            Err(Error::new(Code::Conflict, "sponsor.out_of_gas", message))
        }
    }
}

fn roomy(system_fee: i64) -> i64 {
    system_fee.saturating_add(system_fee / 100 * MORE)
}

fn would_fail(why: &str) -> Error {
    let message = format!("the call would come to nothing: {why}");
    Error::new(Code::Invalid, "sponsored.would_fail", message).detail("reason", why)
}

// The fee of a single key is that of any other, and nobody knows the user's before it signed.
fn fee(transaction: &Transaction, verification: Option<&[u8]>, prices: &Prices) -> Result<i64> {
    let mut measured = transaction.clone();
    let mut ways = Vec::with_capacity(measured.signers.len());
    for (number, signer) in (1..).zip(&mut measured.signers) {
        let way = match verification.filter(|script| Hash160::of_script(script) == signer.account) {
            Some(script) => Verification::Script(script.to_vec()),
            None => {
                let key = PrivateKey::from_bytes(&[number; 32]).map_err(Error::internal)?.public();
                signer.account = key.script_hash();
                Verification::key(&key)
            }
        };
        ways.push(way);
    }
    network_fee(&measured, &ways, prices)
        .map_err(|error| Error::invalid("sponsored.too_large", format!("the prepared transaction: {error}")))
}

#[cfg(test)]
mod tests {
    use neo::{account, tx::Witness, wire::Wire};

    use super::*;

    #[test]
    fn the_fee_is_that_of_the_signed_transaction() {
        let keys: Vec<PrivateKey> = (7..10).map(|number| PrivateKey::from_bytes(&[number; 32]).unwrap()).collect();
        let public: Vec<_> = keys.iter().map(PrivateKey::public).collect();
        let multi = account::multi(2, &public).unwrap();
        let sponsor = PrivateKey::from_bytes(&[99; 32]).unwrap();
        let prices = Prices::default();
        for script in [None, Some(multi.as_slice())] {
            let user = script.map_or_else(|| public[0].script_hash(), Hash160::of_script);
            let transaction = Transaction {
                signers: vec![Signer::none(sponsor.public().script_hash()), Signer::called_by_entry(user)],
                script: vec![0x40],
                ..Transaction::default()
            };
            let ways = [
                Verification::key(&sponsor.public()),
                script.map_or_else(|| Verification::key(&public[0]), |script| Verification::Script(script.to_vec())),
            ];
            assert_eq!(fee(&transaction, script, &prices).unwrap(), network_fee(&transaction, &ways, &prices).unwrap());
            let by_size = Prices { fee_per_byte: 1, exec_pico_fee_factor: 0, ..prices };
            let mut signed = transaction.clone();
            signed.sign(1, &sponsor).unwrap();
            let message = signed.message(1);
            let witness = match script {
                None => Witness::single(&keys[0], &message),
                Some(script) => {
                    Witness::multi(script, &[0, 2].map(|at| (public[at], keys[at].sign(&message)))).unwrap()
                }
            };
            signed.set_witness(&user, witness).unwrap();
            assert_eq!(fee(&transaction, script, &by_size).unwrap(), signed.to_bytes().len() as i64);
        }
    }

    #[test]
    fn a_transfer_that_is_refused_faults() {
        let call = |method: &str| Call {
            contract: Some(native::GAS.to_string()),
            method: Some(method.to_owned()),
            ..Call::default()
        };
        let (transfer, other) = (script(&call("transfer")).unwrap(), script(&call("balanceOf")).unwrap());
        assert_eq!(transfer.last(), Some(&(Opcode::ASSERT as u8)));
        assert_ne!(other.last(), Some(&(Opcode::ASSERT as u8)));
    }
}
