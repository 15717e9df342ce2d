//! What runs beside requests. Each loop has a tick that tests call.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nsl_api::storage::Chain;
use nsl_core::{Entry, Result, Subject, TenantId};
use nsl_kit::Tasks;

use crate::{
    privacy::system,
    service::{Service, name},
    store::{Remove, Step, Touch, Verb, What, Write},
};

const FLUSH: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_secs(10);
const TRIM: Duration = Duration::from_secs(600);
const PRIVACY: Duration = Duration::from_secs(5);
/// Rows of one round.
const PAGE: u32 = 500;

pub(crate) fn start(service: &Arc<Service>, tasks: &Tasks) {
    let every = |label: &'static str, pause: Duration, last: bool, tick: Tick| {
        let service = Arc::clone(service);
        tasks.supervise(label, move |stop| {
            let service = Arc::clone(&service);
            async move {
                loop {
                    let stopping = tokio::select! {
                        () = stop.cancelled() => true,
                        () = tokio::time::sleep(pause) => false,
                        () = service.asked.notified(), if matches!(tick, Tick::Privacy) => false,
                    };
                    if stopping && !last {
                        return Ok(());
                    }
                    if let Err(error) = service.tick(tick).await {
                        let cause = error.cause().map(|cause| format!("{cause:#}"));
                        tracing::warn!(task = label, cause, "will be tried again: {error}");
                    }
                    if stopping {
                        return Ok(());
                    }
                }
            }
        });
    };
    let forgetting = service.forgetting.clone();
    tasks.spawn("storage: last words to the cache", |stop| async move {
        stop.cancelled().await;
        forgetting.close();
        forgetting.wait().await;
        Ok(())
    });
    every("storage: access counters", FLUSH, true, Tick::Reads);
    every("storage: expiry", SWEEP, false, Tick::Expiry);
    every("storage: trimming", TRIM, false, Tick::Trim);
    every("storage: privacy", PRIVACY, false, Tick::Privacy);
}

/// One round of background work.
#[derive(Clone, Copy, Debug)]
pub enum Tick {
    /// Writes the access counters down.
    Reads,
    /// Removes values whose time is over.
    Expiry,
    /// Removes deleted keys and exports that were kept long enough.
    Trim,
    /// Does what persons asked for.
    Privacy,
}

type Keys = Vec<(Subject, Chain, String)>;

fn by_tenant(rows: Vec<(TenantId, Subject, Chain, String)>) -> BTreeMap<TenantId, Keys> {
    let mut groups = BTreeMap::<TenantId, Keys>::new();
    for (tenant, owner, chain, key) in rows {
        groups.entry(tenant).or_default().push((owner, chain, key));
    }
    groups
}

impl Service {
    pub(crate) async fn tick(&self, tick: Tick) -> Result<usize> {
        match tick {
            Tick::Reads => self.flush_reads().await,
            Tick::Expiry => self.sweep().await,
            Tick::Trim => Ok(self.trim().await? + self.trim_surplus().await? + self.drop_old_exports().await?),
            Tick::Privacy => self.do_requests().await,
        }
    }

    /// Writes down what was read since the last time.
    async fn flush_reads(&self) -> Result<usize> {
        let reads = self.reads.take();
        let count = reads.len();
        if count == 0 {
            return Ok(0);
        }
        let again = reads.clone();
        if let Err(error) = self.store.db.write_platform(Touch { reads }).await {
            for read in again {
                let name = name(&read.tenant, &read.owner, read.chain, &read.key);
                self.reads.count(&name, (&read.tenant, &read.owner, read.chain, &read.key), read.times, read.last);
            }
            return Err(error);
        }
        Ok(count)
    }

    /// Removes values whose time is over, with their history, until none is left.
    async fn sweep(&self) -> Result<usize> {
        let mut swept = 0;
        loop {
            let now = self.clock.now();
            let rows = self.store.expired(now, PAGE).await?;
            let full = rows.len() == PAGE as usize;
            let before = swept;
            for (tenant, keys) in by_tenant(rows) {
                let cx = system(&tenant);
                let steps = keys.into_iter().map(|(owner, chain, key)| Step {
                    owner,
                    chain,
                    key,
                    expected: None,
                    verb: Verb::Expire,
                    entry: None,
                });
                let steps: Vec<Step> = steps.collect();
                let summary = Entry::new(&cx, "storage.values_expired", "storage", "expire", now);
                let limits = Arc::clone(&self.limits);
                let write = Write { limits, tenant: tenant.clone(), steps, summary: Some(summary) };
                let outcomes = self.store.db.write(&cx, write).await?;
                swept += outcomes.iter().filter(|outcome| outcome.version > 0).count();
            }
            if !full || swept == before {
                break;
            }
        }
        loop {
            let now = self.clock.now();
            let rows = self.store.lapsed_history(now, PAGE).await?;
            let full = rows.len() == PAGE as usize;
            let removed = self.remove(rows, What::Lapsed { by: now }).await?;
            swept += removed;
            // A page of which nothing went would come again for ever.
            if !full || removed == 0 {
                return Ok(swept);
            }
        }
    }

    /// Removes deleted keys that nobody may restore any more.
    async fn trim(&self) -> Result<usize> {
        let mut trimmed = 0;
        loop {
            let days = self.limits.settings.load().0.keep_deleted_days;
            let before = self.clock.now().minus(Duration::from_secs(u64::from(days) * 86_400));
            let rows = self.store.trimmable(before, PAGE).await?;
            let full = rows.len() == PAGE as usize;
            let removed = self.remove(rows, What::Deleted { by: before }).await?;
            trimmed += removed;
            if !full || removed == 0 {
                return Ok(trimmed);
            }
        }
    }

    /// Removes the oldest deleted keys of tenants that have more of them than they may have living ones: who
    /// stores and deletes all day must not fill the database with traces.
    async fn trim_surplus(&self) -> Result<usize> {
        let mut trimmed = 0;
        for (tenant, count) in self.store.littered(self.limits.quota().items).await? {
            let mut surplus = count - self.limits.quota().items;
            while surplus > 0 {
                let rows = self.store.oldest_deleted(&tenant, surplus.min(i64::from(PAGE)) as u32).await?;
                if rows.is_empty() {
                    break;
                }
                surplus -= rows.len() as i64;
                trimmed += self.remove(rows, What::Deleted { by: self.clock.now() }).await?;
            }
        }
        Ok(trimmed)
    }

    async fn remove(&self, rows: Vec<(TenantId, Subject, Chain, String)>, what: What) -> Result<usize> {
        let mut count = 0;
        for (tenant, mut keys) in by_tenant(rows) {
            keys.sort_unstable();
            keys.dedup();
            let cx = system(&tenant);
            let entry = Entry::new(&cx, "storage.history_trimmed", "storage", "trim", self.clock.now());
            let change = Remove { tenant: tenant.clone(), keys, what, entry: Some(entry), request: None };
            let removed = self.store.db.write(&cx, change).await?;
            count += removed.keys.len() + removed.versions as usize;
            // The next version of such a key is its first again.
            for (owner, chain, key, version) in removed.keys {
                self.cache.forget(&name(&tenant, &owner, chain.parse()?, &key), version as u64).await;
            }
        }
        Ok(count)
    }
}
