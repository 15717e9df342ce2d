//! This service's part in what persons ask about their data on the whole platform.

use std::time::Duration;

use async_trait::async_trait;
use nsl_api::{
    privacy::{DataOutcome, DataTask},
    storage::{Address, PrivacyKind, PrivacyRequest, PrivacyStatus},
};
use nsl_core::{Code, Entry, Error, Result, Subject, TenantId};
use nsl_privacy::{Copy, Holder, erasures::part};
use nsl_sql::{Scope, Statement, args};

use crate::{
    held::Body,
    privacy::system,
    service::Service,
    store::{Ask, Place, Progress, Request, Shred},
};

const PAGE: u32 = 50;
/// A refusal holds for so long before it is looked at again.
const REFUSAL: Duration = Duration::from_secs(1_800);

static OWNERS: &str = "SELECT user_address FROM storage_data WHERE tenant_id = $1
    UNION SELECT user_address FROM storage_versions WHERE tenant_id = $1 ORDER BY 1 LIMIT 100";
static LOCKED: &str = "SELECT count(*) FROM storage_data
    WHERE tenant_id = $1 AND retain_until > $2 AND deleted_at IS NULL";
static REOPEN: &str = "UPDATE gdpr_requests SET status = 'pending', reason = NULL, completed_at = NULL
    WHERE tenant_id = $1 AND id = $2 AND status = 'failed' AND completed_at <= $3";
// What the platform keeps under its own name is no person's: keys of accounts that may hold money.
static FORGET: &[&str] = &[
    "DELETE FROM gdpr_requests WHERE tenant_id = $1",
    "DELETE FROM data_keys WHERE tenant_id = $1 AND subject <> 'platform'",
];

#[async_trait]
impl Holder for Service {
    async fn export(&self, task: &DataTask, copy: &mut Copy<'_>) -> Result<()> {
        let Some(subject) = &task.subject else { return Ok(()) };
        self.copy_values(&task.tenant, subject, copy).await?;
        self.copy_past_values(&task.tenant, subject, copy).await
    }

    async fn erase(&self, task: &DataTask) -> Result<DataOutcome> {
        match &task.subject {
            Some(subject) => self.erase_by_request(task, subject).await,
            None => self.empty_tenant(&task.tenant).await,
        }
    }
}

impl Service {
    /// Goes the way of a request that is made here: its receipt and its line in the ledger of erasures are the same.
    async fn erase_by_request(&self, task: &DataTask, subject: &Subject) -> Result<DataOutcome> {
        let (tenant, now) = (&task.tenant, self.clock.now());
        let id = format!("gdpr_{}", task.request.trim_start_matches("prv_"));
        if self.store.request(tenant, &id).await?.is_none() {
            let seen = PrivacyRequest {
                id: id.clone(),
                kind: PrivacyKind::Erasure,
                subject: subject.clone(),
                status: PrivacyStatus::Pending,
                requested_at: now,
                due_at: now,
                completed_at: None,
                parts: None,
                reason: None,
                receipt: None,
            };
            let cx = system(tenant);
            let entry = Entry::new(&cx, "storage.privacy_asked", "storage", "erase", now)
                .request("kind", "erasure")
                .request("request", id.as_str());
            let request =
                Request { tenant: tenant.clone(), seen, erased: false, progress: Progress::default(), tries: 0 };
            let ask = Ask { request, requested_by: cx.principal.subject.clone(), entry };
            self.store.db.write(&cx, ask).await?;
        }
        let reopen = Statement { sql: REOPEN, args: args![tenant, id.as_str(), now.minus(REFUSAL)] };
        self.store.db.write(&system(tenant), reopen).await?;
        self.do_requests().await?;
        let found = self.store.request(tenant, &id).await?;
        match found.map(|found| (found.seen.status, found.seen.reason, found.progress.items)) {
            Some((PrivacyStatus::Done, _, items)) => {
                Ok(DataOutcome { items: items.try_into().unwrap_or(0), ..DataOutcome::default() })
            }
            Some((PrivacyStatus::Failed, reason, _)) => {
                let reason = reason.unwrap_or_else(|| "refused".to_owned());
                Ok(DataOutcome { refused: Some(reason), ..DataOutcome::default() })
            }
            _ => Err(Error::new(Code::Unavailable, "storage.erasure_open", "the erasure is not done yet")),
        }
    }

    async fn empty_tenant(&self, tenant: &TenantId) -> Result<DataOutcome> {
        let (cx, cutoff) = (system(tenant), self.clock.now());
        let mut locked = self.store.db.scan(Scope::Tenant(tenant), LOCKED, args![tenant, cutoff]).await?;
        let locked: i64 = locked.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
        if locked > 0 {
            let refused = Some(format!("retention locks hold {locked} of the values"));
            return Ok(DataOutcome { refused, ..DataOutcome::default() });
        }
        let mut items = 0;
        loop {
            let owners = self.store.db.scan(Scope::Tenant(tenant), OWNERS, args![tenant]).await?;
            if owners.is_empty() {
                break;
            }
            for mut row in owners {
                let subject: Subject = row.take(0)?;
                let (request, entry) = (None, None);
                let shred =
                    Shred { tenant: tenant.clone(), request, subject: subject.clone(), now: cutoff, cutoff, entry };
                self.store.db.write(&cx, shred).await?;
                self.keyring.forget(tenant, &subject);
                self.clear(tenant, &subject, cutoff, None, None).await?;
                items += 1;
            }
        }
        for path in self.blobs.list(&format!("exports/{}", part(tenant))).await? {
            self.blobs.delete(&path).await?;
        }
        for sql in FORGET {
            self.store.db.write(&cx, Statement { sql, args: args![tenant] }).await?;
        }
        Ok(DataOutcome { items, ..DataOutcome::default() })
    }

    async fn copy_values(&self, tenant: &TenantId, subject: &Subject, copy: &mut Copy<'_>) -> Result<()> {
        let (now, mut after) = (self.clock.now(), (String::new(), String::new()));
        loop {
            let page = self.store.values_of(tenant, subject, &after, PAGE).await?;
            for (chain, key, held) in page.iter().filter(|(_, _, held)| held.lives(now)) {
                let at = Address { chain: *chain, owner: None, key: key.clone() };
                let known = serde_json::to_vec(&held.meta(&at, subject.clone())).map_err(Error::internal)?;
                let place = Place { tenant, owner: subject, chain: *chain, key };
                self.copy_value(known, place, held.version, &held.body, copy).await?;
            }
            match page.into_iter().next_back() {
                Some((chain, key, _)) => after = (chain.as_str().to_owned(), key),
                None => return Ok(()),
            }
        }
    }

    async fn copy_past_values(&self, tenant: &TenantId, subject: &Subject, copy: &mut Copy<'_>) -> Result<()> {
        let (now, mut after) = (self.clock.now(), (String::new(), String::new(), 0));
        loop {
            let page = self.store.past_values_of(tenant, subject, &after, PAGE).await?;
            for (chain, key, version, past) in &page {
                let expired = past.expires_at.is_some_and(|at| at <= now);
                let Some(body) = past.body.as_ref().filter(|_| !expired) else { continue };
                let known = serde_json::json!({
                    "chain": chain, "key": key, "version": version, "updated_at": past.updated_at, "past": true,
                });
                let place = Place { tenant, owner: subject, chain: *chain, key };
                self.copy_value(known.to_string().into_bytes(), place, *version, body, copy).await?;
            }
            match page.into_iter().next_back() {
                Some((chain, key, version, _)) => after = (chain.as_str().to_owned(), key, version),
                None => return Ok(()),
            }
        }
    }

    /// What is known of a value, with the value as it was stored.
    async fn copy_value(
        &self,
        mut known: Vec<u8>,
        place: Place<'_>,
        version: i64,
        body: &Body,
        copy: &mut Copy<'_>,
    ) -> Result<()> {
        let value = match self.open(place, version, body).await {
            Ok(value) => value,
            // Its key was destroyed: nobody can read it any more.
            Err(error) if error.code == Code::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        known.pop();
        known.extend_from_slice(b",\"value\":");
        known.extend_from_slice(value.as_bytes());
        known.push(b'}');
        copy.add_text(&known).await
    }
}
