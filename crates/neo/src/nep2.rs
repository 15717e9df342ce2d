//! NEP-2: a private key under a passphrase.
