//! Data keys: one secret key per tenant and subject (the person or machine that owns what is sealed).
//!
//! Promises:
//! - A data key lies in SQL only wrapped by a root key, which lies elsewhere (see [`RootKey`]); the wrapping
//!   binds tenant, subject and key id, so a wrapped key moved to another row does not open.
//! - Destroying a subject's keys makes everything sealed under them unreadable, backups included.
//! - Root keys rotate while serving: old versions open, the newest wraps, [`Keyring::rewrap`] moves the rest.

mod ring;
mod root;
mod seal;
mod store;

pub use ring::Keyring;
pub use root::{RootKey, SecretsRoot, Wrapped};
pub use seal::{DataKey, bind};
pub use store::{KEY_GONE, MIGRATIONS, Presence, destroy, key_gone};
