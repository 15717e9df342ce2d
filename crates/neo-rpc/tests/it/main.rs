//! The client against a real node.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod canned;
mod net;
mod proxy;
mod recorded;
mod strangers;
mod tokens;
mod wait;
mod watch;
