//! The sandbox against the real servers: each comes up, does its work, and takes the harm it offers.

mod otlp;
mod pgbouncer;
mod postgres;
mod rabbitmq;
mod redis;
mod s3;
