//! What was asked for.

use nsl_core::{Code, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Db, Row, Scope, Single, Tx, Value, args};
use serde::{Deserialize, Serialize};

use super::{Became, LaneKey, mark};

/// A request as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: String,
    pub(crate) chain: String,
    pub(crate) account: String,
    pub(crate) subject: Subject,
    pub(crate) intent: serde_json::Value,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) hash: Option<String>,
    pub(crate) height: Option<i64>,
    /// What the chain took, in its smallest unit.
    pub(crate) fee: Option<String>,
    /// The most that it may cost.
    pub(crate) max_fee: Option<String>,
    /// When it is given up, where no block has it by then.
    pub(crate) expires_at: Option<Timestamp>,
    /// When its caller took it back.
    pub(crate) cancelled_at: Option<Timestamp>,
    /// What its test run failed by.
    pub(crate) trouble: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) settled_at: Option<Timestamp>,
}

impl Kept {
    /// A request as it is at first.
    pub(crate) fn fresh(
        id: String,
        lane: &LaneKey,
        subject: Subject,
        intent: serde_json::Value,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            chain: lane.chain.to_owned(),
            account: lane.account.to_string(),
            subject,
            intent,
            state: "accepted".to_owned(),
            reason: None,
            hash: None,
            height: None,
            fee: None,
            max_fee: None,
            expires_at: None,
            cancelled_at: None,
            trouble: None,
            created_at: now,
            updated_at: now,
            settled_at: None,
        }
    }
}

/// Takes a request on, with its evidence.
pub(crate) struct Accept {
    pub(crate) tenant: TenantId,
    pub(crate) kept: Kept,
    pub(crate) entry: Entry,
}

impl Single for Accept {
    type Done = Kept;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Kept>> {
        let kept = &self.kept;
        tx.execute(
            "INSERT INTO relay_requests (tenant_id, id, chain, account, subject, intent, state, created_at, updated_at,
               max_fee, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, 'accepted', $7, $7, $8, $9)",
            args![
                &self.tenant,
                kept.id.as_str(),
                kept.chain.as_str(),
                kept.account.as_str(),
                &kept.subject,
                Value::json(kept.intent.to_string()),
                kept.created_at,
                kept.max_fee.clone(),
                kept.expires_at
            ],
        )
        .await?;
        let became = Became::told(kept.id.as_str().into(), "accepted", None);
        mark(&self.tenant, &[became], kept.created_at, tx)?;
        tx.note(self.entry.clone());
        Ok(Ok(kept.clone()))
    }
}

macro_rules! columns {
    () => {
        "id, chain, account, subject, intent, state, reason, hash, height, fee, max_fee, expires_at, \
         cancelled_at, trouble, created_at, updated_at, settled_at"
    };
}

static FIND: &str = concat!("SELECT ", columns!(), " FROM relay_requests WHERE tenant_id = $1 AND id = $2");
// The newest of a chain by its index first, which SQLite would not take for whole rows.
pub(super) static LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM relay_requests WHERE tenant_id = $1 AND id IN (SELECT id FROM relay_requests
        WHERE tenant_id = $1 AND chain = $2 AND id < $3 ORDER BY id DESC LIMIT $4) ORDER BY id DESC"
);

pub(crate) async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Kept> {
    let rows = db.query(Scope::Tenant(tenant), FIND, args![tenant, id]).await?;
    let missing = || Error::new(Code::NotFound, "relay.request_not_found", "there is no such request");
    rows.into_iter().next().map(read).transpose()?.ok_or_else(missing)
}

/// Newest first, before the one named.
pub(crate) async fn list(db: &Db, tenant: &TenantId, chain: &str, before: &str, limit: u32) -> Result<Vec<Kept>> {
    db.scan(Scope::Tenant(tenant), LIST, args![tenant, chain, before, limit]).await?.into_iter().map(read).collect()
}

/// A state that a request passed.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) number: i64,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) hash: Option<String>,
    pub(crate) at: Timestamp,
}

/// The states that a request passed after the one of this number.
pub(crate) async fn steps(db: &Db, tenant: &TenantId, id: &str, after: i64) -> Result<Vec<Passed>> {
    let steps = "SELECT number, state, reason, hash, at FROM relay_steps
        WHERE tenant_id = $1 AND request_id = $2 AND number > $3 ORDER BY number LIMIT 2000";
    let rows = db.query(Scope::Tenant(tenant), steps, args![tenant, id, after]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Passed {
                number: row.take(0)?,
                state: row.take(1)?,
                reason: row.take(2)?,
                hash: row.take(3)?,
                at: row.take(4)?,
            })
        })
        .collect()
}

/// The states that a request passed after the one of this number, and whether it is at its end; in one question.
pub(crate) async fn news(
    db: &Db,
    tenant: &TenantId,
    chain: &str,
    id: &str,
    after: i64,
) -> Result<Option<(bool, Vec<Passed>)>> {
    let sql = "SELECT r.settled_at, s.number, s.state, s.reason, s.hash, s.at FROM relay_requests r
        LEFT JOIN relay_steps s ON s.tenant_id = r.tenant_id AND s.request_id = r.id AND s.number > $4
        WHERE r.tenant_id = $1 AND r.chain = $2 AND r.id = $3 ORDER BY s.number LIMIT 2000";
    let rows = db.query(Scope::Tenant(tenant), sql, args![tenant, chain, id, after]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let (mut ended, mut passed) = (false, Vec::new());
    for mut row in rows {
        ended = row.take::<Option<Timestamp>>(0)?.is_some();
        let Some(number) = row.take::<Option<i64>>(1)? else { continue };
        let (state, reason, hash, at) = (row.take(2)?, row.take(3)?, row.take(4)?, row.take(5)?);
        passed.push(Passed { number, state, reason, hash, at });
    }
    Ok(Some((ended, passed)))
}

fn read(mut row: Row) -> Result<Kept> {
    Ok(Kept {
        id: row.take(0)?,
        chain: row.take(1)?,
        account: row.take(2)?,
        subject: row.take(3)?,
        intent: row.take(4)?,
        state: row.take(5)?,
        reason: row.take(6)?,
        hash: row.take(7)?,
        height: row.take(8)?,
        fee: row.take(9)?,
        max_fee: row.take(10)?,
        expires_at: row.take(11)?,
        cancelled_at: row.take(12)?,
        trouble: row.take(13)?,
        created_at: row.take(14)?,
        updated_at: row.take(15)?,
        settled_at: row.take(16)?,
    })
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
