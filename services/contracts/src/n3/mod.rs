//! Contracts of Neo N3: what is checked before anything is sent, and what is sent.

mod code;
mod shape;
mod update;

pub(crate) use code::{deployment, unkept};
pub(crate) use shape::{fault, script, script_call, shown, signer, told, wire};
pub(crate) use update::{compare, update};
