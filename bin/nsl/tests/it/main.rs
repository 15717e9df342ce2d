//! The program as its users meet it: started, asked, stopped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod command_line;
mod configuration;
mod contracts;
mod development;
mod devnet;
mod n3;
mod production;
mod reload;
mod secrets;
mod signin;
mod stop;
mod surface;
mod tls;
mod told;
mod traces;
