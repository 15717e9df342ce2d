//! The erasure of a person, and the ledger of erasures: objects that outlive the database, so that a backup
//! which brings a person back is found out and the person is erased again.

use nsl_core::{Entry, Result, Subject, TenantId, Timestamp};
use nsl_ledger::Search;
use nsl_privacy::erasures::{self, Line};
use serde_json::json;

use crate::{
    privacy::{addressed, system},
    receipt,
    service::{Service, name},
    store::{Advance, Progress, Remove, Request, Shred, What, kind},
};

const PAGE: u32 = 100;
const ERASED: &str = "storage.person_erased";

impl Service {
    pub(crate) async fn erase_person(&self, request: Request) -> Result<()> {
        let (tenant, subject) = (request.tenant.clone(), request.seen.subject.clone());
        let request = match request.erased {
            true => request,
            false => match self.destroy(&request).await? {
                Some(request) => request,
                None => return Ok(()),
            },
        };
        let cutoff = request.progress.cutoff.unwrap_or(request.seen.requested_at);
        let receipt = self.receipt(&request, cutoff).await?;
        let line = Line {
            request: request.seen.id.clone(),
            tenant: tenant.clone(),
            subject,
            cutoff,
            keys: request.progress.keys.clone(),
            receipt: receipt.clone(),
        };
        erasures::record(&self.blobs, &line).await?;
        let change = Advance {
            tenant: tenant.clone(),
            id: request.seen.id,
            status: "done",
            reason: None,
            receipt: Some(receipt),
            parts: None,
            attempt: None,
            completed_at: Some(self.clock.now()),
            entry: None,
        };
        self.store.db.write(&system(&tenant), change).await.map(drop)
    }

    /// Destroys keys and data; none when that is refused, and the request failed thereby.
    async fn destroy(&self, request: &Request) -> Result<Option<Request>> {
        let (tenant, subject, id) = (&request.tenant, &request.seen.subject, &request.seen.id);
        let cx = system(tenant);
        let cutoff = match request.progress.cutoff {
            Some(cutoff) => cutoff,
            None => {
                let now = self.clock.now();
                let entry = Entry::new(&cx, "storage.keys_destroyed", "storage", "privacy", now)
                    .request("request", id.as_str());
                let shred = Shred {
                    tenant: tenant.clone(),
                    request: Some(id.clone()),
                    subject: subject.clone(),
                    now,
                    cutoff: now,
                    entry: Some(entry),
                };
                match self.store.db.write(&cx, shred).await {
                    Err(error) if error.slug == "storage.retained" => {
                        self.fail(request, error.message).await?;
                        return Ok(None);
                    }
                    outcome => outcome?,
                };
                now
            }
        };
        self.keyring.forget(tenant, subject);
        self.clear(tenant, subject, cutoff, Some(id), None).await?;
        let exports = self.store.old_exports(Timestamp(0), Some((tenant, subject))).await?;
        self.drop_exports(&exports).await?;
        let entry = Entry::new(&cx, ERASED, "storage", "privacy", self.clock.now())
            .request("request", id.as_str())
            .request("kind", kind(request.seen.kind));
        let change = Advance {
            tenant: tenant.clone(),
            id: id.clone(),
            status: "erased",
            reason: None,
            receipt: None,
            parts: None,
            attempt: None,
            completed_at: None,
            entry: Some(entry),
        };
        self.store.db.write(&cx, change).await.map(Some)
    }

    /// Takes away what a person had by the cutoff, in batches.
    pub(crate) async fn clear(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        cutoff: Timestamp,
        request: Option<&String>,
        entry: Option<Entry>,
    ) -> Result<()> {
        let start = (String::new(), String::new());
        loop {
            let mut pairs = self.store.keys_of(tenant, subject, cutoff, &start, PAGE).await?;
            if pairs.is_empty() {
                pairs = self.store.past_keys_of(tenant, subject, cutoff, PAGE).await?;
            }
            if pairs.is_empty() {
                return Ok(());
            }
            let change = Remove {
                tenant: tenant.clone(),
                keys: addressed(subject, pairs)?,
                what: What::Everything { by: cutoff },
                entry: entry.clone().map(|entry| Entry { id: nsl_core::fresh("aud"), ..entry }),
                request: request.cloned(),
            };
            let removed = self.store.db.write(&system(tenant), change).await?;
            for (owner, chain, key, version) in removed.keys {
                self.cache.forget(&name(tenant, &owner, chain.parse()?, &key), version as u64).await;
            }
        }
    }

    async fn receipt(&self, request: &Request, cutoff: Timestamp) -> Result<serde_json::Value> {
        let Progress { keys, items, versions, bytes, audit_entry, .. } = &request.progress;
        let search = Search { event_type: Some(ERASED.to_owned()), limit: 1_000, ..Search::default() };
        let trail = self.ledger.search(&request.tenant, search).await?;
        let found = trail.into_iter().find(|found| Some(&found.id) == audit_entry.as_ref());
        let seed = self.secrets.ensure(receipt::KEY, receipt::SEED_BYTES).await?;
        let statement = json!({
            "what": "erasure of a person",
            "tenant": request.tenant,
            "subject": request.seen.subject,
            "request": request.seen.id,
            "asked_at": request.seen.requested_at,
            "cutoff": cutoff,
            "erased_at": self.clock.now(),
            "destroyed_keys": keys,
            "items": items,
            "past_versions": versions,
            "bytes": bytes,
            "audit_entry": audit_entry,
            "audit_hash": found.map(|found| found.hash),
        });
        receipt::sign(&seed, &statement)
    }

    /// Goes through the ledger of erasures and erases again whom a restored backup brought back. Says how many.
    pub(crate) async fn replay_erasures(&self) -> Result<usize> {
        let mut again = 0;
        for line in erasures::lines(&self.blobs).await? {
            if self.is_back(&line).await? {
                self.erase_again(&line).await?;
                tracing::warn!(request = line.request, tenant = %line.tenant, "a person who had come back was erased again");
                again += 1;
            }
        }
        Ok(again)
    }

    async fn is_back(&self, line: &Line) -> Result<bool> {
        for key in &line.keys {
            if self.keyring.find(&line.tenant, &key.as_str().into()).await?.is_some() {
                return Ok(true);
            }
        }
        let start = (String::new(), String::new());
        Ok(!self.store.keys_of(&line.tenant, &line.subject, line.cutoff, &start, 1).await?.is_empty()
            || !self.store.past_keys_of(&line.tenant, &line.subject, line.cutoff, 1).await?.is_empty())
    }

    async fn erase_again(&self, line: &Line) -> Result<()> {
        let cx = system(&line.tenant);
        let entry = Entry::new(&cx, "storage.person_erased_again", "storage", "replay_erasures", self.clock.now())
            .request("request", line.request.as_str());
        let shred = Shred {
            tenant: line.tenant.clone(),
            request: None,
            subject: line.subject.clone(),
            now: self.clock.now(),
            cutoff: line.cutoff,
            entry: Some(entry.clone()),
        };
        self.store.db.write(&cx, shred).await?;
        self.keyring.forget(&line.tenant, &line.subject);
        self.clear(&line.tenant, &line.subject, line.cutoff, None, Some(entry)).await
    }
}
