//! All SQL of API keys, but for the changes in `change.rs`.

use std::collections::HashMap;

use nsl_api::identity::{KeyInfo, TenantInfo};
use nsl_core::{Code, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Change, Db, EngineKind, Kind, Many, Row, Scope, Single, Tx, Value, args};

use crate::{page::ABOVE_ALL, people::store as people};

/// What `held` reads, in its order.
macro_rules! columns {
    () => {
        "id, name, prefix, subject, scopes, created_at, expires_at, revoked_at, last_used_at, description, networks, \
         owner, rotated_at, spare_until, digest, spare_digest"
    };
}
pub(super) use columns;

// A tenant that is to be deleted lets nobody in; one that only tokens name has no row.
static BY_DIGEST: &str = "SELECT k.tenant_id, k.id, k.subject, k.scopes, k.expires_at, k.revoked_at, k.networks,
        k.owner, k.spare_until, k.digest
    FROM api_keys k LEFT JOIN tenants t ON t.tenant_id = k.tenant_id
    WHERE (k.digest = $1 OR k.spare_digest = $1) AND (t.status IS NULL OR t.status = 'active')";
static INSERT_TENANT: &str = "INSERT INTO tenants (tenant_id, name, created_at) VALUES ($1, $2, $3)";
static INSERT_KEY: &str = "INSERT INTO api_keys
    (tenant_id, id, subject, name, prefix, digest, scopes, created_by, created_at, expires_at, description, networks,
     owner)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
// Makers of one tenant's keys go one by one, so that each counts what the one before made. A tenant of tokens has
// no row of its own to lock.
static TAKE_TURN: &str =
    "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.keys ' || $1::text, 0))";
static COUNT_LIVE: &str = "SELECT count(*) FROM api_keys
    WHERE tenant_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
pub(super) static FIND: &str = concat!("SELECT ", columns!(), " FROM api_keys WHERE tenant_id = $1 AND id = $2");
static LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM api_keys WHERE tenant_id = $1 AND id < $2 AND ($3 = '' OR subject = $3 OR owner = $3) \
     ORDER BY id DESC LIMIT $4"
);
static LIST_TENANTS: &str =
    "SELECT tenant_id, name, created_at FROM tenants WHERE tenant_id < $1 ORDER BY tenant_id DESC LIMIT $2";
static TOUCH: Many = Many {
    one: "UPDATE api_keys SET last_used_at = $3
          WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3)",
    many: "UPDATE api_keys SET last_used_at = used.at
           FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS used (tenant_id, id, at)
           WHERE api_keys.tenant_id = used.tenant_id AND api_keys.id = used.id
             AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < used.at)",
    kinds: &[Kind::Text, Kind::Text, Kind::Time],
};

/// A key as authentication needs it.
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) subject: Subject,
    pub(crate) scopes: Vec<String>,
    pub(crate) networks: Vec<String>,
    pub(crate) owner: Option<String>,
    /// When the secret that was shown ends: an earlier one of the key ends sooner.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// Nobody knows the tenant before the key is found, so this looks at all of them.
pub(crate) async fn by_digest(db: &Db, digest: &str) -> Result<Option<Found>> {
    let mut rows = db.query(Scope::Platform, BY_DIGEST, args![digest]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let expires_at: Option<Timestamp> = row.take(4)?;
    let spare_until: Option<Timestamp> = row.take(8)?;
    let is_newest = row.take::<String>(9)? == digest;
    Ok(Some(Found {
        tenant: row.take(0)?,
        id: row.take(1)?,
        subject: row.take(2)?,
        scopes: people::list(row.take(3)?)?,
        networks: people::list(row.take(6)?)?,
        owner: row.take(7)?,
        expires_at: if is_newest { expires_at } else { expires_at.into_iter().chain(spare_until).min() },
        revoked_at: row.take(5)?,
    }))
}

pub(crate) async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<KeyInfo>> {
    let rows = db.query(Scope::Tenant(tenant), FIND, args![tenant, id]).await?;
    Ok(rows.into_iter().next().map(held).transpose()?.map(|held| held.key))
}

/// Newest first; of one person, as subject or as owner, when `subject` is given.
pub(crate) async fn list(
    db: &Db,
    tenant: &TenantId,
    subject: Option<&Subject>,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<KeyInfo>> {
    let of = subject.map_or("", Subject::as_str);
    let below = after.unwrap_or_else(|| ABOVE_ALL.to_owned());
    let rows = db.query(Scope::Tenant(tenant), LIST, args![tenant, below, of, limit]).await?;
    rows.into_iter().map(|row| held(row).map(|held| held.key)).collect()
}

/// Of the whole platform, newest first.
pub(crate) async fn list_tenants(db: &Db, after: Option<String>, limit: u32) -> Result<Vec<TenantInfo>> {
    let below = after.unwrap_or_else(|| ABOVE_ALL.to_owned());
    let rows = db.query(Scope::Platform, LIST_TENANTS, args![below, limit]).await?;
    let tenant = |mut row: Row| Ok(TenantInfo { tenant: row.take(0)?, name: row.take(1)?, created_at: row.take(2)? });
    rows.into_iter().map(tenant).collect()
}

/// A key with what its secrets are known by, the newest first.
pub(super) struct Held {
    pub(super) key: KeyInfo,
    pub(super) digests: Vec<String>,
}

pub(super) fn held(mut row: Row) -> Result<Held> {
    let key = KeyInfo {
        id: row.take(0)?,
        name: row.take(1)?,
        prefix: row.take(2)?,
        subject: row.take(3)?,
        scopes: people::list(row.take(4)?)?,
        created_at: row.take(5)?,
        expires_at: row.take(6)?,
        revoked_at: row.take(7)?,
        last_used_at: row.take(8)?,
        description: row.take(9)?,
        networks: people::list(row.take(10)?)?,
        owner: row.take(11)?,
        rotated_at: row.take(12)?,
        overlap_until: row.take(13)?,
    };
    let newest = row.take::<String>(14)?;
    let digests = std::iter::once(newest).chain(row.take::<Option<String>>(15)?).collect();
    Ok(Held { key, digests })
}

/// Writes a key, and with it its tenant when that is new too.
pub(crate) struct AddKey {
    pub(crate) tenant: TenantId,
    pub(crate) new_tenant: Option<String>,
    pub(crate) key: KeyInfo,
    pub(crate) digest: String,
    pub(crate) created_by: String,
    pub(crate) most: u32,
    pub(crate) evidence: Vec<Entry>,
}

impl Change for AddKey {
    // Not the secret: what a change gives back is kept beside idempotency keys.
    type Done = KeyInfo;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<KeyInfo>>> {
        let mut live = HashMap::<&TenantId, i64>::new();
        let mut done = Vec::with_capacity(group.len());
        for add in group {
            if !live.contains_key(&add.tenant) {
                if tx.engine() == EngineKind::Postgres {
                    tx.query(TAKE_TURN, args![&add.tenant]).await?;
                }
                let mut rows = tx.query(COUNT_LIVE, args![&add.tenant, add.key.created_at]).await?;
                let count = rows.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
                live.insert(&add.tenant, count);
            }
            let count = live.entry(&add.tenant).or_default();
            if *count >= i64::from(add.most) {
                done.push(Err(Error::new(
                    Code::Exhausted,
                    "identity.keys_exhausted",
                    format!("the tenant has {count} keys that work, which is all it may have"),
                )
                .detail("limit", add.most)));
                continue;
            }
            *count += 1;
            if let Some(name) = &add.new_tenant {
                tx.execute(INSERT_TENANT, args![&add.tenant, name.as_str(), add.key.created_at]).await?;
            }
            tx.execute(INSERT_KEY, add.row()).await?;
            add.evidence.iter().cloned().for_each(|entry| tx.note(entry));
            done.push(Ok(add.key.clone()));
        }
        Ok(done)
    }
}

impl AddKey {
    fn row(&self) -> Vec<Value> {
        let key = &self.key;
        args![
            &self.tenant,
            key.id.as_str(),
            &key.subject,
            key.name.as_str(),
            key.prefix.as_str(),
            self.digest.as_str(),
            &serde_json::json!(key.scopes),
            self.created_by.as_str(),
            key.created_at,
            key.expires_at,
            key.description.as_deref(),
            &serde_json::json!(key.networks),
            key.owner.as_deref()
        ]
    }
}

/// When keys were last used. Not a change of anybody's data: it leaves no evidence.
pub(crate) struct Touch {
    pub(crate) used: Vec<(TenantId, String, Timestamp)>,
}

impl Single for Touch {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let rows = self.used.iter().map(|(tenant, id, at)| args![tenant, id.as_str(), *at]).collect();
        tx.many(&TOUCH, rows).await.map(|_| Ok(()))
    }
}
