//! The policies through their public face.

mod decisions;
mod ground;
mod hostile;
mod saving;
mod speed;
