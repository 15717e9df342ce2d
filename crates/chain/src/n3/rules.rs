//! What the network asks at the moment: prices, and how far ahead a transaction may be valid.

use neo::{
    Hash160,
    fee::{PICO, Prices},
    native,
    script::{Builder, CallFlags},
    stack::Param,
};
use nsl_core::{Error, Result};

use super::{Call, InvocationResult, NeoN3, Shown, VmState, refused};
use crate::chain::ChainKind;

/// What the Policy contract holds, and the node's configuration where that contract does not hold it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub prices: Prices,
    pub ms_per_block: u64,
    /// The last block of a transaction lies at most so far ahead.
    pub most_valid_blocks: u32,
}

const ATTRIBUTES: [u8; 5] = [0x01, 0x11, 0x20, 0x21, 0x22];

impl NeoN3 {
    /// The rules as of the last block.
    pub async fn rules(&self) -> Result<Rules> {
        let policy = |method: &str, args: &[Param]| call(&native::POLICY, method, args);
        let mut calls = vec![
            policy("getFeePerByte", &[])?,
            policy("getExecPicoFeeFactor", &[])?,
            policy("getExecFeeFactor", &[])?,
            policy("getMillisecondsPerBlock", &[])?,
            policy("getMaxValidUntilBlockIncrement", &[])?,
        ];
        for tag in ATTRIBUTES {
            calls.push(policy("getAttributeFee", &[Param::from(u32::from(tag))])?);
        }
        let runs = self.invoke_all(&calls, false).await?.into_iter().collect::<Result<Vec<_>>>()?;
        let mut held = runs.iter().map(number);
        let mut next = || held.next().flatten();
        let (per_byte, pico, whole, ms_per_block, most_valid) = (next(), next(), next(), next(), next());
        let factor = pico.or(whole.and_then(|factor| factor.checked_mul(PICO))).filter(|factor| *factor >= 0);
        let (Some(fee_per_byte), Some(exec_pico_fee_factor)) = (per_byte, factor) else {
            let why = format!("asking {} for its prices: the Policy contract does not tell them", ChainKind::NeoN3);
            return Err(Error::invalid("chain.node_error", why));
        };
        // Attributes that a network does not know yet are asked for by nobody.
        let mut fee = || next().unwrap_or_default();
        let (high_priority, oracle_response, not_valid_before, conflicts) = (fee(), fee(), fee(), fee());
        let notary_assisted = fee();
        let prices = Prices {
            fee_per_byte,
            exec_pico_fee_factor,
            high_priority,
            oracle_response,
            not_valid_before,
            conflicts,
            notary_assisted,
        };
        let told = match pace(ms_per_block, most_valid) {
            Some(told) => told,
            None => {
                let protocol = self.protocol().await?;
                (protocol.ms_per_block, protocol.max_valid_until_block_increment)
            }
        };
        Ok(Rules { prices, ms_per_block: told.0.max(1), most_valid_blocks: told.1 })
    }
}

fn call(contract: &Hash160, method: &str, args: &[Param]) -> Result<Call> {
    let mut builder = Builder::new();
    let script = builder.call(contract, method, CallFlags::READ_ONLY, args).finish().map_err(refused)?;
    Ok(Call { script, signers: Vec::new() })
}

/// A method that is not there faults, which says nothing of the others.
fn number(run: &InvocationResult) -> Option<i64> {
    match (&run.state, &run.stack) {
        (VmState::Halt, Shown::Known(stack)) => stack.first()?.as_integer().ok()?.try_into().ok(),
        _ => None,
    }
}

/// None where the contract does not tell them, or says what can't be.
fn pace(ms_per_block: Option<i64>, most_valid: Option<i64>) -> Option<(u64, u32)> {
    Some((ms_per_block?.try_into().ok()?, most_valid?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_is_not_believed() {
        assert_eq!(pace(Some(15_000), Some(5_760)), Some((15_000, 5_760)));
        for (ms, most) in [(Some(-1), Some(5_760)), (Some(15_000), Some(-1)), (Some(1), Some(1 << 40)), (None, Some(1))]
        {
            assert_eq!(pace(ms, most), None);
        }
    }
}
