//! The copy of everything that is stored of a person: JSON documents of a bounded size, each sealed under the
//! person's own key, kept as blobs for a time.

use std::time::Duration;

use bytes::Bytes;
use nsl_api::storage::Address;
use nsl_core::{Code, Entry, Error, Result, Timestamp};
use nsl_keyring::bind;
use nsl_privacy::erasures::part as tenant_part;

use crate::{
    held::Body,
    privacy::{LEASE, system},
    service::Service,
    store::{Advance, Place, Request, postpone},
};

const PAGE: u32 = 50;
/// A part is closed when it has grown beyond this; one value more still fits into a message.
const FULL: usize = 1 << 20;

/// A document that is being written, and those before it.
struct Draft<'a> {
    request: &'a Request,
    at: Timestamp,
    part: u32,
    text: Vec<u8>,
    list: &'static str,
    first: bool,
}

impl<'a> Draft<'a> {
    fn new(request: &'a Request, at: Timestamp) -> Self {
        Self { request, at, part: 0, text: Vec::new(), list: "items", first: true }
    }

    fn open(&mut self) {
        self.part += 1;
        let (tenant, subject) = (&self.request.tenant, &self.request.seen.subject);
        let head = serde_json::json!({"tenant": tenant, "subject": subject, "exported_at": self.at, "part": self.part});
        self.text = head.to_string().into_bytes();
        self.text.pop();
        self.begin(self.list);
    }

    fn begin(&mut self, list: &'static str) {
        self.text.extend_from_slice(format!(",\"{list}\":[").as_bytes());
        (self.list, self.first) = (list, true);
    }

    /// Adds what is known of a value, with the value.
    fn add(&mut self, mut known: Vec<u8>, value: &[u8]) {
        if !std::mem::replace(&mut self.first, false) {
            self.text.push(b',');
        }
        known.pop();
        self.text.append(&mut known);
        self.text.extend_from_slice(b",\"value\":");
        self.text.extend_from_slice(value);
        self.text.push(b'}');
    }
}

impl Service {
    pub(crate) async fn export_person(&self, request: &Request) -> Result<()> {
        let (tenant, now) = (&request.tenant, self.clock.now());
        let mut draft = Draft::new(request, now);
        draft.open();
        self.add_values(&mut draft).await?;
        draft.text.push(b']');
        draft.begin("past_versions");
        self.add_past_values(&mut draft).await?;
        self.close(&mut draft).await?;
        let entry = Entry::new(&system(tenant), "storage.person_exported", "storage", "privacy", now)
            .request("request", request.seen.id.as_str());
        let change = Advance {
            tenant: tenant.clone(),
            id: request.seen.id.clone(),
            status: "done",
            reason: None,
            receipt: None,
            parts: Some(draft.part),
            attempt: Some(request.tries),
            completed_at: Some(self.clock.now()),
            entry: Some(entry),
        };
        let done = self.store.db.write(&system(tenant), change).await?;
        // What tries that came to nothing left, or this one, if another was faster.
        let kept = format!("{}/{}/", folder(&done), done.progress.attempt);
        for path in self.blobs.list(&folder(request)).await? {
            if done.seen.completed_at.is_some() && !path.starts_with(&kept) {
                self.blobs.delete(&path).await?;
            }
        }
        Ok(())
    }

    async fn add_values(&self, draft: &mut Draft<'_>) -> Result<()> {
        let (tenant, subject) = (&draft.request.tenant, &draft.request.seen.subject);
        let now = draft.at;
        let mut after = (String::new(), String::new());
        loop {
            let page = self.store.values_of(tenant, subject, &after, PAGE).await?;
            for (chain, key, held) in page.iter().filter(|(_, _, held)| held.lives(now)) {
                let place = Place { tenant, owner: subject, chain: *chain, key };
                let at = Address { chain: *chain, owner: None, key: key.clone() };
                let known = serde_json::to_vec(&held.meta(&at, subject.clone())).map_err(Error::internal)?;
                self.add(draft, known, place, held.version, &held.body).await?;
            }
            match page.into_iter().next_back() {
                Some((chain, key, _)) => after = (chain.as_str().to_owned(), key),
                None => return Ok(()),
            }
        }
    }

    async fn add_past_values(&self, draft: &mut Draft<'_>) -> Result<()> {
        let (tenant, subject) = (&draft.request.tenant, &draft.request.seen.subject);
        let mut after = (String::new(), String::new(), 0);
        loop {
            let page = self.store.past_values_of(tenant, subject, &after, PAGE).await?;
            for (chain, key, version, past) in &page {
                let expired = past.expires_at.is_some_and(|at| at <= draft.at);
                let Some(body) = past.body.as_ref().filter(|_| !expired) else { continue };
                let place = Place { tenant, owner: subject, chain: *chain, key };
                let known = serde_json::json!({
                    "chain": chain, "key": key, "version": version, "updated_at": past.updated_at, "metadata": past.metadata
                });
                self.add(draft, known.to_string().into_bytes(), place, *version, body).await?;
            }
            match page.into_iter().next_back() {
                Some((chain, key, version, _)) => after = (chain.as_str().to_owned(), key, version),
                None => return Ok(()),
            }
        }
    }

    async fn add(
        &self,
        draft: &mut Draft<'_>,
        known: Vec<u8>,
        place: Place<'_>,
        version: i64,
        body: &Body,
    ) -> Result<()> {
        match self.open(place, version, body).await {
            Ok(value) => draft.add(known, value.as_bytes()),
            // Its key was destroyed: nobody can read it any more.
            Err(error) if error.code == Code::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        if draft.text.len() > FULL {
            self.close(draft).await?;
            draft.open();
        }
        Ok(())
    }

    /// Ends a part, seals it and puts it away.
    async fn close(&self, draft: &mut Draft<'_>) -> Result<()> {
        draft.text.extend_from_slice(b"]}");
        let (tenant, seen) = (&draft.request.tenant, &draft.request.seen);
        let key = self.keyring.current(tenant, &seen.subject).await?;
        let mut blob = format!("{}\n", key.id()).into_bytes();
        blob.extend(key.seal(&self::place(draft.request, draft.part), &draft.text)?);
        self.blobs.put(&path(draft.request, draft.request.tries, draft.part), Bytes::from(blob)).await?;
        let more = postpone(draft.request, self.clock.now().plus(LEASE));
        if self.store.db.write(&system(tenant), more).await? == 0 {
            return Err(Error::new(Code::Conflict, "storage.request_taken", "another process took the request up"));
        }
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
            for path in self.blobs.list(&folder(request)).await? {
                self.blobs.delete(&path).await?;
            }
            let cx = system(&request.tenant);
            let entry = Entry::new(&cx, "storage.export_dropped", "storage", "privacy", self.clock.now())
                .request("request", request.seen.id.as_str());
            let change = Advance {
                tenant: request.tenant.clone(),
                id: request.seen.id.clone(),
                status: "expired",
                reason: None,
                receipt: None,
                parts: Some(0),
                attempt: None,
                completed_at: request.seen.completed_at,
                entry: Some(entry),
            };
            self.store.db.write(&cx, change).await?;
        }
        Ok(())
    }
}

fn folder(request: &Request) -> String {
    format!("exports/{}/{}", tenant_part(&request.tenant), request.seen.id)
}

/// Each try has paths of its own, so that two never write over each other.
pub(crate) fn path(request: &Request, attempt: i64, part: u32) -> String {
    format!("{}/{attempt}/{part}", folder(request))
}

pub(crate) fn place(request: &Request, part: u32) -> Vec<u8> {
    let (tenant, seen) = (request.tenant.as_str(), &request.seen);
    let (subject, id) = (seen.subject.as_str(), seen.id.as_str());
    bind(&[b"export", tenant.as_bytes(), subject.as_bytes(), id.as_bytes(), &part.to_be_bytes()])
}
