//! Who sends for an account, and what is under way there.

use std::{collections::BTreeMap, sync::Arc};

use nsl_core::{Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, Scope, Single, Tx, Value, args};
use serde::{Deserialize, Serialize};

use crate::nonces::{Hash, Id, Lane, Try};

/// An account of one chain that sends for one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaneKey {
    pub tenant: TenantId,
    pub chain: &'static str,
    /// `0x` and 40 small hex digits.
    pub account: Arc<str>,
}

impl LaneKey {
    /// `$1`, `$2` and `$3` of what asks for the rows of a lane: its tenant, chain and account.
    pub(super) fn args(&self) -> Vec<Value> {
        args![&self.tenant, self.chain, self.account.as_ref()]
    }
}

/// A lane that this process holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) fence: i64,
    pub(crate) next: i64,
    /// The last block whose transactions are accounted for.
    pub(crate) looked: i64,
    /// Its hash; none where it was not read.
    pub(crate) at: Option<Hash>,
}

/// Takes a lane that nobody holds, or holds it for longer. Gives none while another does. One that was never held
/// begins at nothing: where nothing is under way, whoever takes it up asks the chain where it is.
pub(crate) struct Take {
    pub(crate) lane: LaneKey,
    pub(crate) holder: Arc<str>,
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
}

impl Single for Take {
    type Done = Option<Held>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Option<Held>>> {
        let LaneKey { tenant, chain, account } = &self.lane;
        let mut rows = tx
            .query(
                "INSERT INTO relay_lanes (tenant_id, chain, account, next, looked, holder, fence, held_until)
                 VALUES ($1, $2, $3, 0, 0, $4, 1, $5)
                 ON CONFLICT (chain, account) DO UPDATE SET
                   fence = relay_lanes.fence + CASE WHEN relay_lanes.holder = excluded.holder THEN 0 ELSE 1 END,
                   holder = excluded.holder, held_until = excluded.held_until
                 WHERE relay_lanes.tenant_id = excluded.tenant_id
                   AND (relay_lanes.held_until <= $6 OR relay_lanes.holder = excluded.holder)
                 RETURNING fence, next, looked, looked_hash",
                args![tenant, *chain, account.as_ref(), self.holder.as_ref(), self.until, self.now],
            )
            .await?;
        let Some(row) = rows.first_mut() else { return Ok(Ok(None)) };
        let at = row.take::<Option<Vec<u8>>>(3)?.and_then(|at| at.try_into().ok());
        Ok(Ok(Some(Held { fence: row.take(0)?, next: row.take(1)?, looked: row.take(2)?, at })))
    }
}

/// What is under way in a lane, as it was stored last.
pub(crate) async fn load(db: &Db, key: &LaneKey, held: &Held) -> Result<Lane> {
    let mut lane = Lane { next: held.next as u64, ..Lane::default() };
    let tries = "SELECT place, hash, request_id, given_up, price FROM relay_tries
        WHERE tenant_id = $1 AND chain = $2 AND account = $3 ORDER BY place, number";
    for mut row in db.scan(Scope::Tenant(&key.tenant), tries, key.args()).await? {
        let slot = lane.slots.entry(row.take::<i64>(0)? as u64).or_default();
        let (hash, request): (Vec<u8>, Option<String>) = (row.take(1)?, row.take(2)?);
        let given_up: Option<String> = row.take(3)?;
        let price = row.take::<String>(4)?.parse().map_err(Error::internal)?;
        slot.given_up = slot.given_up.take().or(given_up);
        let hash = hash.try_into().map_err(|_| Error::internal(anyhow::anyhow!("a hash of another length")))?;
        slot.tries.push(Try { request: request.map(Into::into), hash, price });
    }
    lane.waiting = waiting(db, key).await?.into();
    Ok(lane)
}

/// The oldest requests of a lane that have no place, oldest first: more than any lane looks at in one turn. What is taken
/// back is among them wherever it stands. What was tried out and not signed has no place either.
pub(crate) async fn waiting(db: &Db, key: &LaneKey) -> Result<Vec<Id>> {
    let rows = db.scan(Scope::Tenant(&key.tenant), WAITING, key.args()).await?;
    rows.into_iter().map(|mut row| Ok(row.take::<String>(0)?.into())).collect()
}

/// The open requests of a lane, by [`LaneKey::args`]. SQLite takes a tenant for few rows: named plainly, it would lead
/// through all that the tenant ever asked for, past the index of what is open.
macro_rules! open_of_lane {
    () => {
        "FROM relay_requests WHERE coalesce(tenant_id, '') = $1 AND chain = $2 AND account = $3 AND settled_at IS NULL"
    };
}
pub(super) use open_of_lane;

pub(super) static WAITING: &str = concat!(
    "SELECT id FROM (SELECT id ",
    open_of_lane!(),
    " AND state IN ('accepted', 'simulated') ORDER BY id LIMIT 2048) AS oldest
    UNION SELECT id FROM (SELECT id ",
    open_of_lane!(),
    " AND cancelled_at IS NOT NULL AND state IN ('accepted', 'simulated') LIMIT 2048) AS taken_back ORDER BY id"
);

/// Accounts of a chain with requests that have not come to their end.
pub(crate) async fn open_lanes(db: &Db, chain: &'static str) -> Result<Vec<LaneKey>> {
    let rows = db.scan(Scope::Platform, OPEN_LANES, args![chain]).await?;
    rows.into_iter()
        .map(|mut row| Ok(LaneKey { account: row.take::<String>(0)?.into(), chain, tenant: row.take(1)? }))
        .collect()
}

// From one account to the next, so that it costs as much as there are lanes, however many requests wait in each. An
// account is one tenant's.
pub(super) static OPEN_LANES: &str = "WITH RECURSIVE lanes (account) AS (
      SELECT min(account) FROM relay_requests WHERE chain = $1 AND settled_at IS NULL
      UNION ALL SELECT (SELECT min(r.account) FROM relay_requests r
          WHERE r.chain = $1 AND r.settled_at IS NULL AND r.account > lanes.account)
        FROM lanes WHERE lanes.account IS NOT NULL)
    SELECT account, (SELECT r.tenant_id FROM relay_requests r
        WHERE r.chain = $1 AND r.settled_at IS NULL AND r.account = lanes.account ORDER BY r.id LIMIT 1)
    FROM lanes WHERE account IS NOT NULL";

/// The signed transactions of a lane, by place and number.
pub(crate) async fn raws(db: &Db, key: &LaneKey) -> Result<BTreeMap<(u64, usize), Vec<u8>>> {
    let raws = "SELECT place, number, raw FROM relay_tries WHERE tenant_id = $1 AND chain = $2 AND account = $3";
    let rows = db.scan(Scope::Tenant(&key.tenant), raws, key.args()).await?;
    rows.into_iter()
        .map(|mut row| Ok(((row.take::<i64>(0)? as u64, row.take::<i64>(1)? as usize), row.take(2)?)))
        .collect()
}
