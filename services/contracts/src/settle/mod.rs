//! When deployments and updates that are on their way are looked at: in rounds, and when somebody asks.

mod outcome;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use nsl_api::relay::RelayClient;
use nsl_core::{Clock, Result, TenantId, Timestamp};
use nsl_sql::Db;
use tokio_util::sync::CancellationToken;

pub(crate) use outcome::foreseen;

use crate::{
    Pace,
    service::Chains,
    store::{open_deployments, open_of, open_updates},
};

/// So many are looked at side by side.
const TOGETHER: usize = 8;
/// For so long one is young: it is looked at each time. Then the pauses grow with its age, up to the longest.
const YOUNG: Duration = Duration::from_secs(60);
const PART_OF_AGE: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Of the deployments of one tenant that one question of somebody looks at, and how long it waits for that.
const ASKED_ABOUT: usize = 8;
const WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Settler {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) relay: RelayClient,
    pub(crate) chains: Chains,
    pub(crate) asked: tokio::sync::Notify,
    pub(crate) looks: Looks,
}

/// When each open one was last looked at in this process.
#[derive(Default)]
pub(crate) struct Looks(Mutex<HashMap<String, Timestamp>>);

impl Looks {
    /// Whether it is time to look at one of this age again; if so it counts as looked at.
    fn is_due(&self, id: &str, since: Timestamp, now: Timestamp) -> bool {
        let age = now.since(since);
        let pause = if age < YOUNG { Duration::ZERO } else { (age / PART_OF_AGE).min(LONGEST_PAUSE) };
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looks.get(id).is_none_or(|last| now >= last.plus(pause));
        if due {
            looks.insert(id.to_owned(), now);
        }
        due
    }

    /// Forgets what was not looked at for so long that it can't be open any more.
    fn forget(&self, now: Timestamp) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, last| now.since(*last) < 2 * LONGEST_PAUSE);
    }
}

impl Settler {
    pub(crate) async fn run(self: Arc<Self>, pace: Pace, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let young = match self.round().await {
                Ok(young) => young,
                Err(error) => {
                    tracing::warn!(%error, cause = ?error.cause(), "looking for open deployments failed, trying again later");
                    1
                }
            };
            let pause = if young > 0 { pace.busy } else { pace.idle };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.asked.notified(), if young == 0 => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at what is open and due, and says how many of those that remain so are young.
    async fn round(&self) -> Result<usize> {
        let now = self.clock.now();
        let mut young = 0;
        let mut after = String::new();
        loop {
            let mut deployments = open_deployments(&self.db, &after).await?;
            let Some(last) = deployments.last() else { break };
            after = last.id.clone();
            deployments.retain(|known| self.looks.is_due(&known.id, known.created_at, now));
            let mut looks: Vec<BoxFuture<'_, bool>> = Vec::new();
            for known in &deployments {
                let is_young = now.since(known.created_at) < YOUNG;
                looks.push(async move { !self.heed(self.deployment(known).await, &known.id) && is_young }.boxed());
            }
            young += count(looks).await;
        }
        after.clear();
        loop {
            let mut updates = open_updates(&self.db, &after).await?;
            let Some(last) = updates.last() else { break };
            after = last.request.clone();
            updates.retain(|kept| self.looks.is_due(&kept.request, kept.asked_at, now));
            let mut looks: Vec<BoxFuture<'_, bool>> = Vec::new();
            for kept in &updates {
                let is_young = now.since(kept.asked_at) < YOUNG;
                looks.push(async move { !self.heed(self.update(kept).await, &kept.request) && is_young }.boxed());
            }
            young += count(looks).await;
        }
        self.looks.forget(now);
        Ok(young)
    }

    /// Looks at the last deployments of one tenant that are on their way, and says how many are decided now.
    pub(crate) async fn tenant(&self, tenant: &TenantId) -> Result<usize> {
        let now = self.clock.now();
        let open = open_of(&self.db, tenant).await?;
        let mut looks: Vec<BoxFuture<'_, bool>> = Vec::new();
        for known in &open {
            if looks.len() < ASKED_ABOUT && self.looks.is_due(&known.id, known.created_at, now) {
                looks.push(async { self.heed(self.deployment(known).await, &known.id) }.boxed());
            }
        }
        // Who asks is told what is known by then.
        Ok(tokio::time::timeout(WAIT, count(looks)).await.unwrap_or(1))
    }

    // One that can't be looked at holds up no other.
    fn heed(&self, settled: Result<bool>, id: &str) -> bool {
        settled.unwrap_or_else(|error| {
            tracing::debug!(%error, cause = ?error.cause(), id, "what became of it can't be told yet");
            false
        })
    }
}

/// How many of these hold.
async fn count(looks: Vec<BoxFuture<'_, bool>>) -> usize {
    let told: Vec<bool> = stream::iter(looks).buffer_unordered(TOGETHER).collect().await;
    told.into_iter().filter(|holds| *holds).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_stays_open_is_looked_at_less_and_less_often() {
        let looks = Looks::default();
        let start = Timestamp(1_000_000_000);
        let at = |secs: u64| start.plus(Duration::from_secs(secs));
        let count = |from: u64, to: u64| (from..to).filter(|second| looks.is_due("con_1", start, at(*second))).count();
        assert_eq!(count(0, 60), 60, "each time while it is young");
        assert!((40..=50).contains(&count(60, 600)));
        assert!((45..=58).contains(&count(600, 3_600)));
        assert_eq!(count(3_600, 7_200), 60, "once a minute");
        assert!(looks.is_due("con_2", start, at(7_200)), "another one, at once");
        looks.forget(at(7_200));
        assert!(!looks.is_due("con_1", start, at(7_201)));
        looks.forget(at(7_500));
        assert!(looks.0.lock().unwrap().is_empty(), "what nobody looks at any more is forgotten");
    }
}
