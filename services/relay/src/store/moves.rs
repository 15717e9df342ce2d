//! What the holder of a lane does, step by step. Each step is one change under the lane's fence.

use std::sync::Arc;

use nsl_core::{Entry, Result, Timestamp};
use nsl_sql::{Change, Kind, Many, Tx, args};

use super::{Became, LaneKey, lane_lost, mark};
use crate::nonces::Hash;

/// A signed transaction that is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct NewTry {
    pub(crate) place: u64,
    /// How many tries of this place came before.
    pub(crate) number: usize,
    pub(crate) hash: Hash,
    pub(crate) request: Option<Arc<str>>,
    pub(crate) given_up: Option<String>,
    pub(crate) price: u128,
    pub(crate) raw: Vec<u8>,
}

/// All that one step of a lane writes, or nothing of it when the lane is another's by now.
pub(crate) struct Step {
    pub(crate) lane: LaneKey,
    pub(crate) fence: i64,
    pub(crate) now: Timestamp,
    /// The lane afterwards.
    pub(crate) next: u64,
    pub(crate) looked: i64,
    pub(crate) tries: Vec<NewTry>,
    /// Places that a block has spent: nothing of them is sent again.
    pub(crate) spent: Vec<u64>,
    pub(crate) became: Vec<Became>,
    pub(crate) entries: Vec<Entry>,
}

static TRY: Many = Many {
    one: "INSERT INTO relay_tries (tenant_id, chain, account, place, number, hash, request_id, given_up, price, raw, made_at)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    many: "INSERT INTO relay_tries (tenant_id, chain, account, place, number, hash, request_id, given_up, price, raw, made_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[],
             $8::text[], $9::text[], $10::bytea[], $11::timestamptz[])",
    kinds: &[
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Bytes,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Bytes,
        Kind::Time,
    ],
};

static SPENT: Many = Many {
    one: "DELETE FROM relay_tries WHERE tenant_id = $1 AND chain = $2 AND account = $3 AND place = $4",
    many: "DELETE FROM relay_tries t USING unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
             AS n (tenant_id, chain, account, place)
           WHERE t.tenant_id = n.tenant_id AND t.chain = n.chain AND t.account = n.account AND t.place = n.place",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

impl Change for Step {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        let mut done = Vec::with_capacity(group.len());
        for step in group {
            let LaneKey { tenant, chain, account } = &step.lane;
            let moved = tx
                .execute(
                    "UPDATE relay_lanes SET next = $1, looked = $2
                     WHERE tenant_id = $3 AND chain = $4 AND account = $5 AND fence = $6",
                    args![step.next as i64, step.looked, tenant, *chain, account.as_ref(), step.fence],
                )
                .await?;
            if moved == 0 {
                done.push(Err(lane_lost()));
                continue;
            }
            let tries = step.tries.iter().map(|one| {
                args![
                    tenant,
                    *chain,
                    account.as_ref(),
                    one.place as i64,
                    one.number as i64,
                    one.hash.to_vec(),
                    one.request.as_deref().map(str::to_owned),
                    one.given_up.clone(),
                    one.price.to_string(),
                    one.raw.clone(),
                    step.now
                ]
            });
            tx.ask(&TRY, tries.collect())?;
            let spent = step.spent.iter().map(|place| args![tenant, *chain, account.as_ref(), *place as i64]);
            tx.ask(&SPENT, spent.collect())?;
            mark(tenant, &step.became, step.now, tx)?;
            step.entries.iter().for_each(|entry| tx.note(entry.clone()));
            done.push(Ok(()));
        }
        Ok(done)
    }
}
