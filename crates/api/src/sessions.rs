//! Sessions and their tokens.
