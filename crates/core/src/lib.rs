//! What every crate shares: ids, the boundary error, the call context, time and secrets.
//!
//! Holds: no I/O, no async runtime; the clock and the environment are never read here except by
//! [`SystemClock`], the one home of "now".

mod clock;
mod cx;
mod entry;
mod error;
mod ids;
pub mod judge;
mod network;
pub mod scan;
mod secret;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use cx::{Cx, Deadline, Once, Principal, PrincipalKind, Replay, SECOND_FACTOR_AGE, Source, Trace, WireCx};
pub use entry::Entry;
pub use error::{Code, Error, Result};
pub use ids::{ProcessId, RequestId, Subject, TenantId, fresh};
pub use judge::{Facts, Rules};
pub use network::Network;
pub use secret::Secret;
