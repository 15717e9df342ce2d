//! Each port's promises, held over its embedded engine and over the real one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod blobs;
mod cache;
mod limits;
mod node;
mod queue;
mod secrets;
