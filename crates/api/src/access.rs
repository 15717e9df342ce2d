//! Policies on attributes, and why something is allowed.
