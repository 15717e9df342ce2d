//! The promises of the call seam, on real loopback sockets.

#![allow(unreachable_pub, reason = "service! writes public items")]

mod brownout;
mod echo;
mod faults;
mod near_far;
mod observed;
mod peers;
mod proxy;
mod tls;
mod wiring;
