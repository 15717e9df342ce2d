//! The client against a real node.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod net;
mod proxy;
mod recorded;
mod wait;
mod watch;
