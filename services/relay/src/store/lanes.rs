//! Who sends for an account, and what is under way there.

use std::{collections::BTreeMap, sync::Arc};

use nsl_core::{Error, Result, TenantId, Timestamp};
use nsl_sql::{Change, Db, Scope, Tx, args};
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

impl Change for Take {
    type Done = Option<Held>;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Option<Held>>>> {
        let mut done = Vec::with_capacity(group.len());
        for take in group {
            let lane = &take.lane;
            let holder = &*take.holder;
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
                    args![&lane.tenant, lane.chain, lane.account.as_ref(), holder, take.until, take.now],
                )
                .await?;
            done.push(match rows.first_mut() {
                Some(row) => {
                    let at = row.take::<Option<Vec<u8>>>(3)?.and_then(|at| at.try_into().ok());
                    Ok(Some(Held { fence: row.take(0)?, next: row.take(1)?, looked: row.take(2)?, at }))
                }
                None => Ok(None),
            });
        }
        Ok(done)
    }
}

/// What is under way in a lane, as it was stored last.
pub(crate) async fn load(db: &Db, key: &LaneKey, held: &Held) -> Result<Lane> {
    let mut lane = Lane { next: held.next as u64, ..Lane::default() };
    let tries = "SELECT place, hash, request_id, given_up, price FROM relay_tries
        WHERE chain = $1 AND account = $2 ORDER BY place, number";
    let at = || args![key.chain, key.account.as_ref()];
    for mut row in db.scan(Scope::Tenant(&key.tenant), tries, at()).await? {
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
/// back is among them wherever it stands.
pub(crate) async fn waiting(db: &Db, key: &LaneKey) -> Result<Vec<Id>> {
    let waiting = "SELECT id FROM (SELECT id FROM relay_requests WHERE chain = $1 AND account = $2
          AND settled_at IS NULL AND state = 'accepted' ORDER BY id LIMIT 2048) AS oldest
        UNION SELECT id FROM (SELECT id FROM relay_requests WHERE chain = $1 AND account = $2
          AND settled_at IS NULL AND state = 'accepted' AND cancelled_at IS NOT NULL LIMIT 2048) AS taken_back
        ORDER BY id";
    let rows = db.query(Scope::Tenant(&key.tenant), waiting, args![key.chain, key.account.as_ref()]).await?;
    rows.into_iter().map(|mut row| Ok(row.take::<String>(0)?.into())).collect()
}

/// Accounts of a chain with requests that have not come to their end.
pub(crate) async fn open_lanes(db: &Db, chain: &'static str) -> Result<Vec<LaneKey>> {
    let open = "SELECT DISTINCT tenant_id, account FROM relay_requests WHERE chain = $1 AND settled_at IS NULL";
    let rows = db.scan(Scope::Platform, open, args![chain]).await?;
    rows.into_iter()
        .map(|mut row| Ok(LaneKey { tenant: row.take(0)?, chain, account: row.take::<String>(1)?.into() }))
        .collect()
}

/// The signed transactions of a lane, by place and number.
pub(crate) async fn raws(db: &Db, key: &LaneKey) -> Result<BTreeMap<(u64, usize), Vec<u8>>> {
    let raws = "SELECT place, number, raw FROM relay_tries WHERE chain = $1 AND account = $2";
    let rows = db.scan(Scope::Tenant(&key.tenant), raws, args![key.chain, key.account.as_ref()]).await?;
    rows.into_iter()
        .map(|mut row| Ok(((row.take::<i64>(0)? as u64, row.take::<i64>(1)? as usize), row.take(2)?)))
        .collect()
}
