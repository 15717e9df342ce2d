//! How people prove who they are.

pub mod federation;
pub mod passkey;
