//! Logs, metrics and traces of one process.

mod gate;

pub use gate::parse_level;
