//! What proves a person, as pure functions.
//!
//! Promises:
//! - No I/O, no clock, no SQL: everything is a function of its arguments.
//! - Input of strangers never panics, and what is taken is taken in one form only.

pub mod wallet;
