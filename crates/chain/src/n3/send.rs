//! What nodes of Neo N3 say to a transaction that is sent.

use std::time::Duration;

use neo_rpc::Code as NodeCode;
use nsl_core::{Code, Error};

use crate::{
    chain::ChainKind,
    error::{NodeError, Trouble, shown},
};

/// The error for a refusal; none when the node has the transaction already.
pub(super) fn refusal(error: NodeError) -> Option<Error> {
    // A witness that its network fee did not pay to be checked; neo-go has no code for it.
    let is_unpaid = error.message.contains("GAS limit exceeded");
    let conflicts = error.message.to_ascii_lowercase().contains("conflict");
    let said = NodeCode::from_number(error.code);
    let slug = match said {
        NodeCode::AlreadyExists | NodeCode::AlreadyInPool => return None,
        NodeCode::MempoolCapReached => "chain.pool_full",
        NodeCode::InsufficientFunds => "chain.insufficient_funds",
        NodeCode::InsufficientNetworkFee => "chain.underpriced",
        NodeCode::VerificationFailed if is_unpaid => "chain.underpriced",
        NodeCode::ExpiredTransaction => "chain.tx_expired",
        NodeCode::PolicyFailed => "chain.policy_refused",
        _ if conflicts => "chain.tx_conflict",
        NodeCode::InvalidAttribute => "chain.tx_attribute_refused",
        NodeCode::InvalidSignature | NodeCode::InvalidContractVerification => "chain.signature_invalid",
        NodeCode::InvalidScript => "chain.script_invalid",
        NodeCode::InvalidSize => "chain.tx_too_large",
        _ => "chain.node_error",
    };
    let code = match said {
        NodeCode::MempoolCapReached => Code::Exhausted,
        NodeCode::InternalError => Code::Unavailable,
        NodeCode::InsufficientFunds | NodeCode::ExpiredTransaction | NodeCode::InvalidAttribute => Code::Conflict,
        _ if conflicts => Code::Conflict,
        _ => Code::Invalid,
    };
    // The same bytes may be taken when the pool has room, or the sender money.
    let later = matches!(said, NodeCode::MempoolCapReached | NodeCode::InsufficientFunds | NodeCode::InternalError);
    let mut message =
        format!("sending a transaction to {}: the node says: {}", ChainKind::NeoN3, shown(&error.message));
    if said == NodeCode::InsufficientFunds {
        message.push_str(" (in 10^-8 GAS): send GAS to the account that pays");
    }
    let made = Error::new(code, slug, message)
        .detail("chain", ChainKind::NeoN3.name())
        .detail("node_code", error.code)
        .because(anyhow::anyhow!("{}", Trouble::Node(error)));
    Some(if later { made.retry_after(Duration::from_secs(1)) } else { made })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::is_retryable;

    #[test]
    fn a_conflict_is_known_by_its_words() {
        let error = NodeError { code: -500, message: "transaction has conflicts".into(), data: None };
        assert_eq!(refusal(error).unwrap().slug, "chain.tx_conflict");
    }

    #[test]
    fn what_the_node_has_is_no_error_and_the_rest_has_its_slug() {
        let of = |code| refusal(NodeError { code, message: "no".into(), data: None });
        assert!(of(-501).is_none() && of(-503).is_none());
        for (code, slug, later) in [
            (-502, "chain.pool_full", true),
            (-504, "chain.underpriced", false),
            (-508, "chain.signature_invalid", false),
            (-510, "chain.tx_expired", false),
            (-511, "chain.insufficient_funds", true),
            (-32603, "chain.node_error", true),
            (-1, "chain.node_error", false),
        ] {
            let error = of(code).unwrap();
            assert_eq!((error.slug.as_ref(), is_retryable(&error)), (slug, later));
            assert_eq!(error.message.contains("10^-8 GAS"), slug == "chain.insufficient_funds");
        }
    }
}
