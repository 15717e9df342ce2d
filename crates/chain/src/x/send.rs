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
    Refused(&'static str, Again),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    /// The same bytes may be taken later.
    Later,
}

pub(super) fn verdict(error: &NodeError) -> Verdict {
    use Again::{Later, Never};
    let message = error.message.to_ascii_lowercase();
    let has = |marks: &[&str]| marks.iter().any(|mark| message.contains(mark));
    if has(&["already known", "already imported", "known transaction", "alreadyknown"]) {
        return Verdict::Known;
    }
    if has(&["nonce too low", "nonce is too low"]) {
        return Verdict::NonceUsed;
    }
    if has(&["replacement transaction underpriced", "replacement underpriced"]) {
        return Verdict::Refused("chain.replacement_underpriced", Never);
    }
    if has(&["underpriced", "mingastipcap", "max fee per gas less than block base fee", "fee cap too low"]) {
        return Verdict::Refused("chain.underpriced", Never);
    }
    if has(&["insufficient funds", "insufficientfunds", "overshot"]) {
        return Verdict::Refused("chain.insufficient_funds", Later);
    }
    if has(&["intrinsic gas", "floor data gas"]) {
        return Verdict::Refused("chain.gas_limit_too_low", Never);
    }
    if has(&[
        "exceeds block gas limit",
        "exceeds max transaction gas limit",
        "gas limit too high",
        "gas required exceeds",
    ]) {
        return Verdict::Refused("chain.gas_limit_too_high", Never);
    }
    if has(&["nonce too high", "nonce gap", "future transaction"]) {
        return Verdict::Refused("chain.nonce_too_high", Later);
    }
    if has(&["txpool is full", "pool is full", "account limit exceeded", "in-flight transaction limit"]) {
        return Verdict::Refused("chain.pool_full", Later);
    }
    if has(&["invalid sender", "invalid signature", "invalid chain id", "signer mismatch"]) {
        return Verdict::Refused("chain.signature_invalid", Never);
    }
    if has(&["oversized data", "max initcode size"]) {
        return Verdict::Refused("chain.tx_too_large", Never);
    }
    Verdict::Refused("chain.node_error", if error.is_endpoints_own() { Later } else { Never })
}

pub(super) fn refusal(slug: &'static str, again: Again, error: NodeError) -> Error {
    let code = match slug {
        "chain.pool_full" => Code::Exhausted,
        "chain.node_error" if again == Again::Later => Code::Unavailable,
        "chain.nonce_too_high" | "chain.nonce_used" | "chain.insufficient_funds" | "chain.replacement_underpriced" => {
            Code::Conflict
        }
        _ => Code::Invalid,
    };
    let message = format!("sending a transaction to {}: the node says: {}", ChainKind::NeoX, shown(&error.message));
    let made = Error::new(code, slug, message)
        .detail("chain", ChainKind::NeoX.name())
        .detail("node_code", error.code)
        .because(anyhow::anyhow!("{}", Trouble::Node(error)));
    if again == Again::Later { made.retry_after(Duration::from_secs(1)) } else { made }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_nodes_are_understood() {
        use Again::{Later, Never};
        let refused = Verdict::Refused;
        for (message, want) in [
            ("already known", Verdict::Known),
            ("transaction already imported", Verdict::Known),
            ("nonce too low: address 0xf3, tx: 0 state: 1", Verdict::NonceUsed),
            ("replacement transaction underpriced", refused("chain.replacement_underpriced", Never)),
            ("transaction underpriced: policy minGasTipCap needed 20000000000", refused("chain.underpriced", Never)),
            ("max fee per gas less than block base fee: 1", refused("chain.underpriced", Never)),
            ("Insufficient funds for gas * price + value", refused("chain.insufficient_funds", Later)),
            ("intrinsic gas too low", refused("chain.gas_limit_too_low", Never)),
            ("txpool is full", refused("chain.pool_full", Later)),
            ("the sky is falling", refused("chain.node_error", Never)),
        ] {
            assert_eq!(verdict(&NodeError { code: -32000, message: message.into(), data: None }), want, "{message}");
        }
        let own = NodeError { code: -32603, message: "internal error".into(), data: None };
        assert_eq!(verdict(&own), refused("chain.node_error", Later));
    }
}
