use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use nsl_api::{
    Page,
    storage::{
        Address, Amend, AskPrivacy, AskUsage, Delete, Deleted, Exported, FetchExport, FindPrivacy, Get, GetMany,
        History, Item, Items, List, ListPrivacy, Meta, PrivacyRequest, Put, PutMany, Restore, Storage, Stored,
        StoredMany, Usage, Value, Version,
    },
};
use nsl_core::{Clock, Code, Cx, Error, PrincipalKind, Result, Subject};
use nsl_engine::{blobs::Blobs, cache::Cache, secrets::Secrets};
use nsl_keyring::Keyring;
use nsl_ledger::Ledger;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::{
    held::{Body, Held},
    permit,
    reads::Reads,
    rules,
    store::{Limits, Place, Reader, Store, place},
    writes::{Deed, reply},
};

/// The scopes that this service asks for.
pub const SCOPES: &[&str] = &[READ, WRITE, "privacy:read", "privacy:write", "privacy:admin"];

pub(crate) const READ: &str = "storage:read";
pub(crate) const WRITE: &str = "storage:write";

pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) ledger: Ledger,
    pub(crate) cache: Cache,
    pub(crate) blobs: Blobs,
    pub(crate) secrets: Secrets,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) reads: Reads,
    /// Rung when a request of a person came in.
    pub(crate) asked: Notify,
    /// What the cache still has to forget after callers went away in the middle of a write.
    pub(crate) forgetting: TaskTracker,
    pub(crate) hits: metrics::Counter,
    pub(crate) misses: metrics::Counter,
}

/// A value that was found, and whether it came from the cache.
struct Seen {
    held: Held,
    cached: bool,
}

impl Service {
    fn owner<'a>(cx: &'a Cx, at: &'a Address) -> &'a Subject {
        at.owner.as_ref().unwrap_or(&cx.principal.subject)
    }

    /// The current value if it lives, from the cache when that is allowed.
    async fn look(&self, place: Place<'_>, name: &str, get: &Get) -> Result<Option<Seen>> {
        let now = self.clock.now();
        if !get.fresh {
            let found = match self.cache.peek(name) {
                Some(found) => Some(found),
                None => self.cache.get(name).await,
            };
            if let Some(held) = found.and_then(|entry| Held::from_cache(&entry.bytes)) {
                self.hits.increment(1);
                return Ok(held.lives(now).then_some(Seen { held, cached: true }));
            }
        }
        self.misses.increment(1);
        let stale = get.max_stale_ms.filter(|_| !get.fresh).map(Duration::from_millis);
        let Some(held) = self.store.find(place, stale).await?.filter(|held| held.lives(now)) else { return Ok(None) };
        if stale.is_none() {
            self.cache.fill(name, held.version as u64, held.to_cache(), self.cache_ttl()).await;
        }
        Ok(Some(Seen { held, cached: false }))
    }

    pub(crate) fn cache_ttl(&self) -> Duration {
        Duration::from_secs(self.limits.settings.load().0.cache_seconds)
    }

    /// The current value, if this caller may read it. What may not be read looks like what is not there.
    async fn readable(&self, cx: &Cx, place: Place<'_>, name: &str, get: &Get) -> Result<Held> {
        let seen = self.look(place, name, get).await?;
        let permitted = permit::read(cx, place, seen.as_ref().and_then(|seen| seen.held.metadata.as_ref()));
        if let Some(Seen { held, cached }) = seen {
            let public = held.access == nsl_api::storage::Access::Public;
            let may = public || permitted.is_ok() && rules::may_read(cx, place.owner, held.access, &held.shared_with());
            if may {
                return Ok(held);
            }
            // A missing key costs a query; so must one that is hidden.
            if cached {
                self.store.find(place, None).await?;
            }
            permitted?;
            return Err(rules::hidden());
        }
        permitted?;
        Err(rules::not_found())
    }

    /// Opens a body that lies at this version of its key.
    pub(crate) async fn open(&self, at: Place<'_>, version: i64, body: &Body) -> Result<Value> {
        let (key_id, bytes) = match body {
            Body::Plain(value) => return Ok(value.clone()),
            Body::Sealed { key_id, bytes } => (key_id, bytes),
        };
        // A destroyed key means that its person was erased: there is nothing here any more.
        let key = self.keyring.find(at.tenant, key_id).await?.ok_or_else(rules::not_found)?;
        let bound = place(at.tenant, at.owner, at.chain.as_str(), at.key, version);
        Ok(Value::read_before(Bytes::from(key.open(&bound, bytes)?)))
    }

    async fn past(&self, cx: &Cx, at: &Address, version: i64) -> Result<Item> {
        permit::early(cx, READ)?;
        let owner = Self::owner(cx, at);
        let place = Place { tenant: &cx.tenant, owner, chain: at.chain, key: &at.key };
        let now = self.clock.now();
        let current = self.store.find(place, None).await?;
        permit::read(cx, place, current.as_ref().and_then(|held| held.metadata.as_ref()))?;
        // Who was let in to see what is there now was not let in to what was there before.
        if owner != &cx.principal.subject {
            return Err(if current.is_some() { rules::hidden() } else { rules::not_found() });
        }
        if current.as_ref().is_some_and(|current| !current.lives(now)) {
            return Err(rules::not_found());
        }
        if let Some(held) = current.as_ref().filter(|held| held.version == version) {
            let value = self.open(place, version, &held.body).await?;
            return Ok(Item { value, meta: held.meta(at, owner.clone()) });
        }
        let past = self.store.find_past(place, version).await?.filter(|past| past.expires_at.is_none_or(|at| at > now));
        let (Some(past), created) = (past, current.as_ref().map(|held| held.created_at)) else {
            return Err(rules::not_found());
        };
        permit::read(cx, place, past.metadata.as_ref())?;
        let body = past.body.as_ref().ok_or_else(rules::not_found)?;
        let value = self.open(place, version, body).await?;
        let meta = Meta {
            key: at.key.clone(),
            owner: owner.clone(),
            chain: at.chain,
            version,
            encrypted: matches!(body, Body::Sealed { .. }),
            access: Default::default(),
            shared_with: Vec::new(),
            size_bytes: past.size_bytes,
            created_at: created.unwrap_or(past.updated_at),
            updated_at: past.updated_at,
            expires_at: past.expires_at,
            retain_until: None,
            metadata: past.metadata,
            accessed_count: 0,
            last_accessed: None,
        };
        Ok(Item { value, meta })
    }
}

/// What a key is called in the cache; `/` stands in none of its parts.
pub(crate) fn name(tenant: &nsl_core::TenantId, owner: &Subject, chain: nsl_api::storage::Chain, key: &str) -> String {
    let (tenant, owner, chain) = (tenant.as_str(), owner.as_str(), chain.as_str());
    let mut name = String::with_capacity(6 + tenant.len() + owner.len() + chain.len() + key.len());
    for part in ["st/", tenant, "/", owner, "/", chain, "/", key] {
        name.push_str(part);
    }
    name
}

/// Only who has a name can own values.
fn writer(cx: &Cx) -> Result<()> {
    permit::early(cx, WRITE)?;
    match cx.principal.kind {
        PrincipalKind::Anonymous => Err(Error::new(Code::Unauthenticated, "auth.missing", "this needs a credential")),
        _ => Ok(()),
    }
}

#[async_trait]
impl Storage for Service {
    async fn put(&self, cx: &Cx, put: Put) -> Result<Stored> {
        writer(cx)?;
        rules::check_put(&put, self.clock.now())?;
        let outcome = self.write_one(cx, Deed::Put(&put)).await?;
        Ok(reply(&put.key, outcome))
    }

    async fn put_many(&self, cx: &Cx, request: PutMany) -> Result<StoredMany> {
        writer(cx)?;
        if request.items.len() > rules::MOST_BATCH || request.items.is_empty() {
            let message = format!("a batch has 1 to {} items, not {}", rules::MOST_BATCH, request.items.len());
            return Err(Error::invalid("storage.batch_size", message));
        }
        if request.items.iter().map(|put| put.value.size()).sum::<usize>() > rules::MOST_BATCH_BYTES {
            return Err(rules::batch_too_large());
        }
        let now = self.clock.now();
        for (at, put) in request.items.iter().enumerate() {
            rules::check_put(put, now).map_err(|error| error.detail("item", at))?;
        }
        let deeds: Vec<Deed> = request.items.iter().map(Deed::Put).collect();
        let outcomes = self.write(cx, &deeds).await?;
        let items = request.items.iter().zip(outcomes).map(|(put, outcome)| reply(&put.key, outcome)).collect();
        Ok(StoredMany { items })
    }

    async fn get(&self, cx: &Cx, get: Get) -> Result<Item> {
        rules::check_key(&get.at.key)?;
        if let Some(version) = get.version {
            return self.past(cx, &get.at, version).await;
        }
        let owner = Self::owner(cx, &get.at);
        let place = Place { tenant: &cx.tenant, owner, chain: get.at.chain, key: &get.at.key };
        let name = name(&cx.tenant, owner, get.at.chain, &get.at.key);
        let held = self.readable(cx, place, &name, &get).await?;
        let value = self.open(place, held.version, &held.body).await?;
        self.reads.count(&name, (&cx.tenant, owner, get.at.chain, &get.at.key), 1, self.clock.now());
        Ok(Item { value, meta: held.meta(&get.at, owner.clone()) })
    }

    async fn describe(&self, cx: &Cx, get: Get) -> Result<Meta> {
        rules::check_key(&get.at.key)?;
        if let Some(version) = get.version {
            return self.past(cx, &get.at, version).await.map(|item| item.meta);
        }
        let owner = Self::owner(cx, &get.at);
        let place = Place { tenant: &cx.tenant, owner, chain: get.at.chain, key: &get.at.key };
        let name = name(&cx.tenant, owner, get.at.chain, &get.at.key);
        let held = self.readable(cx, place, &name, &get).await?;
        Ok(held.meta(&get.at, owner.clone()))
    }

    async fn get_many(&self, cx: &Cx, request: GetMany) -> Result<Items> {
        permit::early(cx, READ)?;
        if request.keys.len() > rules::MOST_BATCH {
            let message = format!("a batch has at most {} keys, not {}", rules::MOST_BATCH, request.keys.len());
            return Err(Error::invalid("storage.batch_size", message));
        }
        let mut found = Items { items: Vec::new(), missing: Vec::new() };
        let mut bytes = 0;
        for key in request.keys {
            let at = Address { chain: request.chain, owner: request.owner.clone(), key };
            let get = Get { at, version: None, fresh: false, max_stale_ms: None };
            let key = get.at.key.clone();
            match self.get(cx, get).await {
                Ok(item) => {
                    bytes += item.value.size();
                    if bytes > rules::MOST_BATCH_BYTES {
                        return Err(rules::batch_too_large());
                    }
                    found.items.push(item);
                }
                Err(error) if error.code == Code::NotFound => found.missing.push(key),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn delete(&self, cx: &Cx, request: Delete) -> Result<Deleted> {
        writer(cx)?;
        rules::check_key(&request.key)?;
        let outcome = self.write_one(cx, Deed::Delete(&request)).await?;
        Ok(Deleted { key: request.key, version: outcome.version })
    }

    async fn amend(&self, cx: &Cx, request: Amend) -> Result<Stored> {
        writer(cx)?;
        rules::check_key(&request.key)?;
        rules::check_metadata(request.metadata.as_ref().map(Value::as_bytes))?;
        rules::check_shared(request.access, request.shared_with.as_deref().unwrap_or_default())?;
        rules::check_times(request.expires_at, request.retain_until, self.clock.now())?;
        let outcome = self.write_one(cx, Deed::Amend(&request)).await?;
        Ok(reply(&request.key, outcome))
    }

    async fn list(&self, cx: &Cx, list: List) -> Result<Page<Meta>> {
        permit::item(cx, READ, list.owner.as_ref().unwrap_or(&cx.principal.subject), list.chain, &list.prefix, None)?;
        rules::check_prefix(&list.prefix)?;
        rules::check_prefix(list.after.as_deref().unwrap_or_default())?;
        let limit = list.limit.clamp(1, 1_000) as usize;
        let owner = list.owner.as_ref().unwrap_or(&cx.principal.subject);
        let reader = match cx.principal.kind {
            PrincipalKind::Anonymous => Reader::Nobody,
            _ if *owner == cx.principal.subject => Reader::Owner,
            _ => Reader::Known(&cx.principal.subject),
        };
        let (end, now) = (rules::prefix_end(&list.prefix), self.clock.now());
        let stale = list.max_stale_ms.map(Duration::from_millis);
        // The prefix itself may be a key: start just below it.
        let below = below(&list.prefix);
        let after = list.after.filter(|after| *after >= list.prefix).unwrap_or(below);
        let place = Place { tenant: &cx.tenant, owner, chain: list.chain, key: &after };
        let mut items = self.store.list(place, &end, now, reader, limit as u32 + 1, stale).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|meta| meta.key.clone());
        items.retain(|meta| rules::may_read(cx, owner, meta.access, &meta.shared_with));
        if cx.rules.is_some() {
            let may =
                |meta: &Meta| permit::item(cx, READ, owner, meta.chain, &meta.key, meta.metadata.as_ref()).is_ok();
            items.retain(may);
        }
        Ok(Page { items, next })
    }

    async fn history(&self, cx: &Cx, request: History) -> Result<Page<Version>> {
        permit::early(cx, READ)?;
        rules::check_key(&request.at.key)?;
        let owner = Self::owner(cx, &request.at);
        let place = Place { tenant: &cx.tenant, owner, chain: request.at.chain, key: &request.at.key };
        if *owner != cx.principal.subject {
            let there = self.store.find(place, None).await?.is_some();
            return Err(if there { rules::hidden() } else { rules::not_found() });
        }
        let below = match &request.after {
            None => i64::MAX,
            Some(after) => after.parse().map_err(|_| Error::invalid("request.query", "after is not a version"))?,
        };
        let now = self.clock.now();
        let current = self.store.find(place, None).await?;
        permit::read(cx, place, current.as_ref().and_then(|held| held.metadata.as_ref()))?;
        if current.is_some_and(|held| !held.lives(now)) {
            return Err(rules::not_found());
        }
        let limit = request.limit.clamp(1, 1_000);
        let mut items = self.store.history(place, below, now, limit + 1).await?;
        if items.is_empty() && request.after.is_none() {
            return Err(rules::not_found());
        }
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|version| version.version.to_string());
        Ok(Page { items, next })
    }

    async fn restore(&self, cx: &Cx, request: Restore) -> Result<Stored> {
        writer(cx)?;
        rules::check_key(&request.key)?;
        let outcome = self.write_one(cx, Deed::Restore(&request)).await?;
        Ok(reply(&request.key, outcome))
    }

    async fn usage(&self, cx: &Cx, _: AskUsage) -> Result<Usage> {
        cx.permit(READ)?;
        let (bytes, items) = self.store.usage(&cx.tenant).await?;
        let quota = self.limits.quota();
        Ok(Usage { bytes, items, quota_bytes: quota.bytes, quota_items: quota.items })
    }

    async fn ask_privacy(&self, cx: &Cx, request: AskPrivacy) -> Result<PrivacyRequest> {
        self.take_request(cx, request).await
    }

    async fn find_privacy(&self, cx: &Cx, request: FindPrivacy) -> Result<PrivacyRequest> {
        self.visible_request(cx, &request.id).await.map(|request| request.seen)
    }

    async fn list_privacy(&self, cx: &Cx, request: ListPrivacy) -> Result<Page<PrivacyRequest>> {
        self.visible_requests(cx, request).await
    }

    async fn export(&self, cx: &Cx, request: FetchExport) -> Result<Exported> {
        self.fetch_export(cx, &request).await
    }
}

/// A text that sorts right below this prefix and above all keys below it.
fn below(prefix: &str) -> String {
    let mut text = prefix.to_owned();
    match text.pop() {
        // Between one character and the next lower one followed by DEL, no key fits.
        Some(last) => {
            text.push((last as u8 - 1) as char);
            text.push('\u{7f}');
            text
        }
        None => text,
    }
}
