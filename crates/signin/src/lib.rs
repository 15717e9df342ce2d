//! What proves a person.
//!
//! Promises:
//! - No network, no clock, no SQL: everything is a function of its arguments, but for the threads that hash passwords
//!   and the list of breached ones on disk.
//! - Input of strangers never panics, and what is taken is taken in one form only.

pub mod password;
pub mod totp;
pub mod wallet;
