//! Policies of a tenant on attributes, in the language Cedar: what roles can't say. Pure; no I/O.
//!
//! Promises:
//! - Roles and scopes grant. A `forbid` takes away, whoever was granted what. A `permit` gives a person who signed in
//!   what its roles lack, and never what [`grantable`] leaves out; it widens no API key, no certificate, no client,
//!   no narrowed token and nobody who acts for another: the scopes of those are a ceiling that somebody set on purpose.
//! - What is neither granted nor permitted is denied.
//! - A `forbid` that fails while it is asked forbids; a `permit` that fails gives nothing. A text that cannot be read
//!   denies all.
//! - No text takes more than bounded time, memory or stack: its size, its statements and its nesting have limits.
//! - One who could not do something does not learn how by a policy either: only policies with `@explain("...")` are
//!   named to the caller. The audit trail names up to eight.

mod amount;
mod bundle;
mod check;
mod court;
mod facts;
mod limits;
mod policies;
mod schema;

pub use bundle::bundle;
pub use check::{Fault, Statement, check, is_name};
pub use court::Court;
pub use limits::{LONGEST_BUNDLE, LONGEST_POLICY, LONGEST_TEXT, MOST_POLICIES};
pub use policies::{Policies, Unreadable, Weighed};
pub use schema::{Schema, grantable};
