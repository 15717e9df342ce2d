use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use nsl_core::{Code, Deadline, Error};

/// The memory that request bodies may take together while they come in and are worked on. What
/// counts is what has arrived: a client that announces much and sends little holds little.
pub(crate) struct BodyMemory {
    used: AtomicUsize,
    most: usize,
}

/// Memory in use by one body; given back when dropped.
pub(crate) struct Held<'a> {
    memory: &'a BodyMemory,
    bytes: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl BodyMemory {
    pub(crate) fn new(most: usize) -> Self {
        Self { used: AtomicUsize::new(0), most }
    }

    fn take(&self, held: &mut Held<'_>, bytes: usize) -> Result<(), Error> {
        held.bytes += bytes;
        if self.used.fetch_add(bytes, Ordering::AcqRel) + bytes > self.most {
            let full = "the server holds as many request bodies as it can";
            return Err(
                Error::new(Code::Unavailable, "overloaded", full).retry_after(std::time::Duration::from_secs(1))
            );
        }
        Ok(())
    }

    /// Reads a whole body of at most `limit` bytes before `deadline`.
    pub(crate) async fn read(&self, body: Body, limit: usize, deadline: Deadline) -> Result<(Bytes, Held<'_>), Error> {
        let mut held = Held { memory: self, bytes: 0 };
        if body.is_end_stream() {
            return Ok((Bytes::new(), held));
        }
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        let bytes =
            match tokio::time::timeout_at(deadline.instant().into(), Box::pin(gather(body, limit, &mut held))).await {
                Ok(bytes) => bytes?,
                Err(_) => return Err(too_slow()),
            };
        Ok((bytes, held))
    }
}

async fn gather(mut body: Body, limit: usize, held: &mut Held<'_>) -> Result<Bytes, Error> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match nsl_kit::serve::is_too_slow(&error) {
            true => too_slow(),
            false => Error::invalid("request.cut", "the body broke off").because(error),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        total += data.len();
        if total > limit {
            return Err(too_large(limit));
        }
        held.memory.take(held, data.len())?;
        // Most bodies come in one piece, which then is not copied.
        if first.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn too_large(limit: usize) -> Error {
    Error::invalid("request.too_large", format!("the body has more than {limit} bytes")).detail("limit_bytes", limit)
}

fn too_slow() -> Error {
    Error::new(Code::Timeout, "request.too_slow", "the body did not arrive in time")
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use futures_util::stream;

    use super::*;

    fn pieces(sizes: &[usize]) -> Body {
        let pieces: Vec<_> = sizes.iter().map(|&size| Ok::<_, Infallible>(Bytes::from(vec![7; size]))).collect();
        Body::from_stream(stream::iter(pieces))
    }

    fn soon() -> Deadline {
        Deadline::within(Duration::from_secs(5))
    }

    #[tokio::test]
    async fn bodies_are_bounded_alone_and_together() {
        let memory = BodyMemory::new(100);
        let (bytes, held) = memory.read(pieces(&[30, 20, 10]), 60, soon()).await.unwrap();
        assert_eq!((bytes.len(), memory.used.load(Ordering::SeqCst)), (60, 60));
        let full = memory.read(pieces(&[20, 21]), 60, soon()).await.err().unwrap();
        assert_eq!(full.slug, "overloaded");
        let large = memory.read(pieces(&[30, 31]), 60, soon()).await.err().unwrap();
        assert_eq!((large.slug.as_ref(), large.details["limit_bytes"].as_u64()), ("request.too_large", Some(60)));
        let announced = memory.read(Body::from(vec![0; 61]), 60, soon()).await.err().unwrap();
        assert_eq!(announced.slug, "request.too_large");
        drop(held);
        assert_eq!(memory.used.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let memory = BodyMemory::new(100);
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let error = memory.read(body, 60, Deadline::within(Duration::from_millis(20))).await.err().unwrap();
        assert_eq!(error.slug, "request.too_slow");
    }
}
