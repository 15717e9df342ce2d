//! OAuth 2.0 for machines and devices.
