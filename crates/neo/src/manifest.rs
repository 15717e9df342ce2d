//! Contract manifests, and the hash that a contract will have.
