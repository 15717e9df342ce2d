//! What roles can't say: policies on attributes.
