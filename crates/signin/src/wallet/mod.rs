//! Wallets: the message that an account signs to sign in, and the proof that it did.
//!
//! Promises:
//! - A message has one reading: what [`Message::parse`] takes, [`Message::write`] writes back byte for byte.
//! - A proof fits one message and one account. Of the two twins that each ECDSA signature has, Neo X takes the lower
//!   one; wallets of Neo N3 give either, so there a proof is to be tied to something that is used once.

mod grammar;
pub mod n3;
mod text;
pub mod x;

pub use text::{Kind, LONGEST_MESSAGE, Message, Time};

use nsl_core::{Code, Error};

fn unproven(slug: &'static str, message: impl Into<String>) -> Error {
    Error::new(Code::Unauthenticated, slug, message)
}
