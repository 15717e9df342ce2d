//! The client of a Neo N3 node (neo-go or neo-cli): every call typed, and subscriptions that resume without a gap.
//!
//! - [`Client`] asks one node, within bounds of time and size. A failure tells whether the node refused, could not be
//!   reached, did not answer in time, or answered nonsense: see [`Error`].
//! - [`Subscription`](watch::Subscription) gives what happens on the chain, each event exactly once and in order, and
//!   a [`Cursor`](watch::Cursor) to go on from later.
//! - [`Client::wait`] waits until a transaction is in a block or can't be in one any more.
//!
//! Promises: no credential of a URL is ever shown; an answer is never larger in memory than a small multiple of
//! [`Settings::most_answer`]; blocks and transactions are checked to be what their hashes say.
//!
//! ```no_run
//! # async fn example() -> neo_rpc::Result<()> {
//! use neo_rpc::{Client, watch::{Interest, Options, Subscription}};
//!
//! let client = Client::new("http://127.0.0.1:20331")?;
//! let mut events = Subscription::start(client, Interest::notifications(), None, Options::default()).await?;
//! loop {
//!     let happened = events.next().await?;
//!     println!("{} {:?}", happened.cursor, happened.event);
//! }
//! # }
//! ```

#![deny(missing_docs)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod client;
mod endpoint;
mod error;
pub mod model;
mod transport;
mod wait;
pub mod watch;

pub use client::{Client, ContractRef, Settings};
pub use endpoint::Endpoint;
pub use error::{Code, Error, NodeError, Result};
pub use wait::Outcome;
