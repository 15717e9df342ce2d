//! The sandbox against the real servers: each comes up, does its work, and takes the harm it offers.

#![allow(clippy::disallowed_methods, reason = "the sandbox lives in real time and with real processes")]

mod disk;
mod nsl;
mod otlp;
mod pgbouncer;
mod postgres;
mod process;
mod rabbitmq;
mod redis;
mod s3;
