mod guard;
mod keys;
mod seen;

pub use guard::Guard;
pub use keys::PeerKeys;
pub(crate) use keys::{HEADER, Nonce, Nonces};
