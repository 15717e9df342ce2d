//! Wallets: the message that an account signs to sign in, and the proof that it did.
