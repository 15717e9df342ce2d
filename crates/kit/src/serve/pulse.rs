use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::settings::HttpSettings;

use super::bounds::Permit;

/// What a connection is doing, and since when: one cheap record for all of its timeouts.
pub(super) struct Pulse {
    born: Instant,
    /// Requests whose answer is not fully handed out.
    in_flight: AtomicU32,
    /// Milliseconds after birth at which the present wait began.
    since: AtomicU64,
    /// Whether the head of a request has begun to come in.
    head: AtomicBool,
    /// On HTTP/2 bytes also come in between requests, and say nothing.
    multiplexed: AtomicBool,
    /// One more than the milliseconds after birth since which the client takes no bytes; 0 when it does.
    stalled: AtomicU64,
}

/// Why a connection is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The head of a request is taking too long.
    Head,
    /// No request for long: end it politely.
    Idle,
    /// The client does not read its answer.
    Stalled,
}

impl Overdue {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Head => "slow_head",
            Self::Idle => "idle",
            Self::Stalled => "slow_reader",
        }
    }
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            in_flight: AtomicU32::new(0),
            since: AtomicU64::new(0),
            head: AtomicBool::new(true),
            multiplexed: AtomicBool::new(false),
            stalled: AtomicU64::new(0),
        })
    }

    /// A request's head is complete; the returned guard lives until its answer is handed out.
    pub(super) fn begin(self: &Arc<Self>, multiplexed: bool) -> InFlight {
        if multiplexed {
            self.multiplexed.store(true, Relaxed);
        }
        self.head.store(false, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(super) fn overdue(&self, http: &HttpSettings) -> Option<Overdue> {
        let now = self.age();
        let longer = |since: u64, bound: Duration| Duration::from_millis(now.saturating_sub(since)) > bound;
        let stalled = self.stalled.load(Relaxed);
        if stalled > 0 && longer(stalled - 1, http.write_stall) {
            return Some(Overdue::Stalled);
        }
        if self.in_flight.load(Relaxed) > 0 {
            return None;
        }
        let since = self.since.load(Relaxed);
        if self.head.load(Relaxed) {
            return longer(since, http.header_timeout).then_some(Overdue::Head);
        }
        longer(since, http.idle_timeout).then_some(Overdue::Idle)
    }

    fn age(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }

    fn bytes_came(&self) {
        let waiting = self.in_flight.load(Relaxed) == 0 && !self.head.load(Relaxed);
        if waiting && !self.multiplexed.load(Relaxed) {
            self.since.store(self.age(), Relaxed);
            self.head.store(true, Relaxed);
        }
    }

    fn wrote(&self, blocked: bool) {
        let stalled = self.stalled.load(Relaxed);
        match (blocked, stalled) {
            (true, 0) => self.stalled.store(self.age() + 1, Relaxed),
            (false, 1..) => self.stalled.store(0, Relaxed),
            _ => {}
        }
    }
}

pub(super) struct InFlight(Arc<Pulse>);

impl Drop for InFlight {
    fn drop(&mut self) {
        // The wait starts before the request stops counting, so that no check sees an old one.
        self.0.since.store(self.0.age(), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A connection whose reads and writes feed its pulse, and which holds its place among the bounds.
pub(super) struct Felt<S> {
    inner: S,
    pulse: Arc<Pulse>,
    _permit: Permit,
}

impl<S> Felt<S> {
    pub(super) fn new(inner: S, pulse: Arc<Pulse>, permit: Permit) -> Self {
        Self { inner, pulse, _permit: permit }
    }

    fn note<T>(&self, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pulse.wrote(wrote.is_pending());
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Felt<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.bytes_came();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Felt<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.note(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        // A flush that passes says nothing of a write that did not.
        if flushed.is_pending() { self.note(flushed) } else { flushed }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        if shut.is_pending() { self.note(shut) } else { shut }
    }
}
