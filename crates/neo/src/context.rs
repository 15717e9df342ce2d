//! Signing contexts: signatures of a multi-signature account, collected by several people.
