//! Requests that are taken back or whose time is over, and what requests allow.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use nsl_core::{Code, Cx, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, EngineKind, Row, Scope, Single, Tx, Value, args};

use super::{Became, Held, LaneKey, Step, is_end, lanes::open_of_lane, step};
use crate::{nonces::Id, rules};

/// Takes a request back, with its evidence. Asked for again it changes nothing.
pub(crate) struct Cancel {
    pub(crate) tenant: TenantId,
    pub(crate) chain: &'static str,
    pub(crate) id: String,
    pub(crate) now: Timestamp,
    pub(crate) entry: Entry,
}

impl Single for Cancel {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let changed = tx
            .execute(
                "UPDATE relay_requests SET cancelled_at = $4
                 WHERE tenant_id = $1 AND chain = $2 AND id = $3 AND settled_at IS NULL AND cancelled_at IS NULL",
                args![&self.tenant, self.chain, self.id.as_str(), self.now],
            )
            .await?;
        if changed > 0 {
            tx.note(self.entry.clone());
            return Ok(Ok(()));
        }
        let found = "SELECT state, cancelled_at FROM relay_requests WHERE tenant_id = $1 AND chain = $2 AND id = $3";
        let mut rows = tx.query(found, args![&self.tenant, self.chain, self.id.as_str()]).await?;
        let Some(row) = rows.first_mut() else { return Ok(Err(rules::not_found())) };
        let (state, before): (String, Option<Timestamp>) = (row.take(0)?, row.take(1)?);
        // It was taken back before, and is on its way to that or there.
        let agrees = before.is_some() && (!is_end(&state) || state == "replaced");
        Ok(if agrees { Ok(()) } else { Err(ended(&state)) })
    }
}

fn ended(state: &str) -> Error {
    let message = format!("the request came to its end before it was taken back: it is {state}");
    Error::new(Code::Conflict, "relay.request_ended", message).detail("state", state)
}

/// What a request asks for, and what it allows.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) intent: Arc<serde_json::Value>,
    /// The most that it may cost.
    pub(crate) max_fee: Option<u128>,
    /// What is counted for it in the tenant's budget, and on which day.
    pub(crate) reserved: (u128, Option<i64>),
}

/// What these requests ask for, in their order.
pub(crate) async fn orders(db: &Db, tenant: &TenantId, ids: &[Id]) -> Result<Vec<Order>> {
    macro_rules! among {
        ($ids:literal) => {
            concat!(
                "SELECT id, intent, max_fee, reserved, reserved_day FROM relay_requests WHERE tenant_id = $1 AND id IN (",
                $ids,
                ")"
            )
        };
    }
    let sql = match db.kind() {
        EngineKind::Sqlite => among!("SELECT value FROM json_each($2)"),
        EngineKind::Postgres => among!("SELECT json_array_elements_text($2)"),
    };
    let wanted: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    let wanted = Value::json(serde_json::json!(wanted).to_string());
    let rows = db.query(Scope::Tenant(tenant), sql, args![tenant, wanted]).await?;
    let mut found: HashMap<String, Order> = rows.into_iter().map(order).collect::<Result<_>>()?;
    let each = ids
        .iter()
        .map(|id| found.remove(&**id).ok_or_else(|| Error::internal(anyhow::anyhow!("request {id} is not there"))));
    each.collect()
}

fn order(mut row: Row) -> Result<(String, Order)> {
    let mut amount = |column| {
        row.take::<Option<String>>(column)?.map(|text| text.parse::<u128>().map_err(Error::internal)).transpose()
    };
    let (max_fee, reserved) = (amount(2)?, amount(3)?.unwrap_or(0));
    let order = Order { intent: Arc::new(row.take(1)?), max_fee, reserved: (reserved, row.take(4)?) };
    Ok((row.take(0)?, order))
}

/// Why a request is given up before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Cancelled,
    Expired,
}

impl Revoked {
    /// As it is stored with what takes the place of a request.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Cancelled => "taken back by its caller",
            Self::Expired => "its time passed before a block had it",
        }
    }

    /// The state in which a request ends that was given up for this.
    pub(crate) fn end_of(why: &str) -> &'static str {
        match why {
            why if why == Self::Cancelled.why() => "replaced",
            why if why == Self::Expired.why() => "expired",
            _ => "failed",
        }
    }
}

/// The open requests of a lane that are taken back or whose time is over by now: all that are under way, and of those
/// that wait the oldest, more than any lane looks at in one turn.
pub(crate) async fn revoked(db: &Db, key: &LaneKey, now: Timestamp) -> Result<HashMap<Id, Revoked>> {
    let mut args = key.args();
    args.push(now.into());
    let rows = db.scan(Scope::Tenant(&key.tenant), REVOKED, args).await?;
    let read = |mut row: Row| {
        let cancelled = row.take::<Option<Timestamp>>(1)?.is_some();
        Ok((row.take::<String>(0)?.into(), if cancelled { Revoked::Cancelled } else { Revoked::Expired }))
    };
    rows.into_iter().map(read).collect()
}

pub(super) static REVOKED: &str = concat!(
    "SELECT id, cancelled_at FROM (SELECT id, cancelled_at ",
    open_of_lane!(),
    " AND cancelled_at IS NOT NULL
      ORDER BY CASE WHEN state IN ('accepted', 'simulated') THEN 1 ELSE 0 END, id LIMIT 4096) AS taken_back
    UNION ALL SELECT id, cancelled_at FROM (SELECT id, cancelled_at ",
    open_of_lane!(),
    " AND cancelled_at IS NULL AND expires_at IS NOT NULL AND expires_at <= $4
      ORDER BY CASE WHEN state IN ('accepted', 'simulated') THEN 1 ELSE 0 END, id LIMIT 4096) AS late"
);

/// Few enough that a busy database commits them in time: what it breaks off it would break off each time.
const ENDED_AT_ONCE: usize = 256;

/// Ends what was taken back or is over before it was signed; no node is needed for that.
pub(crate) async fn end_revoked(db: &Db, key: &LaneKey, held: &Held, now: Timestamp) -> Result<()> {
    loop {
        let revoked = revoked(db, key, now).await?;
        if revoked.is_empty() {
            return Ok(());
        }
        let left = last_states(db, key).await?.into_iter();
        let signed: HashSet<Id> = left.filter(|(_, state, _)| has_a_place(state)).map(|(id, ..)| id).collect();
        let mut ended = revoked.into_iter().filter(|(id, _)| !signed.contains(id)).peekable();
        if ended.peek().is_none() {
            return Ok(());
        }
        while ended.peek().is_some() {
            let told = |(id, why): (Id, Revoked)| Became::told(id, Revoked::end_of(why.why()), Some(why.why().into()));
            let became: Vec<Became> = ended.by_ref().take(ENDED_AT_ONCE).map(told).collect();
            let cx = Cx::system(key.tenant.clone(), Duration::from_secs(30));
            let entries = became.iter().map(|one| one.entry(&cx, now)).collect();
            let (next, looked) = (held.next as u64, held.looked);
            let empty = Step::nothing(key.clone(), held.fence, now, next, looked);
            step(db, &cx, Step { at: held.at, became, entries, ..empty }).await?;
        }
    }
}

/// Whether an open request in this state was signed, so that only the chain says what becomes of it.
fn has_a_place(state: &str) -> bool {
    !matches!(state, "accepted" | "simulated")
}

/// The states in which the open requests of a lane were left.
pub(crate) async fn last_states(db: &Db, key: &LaneKey) -> Result<Vec<(Id, String, Option<String>)>> {
    let rows = db.scan(Scope::Tenant(&key.tenant), LAST_STATES, key.args()).await?;
    rows.into_iter().map(|mut row| Ok((row.take::<String>(0)?.into(), row.take(1)?, row.take(2)?))).collect()
}

pub(super) static LAST_STATES: &str = concat!("SELECT id, state, reason ", open_of_lane!(), " AND state <> 'accepted'");

/// When the last of the requests of a lane was settled that a block has.
pub(crate) async fn last_settled(db: &Db, key: &LaneKey) -> Result<Option<Timestamp>> {
    let last = "SELECT settled_at FROM relay_requests WHERE tenant_id = $1 AND chain = $2 AND account = $3
        AND settled_at IS NOT NULL AND height IS NOT NULL ORDER BY id DESC LIMIT 1";
    let rows = db.scan(Scope::Tenant(&key.tenant), last, key.args()).await?;
    rows.into_iter().next().map(|mut row| row.take(0)).transpose()
}
