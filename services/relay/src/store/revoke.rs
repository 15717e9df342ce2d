//! Requests that are taken back or whose time is over, and what requests allow.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use nsl_core::{Code, Cx, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Change, Db, EngineKind, Row, Scope, Tx, Value, args};

use super::{Became, Held, LaneKey, Step, is_end, step};
use crate::{nonces::Id, rules};

/// Takes a request back, with its evidence. Asked for again it changes nothing.
pub(crate) struct Cancel {
    pub(crate) tenant: TenantId,
    pub(crate) chain: &'static str,
    pub(crate) id: String,
    pub(crate) now: Timestamp,
    pub(crate) entry: Entry,
}

impl Change for Cancel {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        let mut done = Vec::with_capacity(group.len());
        for cancel in group {
            let changed = tx
                .execute(
                    "UPDATE relay_requests SET cancelled_at = $4
                     WHERE tenant_id = $1 AND chain = $2 AND id = $3 AND settled_at IS NULL AND cancelled_at IS NULL",
                    args![&cancel.tenant, cancel.chain, cancel.id.as_str(), cancel.now],
                )
                .await?;
            if changed > 0 {
                tx.note(cancel.entry.clone());
                done.push(Ok(()));
                continue;
            }
            let found =
                "SELECT state, cancelled_at FROM relay_requests WHERE tenant_id = $1 AND chain = $2 AND id = $3";
            let mut rows = tx.query(found, args![&cancel.tenant, cancel.chain, cancel.id.as_str()]).await?;
            done.push(match rows.first_mut() {
                None => Err(rules::not_found()),
                Some(row) => {
                    let (state, before): (String, Option<Timestamp>) = (row.take(0)?, row.take(1)?);
                    // It was taken back before, and is on its way to that or there.
                    let agrees = before.is_some() && (!is_end(&state) || state == "replaced");
                    if agrees { Ok(()) } else { Err(ended(&state)) }
                }
            });
        }
        Ok(done)
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

/// The open requests of a lane that are taken back or whose time is over by now.
pub(crate) async fn revoked(db: &Db, key: &LaneKey, now: Timestamp) -> Result<HashMap<Id, Revoked>> {
    let sql = "SELECT id, cancelled_at FROM relay_requests WHERE chain = $1 AND account = $2 AND settled_at IS NULL
          AND cancelled_at IS NOT NULL
        UNION ALL SELECT id, cancelled_at FROM relay_requests WHERE chain = $1 AND account = $2 AND settled_at IS NULL
          AND cancelled_at IS NULL AND expires_at IS NOT NULL AND expires_at <= $3";
    let rows = db.query(Scope::Tenant(&key.tenant), sql, args![key.chain, key.account.as_ref(), now]).await?;
    let read = |mut row: Row| {
        let cancelled = row.take::<Option<Timestamp>>(1)?.is_some();
        Ok((row.take::<String>(0)?.into(), if cancelled { Revoked::Cancelled } else { Revoked::Expired }))
    };
    rows.into_iter().map(read).collect()
}

/// Ends what was taken back or is over before it was signed; no node is needed for that.
pub(crate) async fn end_revoked(db: &Db, key: &LaneKey, held: &Held, now: Timestamp) -> Result<()> {
    let revoked = revoked(db, key, now).await?;
    if revoked.is_empty() {
        return Ok(());
    }
    let signed: HashSet<Id> = last_states(db, key).await?.into_iter().map(|(id, ..)| id).collect();
    let ended = revoked.into_iter().filter(|(id, _)| !signed.contains(id)).map(|(id, why)| (why.why(), id));
    let became: Vec<Became> = ended.map(|(why, id)| Became::told(id, Revoked::end_of(why), Some(why.into()))).collect();
    if became.is_empty() {
        return Ok(());
    }
    let cx = Cx::system(key.tenant.clone(), Duration::from_secs(30));
    let entries = became.iter().map(|one| one.entry(&cx, now)).collect();
    let (next, looked) = (held.next as u64, held.looked);
    let empty = Step::nothing(key.clone(), held.fence, now, next, looked);
    step(db, &cx, Step { at: held.at, became, entries, ..empty }).await.map(drop)
}

/// The states in which the open requests of a lane were left.
pub(crate) async fn last_states(db: &Db, key: &LaneKey) -> Result<Vec<(Id, String, Option<String>)>> {
    let sql = "SELECT id, state, reason FROM relay_requests WHERE chain = $1 AND account = $2 AND settled_at IS NULL
        AND state <> 'accepted'";
    let rows = db.scan(Scope::Tenant(&key.tenant), sql, args![key.chain, key.account.as_ref()]).await?;
    rows.into_iter().map(|mut row| Ok((row.take::<String>(0)?.into(), row.take(1)?, row.take(2)?))).collect()
}
