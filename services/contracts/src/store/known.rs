//! Contracts that tenants deployed or described.

use nsl_api::contracts::{Contract, Deployed};
use nsl_core::{Entry, Result, Subject, TenantId, Timestamp, fresh};
use nsl_sql::{Db, Row, Scope, Single, Tx, Value, args};
use serde_json::Value as Json;

use super::{ROUND, all, first, json, plain};

/// A contract as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) tenant: TenantId,
    pub(crate) chain: String,
    pub(crate) id: String,
    pub(crate) hash: Option<String>,
    pub(crate) predicted: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) checksum: Option<String>,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) tx: Option<String>,
    pub(crate) height: Option<i64>,
    pub(crate) abi: Json,
    pub(crate) created_by: Subject,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Known {
    /// One that others deployed, and that the tenant calls by this ABI.
    pub(crate) fn described(
        (tenant, by): (&TenantId, &Subject),
        (chain, hash): (&str, &str),
        (name, abi): (Option<String>, Json),
        now: Timestamp,
    ) -> Self {
        Self {
            tenant: tenant.clone(),
            chain: chain.to_owned(),
            id: fresh("con"),
            hash: Some(hash.to_owned()),
            predicted: None,
            name,
            account: None,
            request: None,
            checksum: None,
            state: "described".to_owned(),
            reason: None,
            tx: None,
            height: None,
            abi,
            created_by: by.clone(),
            created_at: now,
            updated_at: now,
        }
    }
}

/// Records a deployment that the relay has taken on, with its evidence, and gives what its caller is told.
pub(crate) struct AddDeployment {
    pub(crate) known: Known,
    pub(crate) deployed: Deployed,
    pub(crate) entry: Entry,
}

impl Single for AddDeployment {
    type Done = Deployed;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Deployed>> {
        let known = &self.known;
        // The relay gives one id for one idempotency key; a write that is tried again is there already.
        let added = tx
            .execute(
                "INSERT INTO contracts_known (tenant_id, chain, id, predicted, name, account, request_id, checksum, state,
                   abi, created_by, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'deploying', $9, $10, $11, $11)
                 ON CONFLICT (tenant_id, request_id) WHERE request_id IS NOT NULL DO NOTHING",
                args![
                    &known.tenant,
                    known.chain.as_str(),
                    known.id.as_str(),
                    known.predicted.clone(),
                    plain(known.name.clone()),
                    known.account.clone(),
                    known.request.clone(),
                    known.checksum.clone(),
                    Value::json(known.abi.to_string()),
                    &known.created_by,
                    known.created_at
                ],
            )
            .await?;
        if added == 1 {
            tx.note(self.entry.clone());
        }
        Ok(Ok(self.deployed.clone()))
    }
}

/// Writes what became of a deployment, once.
pub(crate) struct SettleDeployment {
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) hash: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) tx: Option<String>,
    pub(crate) height: Option<i64>,
    pub(crate) now: Timestamp,
    pub(crate) entry: Entry,
}

impl Single for SettleDeployment {
    type Done = bool;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<bool>> {
        if let Some(hash) = &self.hash {
            // What was described meanwhile is now known better.
            tx.execute(
                "DELETE FROM contracts_known WHERE tenant_id = $1 AND hash = $2 AND state = 'described'
                   AND chain = (SELECT chain FROM contracts_known WHERE tenant_id = $1 AND id = $3 AND state = 'deploying')",
                args![&self.tenant, hash.as_str(), self.id.as_str()],
            )
            .await?;
        }
        let changed = tx
            .execute(
                "UPDATE contracts_known SET state = $3, reason = $4, tx = $5, height = $6, updated_at = $7,
                   hash = CASE WHEN EXISTS (SELECT 1 FROM contracts_known o WHERE o.tenant_id = $1 AND o.hash = $8
                     AND o.chain = contracts_known.chain) THEN NULL ELSE $8 END
                 WHERE tenant_id = $1 AND id = $2 AND state = 'deploying'",
                args![
                    &self.tenant,
                    self.id.as_str(),
                    self.state,
                    plain(self.reason.clone()),
                    self.tx.clone(),
                    self.height,
                    self.now,
                    self.hash.clone()
                ],
            )
            .await?;
        if changed == 1 {
            tx.note(self.entry.clone());
        }
        Ok(Ok(changed == 1))
    }
}

/// Keeps the ABI of a contract, with its evidence, and gives what its caller is told.
pub(crate) struct Describe {
    pub(crate) known: Known,
    pub(crate) told: Contract,
    pub(crate) entry: Entry,
}

impl Single for Describe {
    type Done = Contract;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Contract>> {
        put(&self.known, tx).await?;
        tx.note(self.entry.clone());
        Ok(Ok(self.told.clone()))
    }
}

/// The ABI that a contract has from now on.
pub(super) async fn put(known: &Known, tx: &mut Tx<'_>) -> Result<u64> {
    tx.execute(
        "INSERT INTO contracts_known (tenant_id, chain, id, hash, name, state, abi, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 'described', $6, $7, $8, $8)
         ON CONFLICT (tenant_id, chain, hash) WHERE hash IS NOT NULL DO UPDATE
         SET abi = excluded.abi, name = coalesce(excluded.name, contracts_known.name), updated_at = excluded.updated_at",
        args![
            &known.tenant,
            known.chain.as_str(),
            known.id.as_str(),
            known.hash.clone(),
            plain(known.name.clone()),
            Value::json(known.abi.to_string()),
            &known.created_by,
            known.created_at
        ],
    )
    .await
}

macro_rules! columns {
    () => {
        "tenant_id, chain, id, hash, predicted, name, account, request_id, checksum, state, reason, tx, height,
         created_by, created_at, updated_at, abi"
    };
    // Where many are read at once: an ABI may be large, and nobody asks for it there.
    (without abi) => {
        "tenant_id, chain, id, hash, predicted, name, account, request_id, checksum, state, reason, tx, height,
         created_by, created_at, updated_at, NULL"
    };
}

static BY_HASH: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM contracts_known WHERE tenant_id = $1 AND chain = $2 AND (hash = $3 OR predicted = $3)
      ORDER BY hash IS NULL, id DESC LIMIT 1"
);
static BY_REQUEST: &str =
    concat!("SELECT ", columns!(), " FROM contracts_known WHERE tenant_id = $1 AND chain = $2 AND request_id = $3");
static LIST: &str = concat!(
    "SELECT ",
    columns!(without abi),
    " FROM contracts_known WHERE tenant_id = $1 AND chain = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
);
static OPEN: &str = concat!(
    "SELECT ",
    columns!(without abi),
    " FROM contracts_known WHERE state = 'deploying' AND id > $1 ORDER BY id LIMIT $2"
);

static OPEN_OF: &str = concat!(
    "SELECT ",
    columns!(without abi),
    " FROM contracts_known WHERE tenant_id = $1 AND state = 'deploying' ORDER BY id DESC LIMIT $2"
);

/// The contract that stands there or, while none does, the last one that was to.
pub(crate) async fn by_hash(db: &Db, tenant: &TenantId, chain: &str, hash: &str) -> Result<Option<Known>> {
    first(db.query(Scope::Tenant(tenant), BY_HASH, args![tenant, chain, hash]).await?, read)
}

pub(crate) async fn by_request(db: &Db, tenant: &TenantId, chain: &str, request: &str) -> Result<Option<Known>> {
    first(db.query(Scope::Tenant(tenant), BY_REQUEST, args![tenant, chain, request]).await?, read)
}

/// Newest first, before the one named.
pub(crate) async fn list(db: &Db, tenant: &TenantId, chain: &str, before: &str, limit: u32) -> Result<Vec<Known>> {
    all(db.scan(Scope::Tenant(tenant), LIST, args![tenant, chain, before, limit]).await?, read)
}

/// Deployments of all tenants that are on their way, after the one named.
pub(crate) async fn open_deployments(db: &Db, after: &str) -> Result<Vec<Known>> {
    all(db.query(Scope::Platform, OPEN, args![after, ROUND]).await?, read)
}

/// Deployments of a tenant that are on their way, the newest first.
pub(crate) async fn open_of(db: &Db, tenant: &TenantId) -> Result<Vec<Known>> {
    all(db.query(Scope::Tenant(tenant), OPEN_OF, args![tenant, ROUND]).await?, read)
}

fn read(mut row: Row) -> Result<Known> {
    Ok(Known {
        tenant: row.take(0)?,
        chain: row.take(1)?,
        id: row.take(2)?,
        hash: row.take(3)?,
        predicted: row.take(4)?,
        name: row.take(5)?,
        account: row.take(6)?,
        request: row.take(7)?,
        checksum: row.take(8)?,
        state: row.take(9)?,
        reason: row.take(10)?,
        tx: row.take(11)?,
        height: row.take(12)?,
        created_by: row.take(13)?,
        created_at: row.take(14)?,
        updated_at: row.take(15)?,
        abi: json(row.take(16)?)?.unwrap_or_default(),
    })
}
