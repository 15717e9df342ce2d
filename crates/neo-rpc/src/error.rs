//! What can go wrong between a caller and a node, told apart by what the caller can do about it.

use std::{fmt, time::Duration};

use serde::Deserialize;

/// Why there is no answer, or not the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The node answered, and refused.
    #[error("{0}")]
    Node(NodeError),
    /// No connection could be made: nothing was sent.
    #[error("reaching {endpoint}: {why}")]
    Unreachable {
        /// Which node.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// The connection ended before the answer was whole: whether the node acted is not known.
    #[error("asking {endpoint}: {why}")]
    Lost {
        /// Which node.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// No answer in time: whether the node acted is not known.
    #[error("asking {endpoint}: no answer within {after:?}")]
    Timeout {
        /// Which node.
        endpoint: String,
        /// How long was waited.
        after: Duration,
    },
    /// Something before the node (a proxy, a rate limit) answered in its place.
    #[error("asking {endpoint}: HTTP status {status}")]
    Status {
        /// Which node.
        endpoint: String,
        /// The status.
        status: u16,
        /// When to ask again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The answer is larger than this client takes.
    #[error("{method}: the answer is larger than {most} bytes")]
    TooLarge {
        /// What was asked.
        method: &'static str,
        /// How many bytes it takes.
        most: usize,
    },
    /// The answer is not what the protocol says.
    #[error("{method}: malformed answer: {why}")]
    Malformed {
        /// What was asked.
        method: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The URL or a setting can't be used.
    #[error("{0}")]
    Settings(String),
    /// The node tells another past than it told before: it lost blocks, or is not of the same network. Events already
    /// given may not have happened.
    #[error("block {height} does not follow the one seen before it: {expected} was, {found} is")]
    Forked {
        /// The block.
        height: u32,
        /// The hash that was expected before it.
        expected: String,
        /// The hash that is there.
        found: String,
    },
}

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The code of a refusal.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Node(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// Whether the same call may succeed later, or at another node.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => *status == 408 || *status == 429 || *status >= 500,
            Self::Node(refusal) => matches!(refusal.code, Code::InternalError | Code::MempoolCapReached),
            _ => false,
        }
    }

    /// Whether the node may have acted on the call although it failed. A transaction that was sent then may be in the
    /// pool, or in a block.
    pub fn may_have_arrived(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Settings(_) | Self::Node(_))
    }
}

/// A refusal as the node words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    /// What it is.
    pub code: Code,
    /// The node's short text.
    pub message: String,
    /// What it adds: often the cause.
    pub data: Option<String>,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the node refused: {} ({})", self.message, self.code.number())?;
        match &self.data {
            Some(data) if *data != self.message => write!(f, ": {data}"),
            _ => Ok(()),
        }
    }
}

/// How much of a node's text is kept.
const MOST_TEXT: usize = 4096;

impl<'de> Deserialize<'de> for NodeError {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            code: i64,
            #[serde(default)]
            message: String,
            #[serde(default)]
            data: Option<serde_json::Value>,
        }
        let form = Form::deserialize(deserializer)?;
        let data = form.data.map(|data| match data {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        });
        Ok(Self {
            code: Code::of(form.code, &form.message),
            message: cut(form.message),
            data: data.filter(|data| !data.is_empty()).map(cut),
        })
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_TEXT {
        let end = (0..=MOST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// What a node means by a refusal (the ecosystem's list, and that of JSON-RPC 2.0).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A number that is on neither list.
            Other(i64),
        }

        impl Code {
            /// From its number.
            pub const fn from_number(number: i64) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// Its number.
            pub const fn number(self) -> i64 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// Nodes before version 3.6 have one number for all that is wrong with a transaction, and name it in words.
            fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The node can't read the request.
    ParseError = -32700;
    /// The request is none.
    InvalidRequest = -32600;
    /// The node does not know the method.
    MethodNotFound = -32601;
    /// The parameters don't fit the method.
    InvalidParams = -32602;
    /// Something failed inside the node.
    InternalError = -32603;
    /// An older node's word for what it does not have.
    Unknown = -100;
    /// No such block.
    UnknownBlock = -101;
    /// No such contract.
    UnknownContract = -102;
    /// No such transaction.
    UnknownTransaction = -103;
    /// No such storage item.
    UnknownStorageItem = -104;
    /// Neither a block nor a transaction has this hash.
    UnknownScriptContainer = -105;
    /// No such state root.
    UnknownStateRoot = -106;
    /// No such session, or it has expired.
    UnknownSession = -107;
    /// No such iterator in the session.
    UnknownIterator = -108;
    /// A height beyond what the node has.
    UnknownHeight = -109;
    /// The node's wallet has too little.
    InsufficientFundsWallet = -300;
    /// The fee is above the wallet's limit.
    WalletFeeLimit = -301;
    /// The node has no wallet open.
    NoOpenedWallet = -302;
    /// The node does not find its wallet.
    WalletNotFound = -303;
    /// The node can't read its wallet.
    WalletNotSupported = -304;
    /// Refused for a reason that has no number of its own.
    VerificationFailed = -500;
    /// The transaction or block is in the chain.
    AlreadyExists = -501;
    /// The pool is full.
    MempoolCapReached = -502;
    /// The transaction is in the pool.
    AlreadyInPool = -503;
    /// The network fee is too small.
    InsufficientNetworkFee = -504;
    /// A policy of the network forbids it: an account or contract is blocked, say.
    PolicyFailed = -505;
    /// The script can't be run.
    InvalidScript = -506;
    /// An attribute is not allowed, or not now.
    InvalidAttribute = -507;
    /// A witness does not prove what it should.
    InvalidSignature = -508;
    /// The transaction is too large.
    InvalidSize = -509;
    /// Its last block has passed, or lies too far ahead.
    ExpiredTransaction = -510;
    /// The sender can't pay for all that it has in the pool.
    InsufficientFunds = -511;
    /// The contract that should verify has no fitting method.
    InvalidContractVerification = -512;
    /// Access is not allowed.
    AccessDenied = -600;
    /// The node keeps no iterator sessions.
    SessionsDisabled = -601;
    /// The node is no oracle.
    OracleDisabled = -602;
    /// The oracle request has been answered.
    OracleRequestFinished = -603;
    /// No such oracle request.
    OracleRequestNotFound = -604;
    /// The node is no designated oracle.
    OracleNotDesignatedNode = -605;
    /// The node keeps no old states.
    UnsupportedState = -606;
    /// The proof does not fit.
    InvalidProof = -607;
    /// A script that the call ran has failed.
    ExecutionFailed = -608;
}

impl Code {
    fn of(number: i64, message: &str) -> Self {
        match Self::from_number(number) {
            Self::VerificationFailed => match message {
                "OutOfMemory" => Self::MempoolCapReached,
                "Expired" => Self::ExpiredTransaction,
                "Invalid" => Self::VerificationFailed,
                name => Self::named(name).unwrap_or(Self::VerificationFailed),
            },
            code => code,
        }
    }

    /// Whether the node says that it does not have what was asked for.
    pub const fn is_unknown(self) -> bool {
        matches!(self.number(), -109..=-100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> NodeError {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_refusal_is_known_by_its_number() {
        let refusal = read(r#"{"code":-511,"message":"Insufficient funds for fee","data":"0.1 < 0.2"}"#);
        assert_eq!(refusal.code, Code::InsufficientFunds);
        assert_eq!(refusal.to_string(), "the node refused: Insufficient funds for fee (-511): 0.1 < 0.2");
        assert_eq!(read(r#"{"code":-77,"message":"x"}"#).code, Code::Other(-77));
        for number in [-32700, -109, -501, -608, 12] {
            assert_eq!(Code::from_number(number).number(), number);
        }
    }

    #[test]
    fn an_older_node_names_it_in_words() {
        assert_eq!(
            read(r#"{"code":-500,"message":"InsufficientFunds","data":"   at Neo"}"#).code,
            Code::InsufficientFunds
        );
        assert_eq!(read(r#"{"code":-500,"message":"AlreadyExists"}"#).code, Code::AlreadyExists);
        assert_eq!(read(r#"{"code":-500,"message":"Inventory verification"}"#).code, Code::VerificationFailed);
    }

    #[test]
    fn the_text_of_a_node_is_cut() {
        let long = format!(r#"{{"code":-500,"message":"{}"}}"#, "ü".repeat(9000));
        assert!(read(&long).message.len() <= MOST_TEXT + '…'.len_utf8());
    }

    #[test]
    fn only_what_was_never_sent_or_was_refused_has_not_arrived() {
        let endpoint = String::from("http://a");
        assert!(!Error::Unreachable { endpoint: endpoint.clone(), why: "x".into() }.may_have_arrived());
        assert!(Error::Timeout { endpoint: endpoint.clone(), after: Duration::from_secs(1) }.may_have_arrived());
        assert!(Error::Lost { endpoint, why: "x".into() }.may_have_arrived());
    }
}
