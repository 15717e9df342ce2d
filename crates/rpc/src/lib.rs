//! How services call each other: one typed client, near or far.
//!
//! Holds:
//! - A caller cannot tell where a service runs: deadline, errors, spans and metrics are the same.
//! - `read fn` may be sent twice; `fn` is sent again only when nothing of it can have been run: the
//!   connection was refused, or a proven peer turned it away unread.
//! - Repeats, hedges included, are at most a tenth of all calls and a small reserve.
//! - Nothing of a call that is not from a peer is read or run. With keys alone, bodies travel in the open
//!   and a request that was overheard could be shown to another replica within 30 s: use TLS where the
//!   network is not trusted.
//! - The rules (breaker, budget, limiter, pool, latency, nonces) read no clock: time is handed in.

mod auth;
mod channel;
mod message;
mod method;
mod observe;
mod service;
mod settings;
mod tls;
mod wire;

pub use auth::{Guard, PeerKeys};
pub use channel::{AddressState, Channel, Circuit, Dialer};
pub use message::answer;
pub use method::Method;
pub use observe::{TraceHooks, observe, set_trace_hooks};
pub use service::{Client, Via};
pub use settings::Settings;
pub use tls::PeerTls;
pub use wire::{Handle, Problems, Wire};

#[doc(hidden)]
pub mod export {
    pub use async_trait::async_trait;
    pub use axum;
    pub use nsl_core;
    pub use tracing;
}
