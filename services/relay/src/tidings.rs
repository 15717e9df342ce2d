//! Who waits for the next state of a request is woken by the process that writes it. Others look for themselves.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One for the process, as its requests are: ids are never used twice.
static WAITING: LazyLock<Mutex<HashMap<Arc<str>, Waiters>>> = LazyLock::new(Mutex::default);

struct Waiters {
    bell: Arc<Notify>,
    count: usize,
}

/// New states of these requests are stored.
pub(crate) fn tell(requests: &[Arc<str>]) {
    let waiting = WAITING.lock();
    if waiting.is_empty() {
        return;
    }
    for waiters in requests.iter().filter_map(|request| waiting.get(request)) {
        waiters.bell.notify_waiters();
    }
}

/// Someone who waits, until dropped.
pub(crate) struct Ear {
    request: Arc<str>,
    bell: Arc<Notify>,
}

impl Ear {
    pub(crate) fn on(request: Arc<str>) -> Self {
        let mut waiting = WAITING.lock();
        let waiters = waiting.entry(Arc::clone(&request)).or_insert_with(|| Waiters { bell: Arc::default(), count: 0 });
        waiters.count += 1;
        let bell = Arc::clone(&waiters.bell);
        drop(waiting);
        Self { request, bell }
    }

    /// The next ring. What is told after this call and before it is awaited is not missed once it was enabled.
    pub(crate) fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.bell.notified()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut waiting = WAITING.lock();
        if let Some(waiters) = waiting.get_mut(&self.request) {
            waiters.count -= 1;
            if waiters.count == 0 {
                waiting.remove(&self.request);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_who_waits_is_woken_and_nothing_stays_behind() {
        let id: Arc<str> = "rel_tidings".into();
        let (one, other) = (Ear::on(Arc::clone(&id)), Ear::on(Arc::clone(&id)));
        let (first, second) = (one.next(), other.next());
        tell(&["rel_another".into(), Arc::clone(&id)]);
        tokio::join!(first, second);
        drop((one, other));
        assert!(!WAITING.lock().contains_key(&id));
    }
}
