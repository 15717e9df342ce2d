//! Requests of persons about their data: taken down here, done in the background.

use std::time::Duration;

use bytes::Bytes;
use nsl_api::{
    Page, Revealed,
    storage::{AskPrivacy, Chain, Exported, ListPrivacy, PrivacyKind, PrivacyRequest, PrivacyStatus},
};
use nsl_core::{Code, Cx, Entry, Error, Result, Subject, TenantId, fresh};
use nsl_keyring::bind;

use crate::{
    service::Service,
    store::{Advance, Ask, Place, Progress, Request, kind},
};

const ADMIN: &str = "privacy:admin";
/// One month (GDPR article 12).
const DUE: Duration = Duration::from_secs(30 * 86_400);
const BUDGET: Duration = Duration::from_secs(300);
const PAGE: u32 = 50;
/// What one reply can carry.
const MOST_EXPORT: usize = 64 << 20;

fn not_found() -> Error {
    Error::new(Code::NotFound, "storage.request_not_found", "there is no such request")
}

pub(crate) fn system(tenant: &TenantId) -> Cx {
    Cx::system(tenant.clone(), BUDGET)
}

impl Service {
    pub(crate) async fn take_request(&self, cx: &Cx, ask: AskPrivacy) -> Result<PrivacyRequest> {
        cx.permit("privacy:write")?;
        let subject = ask.subject.unwrap_or_else(|| cx.principal.subject.clone());
        if subject != cx.principal.subject {
            cx.permit(ADMIN)?;
        }
        let now = self.clock.now();
        let seen = PrivacyRequest {
            id: fresh("gdpr"),
            kind: ask.kind,
            subject: subject.clone(),
            status: PrivacyStatus::Pending,
            requested_at: now,
            due_at: now.plus(DUE),
            completed_at: None,
            reason: None,
            receipt: None,
        };
        let entry = Entry::new(cx, "storage.privacy_asked", "storage", "ask_privacy", now)
            .request("kind", kind(ask.kind))
            .request("request", seen.id.as_str());
        let mut personal = serde_json::Map::new();
        personal.insert("subject".to_owned(), subject.as_str().into());
        let entry = self.ledger.seal(cx, entry, personal).await?;
        let request = Request { tenant: cx.tenant.clone(), seen, erased: false, progress: Progress::default() };
        let ask = Ask { request, requested_by: cx.principal.subject.clone(), entry };
        let request = self.store.db.write(cx, ask).await?;
        self.asked.notify_one();
        Ok(request.seen)
    }

    pub(crate) async fn visible_request(&self, cx: &Cx, id: &str) -> Result<Request> {
        cx.permit("privacy:read")?;
        let request = self.store.request(&cx.tenant, id).await?.ok_or_else(not_found)?;
        if request.seen.subject != cx.principal.subject && !cx.principal.holds(ADMIN) {
            return Err(not_found());
        }
        Ok(request)
    }

    pub(crate) async fn visible_requests(&self, cx: &Cx, list: ListPrivacy) -> Result<Page<PrivacyRequest>> {
        cx.permit("privacy:read")?;
        let limit = list.limit.clamp(1, 100);
        // Above all ids, which start with their prefix.
        let below = list.after.as_deref().unwrap_or("h");
        let subject = if cx.principal.holds(ADMIN) { "" } else { cx.principal.subject.as_str() };
        let mut found = self.store.requests(&cx.tenant, below, subject, limit + 1).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|request| request.seen.id.clone());
        Ok(Page { items: found.into_iter().map(|request| request.seen).collect(), next })
    }

    pub(crate) async fn fetch_export(&self, cx: &Cx, id: &str) -> Result<Exported> {
        let request = self.visible_request(cx, id).await?;
        let absent = || Error::new(Code::NotFound, "storage.export_not_found", "there is no finished export to fetch");
        if request.seen.kind != PrivacyKind::Export || request.seen.status != PrivacyStatus::Done {
            return Err(absent());
        }
        let blob = self.blobs.get(&export_path(&cx.tenant, id)).await?.ok_or_else(absent)?;
        let line = blob.iter().position(|byte| *byte == b'\n').ok_or_else(absent)?;
        let key_id = std::str::from_utf8(&blob[..line]).map_err(Error::internal)?;
        let key = self.keyring.find(&cx.tenant, &key_id.into()).await?.ok_or_else(absent)?;
        let plain = key.open(&export_place(&request), &blob[line + 1..])?;
        Ok(Exported { document: Revealed(String::from_utf8(plain).map_err(Error::internal)?) })
    }

    /// Does what is asked for and not yet done. Says how many requests it finished.
    pub(crate) async fn do_requests(&self) -> Result<usize> {
        let mut finished = 0;
        for request in self.store.open_requests(20).await? {
            let (id, kind) = (request.seen.id.clone(), request.seen.kind);
            let done = match kind {
                PrivacyKind::Export => self.export_person(&request).await,
                PrivacyKind::Erasure => self.erase_person(request).await,
            };
            match done {
                Ok(()) => finished += 1,
                Err(error) => {
                    tracing::warn!(
                        request = id,
                        cause = error.cause().map(|c| format!("{c:#}")),
                        "a person's request is not done yet: {error}"
                    );
                }
            }
        }
        Ok(finished)
    }

    pub(crate) async fn fail(&self, request: &Request, reason: String) -> Result<()> {
        let entry =
            Entry::new(&system(&request.tenant), "storage.privacy_failed", "storage", "privacy", self.clock.now())
                .request("request", request.seen.id.as_str());
        let change = Advance {
            tenant: request.tenant.clone(),
            id: request.seen.id.clone(),
            status: "failed",
            reason: Some(reason),
            receipt: None,
            completed_at: Some(self.clock.now()),
            entry: Some(entry),
        };
        self.store.db.write(&system(&request.tenant), change).await.map(drop)
    }

    async fn export_person(&self, request: &Request) -> Result<()> {
        let (tenant, subject) = (&request.tenant, &request.seen.subject);
        let Some(document) = self.document(tenant, subject).await? else {
            return self.fail(request, format!("the person's data is more than {MOST_EXPORT} bytes")).await;
        };
        let key = self.keyring.current(tenant, subject).await?;
        let mut blob = format!("{}\n", key.id()).into_bytes();
        blob.extend(key.seal(&export_place(request), &document)?);
        self.blobs.put(&export_path(tenant, &request.seen.id), Bytes::from(blob)).await?;
        let entry = Entry::new(&system(tenant), "storage.person_exported", "storage", "privacy", self.clock.now())
            .request("request", request.seen.id.as_str());
        let change = Advance {
            tenant: tenant.clone(),
            id: request.seen.id.clone(),
            status: "done",
            reason: None,
            receipt: None,
            completed_at: Some(self.clock.now()),
            entry: Some(entry),
        };
        self.store.db.write(&system(tenant), change).await.map(drop)
    }

    /// Everything that is kept of a person, as JSON; none when it is too much for one document.
    async fn document(&self, tenant: &TenantId, subject: &Subject) -> Result<Option<Vec<u8>>> {
        let now = self.clock.now();
        let head = serde_json::json!({"tenant": tenant, "subject": subject, "exported_at": now}).to_string();
        let mut out = head.into_bytes();
        out.pop();
        out.extend_from_slice(b",\"items\":[");
        let mut after = (String::new(), String::new());
        let mut first = true;
        loop {
            let page = self.store.values_of(tenant, subject, &after, PAGE).await?;
            for (chain, key, held) in &page {
                after = (chain.as_str().to_owned(), key.clone());
                let place = Place { tenant, owner: subject, chain: *chain, key };
                if held.lives(now) {
                    let at = nsl_api::storage::Address { chain: *chain, owner: None, key: key.clone() };
                    let meta = serde_json::to_vec(&held.meta(&at, subject.clone())).map_err(Error::internal)?;
                    self.add(&mut out, &mut first, meta, place, held.version, &held.body).await?;
                }
            }
            if out.len() > MOST_EXPORT {
                return Ok(None);
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        out.extend_from_slice(b"],\"past_versions\":[");
        let mut after = (String::new(), String::new(), 0);
        let mut first = true;
        loop {
            let page = self.store.past_values_of(tenant, subject, &after, PAGE).await?;
            for (chain, key, version, past) in &page {
                after = (chain.as_str().to_owned(), key.clone(), *version);
                let place = Place { tenant, owner: subject, chain: *chain, key };
                let Some(body) = past.body.as_ref().filter(|_| past.expires_at.is_none_or(|at| at > now)) else {
                    continue;
                };
                let meta = serde_json::json!({
                    "chain": chain, "key": key, "version": version, "updated_at": past.updated_at, "metadata": past.metadata
                });
                self.add(&mut out, &mut first, meta.to_string().into_bytes(), place, *version, body).await?;
            }
            if out.len() > MOST_EXPORT {
                return Ok(None);
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        out.extend_from_slice(b"]}");
        Ok(Some(out))
    }

    async fn add(
        &self,
        out: &mut Vec<u8>,
        first: &mut bool,
        mut meta: Vec<u8>,
        place: Place<'_>,
        version: i64,
        body: &crate::held::Body,
    ) -> Result<()> {
        let value = match self.open(place, version, body).await {
            Ok(value) => value,
            // Its key was destroyed: nobody can read it any more.
            Err(error) if error.code == Code::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !std::mem::replace(first, false) {
            out.push(b',');
        }
        meta.pop();
        out.append(&mut meta);
        out.extend_from_slice(b",\"value\":");
        out.extend_from_slice(value.as_bytes());
        out.push(b'}');
        Ok(())
    }

    /// Takes away exports that are too old to be fetched.
    pub(crate) async fn drop_old_exports(&self) -> Result<usize> {
        let days = self.limits.settings.load().0.keep_exports_days;
        let before = self.clock.now().minus(Duration::from_secs(u64::from(days) * 86_400));
        let old = self.store.old_exports(before, None).await?;
        self.drop_exports(&old).await?;
        Ok(old.len())
    }

    pub(crate) async fn drop_exports(&self, requests: &[Request]) -> Result<()> {
        for request in requests {
            self.blobs.delete(&export_path(&request.tenant, &request.seen.id)).await?;
            let change = Advance {
                tenant: request.tenant.clone(),
                id: request.seen.id.clone(),
                status: "expired",
                reason: None,
                receipt: None,
                completed_at: request.seen.completed_at,
                entry: None,
            };
            self.store.db.write(&system(&request.tenant), change).await?;
        }
        Ok(())
    }
}

fn export_path(tenant: &TenantId, id: &str) -> String {
    format!("exports/{}/{id}", part(tenant))
}

fn export_place(request: &Request) -> Vec<u8> {
    let (tenant, seen) = (request.tenant.as_str(), &request.seen);
    bind(&[b"export", tenant.as_bytes(), seen.subject.as_str().as_bytes(), seen.id.as_bytes()])
}

/// A tenant as a part of a blob's path, which takes fewer characters than an id has.
pub(crate) fn part(tenant: &TenantId) -> String {
    let id = tenant.as_str();
    let plain = id.starts_with("ten_") && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { id.to_owned() } else { format!("x-{}", hex::encode(id)) }
}

/// The chain and key of a row as the api has them.
pub(crate) fn addressed(owner: &Subject, pairs: Vec<(String, String)>) -> Result<Vec<(Subject, Chain, String)>> {
    pairs.into_iter().map(|(chain, key)| Ok((owner.clone(), chain.parse()?, key))).collect()
}
