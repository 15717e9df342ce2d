//! The policies through their public face.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod decisions;
mod ground;
mod hostile;
mod saving;
mod speed;
