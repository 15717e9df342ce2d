use serde::Deserialize;

/// How channels behave. Spans are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The largest call and the largest reply, in bytes.
    pub body_limit: usize,
    /// HTTP/2 to peers instead of HTTP/1.1: fewer connections, but about half as many small calls a second.
    pub http2: bool,
    /// How long a connection may take to be made, TLS included.
    pub connect_ms: u64,
    /// How long an unused connection is kept; less than the far side keeps it.
    pub idle_ms: u64,
    /// Failures in a row after which an address is ejected.
    pub eject_after: u32,
    /// How long an ejected address rests before its probe.
    pub eject_ms: u64,
    /// A call that its caller gave up after at least this long, and three times as long as usual for its
    /// method, counts as a failure of the address.
    pub hung_ms: u64,
    /// Repeats allowed for each hundred calls.
    pub repeat_percent: u32,
    /// Repeats allowed beyond that after calm times.
    pub repeat_reserve: u32,
    /// Whether reads are sent to a second address when the first takes longer than 95 of 100 calls do.
    pub hedge: bool,
    /// Calls in flight to one address, at most.
    pub in_flight: u32,
    /// Calls that may wait for room, and for how long.
    pub waiting: u32,
    pub wait_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 8 * 1024 * 1024,
            http2: false,
            connect_ms: 1_000,
            idle_ms: 20_000,
            eject_after: 5,
            eject_ms: 30_000,
            hung_ms: 500,
            repeat_percent: 10,
            repeat_reserve: 10,
            hedge: true,
            in_flight: 1_000,
            waiting: 50,
            wait_ms: 250,
        }
    }
}
