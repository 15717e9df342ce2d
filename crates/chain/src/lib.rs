//! One small set of traits over Neo N3 and Neo X: read, simulate, send, watch.
//!
//! Promises:
//! - A caller that knows only [`Chain`] can follow a transaction from its bytes to its finality on either chain, and
//!   read events in order, exactly once. What can't be the same on both stays with [`n3::NeoN3`] and [`x::NeoX`].
//! - A fault of one endpoint is no fault of the caller: reads and sends go on at the next one.
//! - Every error has a stable slug `chain.*`; one that may pass says when to try again.
//! - No URL, key or credential is in a log, an error or a metric.
//! - Only this crate knows the libraries of Ethereum.

mod argument;
mod chain;
mod config;
mod error;
mod event;
mod fresh;
mod line;
mod meter;
pub mod n3;
mod pool;
mod watch;
pub mod x;

pub use chain::{Bytes, Call, Chain, ChainKind, Executed, Fault, Output, Receipt, SharedChain, Stretch, Trial, TxId};
pub use config::{N3Config, PoolConfig, XConfig};
pub use error::{NodeError, Trouble, is_retryable, is_too_slow};
pub use event::{BlockRef, Body, Event, Filter, Position};
pub use pool::{Client, EndpointStatus, Pool, Probe};
pub use watch::{Batch, Cursor, Item, Watch};
