//! What roles can't say: policies on attributes. Each is kept with its versions; all of a tenant are one text to those
//! who judge by them.
//!
//! Promises:
//! - No policy is saved that does not hold to the schema, that is larger than it may be, that gives what its author
//!   lacks, that decides a case of its author otherwise than expected, or that would keep its author from changing it.
//! - A change needs a person with a fresh second factor, and leaves the digests before and after in the audit trail.
//! - What is explained is what is decided: the same policies are asked in the same way.

mod explain;
mod http;
mod rules;
mod service;
mod store;

pub(crate) use http::face;
pub(crate) use service::Service as Access;
pub(crate) use store::rules;
