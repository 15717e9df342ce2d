//! Requests as they stand and as they went, and those that are taken back.

use std::time::Duration;

use nsl_api::{
    Chain, Page,
    relay::{Cancel, ListTransactions, Passed, Transaction, WatchPassed},
};
use nsl_core::{Cx, Entry, Result};

use super::{Service, shown, state};
use crate::{
    rules,
    store::{self, Kept, LaneKey, is_end, list, news, steps},
    tidings::Ear,
};

const LONGEST_PAGE: u32 = 100;
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often what another process writes is looked for.
const LOOK: Duration = Duration::from_secs(1);
const NEWEST: &str = "~";

impl Service {
    pub(super) async fn kept(&self, cx: &Cx, chain: Chain, id: &str) -> Result<Kept> {
        let kept = store::find(&self.db, &cx.tenant, id).await?;
        if kept.chain == chain.as_str() { Ok(kept) } else { Err(rules::not_found()) }
    }

    pub(super) async fn page(&self, cx: &Cx, wanted: ListTransactions) -> Result<Page<Transaction>> {
        let limit = wanted.limit.clamp(1, LONGEST_PAGE);
        let before = wanted.after.as_deref().unwrap_or(NEWEST);
        let kept = list(&self.db, &cx.tenant, wanted.chain.as_str(), before, limit).await?;
        let next = (kept.len() == limit as usize).then(|| kept.last().map(|last| last.id.clone())).flatten();
        Ok(Page { items: kept.into_iter().map(shown).collect::<Result<_>>()?, next })
    }

    pub(super) async fn states(&self, cx: &Cx, id: &str, after: i64) -> Result<Page<Passed>> {
        told(steps(&self.db, &cx.tenant, id, after).await?)
    }

    pub(super) async fn wait_for(&self, cx: &Cx, asked: WatchPassed) -> Result<Page<Passed>> {
        let wait = Duration::from_millis(asked.wait_ms).min(LONGEST_WAIT).min(cx.deadline.remaining());
        let ear = Ear::on(asked.id.as_str().into());
        let found = async {
            loop {
                // What is told from here on wakes, so that nothing is missed between the look and the wait.
                let next = ear.next();
                let found = news(&self.db, &cx.tenant, asked.chain.as_str(), &asked.id, asked.after).await?;
                let (ended, passed) = found.ok_or_else(rules::not_found)?;
                if ended || !passed.is_empty() {
                    return told(passed);
                }
                let _ = tokio::time::timeout(LOOK, next).await;
            }
        };
        match tokio::time::timeout(wait, found).await {
            Ok(found) => found,
            // Whoever asks again looks first.
            Err(_) => told(Vec::new()),
        }
    }

    pub(super) async fn take_back(&self, cx: &Cx, asked: Cancel) -> Result<Transaction> {
        let now = self.clock.now();
        let entry = Entry::new(cx, "relay.request_cancelled", "relay", "cancel", now)
            .request("chain", asked.chain.as_str())
            .request("id", asked.id.clone());
        let entry = self.ledger.seal(cx, entry, serde_json::Map::new()).await?;
        let (tenant, chain, id) = (cx.tenant.clone(), asked.chain.as_str(), asked.id.clone());
        self.db.write(cx, store::Cancel { tenant, chain, id, now, entry }).await?;
        let kept = self.kept(cx, asked.chain, &asked.id).await?;
        if !is_end(&kept.state) {
            let (tenant, account) = (cx.tenant.clone(), kept.account.as_str().into());
            self.dispatcher.wake(LaneKey { tenant, chain, account });
        }
        shown(kept)
    }
}

fn told(passed: Vec<store::Passed>) -> Result<Page<Passed>> {
    let items = passed.into_iter().map(|step| {
        let (number, reason, tx, at) = (step.number, step.reason, step.hash, step.at);
        Ok(Passed { number, state: state(&step.state)?, reason, tx, at })
    });
    Ok(Page { items: items.collect::<Result<_>>()?, next: None })
}
