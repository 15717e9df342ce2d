//! What can go wrong with a chain: at one endpoint ([`Trouble`]), and for the caller (`nsl_core::Error`).

use std::{fmt, time::Duration};

use nsl_core::{Code, Error};
use serde_json::Value;

use crate::ChainKind;

/// Why one endpoint, or in the end all of them, gave no result.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// Nothing came back: no connection, no answer in time, an HTTP error. Whether the request arrived is unknown.
    Unreachable(String),
    /// A connection stands, and no answer came in time.
    Slow(String),
    /// The endpoint did not so much as read the request (an HTTP status of 4xx): it may be too much for it.
    Declined(String),
    /// What came back is more than is read of an answer.
    TooLarge(String),
    /// What came back is not what the method gives.
    Garbled(String),
    /// The endpoint, or our own limit for it, asks to slow down.
    Busy { wait: Duration },
    /// The endpoint lacks a block or a state that others may have.
    Behind(String),
    /// The endpoint speaks for another network; it is never asked again.
    Foreign { said: u64, want: u64 },
    /// The node understood, and said no.
    Node(NodeError),
}

/// The error object of JSON-RPC.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeError {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

const TOO_SLOW: &str = "chain.too_slow";
/// The method is not known to this node (JSON-RPC 2.0).
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
/// The node failed on its own (JSON-RPC 2.0).
const INTERNAL: i64 = -32603;
/// "Limit exceeded" (EIP-1474).
pub(crate) const LIMIT: i64 = -32005;

impl NodeError {
    /// Whether the fault is the endpoint's, so that another one may do better.
    pub(crate) fn is_endpoints_own(&self) -> bool {
        matches!(self.code, INTERNAL | LIMIT)
    }
}

impl Trouble {
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Slow(_) => "slow",
            Self::Declined(_) => "declined",
            Self::TooLarge(_) => "too_large",
            Self::Garbled(_) => "garbled",
            Self::Busy { .. } => "busy",
            Self::Behind(_) => "behind",
            Self::Foreign { .. } => "foreign",
            Self::Node(_) => "refused",
        }
    }

    /// Whether the same request may be answered elsewhere or a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Slow(_) | Self::Declined(_) => true,
            Self::TooLarge(_) | Self::Garbled(_) | Self::Busy { .. } => true,
            Self::Behind(_) | Self::Foreign { .. } => false,
            Self::Node(error) => error.is_endpoints_own(),
        }
    }

    /// Whether it says something of the endpoint, and nothing of what was asked.
    pub(crate) fn is_endpoints(&self) -> bool {
        !matches!(self, Self::Node(error) if !error.is_endpoints_own())
    }

    /// As the error of a caller, who asked `what` of the chain.
    pub fn into_error(self, chain: ChainKind, what: &str) -> Error {
        let error = match &self {
            Self::Unreachable(_) | Self::Declined(_) | Self::Garbled(_) => unreachable(chain, what),
            Self::Slow(_) => Error::new(
                Code::Timeout,
                TOO_SLOW,
                format!("asking {chain} for {what}: it takes longer than a node is given"),
            ),
            Self::TooLarge(_) => Error::new(
                Code::Invalid,
                "chain.too_large",
                format!("asking {chain} for {what}: the answer is larger than is read"),
            ),
            Self::Busy { wait } => Error::new(
                Code::Exhausted,
                "chain.busy",
                format!("asking {chain} for {what}: every endpoint asks to slow down"),
            )
            .retry_after((*wait).max(Duration::from_millis(1))),
            Self::Behind(why) => Error::new(
                Code::Unavailable,
                "chain.not_there_yet",
                format!("asking {chain} for {what}: no endpoint has it: {why}"),
            )
            .retry_after(Duration::from_secs(1)),
            Self::Foreign { said, want } => Error::new(
                Code::Unavailable,
                "chain.wrong_network",
                format!("asking {chain} for {what}: the endpoint is of network {said}, and {want} is configured"),
            ),
            Self::Node(error) => node_error(chain, what, error),
        };
        error.detail("chain", chain.name()).because(anyhow::anyhow!("{self}"))
    }
}

fn unreachable(chain: ChainKind, what: &str) -> Error {
    Error::new(
        Code::Unavailable,
        "chain.unreachable",
        format!("asking {chain} for {what}: no endpoint gave a sound answer"),
    )
    .retry_after(Duration::from_secs(1))
}

fn node_error(chain: ChainKind, what: &str, error: &NodeError) -> Error {
    let code = if error.is_endpoints_own() { Code::Unavailable } else { Code::Invalid };
    let made = Error::new(
        code,
        "chain.node_error",
        format!("asking {chain} for {what}: the node says: {}", shown(&error.message)),
    )
    .detail("node_code", error.code);
    if error.is_endpoints_own() { made.retry_after(Duration::from_secs(1)) } else { made }
}

/// Text of a node or a contract, fit for a message: one line, and not endless.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 400;
    let mut out: String = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        out.push_str("...");
    }
    out
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Slow(why) => write!(f, "too slow: {why}"),
            Self::Declined(why) => write!(f, "declined: {why}"),
            Self::TooLarge(why) => write!(f, "too large: {why}"),
            Self::Garbled(why) => write!(f, "not a sound answer: {why}"),
            Self::Busy { wait } => write!(f, "busy for {} ms", wait.as_millis()),
            Self::Behind(why) => write!(f, "behind: {why}"),
            Self::Foreign { said, want } => write!(f, "of network {said} instead of {want}"),
            Self::Node(error) => write!(f, "node error {}: {}", error.code, shown(&error.message)),
        }
    }
}

/// Whether it took longer than a node is given. That decides nothing of what was asked: nodes are slow for other reasons
/// too, and another time they may be fast enough.
pub fn is_too_slow(error: &Error) -> bool {
    &*error.slug == TOO_SLOW
}

/// Whether the same call may succeed later without any change: such errors say when to try again.
pub fn is_retryable(error: &Error) -> bool {
    error.retry_after_ms.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_says_when_to_try_again() {
        let node = |code| Trouble::Node(NodeError { code, message: "no\nway".into(), data: None });
        for (trouble, slug, again) in [
            (Trouble::Unreachable("refused".into()), "chain.unreachable", true),
            (Trouble::Slow("5 s".into()), "chain.too_slow", false),
            (Trouble::Declined("413".into()), "chain.unreachable", true),
            (Trouble::TooLarge("64 MB".into()), "chain.too_large", false),
            (Trouble::Garbled("html".into()), "chain.unreachable", true),
            (Trouble::Busy { wait: Duration::ZERO }, "chain.busy", true),
            (Trouble::Behind("block 9".into()), "chain.not_there_yet", true),
            (Trouble::Foreign { said: 1, want: 2 }, "chain.wrong_network", false),
            (node(-32000), "chain.node_error", false),
            (node(-32603), "chain.node_error", true),
        ] {
            let error = trouble.into_error(ChainKind::NeoX, "a block");
            assert_eq!(error.slug, slug);
            assert_eq!(is_retryable(&error), again, "{slug}");
            assert_eq!(is_too_slow(&error), slug == "chain.too_slow");
            assert!(!error.message.contains('\n'));
        }
    }
}
