//! Requests of persons about their data: taken down here, done in the background.

use std::time::Duration;

use nsl_api::{
    Page, Revealed,
    storage::{AskPrivacy, Chain, Exported, FetchExport, ListPrivacy, PrivacyKind, PrivacyRequest, PrivacyStatus},
};
use nsl_core::{Code, Cx, Entry, Error, Result, Subject, TenantId, fresh};

use crate::{
    export,
    rules::REFUSED,
    service::Service,
    store::{Advance, Ask, Progress, Request, TakeUp, kind, postpone},
};

const ADMIN: &str = "privacy:admin";
/// One month (GDPR article 12).
const DUE: Duration = Duration::from_secs(30 * 86_400);
const BUDGET: Duration = Duration::from_secs(300);

/// For how long a process has a request to itself; an export asks for more at each part.
pub(crate) const LEASE: Duration = Duration::from_secs(600);

/// How long a request waits that failed so often, so that those which can be done are not kept from it.
fn pause_after(tries: i64) -> Duration {
    Duration::from_secs(5 << tries.clamp(0, 9))
}

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
        // What the platform keeps for a tenant under its own name belongs to no person.
        if subject.is_reserved() {
            let message = format!("{subject} is a name of the platform, and no person");
            return Err(Error::invalid("storage.subject_reserved", message));
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
            parts: None,
            reason: None,
            receipt: None,
        };
        let entry = Entry::new(cx, "storage.privacy_asked", "storage", "ask_privacy", now)
            .request("kind", kind(ask.kind))
            .request("request", seen.id.as_str());
        let mut personal = serde_json::Map::new();
        personal.insert("subject".to_owned(), subject.as_str().into());
        let entry = self.ledger.seal(cx, entry, personal).await?;
        let request =
            Request { tenant: cx.tenant.clone(), seen, erased: false, progress: Progress::default(), tries: 0 };
        let ask = Ask { request, requested_by: cx.principal.subject.clone(), entry };
        let request = self.store.db.write(cx, ask).await?;
        self.asked.notify_one();
        Ok(request.seen)
    }

    pub(crate) async fn visible_request(&self, cx: &Cx, id: &str) -> Result<Request> {
        cx.permit("privacy:read")?;
        let request = self.store.request(&cx.tenant, id).await?.ok_or_else(not_found)?;
        if request.seen.subject != cx.principal.subject && cx.permit(ADMIN).is_err() {
            return Err(not_found().detail(REFUSED, true));
        }
        Ok(request)
    }

    pub(crate) async fn visible_requests(&self, cx: &Cx, list: ListPrivacy) -> Result<Page<PrivacyRequest>> {
        cx.permit("privacy:read")?;
        let limit = list.limit.clamp(1, 100);
        // Above all ids, which start with their prefix.
        let below = list.after.as_deref().unwrap_or("h");
        let subject = if cx.permit(ADMIN).is_ok() { "" } else { cx.principal.subject.as_str() };
        let mut found = self.store.requests(&cx.tenant, below, subject, limit + 1).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|request| request.seen.id.clone());
        Ok(Page { items: found.into_iter().map(|request| request.seen).collect(), next })
    }

    pub(crate) async fn fetch_export(&self, cx: &Cx, fetch: &FetchExport) -> Result<Exported> {
        let request = self.visible_request(cx, &fetch.id).await?;
        let absent = || Error::new(Code::NotFound, "storage.export_not_found", "there is no finished export to fetch");
        let done = request.seen.kind == PrivacyKind::Export && request.seen.status == PrivacyStatus::Done;
        if !done || fetch.part == 0 || fetch.part > request.progress.parts {
            return Err(absent());
        }
        let path = export::path(&request, request.progress.attempt, fetch.part);
        let blob = self.blobs.get(&path).await?.ok_or_else(absent)?;
        let line = blob.iter().position(|byte| *byte == b'\n').ok_or_else(absent)?;
        let key_id = std::str::from_utf8(&blob[..line]).map_err(Error::internal)?;
        let key = self.keyring.find(&cx.tenant, &key_id.into()).await?.ok_or_else(absent)?;
        let plain = key.open(&export::place(&request, fetch.part), &blob[line + 1..])?;
        Ok(Exported { document: Revealed(String::from_utf8(plain).map_err(Error::internal)?) })
    }

    /// Does what is asked for and not yet done. Says how many requests it finished.
    pub(crate) async fn do_requests(&self) -> Result<usize> {
        let mut finished = 0;
        for open in self.store.open_requests(20, self.clock.now()).await? {
            let (tenant, now) = (open.tenant, self.clock.now());
            let take = TakeUp { tenant: tenant.clone(), id: open.seen.id, now, until: now.plus(LEASE) };
            let Some(request) = self.store.db.write(&system(&tenant), take).await? else { continue };
            let again = postpone(&request, now.plus(pause_after(request.tries)));
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
                    self.store.db.write(&system(&tenant), again).await?;
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
            parts: None,
            attempt: None,
            completed_at: Some(self.clock.now()),
            entry: Some(entry),
        };
        self.store.db.write(&system(&request.tenant), change).await.map(drop)
    }
}

/// The chain and key of a row as the api has them.
pub(crate) fn addressed(owner: &Subject, pairs: Vec<(String, String)>) -> Result<Vec<(Subject, Chain, String)>> {
    pairs.into_iter().map(|(chain, key)| Ok((owner.clone(), chain.parse()?, key))).collect()
}
