//! One-time codes of authenticator apps (RFC 6238), and the codes that replace a lost app.
//!
//! Promises:
//! - A code is told from others in constant time, and its time step comes with it: who keeps the last step takes no
//!   code twice.
//! - A recovery code has 80 random bits, so that its SHA-256 tells nobody what it is.

mod app;
mod recovery;

pub use self::{
    app::{STEP_SECONDS, Seed},
    recovery::RecoveryCode,
};
