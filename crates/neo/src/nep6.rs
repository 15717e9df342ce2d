//! NEP-6: wallet files.
