//! The library against data that other implementations made.

mod blocks;
mod scripts;
mod transactions;
mod vectors;
