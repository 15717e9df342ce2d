use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use nsl_core::{Clock, Cx, Result, Subject, TenantId, fresh};
use nsl_sql::{Db, Scope, args};

use crate::{
    root::{RootKey, Wrapped},
    seal::{DataKey, bind, generate},
    store::{BY_ID, CURRENT, Make, Moved, OUTDATED, Rewrap, Stored},
};

/// How long an opened key is remembered, and so how long after its destruction another process may still
/// open what it sealed.
const REMEMBERED: Duration = Duration::from_secs(60);
const MOST_REMEMBERED: u64 = 20_000;
const BUDGET: Duration = Duration::from_secs(10);

/// The data keys of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Keyring {
    db: Db,
    root: Arc<dyn RootKey>,
    clock: Arc<dyn Clock>,
    current: Cache<(TenantId, Subject), DataKey>,
    by_id: Cache<(TenantId, Arc<str>), DataKey>,
}

impl Keyring {
    pub fn new(db: Db, root: Arc<dyn RootKey>, clock: Arc<dyn Clock>) -> Self {
        Self { db, root, clock, current: remembering(), by_id: remembering() }
    }

    /// The key to seal with for this subject; made at first need.
    pub async fn current(&self, tenant: &TenantId, subject: &Subject) -> Result<DataKey> {
        let place = (tenant.clone(), subject.clone());
        if let Some(key) = self.current.get(&place) {
            return Ok(key);
        }
        let mut found = self.db.query(Scope::Tenant(tenant), CURRENT, args![tenant, subject]).await?;
        let stored = match found.first_mut() {
            Some(row) => Stored { id: row.take(0)?, root_version: row.take(1)?, wrapped: row.take(2)? },
            None => self.make(tenant, subject).await?,
        };
        let key = self.open(tenant, subject, stored).await?;
        self.current.insert(place, key.clone());
        Ok(key)
    }

    /// The key with this id, to open with; `None` when it was destroyed.
    pub async fn find(&self, tenant: &TenantId, key_id: &Arc<str>) -> Result<Option<DataKey>> {
        let place = (tenant.clone(), Arc::clone(key_id));
        if let Some(key) = self.by_id.get(&place) {
            return Ok(Some(key));
        }
        let mut found = self.db.query(Scope::Tenant(tenant), BY_ID, args![tenant, Arc::clone(key_id)]).await?;
        let Some(row) = found.first_mut() else { return Ok(None) };
        let subject: Subject = row.take(0)?;
        let stored = Stored { id: key_id.to_string(), root_version: row.take(1)?, wrapped: row.take(2)? };
        self.open(tenant, &subject, stored).await.map(Some)
    }

    /// Forgets a subject's keys, after they were destroyed.
    pub fn forget(&self, tenant: &TenantId, subject: &Subject) {
        if let Some(key) = self.current.remove(&(tenant.clone(), subject.clone())) {
            self.by_id.invalidate(&(tenant.clone(), Arc::clone(key.id())));
        }
        // Older keys of the subject are known by id alone: all go, and come back at the next need.
        self.by_id.invalidate_all();
    }

    /// Puts up to `most` keys under the newest root key and says how many it moved; 0 when all are.
    pub async fn rewrap(&self, most: i64) -> Result<u64> {
        let newest = self.root.current().await?;
        let mut keys = Vec::new();
        for mut row in self.db.scan(Scope::Platform, OUTDATED, args![newest, most]).await? {
            let (tenant, subject): (TenantId, Subject) = (row.take(0)?, row.take(1)?);
            let (id, root_version, bytes): (String, i64, Vec<u8>) = (row.take(2)?, row.take(3)?, row.take(4)?);
            let place = place(&tenant, &subject, &id);
            let secret = self.root.unwrap(&place, &Wrapped { root_version, bytes }).await?;
            let moved = self.root.wrap(&place, &secret).await?;
            let key = Stored { id, root_version: moved.root_version, wrapped: moved.bytes };
            keys.push(Moved { tenant, subject, key, from: root_version });
        }
        if keys.is_empty() {
            return Ok(0);
        }
        self.db.write_platform(Rewrap { keys, now: self.clock.now() }).await
    }

    async fn make(&self, tenant: &TenantId, subject: &Subject) -> Result<Stored> {
        let id = fresh("dky");
        let wrapped = self.root.wrap(&place(tenant, subject, &id), &generate()?).await?;
        let key = Stored { id, root_version: wrapped.root_version, wrapped: wrapped.bytes };
        let cx = Cx::system(tenant.clone(), BUDGET);
        self.db.write(&cx, Make { cx: cx.clone(), subject: subject.clone(), key, now: self.clock.now() }).await
    }

    async fn open(&self, tenant: &TenantId, subject: &Subject, stored: Stored) -> Result<DataKey> {
        let wrapped = Wrapped { root_version: stored.root_version, bytes: stored.wrapped };
        let secret = self.root.unwrap(&place(tenant, subject, &stored.id), &wrapped).await?;
        let key = DataKey::new(stored.id.into(), &secret);
        self.by_id.insert((tenant.clone(), Arc::clone(key.id())), key.clone());
        Ok(key)
    }
}

fn place(tenant: &TenantId, subject: &Subject, id: &str) -> Vec<u8> {
    bind(&[tenant.as_str().as_bytes(), subject.as_str().as_bytes(), id.as_bytes()])
}

fn remembering<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(REMEMBERED).build()
}
