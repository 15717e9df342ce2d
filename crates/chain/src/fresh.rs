//! What many ask for at the same time, and one asks the nodes for.

use std::{future::Future, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use crate::error::Trouble;

/// For so long what was heard is passed on without asking again.
const LIFE: Duration = Duration::from_millis(50);

/// The last that was heard, or why nothing was.
pub(crate) struct Fresh<T>(Mutex<Option<(Instant, Result<T, Trouble>)>>);

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Fresh<T> {
    /// What was heard a moment ago, or what `ask` gives. Whoever came while another asked takes what that one heard,
    /// trouble included.
    pub(crate) async fn get<F>(&self, ask: impl FnOnce(Option<T>) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let came = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((at, heard)) = &*last
            && (*at > came || (heard.is_ok() && at.elapsed() < LIFE))
        {
            return heard.clone();
        }
        let before = last.as_ref().and_then(|(_, heard)| heard.clone().ok());
        let heard = ask(before).await;
        *last = Some((Instant::now(), heard.clone()));
        heard
    }

    /// Forgets what was heard.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_asks_for_all() {
        let (fresh, asked) = (Fresh::default(), AtomicU32::new(0));
        let ask = |_| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            match asked.fetch_add(1, Ordering::SeqCst) {
                1 => Err(Trouble::Unreachable("gone".into())),
                count => Ok(count),
            }
        };
        let all = async || join_all((0..100).map(|_| fresh.get(ask))).await;
        assert_eq!(all().await, vec![Ok(0); 100]);
        assert_eq!(all().await, vec![Ok(0); 100], "a moment later it is what was heard");
        tokio::time::advance(LIFE).await;
        assert!(all().await.iter().all(Result::is_err), "trouble is shared too");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(all().await, vec![Ok(2); 100], "and not kept");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
}
