//! The library against data that other implementations made.

mod blocks;
mod transactions;
mod vectors;
