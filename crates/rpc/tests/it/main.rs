//! The promises of the call seam, on real loopback sockets.

#![allow(unreachable_pub, reason = "service! writes public items")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "servers and helpers of tests, outside a test function"
)]

mod brownout;
mod echo;
mod faults;
mod near_far;
mod observed;
mod peers;
mod proxy;
mod tls;
mod wiring;
