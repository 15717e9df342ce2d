use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::pulse::InFlight;

/// A request body that has to come in at a least rate, after a grace: `grace + bytes / rate` is the
/// time that it may have taken at any point. Too slow a body ends in [`io::ErrorKind::TimedOut`].
pub(super) struct Paced<B> {
    inner: B,
    pace: Pace,
    started: Option<Instant>,
    bytes: u64,
    /// Made when the body has to be waited for: most bodies are there at once.
    alarm: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) grace: Duration,
    pub(super) bytes_per_second: u32,
}

impl Pace {
    fn allowed(self, bytes: u64) -> Duration {
        let micros = bytes.saturating_mul(1_000_000) / u64::from(self.bytes_per_second.max(1));
        self.grace.saturating_add(Duration::from_micros(micros))
    }
}

impl<B> Paced<B> {
    pub(super) fn new(inner: B, pace: Pace) -> Self {
        Self { inner, pace, started: None, bytes: 0, alarm: None }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let started = *this.started.get_or_insert_with(Instant::now);
        let deadline = started + this.pace.allowed(this.bytes);
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(cx));
        metrics::counter!("connections_cut_total", "reason" => "slow_body").increment(1);
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the request body comes in too slowly").into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Whether a failure to read a request body was [its slowness](crate::serve), for a 408 in place of a 400.
pub fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::TimedOut
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// A response body that keeps its request in flight until it was handed out or dropped.
pub(super) struct Answer {
    inner: AxumBody,
    _in_flight: InFlight,
}

impl Answer {
    pub(super) fn new(inner: AxumBody, in_flight: InFlight) -> Self {
        Self { inner, _in_flight: in_flight }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads a whole body in tests and small clients, up to a bound.
pub async fn collect(body: AxumBody, most: usize) -> anyhow::Result<Bytes> {
    let limited = http_body_util::Limited::new(body, most);
    let collected = limited.collect().await.map_err(|error| anyhow::anyhow!(error))?;
    Ok(collected.to_bytes())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use tokio::time::sleep;

    use super::*;

    fn drip(count: usize, every: Duration) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames = stream::iter(0..count).then(move |_| async move {
            sleep(every).await;
            Ok(Frame::data(Bytes::from_static(&[7; 100])))
        });
        StreamBody::new(Box::pin(frames))
    }

    const PACE: Pace = Pace { grace: Duration::from_secs(2), bytes_per_second: 100 };

    #[tokio::test(start_paused = true)]
    async fn a_body_at_the_least_rate_passes() {
        let body = Paced::new(drip(60, Duration::from_millis(990)), PACE);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 6_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_cut_soon_after_its_grace() {
        let before = Instant::now();
        let error = Paced::new(drip(60, Duration::from_secs(3)), PACE).collect().await.unwrap_err();
        assert!(is_too_slow(error.as_ref()));
        assert_eq!(before.elapsed().as_secs(), 2);
    }
}
