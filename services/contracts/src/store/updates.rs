//! Updates that were sent from here.

use nsl_api::contracts::Updating;
use nsl_core::{Entry, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Db, Row, Scope, Single, Tx, Value, args};
use serde_json::Value as Json;

use super::{
    ROUND, all, first, json,
    known::{Known, put},
    plain,
};

/// An update as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct KeptUpdate {
    pub(crate) tenant: TenantId,
    pub(crate) request: String,
    pub(crate) chain: String,
    pub(crate) hash: String,
    pub(crate) account: String,
    /// What the code shall have then (Neo N3).
    pub(crate) checksum: Option<String>,
    /// What shall stand behind the proxy then (Neo X).
    pub(crate) implementation: Option<String>,
    pub(crate) abi: Option<Json>,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) tx: Option<String>,
    pub(crate) asked_by: Subject,
    pub(crate) asked_at: Timestamp,
}

/// Records an update that the relay has taken on, with its evidence, and gives what its caller is told.
pub(crate) struct AddUpdate {
    pub(crate) kept: KeptUpdate,
    pub(crate) updating: Updating,
    pub(crate) entry: Entry,
}

impl Single for AddUpdate {
    type Done = Updating;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Updating>> {
        let kept = &self.kept;
        let added = tx
            .execute(
                "INSERT INTO contracts_updates (tenant_id, request_id, chain, hash, account, checksum, implementation,
                   abi, state, asked_by, asked_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'updating', $9, $10)
                 ON CONFLICT (tenant_id, request_id) DO NOTHING",
                args![
                    &kept.tenant,
                    kept.request.as_str(),
                    kept.chain.as_str(),
                    kept.hash.as_str(),
                    kept.account.as_str(),
                    kept.checksum.clone(),
                    kept.implementation.clone(),
                    kept_json(kept.abi.as_ref()),
                    &kept.asked_by,
                    kept.asked_at
                ],
            )
            .await?;
        if added == 1 {
            tx.note(self.entry.clone());
        }
        Ok(Ok(self.updating.clone()))
    }
}

/// Writes what became of an update, once; what the contract is now goes with it.
pub(crate) struct SettleUpdate {
    pub(crate) kept: KeptUpdate,
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) tx: Option<String>,
    pub(crate) now: Timestamp,
    pub(crate) entry: Entry,
}

impl Single for SettleUpdate {
    type Done = bool;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<bool>> {
        let kept = &self.kept;
        let changed = tx
            .execute(
                "UPDATE contracts_updates SET state = $3, reason = $4, tx = $5, settled_at = $6
                 WHERE tenant_id = $1 AND request_id = $2 AND state = 'updating'",
                args![
                    &kept.tenant,
                    kept.request.as_str(),
                    self.state,
                    plain(self.reason.clone()),
                    self.tx.clone(),
                    self.now
                ],
            )
            .await?;
        if changed == 1 {
            if self.state == "updated" {
                renew(kept, self.now, tx).await?;
            }
            tx.note(self.entry.clone());
        }
        Ok(Ok(changed == 1))
    }
}

async fn renew(kept: &KeptUpdate, now: Timestamp, tx: &mut Tx<'_>) -> Result<()> {
    let Some(abi) = &kept.abi else { return Ok(()) };
    match &kept.implementation {
        None => {
            tx.execute(
                "UPDATE contracts_known SET abi = $4, checksum = $5, updated_at = $6
                 WHERE tenant_id = $1 AND chain = $2 AND hash = $3",
                args![
                    &kept.tenant,
                    kept.chain.as_str(),
                    kept.hash.as_str(),
                    kept_json(Some(abi)),
                    kept.checksum.clone(),
                    now
                ],
            )
            .await?;
        }
        Some(implementation) => {
            // A proxy that was deployed here keeps the ABI of its own; the one behind it has the new one.
            tx.execute(
                "UPDATE contracts_known SET abi = $4, updated_at = $5
                 WHERE tenant_id = $1 AND chain = $2 AND hash = $3 AND state = 'described'",
                args![&kept.tenant, kept.chain.as_str(), kept.hash.as_str(), kept_json(Some(abi)), now],
            )
            .await?;
            let parties = (&kept.tenant, &kept.asked_by);
            let behind = Known::described(parties, (&kept.chain, implementation), (None, abi.clone()), now);
            put(&behind, tx).await?;
        }
    }
    Ok(())
}

fn kept_json(value: Option<&Json>) -> Value {
    value.map_or(Value::Null(nsl_sql::Kind::Json), |value| Value::json(value.to_string()))
}

macro_rules! columns {
    () => {
        "tenant_id, request_id, chain, hash, account, checksum, implementation, abi, state, reason, tx, asked_by, asked_at"
    };
}

static LAST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM contracts_updates WHERE tenant_id = $1 AND chain = $2 AND hash = $3 ORDER BY request_id DESC LIMIT 1"
);
static OPEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM contracts_updates WHERE state = 'updating' AND request_id > $1 ORDER BY request_id LIMIT $2"
);

/// The last update of a contract.
pub(crate) async fn last_update(db: &Db, tenant: &TenantId, chain: &str, hash: &str) -> Result<Option<KeptUpdate>> {
    first(db.query(Scope::Tenant(tenant), LAST, args![tenant, chain, hash]).await?, read)
}

/// Updates of all tenants that are on their way, after the one named.
pub(crate) async fn open_updates(db: &Db, after: &str) -> Result<Vec<KeptUpdate>> {
    all(db.query(Scope::Platform, OPEN, args![after, ROUND]).await?, read)
}

fn read(mut row: Row) -> Result<KeptUpdate> {
    Ok(KeptUpdate {
        tenant: row.take(0)?,
        request: row.take(1)?,
        chain: row.take(2)?,
        hash: row.take(3)?,
        account: row.take(4)?,
        checksum: row.take(5)?,
        implementation: row.take(6)?,
        abi: json(row.take(7)?)?,
        state: row.take(8)?,
        reason: row.take(9)?,
        tx: row.take(10)?,
        asked_by: row.take(11)?,
        asked_at: row.take(12)?,
    })
}
