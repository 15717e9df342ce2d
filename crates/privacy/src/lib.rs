//! How each service gives copies of what it holds of a person, and lets go of it.
//!
//! Promises:
//! - A task comes until it is confirmed, over kills and restarts, maybe more than once; what a [`Holder`] does twice is
//!   as if done once.
//! - A copy is sealed under the person's own key, piece by piece: it opens only in its place, and never again once the
//!   person is erased.
//! - Who was erased is written down outside the database ([`erasures`]), so that a backup which brings them back is
//!   found out.

mod copy;
pub mod erasures;
mod serve;

pub use copy::{Copy, folder, open};
pub use serve::{DONE, Holder, Parts, serve, topic};
