use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use nsl_core::{Code, Error};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many requests are worked on at once, and how many more may wait: the rest is told to come
/// back before it has cost anything.
pub(crate) struct Turns {
    turns: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
    longest_wait: Duration,
}

impl Turns {
    pub(crate) fn new(turns: usize, most_waiting: usize, longest_wait: Duration) -> Self {
        Self { turns: Semaphore::new(turns), waiting: AtomicUsize::new(0), most_waiting, longest_wait }
    }

    pub(crate) async fn take(&self) -> Result<SemaphorePermit<'_>, Error> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let _place = self.place()?;
        match Box::pin(tokio::time::timeout(self.longest_wait, self.turns.acquire())).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }

    fn place(&self) -> Result<Place<'_>, Error> {
        let place = Place(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.most_waiting {
            return Err(overloaded());
        }
        Ok(place)
    }
}

// One who waits, until dropped: also when the client goes away.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn overloaded() -> Error {
    let wait = Duration::from_secs(1);
    Error::new(Code::Unavailable, "overloaded", "the server has as much to do as it can").retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn some_work_some_wait_the_rest_goes() {
        let turns = Turns::new(2, 1, Duration::from_secs(1));
        let (first, _second) = (turns.take().await.unwrap(), turns.take().await.unwrap());
        let waits = turns.take();
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
        assert_eq!(turns.take().await.unwrap_err().slug, "overloaded");
        drop(first);
        let third = waits.await.unwrap();
        assert_eq!(turns.take().await.unwrap_err().retry_after_ms, Some(1_000), "after waiting in vain");
        drop(third);
        assert!(turns.take().await.is_ok());
        assert_eq!(turns.waiting.load(Ordering::SeqCst), 0);
    }
}
