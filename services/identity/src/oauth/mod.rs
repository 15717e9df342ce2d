//! OAuth 2.0 for machines and devices.

/// The client that the command line is: it has no secret, and asks for what its user may do.
pub(crate) const DEVICE_CLIENT: &str = "nsl-cli";
