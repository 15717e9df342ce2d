//! What every process of the platform stands on: configuration, telemetry, tasks, listeners, health.
//!
//! Holds: configuration mistakes are reported all at once and never show a secret; a background task
//! that dies is noticed and joined at the stop; a listener bounds what a stranger may cost it (time,
//! bytes, connections); a stop signal ends a process within its budget and finishes what is in flight.

pub mod config;
mod files;
pub mod ops;
pub mod serve;
pub mod settings;
pub mod tasks;
pub mod telemetry;

pub use config::{Check, Environment, Loaded, Loader, Mistakes, Profile};
pub use tasks::Tasks;
