//! Each port's promises, held over its embedded engine and over the real one.
#![allow(clippy::unwrap_used)]

mod cache;
mod limits;
mod node;
mod secrets;
