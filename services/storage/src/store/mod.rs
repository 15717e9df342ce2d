//! All SQL of the service: the only part that knows the schema.

mod apply;
mod desk;
mod privacy;
mod remove;
mod slot;
mod step;
mod texts;
mod touch;
mod usage;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use nsl_api::storage::{Chain, Meta, Value, Version};
use nsl_core::{Result, Subject, TenantId, Timestamp};
use nsl_sql::{Db, Migrations, Row, Scope, Step as Migration, Value as Cell, args};

use crate::held::{Body, Held, access, subjects};

pub(crate) use apply::{Limits, MOVED, Write};
pub(crate) use privacy::{Advance, Ask, Progress, Request, Shred, TakeUp, kind, postpone};
pub(crate) use remove::{Remove, What};
pub(crate) use slot::place;
pub(crate) use step::{Keys, Outcome, Step, Verb};
pub(crate) use touch::{Read, Touch};

pub static MIGRATIONS: Migrations = Migrations {
    owner: "storage",
    steps: &[
        Migration {
            version: 1,
            name: "storage",
            breaking: false,
            sqlite: include_str!("../../migrations/sqlite/1_storage.sql"),
            postgres: include_str!("../../migrations/postgres/1_storage.sql"),
        },
        Migration {
            version: 2,
            name: "turns",
            breaking: false,
            sqlite: include_str!("../../migrations/sqlite/2_turns.sql"),
            postgres: include_str!("../../migrations/postgres/2_turns.sql"),
        },
    ],
};

/// Reads the service's rows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) db: Db,
}

/// Names one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) owner: &'a Subject,
    pub(crate) chain: Chain,
    pub(crate) key: &'a str,
}

impl Place<'_> {
    fn cells(&self) -> Vec<Cell> {
        args![self.tenant, self.owner, self.chain.as_str(), self.key]
    }
}

/// Who asks for a list: what may not be read is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader<'a> {
    Owner,
    /// Another one with a name.
    Known(&'a Subject),
    Nobody,
}

/// A past state with what it held; `body` is none for a deletion.
pub(crate) struct Past {
    pub(crate) body: Option<Body>,
    pub(crate) size_bytes: i64,
    pub(crate) metadata: Option<Value>,
    pub(crate) updated_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Store {
    /// The current state, also when its time is over; none when absent or deleted.
    pub(crate) async fn find(&self, place: Place<'_>, stale: Option<Duration>) -> Result<Option<Held>> {
        let (scope, args) = (Scope::Tenant(place.tenant), place.cells());
        let mut rows = match stale {
            Some(most) => self.db.query_stale(scope, most, texts::FIND, args).await?,
            None => self.db.query(scope, texts::FIND, args).await?,
        };
        rows.pop().map(|mut row| held(&mut row, 0)).transpose()
    }

    pub(crate) async fn find_past(&self, place: Place<'_>, version: i64) -> Result<Option<Past>> {
        let mut args = place.cells();
        args.push(version.into());
        let mut rows = self.db.query(Scope::Tenant(place.tenant), texts::FIND_PAST, args).await?;
        let Some(row) = rows.first_mut() else { return Ok(None) };
        Ok(Some(Past {
            body: body(row.take(0)?, row.take(1)?, row.take(2)?),
            size_bytes: row.take(3)?,
            metadata: json(row.take(4)?),
            updated_at: row.take(5)?,
            expires_at: row.take(6)?,
        }))
    }

    /// What is known of the living values of one owner, by key, as far as the reader may know it.
    pub(crate) async fn list(
        &self,
        place: Place<'_>,
        end: &str,
        now: Timestamp,
        reader: Reader<'_>,
        limit: u32,
        stale: Option<Duration>,
    ) -> Result<Vec<Meta>> {
        let (all, known, subject) = match reader {
            Reader::Owner => (true, true, ""),
            Reader::Known(subject) => (false, true, subject.as_str()),
            Reader::Nobody => (false, false, ""),
        };
        let mut args = place.cells();
        args.extend(args![end, now, all, known, format!("\"{subject}\""), limit]);
        let scope = Scope::Tenant(place.tenant);
        let rows = match stale {
            Some(most) => self.db.query_stale(scope, most, texts::LIST, args).await?,
            None => self.db.scan(scope, texts::LIST, args).await?,
        };
        rows.into_iter().map(|mut row| listed(place, &mut row)).collect()
    }

    /// Past and present states below a version, newest first.
    pub(crate) async fn history(
        &self,
        place: Place<'_>,
        below: i64,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Version>> {
        let mut args = place.cells();
        args.extend(args![below, now, limit]);
        let rows = self.db.scan(Scope::Tenant(place.tenant), texts::HISTORY, args).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(Version {
                    version: row.take(0)?,
                    deleted: row.take::<Option<Timestamp>>(1)?.is_some(),
                    encrypted: row.take(2)?,
                    size_bytes: row.take(3)?,
                    updated_at: row.take(4)?,
                })
            })
            .collect()
    }

    /// Bytes and items that a tenant holds.
    pub(crate) async fn usage(&self, tenant: &TenantId) -> Result<(i64, i64)> {
        let mut rows = self.db.query(Scope::Tenant(tenant), texts::USAGE, args![tenant]).await?;
        rows.first_mut().map_or(Ok((0, 0)), |row| Ok((row.take(0)?, row.take(1)?)))
    }

    /// Keys whose time is over, of all tenants, in groups by tenant.
    pub(crate) async fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<(TenantId, Subject, Chain, String)>> {
        let rows = self.db.scan(Scope::Platform, texts::EXPIRED, args![now, limit]).await?;
        rows.into_iter().map(|mut row| addressed(&mut row)).collect()
    }

    /// Deleted keys that nobody may restore any more, of all tenants.
    pub(crate) async fn trimmable(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(TenantId, Subject, Chain, String)>> {
        let rows = self.db.scan(Scope::Platform, texts::TRIMMABLE, args![before, limit]).await?;
        rows.into_iter().map(|mut row| addressed(&mut row)).collect()
    }

    /// Tenants with more deleted keys than this, and how many they have.
    pub(crate) async fn littered(&self, most: i64) -> Result<Vec<(TenantId, i64)>> {
        let rows = self.db.scan(Scope::Platform, texts::SURPLUS, args![most]).await?;
        rows.into_iter().map(|mut row| Ok((row.take(0)?, row.take(1)?))).collect()
    }

    /// A tenant's deleted keys, those first that were deleted first.
    pub(crate) async fn oldest_deleted(
        &self,
        tenant: &TenantId,
        limit: u32,
    ) -> Result<Vec<(TenantId, Subject, Chain, String)>> {
        let rows = self.db.scan(Scope::Platform, texts::OLDEST_DELETED, args![tenant, limit]).await?;
        rows.into_iter().map(|mut row| addressed(&mut row)).collect()
    }

    /// Superseded states whose time is over, of all tenants.
    pub(crate) async fn lapsed_history(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(TenantId, Subject, Chain, String)>> {
        let rows = self.db.scan(Scope::Platform, texts::LAPSED_HISTORY, args![now, limit]).await?;
        rows.into_iter().map(|mut row| addressed(&mut row)).collect()
    }
}

fn addressed(row: &mut Row) -> Result<(TenantId, Subject, Chain, String)> {
    let (tenant, owner) = (row.take(0)?, row.take(1)?);
    let chain: String = row.take(2)?;
    Ok((tenant, owner, chain.parse()?, row.take(3)?))
}

fn json(text: Option<String>) -> Option<Value> {
    text.map(Value::read_before)
}

fn body(value: Option<String>, sealed: Option<Vec<u8>>, key_id: Option<String>) -> Option<Body> {
    match (value, sealed, key_id) {
        (_, Some(bytes), Some(key_id)) => Some(Body::Sealed { key_id: Arc::from(key_id), bytes: Bytes::from(bytes) }),
        (Some(value), ..) => Some(Body::Plain(Value::read_before(value))),
        _ => None,
    }
}

fn listed(place: Place<'_>, row: &mut Row) -> Result<Meta> {
    Ok(Meta {
        key: row.take(0)?,
        owner: place.owner.clone(),
        chain: place.chain,
        version: row.take(1)?,
        encrypted: row.take(2)?,
        access: access(&row.take::<String>(3)?)?,
        shared_with: subjects(json(row.take(4)?).as_ref()),
        size_bytes: row.take(5)?,
        metadata: json(row.take(6)?),
        accessed_count: row.take(7)?,
        last_accessed: row.take(8)?,
        expires_at: row.take(9)?,
        retain_until: row.take(10)?,
        created_at: row.take(11)?,
        updated_at: row.take(12)?,
    })
}

fn held(row: &mut Row, at: usize) -> Result<Held> {
    let gone = || nsl_core::Error::internal(anyhow::anyhow!("a living row holds no value"));
    Ok(Held {
        version: row.take(at)?,
        body: body(row.take(at + 1)?, row.take(at + 2)?, row.take(at + 3)?).ok_or_else(gone)?,
        access: access(&row.take::<String>(at + 4)?)?,
        shared_with: json(row.take(at + 5)?),
        size_bytes: row.take(at + 6)?,
        metadata: json(row.take(at + 7)?),
        accessed_count: row.take(at + 8)?,
        last_accessed: row.take(at + 9)?,
        expires_at: row.take(at + 10)?,
        retain_until: row.take(at + 11)?,
        created_at: row.take(at + 12)?,
        updated_at: row.take(at + 13)?,
    })
}
