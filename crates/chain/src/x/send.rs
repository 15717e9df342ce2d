//! What nodes of Neo X say to a transaction that is sent.

use std::time::Duration;

use nsl_core::{Code, Error};

use crate::{
    chain::ChainKind,
    error::{NodeError, Trouble, shown},
};

/// What a refusal of a transaction means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The node has it already.
    Known,
    /// Its nonce is used up: by itself, when it is in a block.
    NonceUsed,
    Refused(Why),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    NonceUsed,
    NonceTooHigh,
    ReplacementUnderpriced,
    Underpriced,
    InsufficientFunds,
    GasLimitTooLow,
    GasLimitTooHigh,
    PoolFull,
    Signature,
    TooLarge,
    /// The node failed on its own.
    NodeFailed,
    /// Words that are not known.
    Unclear,
}

pub(super) fn verdict(error: &NodeError) -> Verdict {
    let message = error.message.to_ascii_lowercase();
    let has = |marks: &[&str]| marks.iter().any(|mark| message.contains(mark));
    if has(&["already known", "already imported", "known transaction", "alreadyknown"]) {
        return Verdict::Known;
    }
    if has(&["nonce too low", "nonce is too low"]) {
        return Verdict::NonceUsed;
    }
    let known: [(Why, &[&str]); 9] = [
        (Why::ReplacementUnderpriced, &["replacement transaction underpriced", "replacement underpriced"]),
        (
            Why::Underpriced,
            &["underpriced", "mingastipcap", "max fee per gas less than block base fee", "fee cap too low"],
        ),
        (Why::InsufficientFunds, &["insufficient funds", "insufficientfunds", "overshot"]),
        (Why::GasLimitTooLow, &["intrinsic gas", "floor data gas"]),
        (
            Why::GasLimitTooHigh,
            &[
                "exceeds block gas limit",
                "exceeds max transaction gas limit",
                "gas limit too high",
                "gas required exceeds",
            ],
        ),
        (Why::NonceTooHigh, &["nonce too high", "nonce gap", "future transaction"]),
        (Why::PoolFull, &["pool is full", "account limit exceeded", "in-flight transaction limit"]),
        (Why::Signature, &["invalid sender", "invalid signature", "invalid chain id", "signer mismatch"]),
        (Why::TooLarge, &["oversized data", "max initcode size"]),
    ];
    let unclear = if error.is_endpoints_own() { Why::NodeFailed } else { Why::Unclear };
    Verdict::Refused(known.iter().find(|(_, marks)| has(marks)).map_or(unclear, |(why, _)| *why))
}

pub(super) fn refusal(why: Why, error: NodeError) -> Error {
    let slug = match why {
        Why::NonceUsed => "chain.nonce_used",
        Why::NonceTooHigh => "chain.nonce_too_high",
        Why::ReplacementUnderpriced => "chain.replacement_underpriced",
        Why::Underpriced => "chain.underpriced",
        Why::InsufficientFunds => "chain.insufficient_funds",
        Why::GasLimitTooLow => "chain.gas_limit_too_low",
        Why::GasLimitTooHigh => "chain.gas_limit_too_high",
        Why::PoolFull => "chain.pool_full",
        Why::Signature => "chain.signature_invalid",
        Why::TooLarge => "chain.tx_too_large",
        Why::NodeFailed | Why::Unclear => "chain.node_error",
    };
    let code = match why {
        Why::PoolFull => Code::Exhausted,
        Why::NodeFailed => Code::Unavailable,
        Why::NonceUsed | Why::NonceTooHigh | Why::ReplacementUnderpriced | Why::InsufficientFunds => Code::Conflict,
        _ => Code::Invalid,
    };
    let message = format!("sending a transaction to {}: the node says: {}", ChainKind::NeoX, shown(&error.message));
    let made = Error::new(code, slug, message)
        .detail("chain", ChainKind::NeoX.name())
        .detail("node_code", error.code)
        .because(anyhow::anyhow!("{}", Trouble::Node(error)));
    match why {
        // The same bytes may be taken when the pool has room, the sender money, or the gap is filled.
        Why::NonceTooHigh | Why::InsufficientFunds | Why::PoolFull | Why::NodeFailed => {
            made.retry_after(Duration::from_secs(1))
        }
        _ => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_nodes_are_understood() {
        let refused = Verdict::Refused;
        for (message, want) in [
            ("already known", Verdict::Known),
            ("transaction already imported", Verdict::Known),
            ("nonce too low: address 0xf3, tx: 0 state: 1", Verdict::NonceUsed),
            ("replacement transaction underpriced", refused(Why::ReplacementUnderpriced)),
            ("transaction underpriced: policy minGasTipCap needed 20000000000", refused(Why::Underpriced)),
            ("max fee per gas less than block base fee: 1", refused(Why::Underpriced)),
            ("Insufficient funds for gas * price + value", refused(Why::InsufficientFunds)),
            ("intrinsic gas too low", refused(Why::GasLimitTooLow)),
            ("txpool is full", refused(Why::PoolFull)),
            ("the sky is falling", refused(Why::Unclear)),
        ] {
            assert_eq!(verdict(&NodeError { code: -32000, message: message.into(), data: None }), want, "{message}");
        }
        let own = NodeError { code: -32603, message: "internal error".into(), data: None };
        assert_eq!(verdict(&own), refused(Why::NodeFailed));
    }
}
