//! What the holder of a lane does, step by step. Each step is one change under the lane's fence.

use std::sync::Arc;

use nsl_core::{Cx, Entry, Result, Timestamp};
use nsl_sql::{Change, Db, Kind, Many, Tx, args};

use super::{
    Became, Cost, LaneKey, Over, Parcels,
    budgets::{Books, Place, RESERVED},
    lane_lost, mark, sponsors,
};
use crate::{nonces::Hash, tidings};

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
    /// The hash of the last block that is looked at.
    pub(crate) at: Option<Hash>,
    pub(crate) tries: Vec<NewTry>,
    /// Places that a block has spent: nothing of them is sent again.
    pub(crate) spent: Vec<u64>,
    /// What it changes on Neo N3.
    pub(crate) parcels: Parcels,
    pub(crate) became: Vec<Became>,
    /// The most that requests may cost from now on, where this step signs for them.
    pub(crate) costs: Vec<Cost>,
    pub(crate) entries: Vec<Entry>,
}

impl Step {
    /// A step that changes nothing by itself.
    pub(crate) fn nothing(lane: LaneKey, fence: i64, now: Timestamp, next: u64, looked: i64) -> Self {
        let (at, tries, spent, parcels, became, costs, entries) = Default::default();
        Self { lane, fence, now, next, looked, at, tries, spent, parcels, became, costs, entries }
    }

    pub(super) fn place(&self, day: i64) -> Place {
        (self.lane.tenant.clone(), self.lane.chain, day)
    }

    /// The requests whose reservation changes.
    pub(super) fn touches(&self) -> impl Iterator<Item = &str> {
        let ended = self.became.iter().filter(|one| one.is_end()).map(|one| &*one.request);
        ended.chain(self.costs.iter().map(|one| &*one.request))
    }
}

/// Writes a step and tells who waits for its states. Where requests are over the budget nothing is written, and it says
/// which and why.
pub(crate) async fn step(db: &Db, cx: &Cx, step: Step) -> Result<Vec<Over>> {
    let told: Vec<Arc<str>> = step.became.iter().map(|one| Arc::clone(&one.request)).collect();
    let over = db.write(cx, step).await?;
    if over.is_empty() {
        tidings::tell(&told);
    }
    Ok(over)
}

static HOLD: Many = Many {
    one: "UPDATE relay_lanes SET fence = fence WHERE tenant_id = $1 AND chain = $2 AND account = $3 AND fence = $4
          RETURNING chain, account",
    many: "UPDATE relay_lanes l SET fence = l.fence
           FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS n (tenant_id, chain, account, fence)
           WHERE l.tenant_id = n.tenant_id AND l.chain = n.chain AND l.account = n.account AND l.fence = n.fence
           RETURNING l.chain, l.account",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

static MOVE: Many = Many {
    one: "UPDATE relay_lanes SET next = $4, looked = $5, looked_hash = $6
          WHERE tenant_id = $1 AND chain = $2 AND account = $3",
    many: "UPDATE relay_lanes l SET next = n.next, looked = n.looked, looked_hash = n.looked_hash
           FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[])
             AS n (tenant_id, chain, account, next, looked, looked_hash)
           WHERE l.tenant_id = n.tenant_id AND l.chain = n.chain AND l.account = n.account",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Int, Kind::Bytes],
};

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
    type Done = Vec<Over>;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Vec<Over>>>> {
        // Rows are locked in one order by all: lanes by their accounts, then days.
        let mut lanes: Vec<_> = group.iter().map(|step| (&step.lane, step.fence)).collect();
        lanes.sort_by(|(one, _), (other, _)| (one.chain, &one.account).cmp(&(other.chain, &other.account)));
        let rows = lanes.iter().map(|(lane, fence)| args![&lane.tenant, lane.chain, lane.account.as_ref(), *fence]);
        let held = tx.ask(&HOLD, rows.collect())?;
        let touched = group.iter().flat_map(|step| step.touches().map(|id| args![&step.lane.tenant, id]));
        let reserved = tx.ask(&RESERVED, touched.collect())?;
        let held: Vec<(String, String)> = tx
            .answer(held)
            .await?
            .into_iter()
            .map(|mut row| Ok((row.take(0)?, row.take(1)?)))
            .collect::<Result<_>>()?;
        let reserved = tx.answer(reserved).await?;
        let holds = |step: &Step| {
            held.iter().any(|(chain, account)| *chain == step.lane.chain && **account == *step.lane.account)
        };
        let steps: Vec<&Self> = group.iter().copied().filter(|step| holds(step)).collect();
        let mut books = Books::open(&steps, reserved, tx).await?;
        let mut done = Vec::with_capacity(group.len());
        for step in group {
            if !holds(step) {
                done.push(Err(lane_lost()));
                continue;
            }
            let over = books.count(step);
            if over.is_empty() {
                step.write(tx)?;
                step.settle(tx).await?;
            }
            done.push(Ok(over));
        }
        books.close(tx)?;
        Ok(done)
    }
}

impl Step {
    /// Only Neo N3 lets others pay.
    async fn settle(&self, tx: &mut Tx<'_>) -> Result<()> {
        if self.lane.chain != nsl_api::Chain::NeoN3.as_str() {
            return Ok(());
        }
        // Where it is not known what the chain took for one in a block, all that was set aside stays counted.
        let took = |one: &Became| one.fee.or((!one.is_in_block()).then_some(0));
        let ended: Vec<(&str, Option<u128>)> =
            self.became.iter().filter(|one| one.is_end()).map(|one| (&*one.request, took(one))).collect();
        sponsors::settle(tx, &self.lane.tenant, &ended).await
    }

    fn write(&self, tx: &mut Tx<'_>) -> Result<()> {
        let LaneKey { tenant, chain, account } = &self.lane;
        let at = self.at.map(|at| at.to_vec());
        tx.ask(&MOVE, vec![args![tenant, *chain, account.as_ref(), self.next as i64, self.looked, at]])?;
        let tries = self.tries.iter().map(|one| {
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
                self.now
            ]
        });
        tx.ask(&TRY, tries.collect())?;
        let spent = self.spent.iter().map(|place| args![tenant, *chain, account.as_ref(), *place as i64]);
        tx.ask(&SPENT, spent.collect())?;
        self.parcels.write(&self.lane, self.now, tx)?;
        mark(tenant, &self.became, self.now, tx)?;
        self.entries.iter().for_each(|entry| tx.note(entry.clone()));
        Ok(())
    }
}
