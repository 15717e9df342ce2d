//! The whole program from outside: journeys in one process and as one process a service, on embedded and on
//! real engines; and what bad input and bad days get, caused on the running program, on both SQL engines.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "real programs live in real time")]

mod chains;
mod ground;
mod heavy_disk;
mod heavy_engines;
mod heavy_kills;
mod heavy_pairs;
mod heavy_relayer;
mod heavy_slow;
mod identity_attacks;
mod input;
mod journeys;
mod keys;
mod migrations;
mod policies;
mod privacy;
mod sessions;
mod shape;
mod signin;
mod sponsor;
mod time;
mod tokens;
mod users;
