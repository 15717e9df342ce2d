//! What tenants may spend on fees, and what is gone of it.
//!
//! A step that signs reserves the most that it may cost, on the day on which it first does; the step that settles puts
//! what the chain took in its place. Both hold the row of the day, so that two lanes or processes of one tenant can't
//! overspend together.

use std::collections::{BTreeMap, HashMap};

use nsl_api::relay::Limits;
use nsl_core::{Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Db, Kind, Many, Row, Scope, Single, Tx, args};

use super::moves::Step;
use crate::amounts::told;

/// The most that a request may cost from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) request: std::sync::Arc<str>,
    pub(crate) amount: u128,
    /// It must be: what frees a lane is counted, and never refused.
    pub(crate) must: bool,
}

/// A request that is over the budget, and in what way.
pub(crate) type Over = (std::sync::Arc<str>, String);

const DAY_MICROS: i64 = 86_400_000_000;

/// The day (UTC) of a time, counted from 1970.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MICROS)
}

fn number(text: String) -> Result<u128> {
    text.parse().map_err(Error::internal)
}

/// A tenant, a chain and a day, whose row is locked in this order.
pub(super) type Place = (TenantId, &'static str, i64);

/// What was reserved for requests, and on which day.
pub(super) static RESERVED: Many = Many {
    one: "SELECT id, reserved, reserved_day FROM relay_requests WHERE tenant_id = $1 AND id = $2 AND settled_at IS NULL",
    many: "SELECT r.id, r.reserved, r.reserved_day FROM unnest($1::text[], $2::text[]) AS n (tenant_id, id)
           JOIN relay_requests r ON r.tenant_id = n.tenant_id AND r.id = n.id AND r.settled_at IS NULL",
    kinds: &[Kind::Text, Kind::Text],
};

static LOCK: Many = Many {
    one: "INSERT INTO relay_spent (tenant_id, chain, day, amount) VALUES ($1, $2, $3, '0')
          ON CONFLICT (tenant_id, chain, day) DO UPDATE SET amount = relay_spent.amount
          RETURNING tenant_id, chain, day, amount",
    many: "INSERT INTO relay_spent (tenant_id, chain, day, amount)
           SELECT n.tenant_id, n.chain, n.day, '0' FROM unnest($1::text[], $2::text[], $3::bigint[])
             WITH ORDINALITY AS n (tenant_id, chain, day, place) ORDER BY n.place
           ON CONFLICT (tenant_id, chain, day) DO UPDATE SET amount = relay_spent.amount
           RETURNING tenant_id, chain, day, amount",
    kinds: &[Kind::Text, Kind::Text, Kind::Int],
};

static ALLOWED: Many = Many {
    one: "SELECT tenant_id, chain, per_transaction, per_day FROM relay_budgets WHERE tenant_id = $1 AND chain = $2",
    many: "SELECT b.tenant_id, b.chain, b.per_transaction, b.per_day
           FROM unnest($1::text[], $2::text[]) AS n (tenant_id, chain)
           JOIN relay_budgets b ON b.tenant_id = n.tenant_id AND b.chain = n.chain",
    kinds: &[Kind::Text, Kind::Text],
};

static SPEND: Many = Many {
    one: "UPDATE relay_spent SET amount = $4 WHERE tenant_id = $1 AND chain = $2 AND day = $3",
    many: "UPDATE relay_spent s SET amount = n.amount
           FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS n (tenant_id, chain, day, amount)
           WHERE s.tenant_id = n.tenant_id AND s.chain = n.chain AND s.day = n.day",
    kinds: &[Kind::Text, Kind::Text, Kind::Int, Kind::Text],
};

static RESERVE: Many = Many {
    one: "UPDATE relay_requests SET reserved = $3, reserved_day = $4 WHERE tenant_id = $1 AND id = $2",
    many: "UPDATE relay_requests r SET reserved = n.amount, reserved_day = n.day
           FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS n (tenant_id, id, amount, day)
           WHERE r.tenant_id = n.tenant_id AND r.id = n.id",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

/// A tenant's budget for a day, without a lock.
pub(crate) struct Purse {
    chain: &'static str,
    most: Option<u128>,
    daily: Option<u128>,
    spent: u128,
}

impl Purse {
    pub(crate) fn of(chain: &'static str, limits: &Limits, spent: u128) -> Result<Self> {
        let bound = |text: &Option<String>| text.clone().map(number).transpose();
        Ok(Self { chain, most: bound(&limits.per_transaction)?, daily: bound(&limits.per_day)?, spent })
    }

    /// Why so much can't be taken, in place of what is counted for the same request already.
    fn refuses(&self, before: u128, after: u128) -> Option<String> {
        let others = self.spent.saturating_sub(before);
        let told = |amount| told(self.chain, amount);
        match (self.most, self.daily) {
            (Some(most), _) if after > most => Some(format!(
                "budget: it may cost {}, and one transaction may cost {}: raise per_transaction of the budget",
                told(after),
                told(most)
            )),
            (_, Some(daily)) if others.saturating_add(after) > daily => Some(format!(
                "budget: it may cost {}, and for this day (UTC) {} are left of {}: raise per_day of the budget",
                told(after),
                told(daily.saturating_sub(others)),
                told(daily)
            )),
            _ => None,
        }
    }

    /// Takes so much, or says why not.
    pub(crate) fn take(&mut self, before: u128, cost: u128) -> Option<String> {
        let after = before.max(cost);
        let refused = self.refuses(before, after);
        if refused.is_none() {
            self.spent = self.spent.saturating_sub(before).saturating_add(after);
        }
        refused
    }
}

type Reserved = HashMap<String, (u128, Option<i64>)>;
type Bounds = (Option<u128>, Option<u128>);

/// The books of the tenants that a group of steps touches, open for its transaction.
#[derive(Default)]
pub(super) struct Books {
    reserved: Reserved,
    spent: BTreeMap<Place, u128>,
    allowed: HashMap<(TenantId, &'static str), Bounds>,
    changed: BTreeMap<Place, u128>,
    noted: HashMap<(TenantId, String), (u128, i64)>,
}

impl Books {
    /// Locks what the steps touch. `reserved` is what [`RESERVED`] gave.
    pub(super) async fn open(steps: &[&Step], reserved: Vec<Row>, tx: &mut Tx<'_>) -> Result<Self> {
        let mut books = Self::default();
        for mut row in reserved {
            let (id, amount, day): (String, Option<String>, Option<i64>) = (row.take(0)?, row.take(1)?, row.take(2)?);
            books.reserved.insert(id, (amount.map_or(Ok(0), number)?, day));
        }
        for step in steps {
            for request in step.touches() {
                let on = books.reserved.get(request).and_then(|(_, day)| *day);
                books.spent.insert(step.place(on.unwrap_or(day(step.now))), 0);
            }
        }
        if books.spent.is_empty() {
            return Ok(books);
        }
        let places: Vec<Place> = books.spent.keys().cloned().collect();
        let rows = places.iter().map(|(tenant, chain, day)| args![tenant, *chain, *day]);
        let locked = tx.ask(&LOCK, rows.collect())?;
        let mut owners: Vec<_> = places.iter().map(|(tenant, chain, _)| (tenant.clone(), *chain)).collect();
        owners.dedup();
        let rows = owners.iter().map(|(tenant, chain)| args![tenant, *chain]);
        let allowed = tx.ask(&ALLOWED, rows.collect())?;
        for mut row in tx.answer(locked).await? {
            let (tenant, chain): (TenantId, String) = (row.take(0)?, row.take(1)?);
            let (on, amount): (i64, String) = (row.take(2)?, row.take(3)?);
            if let Some((tenant, chain)) = owners.iter().find(|owner| owner.0 == tenant && owner.1 == chain) {
                books.spent.insert((tenant.clone(), chain, on), number(amount)?);
            }
        }
        for mut row in tx.answer(allowed).await? {
            let (tenant, chain): (TenantId, String) = (row.take(0)?, row.take(1)?);
            let bounds = |text: Option<String>| text.map(number).transpose();
            let bounds = (bounds(row.take(2)?)?, bounds(row.take(3)?)?);
            if let Some((_, chain)) = owners.iter().find(|owner| owner.0 == tenant && owner.1 == chain) {
                books.allowed.insert((tenant, chain), bounds);
            }
        }
        Ok(books)
    }

    /// Counts a step, or none of it where some of its requests are over the budget: then it says which.
    pub(super) fn count(&mut self, step: &Step) -> Vec<Over> {
        let mut entries: Vec<(Place, &str, u128, u128)> = Vec::new();
        let mut over = Vec::new();
        let mut spent = self.spent.clone();
        let of = |id: &str| self.reserved.get(id).copied().unwrap_or_default();
        for end in step.became.iter().filter(|one| one.is_end()) {
            let (before, on) = of(&end.request);
            // What is in a block took something, also where nobody told how much: then what was reserved stays counted.
            let took = end.fee.unwrap_or(if end.is_in_block() { before } else { 0 });
            entries.push((step.place(on.unwrap_or(day(step.now))), &end.request, before, took));
        }
        let (most, daily) = self.allowed.get(&(step.lane.tenant.clone(), step.lane.chain)).copied().unwrap_or_default();
        for (place, _, before, after) in &entries {
            let sum = spent.entry(place.clone()).or_default();
            *sum = sum.saturating_sub(*before).saturating_add(*after);
        }
        for cost in &step.costs {
            let (before, on) = of(&cost.request);
            let place = step.place(on.unwrap_or(day(step.now)));
            let after = before.max(cost.amount);
            let sum = spent.entry(place.clone()).or_default();
            let others = sum.saturating_sub(before);
            let purse = Purse { chain: step.lane.chain, most, daily, spent: *sum };
            match purse.refuses(before, after).filter(|_| !cost.must) {
                Some(words) => over.push((cost.request.clone(), words)),
                None => {
                    *sum = others.saturating_add(after);
                    entries.push((place, &cost.request, before, after));
                }
            }
        }
        if over.is_empty() {
            for (place, id, before, after) in entries {
                if before != after {
                    self.changed.insert(place.clone(), spent[&place]);
                    self.noted.insert((step.lane.tenant.clone(), id.to_owned()), (after, place.2));
                }
                self.reserved.insert(id.to_owned(), (after, Some(place.2)));
            }
            self.spent = spent;
        }
        over
    }

    /// Writes what was counted.
    pub(super) fn close(self, tx: &mut Tx<'_>) -> Result<()> {
        let spent = self.changed.into_keys().map(|place| {
            let amount = self.spent[&place].to_string();
            args![&place.0, place.1, place.2, amount]
        });
        tx.ask(&SPEND, spent.collect())?;
        let noted = self.noted.into_iter().map(|((tenant, id), (amount, on))| {
            let amount = amount.to_string();
            args![&tenant, id, amount, on]
        });
        tx.ask(&RESERVE, noted.collect()).map(drop)
    }
}

/// What a tenant may spend, and what is gone of it on a day.
pub(crate) async fn budget(db: &Db, tenant: &TenantId, chain: &str, day: i64) -> Result<(Limits, u128)> {
    let sql = "SELECT (SELECT per_transaction FROM relay_budgets WHERE tenant_id = $1 AND chain = $2),
          (SELECT per_day FROM relay_budgets WHERE tenant_id = $1 AND chain = $2),
          (SELECT amount FROM relay_spent WHERE tenant_id = $1 AND chain = $2 AND day = $3)";
    let mut rows = db.query(Scope::Tenant(tenant), sql, args![tenant, chain, day]).await?;
    let row = rows.first_mut().ok_or_else(|| Error::internal(anyhow::anyhow!("a SELECT gave no row")))?;
    let limits = Limits { per_transaction: row.take(0)?, per_day: row.take(1)? };
    Ok((limits, row.take::<Option<String>>(2)?.map_or(Ok(0), number)?))
}

/// Sets what a tenant may spend, with its evidence.
pub(crate) struct Allow {
    pub(crate) tenant: TenantId,
    pub(crate) chain: &'static str,
    pub(crate) limits: Limits,
    pub(crate) by: Subject,
    pub(crate) now: Timestamp,
    pub(crate) entry: Entry,
}

impl Single for Allow {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let Limits { per_transaction, per_day } = self.limits.clone();
        tx.execute(
            "INSERT INTO relay_budgets (tenant_id, chain, per_transaction, per_day, updated_by, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, chain) DO UPDATE SET per_transaction = excluded.per_transaction,
               per_day = excluded.per_day, updated_by = excluded.updated_by, updated_at = excluded.updated_at",
            args![&self.tenant, self.chain, per_transaction, per_day, &self.by, self.now],
        )
        .await?;
        tx.note(self.entry.clone());
        Ok(Ok(()))
    }
}
