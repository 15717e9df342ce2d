//! Block headers and blocks.
