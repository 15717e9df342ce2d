//! How a deed becomes a change: its evidence, its keys, and what the cache learns after the commit.

use std::sync::Arc;

use nsl_api::storage::{Amend, Chain, Delete, Put, Restore, Stored};
use nsl_core::{Code, Cx, Entry, Error, Result};
use nsl_keyring::{DataKey, KEY_GONE};

use crate::{
    held::{Body, Held, subject_list},
    service::{Service, name},
    store::{Keys, MOVED, Outcome, Place, Step, Verb, Write},
};

/// How often a write is prepared again when what it was prepared for has moved.
const TRIES: usize = 5;

/// What a caller wants done to one of its own keys.
#[derive(Clone, Copy)]
pub(crate) enum Deed<'a> {
    Put(&'a Put),
    Delete(&'a Delete),
    Amend(&'a Amend),
    Restore(&'a Restore),
}

impl<'a> Deed<'a> {
    pub(crate) fn at(self) -> (Chain, &'a str) {
        match self {
            Self::Put(put) => (put.chain, &put.key),
            Self::Delete(delete) => (delete.chain, &delete.key),
            Self::Amend(amend) => (amend.chain, &amend.key),
            Self::Restore(restore) => (restore.chain, &restore.key),
        }
    }

    fn expected(self) -> Option<i64> {
        match self {
            Self::Put(put) => put.expected_version,
            Self::Delete(delete) => delete.expected_version,
            Self::Amend(amend) => amend.expected_version,
            Self::Restore(restore) => restore.expected_version,
        }
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Put(_) => ("storage.value_stored", "put"),
            Self::Delete(_) => ("storage.value_deleted", "delete"),
            Self::Amend(_) => ("storage.value_amended", "amend"),
            Self::Restore(_) => ("storage.value_restored", "restore"),
        }
    }
}

impl Service {
    pub(crate) async fn write_one(&self, cx: &Cx, deed: Deed<'_>) -> Result<Outcome> {
        let outcomes = self.write(cx, std::slice::from_ref(&deed)).await?;
        outcomes.into_iter().next().ok_or_else(|| Error::internal(anyhow::anyhow!("a deed without an outcome")))
    }

    /// Does all deeds or none; again from the start when keys or values moved meanwhile.
    pub(crate) async fn write(&self, cx: &Cx, deeds: &[Deed<'_>]) -> Result<Vec<Outcome>> {
        self.permit(cx, deeds).await?;
        let mut entries = self.entries(cx, deeds).await?;
        for tries in 1.. {
            let steps = self.steps(cx, deeds, &entries).await?;
            let write = Write { limits: Arc::clone(&self.limits), tenant: cx.tenant.clone(), steps, summary: None };
            // Until the outcome is known and told to the cache, nobody may trust what that holds.
            let mut doubt = Doubt { service: self, cx, deeds, stands: true };
            let written = self.store.db.write(cx, write).await;
            match &written {
                Ok(outcomes) => {
                    for (deed, outcome) in deeds.iter().zip(outcomes) {
                        self.remember(cx, *deed, outcome).await;
                    }
                }
                Err(error) if is_unknown(error) => doubt.forget_all().await,
                Err(_) => {}
            }
            doubt.stands = false;
            match written {
                Err(error) if tries < TRIES && error.slug == KEY_GONE => {
                    self.keyring.forget(&cx.tenant, &cx.principal.subject);
                    // What the evidence sealed lies under the dead key too.
                    entries = self.entries(cx, deeds).await?;
                }
                Err(error) if tries < TRIES && error.slug == MOVED => {}
                written => return written,
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn entries(&self, cx: &Cx, deeds: &[Deed<'_>]) -> Result<Vec<Arc<Entry>>> {
        let mut entries = Vec::with_capacity(deeds.len());
        for deed in deeds {
            entries.push(Arc::new(self.entry(cx, *deed).await?));
        }
        Ok(entries)
    }

    /// Evidence of a deed. The key may name a person, so it is sealed.
    async fn entry(&self, cx: &Cx, deed: Deed<'_>) -> Result<Entry> {
        let ((chain, key), (event, method)) = (deed.at(), deed.names());
        let mut entry = Entry::new(cx, event, "storage", method, self.clock.now()).request("chain", chain.as_str());
        match deed {
            Deed::Put(put) if put.encrypted => entry = entry.request("encrypted", true),
            Deed::Restore(restore) => entry = entry.request("from_version", restore.version),
            _ => {}
        }
        let mut personal = serde_json::Map::new();
        personal.insert("key".to_owned(), key.into());
        self.ledger.seal(cx, entry, personal).await
    }

    async fn steps(&self, cx: &Cx, deeds: &[Deed<'_>], entries: &[Arc<Entry>]) -> Result<Vec<Step>> {
        let mut seal = None;
        if deeds.iter().any(|deed| matches!(deed, Deed::Put(put) if put.encrypted)) {
            seal = Some(self.keyring.current(&cx.tenant, &cx.principal.subject).await?);
        }
        let mut steps = Vec::with_capacity(deeds.len());
        for (deed, entry) in deeds.iter().zip(entries) {
            let (chain, key) = deed.at();
            steps.push(Step {
                owner: cx.principal.subject.clone(),
                chain,
                key: key.to_owned(),
                expected: deed.expected(),
                verb: self.verb(cx, *deed, seal.as_ref()).await?,
                entry: Some(Arc::clone(entry)),
            });
        }
        Ok(steps)
    }

    async fn verb(&self, cx: &Cx, deed: Deed<'_>, seal: Option<&DataKey>) -> Result<Verb> {
        let (chain, key) = deed.at();
        let place = Place { tenant: &cx.tenant, owner: &cx.principal.subject, chain, key };
        Ok(match deed {
            Deed::Put(put) => Verb::Put {
                value: put.value.clone(),
                seal: put.encrypted.then(|| seal.cloned()).flatten(),
                access: put.access,
                shared_with: subject_list(&put.shared_with),
                metadata: put.metadata.clone(),
                expires_at: put.expires_at,
                retain_until: put.retain_until,
            },
            Deed::Delete(_) => Verb::Delete,
            Deed::Amend(amend) => {
                let body = self.store.find(place, None).await?.map(|held| held.body);
                Verb::Amend {
                    access: amend.access,
                    shared_with: amend.shared_with.as_deref().map(subject_list),
                    expires_at: amend.expires_at,
                    retain_until: amend.retain_until,
                    metadata: amend.metadata.clone(),
                    keys: self.keys(cx, body.as_ref()).await?,
                }
            }
            Deed::Restore(restore) => {
                let current = self.store.find(place, None).await?.filter(|held| held.version == restore.version);
                let body = match current {
                    Some(held) => Some(held.body),
                    None => self.store.find_past(place, restore.version).await?.and_then(|past| past.body),
                };
                Verb::Restore { version: restore.version, keys: self.keys(cx, body.as_ref()).await? }
            }
        })
    }

    /// The keys that a value's next version needs, if it is sealed.
    async fn keys(&self, cx: &Cx, body: Option<&Body>) -> Result<Keys> {
        let Some(Body::Sealed { key_id, .. }) = body else { return Ok(Keys::default()) };
        // Its key was destroyed, and the value with it.
        let open = self.keyring.find(&cx.tenant, key_id).await?.ok_or_else(crate::rules::not_found)?;
        let seal = self.keyring.current(&cx.tenant, &cx.principal.subject).await?;
        Ok(Keys { open: Some(open), seal: Some(seal) })
    }

    /// After a commit: the cache learns of the new version. Of a first version it can't hold an older one.
    async fn remember(&self, cx: &Cx, deed: Deed<'_>, outcome: &Outcome) {
        if outcome.version <= 1 {
            return;
        }
        let ((chain, key), version) = (deed.at(), outcome.version as u64);
        let name = name(&cx.tenant, &cx.principal.subject, chain, key);
        match deed {
            // A write that carries an idempotency key may be an echo: its version is then one of the past.
            _ if cx.once.is_some() => self.cache.forget(&name, version - 1).await,
            Deed::Put(put) if !put.encrypted => {
                self.cache.put(&name, version, kept(put, outcome).to_cache(), self.cache_ttl()).await;
            }
            Deed::Delete(_) => self.cache.forget(&name, version).await,
            // What is sealed was not seen here in its sealed form.
            _ => self.cache.forget(&name, version - 1).await,
        }
    }
}

/// Stands while a write is under way. If its caller goes away meanwhile, the write may be done nevertheless, with
/// nobody left to tell the cache: then the cache forgets the keys, whatever their versions.
struct Doubt<'a> {
    service: &'a Service,
    cx: &'a Cx,
    deeds: &'a [Deed<'a>],
    stands: bool,
}

impl Doubt<'_> {
    fn names(&self) -> impl Iterator<Item = String> {
        let (tenant, owner) = (&self.cx.tenant, &self.cx.principal.subject);
        self.deeds.iter().map(move |deed| deed.at()).map(move |(chain, key)| name(tenant, owner, chain, key))
    }

    async fn forget_all(&self) {
        for name in self.names() {
            self.service.cache.forget(&name, u64::MAX).await;
        }
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        // Without a runtime the process is at its end, and its memory with it.
        let (true, Ok(runtime)) = (self.stands, tokio::runtime::Handle::try_current()) else { return };
        let (cache, names) = (self.service.cache.clone(), self.names().collect::<Vec<_>>());
        let forget = async move {
            for name in names {
                cache.forget(&name, u64::MAX).await;
            }
        };
        self.service.forgetting.spawn_on(forget, &runtime);
    }
}

/// Whether a write that failed so may be done nevertheless.
fn is_unknown(error: &Error) -> bool {
    error.code == Code::Timeout || error.slug == "sql.outcome_unknown"
}

fn kept(put: &Put, outcome: &Outcome) -> Held {
    Held {
        version: outcome.version,
        body: Body::Plain(put.value.clone()),
        access: put.access,
        shared_with: subject_list(&put.shared_with),
        size_bytes: outcome.size_bytes,
        created_at: outcome.created_at,
        updated_at: outcome.updated_at,
        expires_at: put.expires_at,
        retain_until: put.retain_until,
        metadata: put.metadata.clone(),
        accessed_count: 0,
        last_accessed: None,
    }
}

pub(crate) fn reply(key: &str, outcome: Outcome) -> Stored {
    Stored {
        key: key.to_owned(),
        version: outcome.version,
        created: outcome.created,
        size_bytes: outcome.size_bytes,
        updated_at: outcome.updated_at,
    }
}
