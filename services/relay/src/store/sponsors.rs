//! Who pays for others, what they pay for, and what they spent.
//!
//! Whoever reserves holds the sponsor's row until the commit, so that two processes can't spend the same money.

use std::{collections::BTreeMap, time::Duration};

use nsl_api::sponsor::{Prepared, SponsorPolicy};
use nsl_core::{Code, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Db, Kind, Many, Row, Scope, Single, Tx, Value, args};

use super::sponsored::NewPrepared;
use crate::sponsor::policy::{self, Policy, Spent};

const DAY: i64 = 86_400_000_000;
/// What the sum over all payees of a day is kept under.
const ALL: &str = "";

pub(crate) fn unknown() -> Error {
    Error::new(Code::NotFound, "sponsor.unknown", "the account pays for nobody")
}

pub(super) fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY)
}

fn until_tomorrow(now: Timestamp) -> Duration {
    Timestamp((day(now) + 1) * DAY).since(now)
}

/// Says what an account pays for, with its evidence.
pub(crate) struct PutPolicy {
    pub(crate) tenant: TenantId,
    pub(crate) account: String,
    pub(crate) policy: SponsorPolicy,
    pub(crate) by: Subject,
    pub(crate) now: Timestamp,
    pub(crate) entry: Entry,
}

impl Single for PutPolicy {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let policy = serde_json::to_string(&self.policy).map_err(Error::internal)?;
        tx.execute(
            "INSERT INTO relay_sponsors (tenant_id, account, policy, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, account) DO UPDATE SET policy = excluded.policy,
               updated_by = excluded.updated_by, updated_at = excluded.updated_at",
            args![&self.tenant, self.account.as_str(), Value::json(policy), &self.by, self.now],
        )
        .await?;
        tx.note(self.entry.clone());
        Ok(Ok(()))
    }
}

/// Ends it: nothing that was prepared is completed any more. What is under way goes on.
pub(crate) struct RemovePolicy {
    pub(crate) tenant: TenantId,
    pub(crate) account: String,
    pub(crate) entry: Entry,
}

impl Single for RemovePolicy {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let delete = "DELETE FROM relay_sponsors WHERE tenant_id = $1 AND account = $2";
        if tx.execute(delete, args![&self.tenant, self.account.as_str()]).await? == 0 {
            return Ok(Err(unknown()));
        }
        tx.note(self.entry.clone());
        Ok(Ok(()))
    }
}

/// A sponsor as it stands.
pub(crate) struct Sponsor {
    pub(crate) policy: SponsorPolicy,
    pub(crate) updated_at: Timestamp,
    pub(crate) spent_today: i64,
}

/// None for an account that pays for nobody.
pub(crate) async fn sponsor(db: &Db, tenant: &TenantId, account: &str, now: Timestamp) -> Result<Option<Sponsor>> {
    let one = "SELECT s.policy, s.updated_at,
          coalesce((SELECT d.spent FROM relay_sponsor_days d
            WHERE d.tenant_id = s.tenant_id AND d.account = s.account AND d.day = $3 AND d.payee = ''), 0)
          - coalesce((SELECT CAST(sum(h.amount) AS bigint) FROM relay_sponsor_holds h
            WHERE h.tenant_id = s.tenant_id AND h.account = s.account AND h.day = $3 AND h.expires_at <= $4), 0)
        FROM relay_sponsors s WHERE s.tenant_id = $1 AND s.account = $2";
    let rows = db.query(Scope::Tenant(tenant), one, args![tenant, account, day(now), now]).await?;
    rows.into_iter()
        .next()
        .map(|mut row| {
            let policy = serde_json::from_value(row.take(0)?).map_err(Error::internal)?;
            Ok(Sponsor { policy, updated_at: row.take(1)?, spent_today: row.take(2)? })
        })
        .transpose()
}

/// What an account pays for; none for one that pays for nobody.
pub(crate) async fn policy(db: &Db, tenant: &TenantId, account: &str) -> Result<Option<SponsorPolicy>> {
    let one = "SELECT policy FROM relay_sponsors WHERE tenant_id = $1 AND account = $2";
    let rows = db.query(Scope::Tenant(tenant), one, args![tenant, account]).await?;
    let read = |mut row: Row| serde_json::from_value(row.take(0)?).map_err(Error::internal);
    rows.into_iter().next().map(read).transpose()
}

static LOCK: Many = Many {
    one: "SELECT policy FROM relay_sponsors WHERE tenant_id = $1 AND account = $2",
    many: "SELECT s.policy FROM relay_sponsors s
           JOIN unnest($1::text[], $2::text[]) AS n (tenant_id, account) USING (tenant_id, account) FOR UPDATE OF s",
    kinds: &[Kind::Text, Kind::Text],
};

/// The policy, for as long as the transaction lasts; and what was reserved and not used is given back.
pub(super) async fn lock(tx: &mut Tx<'_>, tenant: &TenantId, account: &str, now: Timestamp) -> Result<Result<Policy>> {
    let rows = tx.many(&LOCK, vec![args![tenant, account]]).await?;
    let Some(mut row) = rows.into_iter().next() else { return Ok(Err(unknown())) };
    let kept: SponsorPolicy = serde_json::from_value(row.take(0)?).map_err(Error::internal)?;
    let due = "SELECT id, account, day, payee, amount FROM relay_sponsor_holds
        WHERE tenant_id = $1 AND account = $2 AND expires_at <= $3 LIMIT 1000";
    let due = tx.query(due, args![tenant, account, now]).await?;
    let due = due.into_iter().map(|row| Ok((hold(row)?, 0))).collect::<Result<_>>()?;
    end(tx, tenant, due).await?;
    Ok(Policy::read(&kept).map(|(policy, _)| policy))
}

/// Money that is set aside.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    /// That of the request, now or later.
    pub(crate) id: String,
    /// The sponsor's.
    pub(crate) account: String,
    pub(crate) day: i64,
    pub(crate) payee: String,
    pub(crate) amount: i64,
}

fn hold(mut row: Row) -> Result<Hold> {
    Ok(Hold { id: row.take(0)?, account: row.take(1)?, day: row.take(2)?, payee: row.take(3)?, amount: row.take(4)? })
}

/// Sets money aside for what a user does, within the sponsor's policy. Asked again for the same request, it sets aside
/// what is missing.
#[derive(Clone)]
pub(crate) struct Reserve {
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) payee: String,
    pub(crate) entry: policy::Entry,
    /// Of this transaction.
    pub(crate) fee: i64,
    /// Of all that is done for the request.
    pub(crate) amount: i64,
    pub(crate) now: Timestamp,
    /// For a user outside, whose signature is waited for.
    pub(crate) prepared: Option<NewPrepared>,
}

impl Single for Reserve {
    type Done = Option<Prepared>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Self::Done>> {
        let locked = lock(tx, &self.tenant, &self.account, self.now).await?;
        let policy = match locked.and_then(|policy| policy.allows(&self.entry).map(|()| policy)) {
            Ok(policy) => policy,
            Err(refused) => return Ok(Err(refused)),
        };
        let held = holds(tx, &self.tenant, [self.id.as_str()]).await?.pop();
        let (day, has) = held.map_or((day(self.now), 0), |held| (held.day, held.amount));
        let sums = "SELECT payee, spent FROM relay_sponsor_days
            WHERE tenant_id = $1 AND account = $2 AND day = $3 AND payee IN ('', $4)";
        let sums = tx.query(sums, args![&self.tenant, self.account.as_str(), day, self.payee.as_str()]).await?;
        let mut spent = Spent { more: (self.amount - has).max(0), ..Spent::default() };
        for mut row in sums {
            let sum = if row.take::<String>(0)? == ALL { &mut spent.day } else { &mut spent.user_day };
            *sum = row.take(1)?;
        }
        if let Err(refused) = policy.affords(self.fee, spent) {
            let spent = refused.code == Code::Exhausted;
            return Ok(Err(if spent { refused.retry_after(until_tomorrow(self.now)) } else { refused }));
        }
        let mut sums = Sums::new();
        count(&mut sums, &self.account, day, &self.payee, spent.more);
        add(tx, &self.tenant, sums).await?;
        let expires_at = self.prepared.as_ref().map(|prepared| prepared.shown.expires_at);
        tx.execute(
            "INSERT INTO relay_sponsor_holds (tenant_id, id, account, day, payee, amount, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (tenant_id, id) DO UPDATE SET amount = excluded.amount",
            args![
                &self.tenant,
                self.id.as_str(),
                self.account.as_str(),
                day,
                self.payee.as_str(),
                has + spent.more,
                expires_at
            ],
        )
        .await?;
        if let Some(prepared) = &self.prepared {
            prepared.keep(self, tx).await?;
        }
        Ok(Ok(self.prepared.as_ref().map(|prepared| prepared.shown.clone())))
    }

    fn weight(&self) -> usize {
        1_024 + self.prepared.as_ref().map_or(0, |prepared| 4 * prepared.unsigned.len())
    }
}

/// Requests came to their end: what the chain took for each stays counted, nothing for one that is in no block, and the
/// rest of what was set aside is given back; all of it stays counted for one of which nobody knows what it took. Those
/// that nobody sponsors are no matter.
pub(crate) async fn settle(tx: &mut Tx<'_>, tenant: &TenantId, ended: &[(&str, Option<u128>)]) -> Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    let holds = holds(tx, tenant, ended.iter().map(|(id, _)| *id)).await?;
    let fee = |hold: &Hold| ended.iter().find(|(id, _)| *id == hold.id).map_or(Some(0), |(_, fee)| *fee);
    let holds = holds.into_iter().map(|hold| {
        let fee = fee(&hold).map_or(hold.amount, |fee| i64::try_from(fee).unwrap_or(i64::MAX));
        (hold, fee)
    });
    let holds = holds.collect();
    end(tx, tenant, holds).await
}

static HOLDS: Many = Many {
    one: "SELECT id, account, day, payee, amount FROM relay_sponsor_holds WHERE tenant_id = $1 AND id = $2",
    many: "SELECT h.id, h.account, h.day, h.payee, h.amount FROM relay_sponsor_holds h
           JOIN unnest($1::text[], $2::text[]) AS n (tenant_id, id) USING (tenant_id, id) FOR UPDATE OF h",
    kinds: &[Kind::Text, Kind::Text],
};

// They stay as they are until the transaction ends: what is added or taken away follows from what is read here.
async fn holds<'a>(tx: &mut Tx<'_>, tenant: &TenantId, ids: impl IntoIterator<Item = &'a str>) -> Result<Vec<Hold>> {
    let ids = ids.into_iter().map(|id| args![tenant, id]).collect();
    tx.many(&HOLDS, ids).await?.into_iter().map(hold).collect()
}

static FORGET: Many = Many {
    one: "DELETE FROM relay_sponsor_holds WHERE tenant_id = $1 AND id = $2",
    many: "DELETE FROM relay_sponsor_holds h USING unnest($1::text[], $2::text[]) AS n (tenant_id, id)
           WHERE h.tenant_id = n.tenant_id AND h.id = n.id",
    kinds: &[Kind::Text, Kind::Text],
};

/// Ends holds, each with what was really spent of it.
async fn end(tx: &mut Tx<'_>, tenant: &TenantId, ended: Vec<(Hold, i64)>) -> Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    let mut sums = Sums::new();
    for (hold, spent) in &ended {
        count(&mut sums, &hold.account, hold.day, &hold.payee, spent - hold.amount);
    }
    add(tx, tenant, sums).await?;
    tx.many(&FORGET, ended.iter().map(|(hold, _)| args![tenant, hold.id.as_str()]).collect()).await.map(drop)
}

/// Gives back what was set aside for requests that had come to their end by then: who held their lane before had asked
/// too late. What they took is counted already. Says how many there were.
pub(crate) struct Sweep;

impl Single for Sweep {
    type Done = u64;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<u64>> {
        let late = "DELETE FROM relay_sponsor_holds WHERE expires_at IS NULL AND EXISTS (
              SELECT 1 FROM relay_requests r WHERE r.tenant_id = relay_sponsor_holds.tenant_id
                AND r.id = relay_sponsor_holds.id AND r.settled_at IS NOT NULL)
            RETURNING id, account, day, payee, amount, tenant_id";
        let mut tenants: BTreeMap<TenantId, Sums> = BTreeMap::new();
        let rows = tx.query(late, args![]).await?;
        let swept = rows.len() as u64;
        for mut row in rows {
            let tenant: TenantId = row.take(5)?;
            let Hold { account, day, payee, amount, .. } = hold(row)?;
            count(tenants.entry(tenant).or_default(), &account, day, &payee, -amount);
        }
        for (tenant, sums) in tenants {
            add(tx, &tenant, sums).await?;
        }
        Ok(Ok(swept))
    }
}

/// By account, day and payee.
type Sums = BTreeMap<(String, i64, String), i64>;

fn count(sums: &mut Sums, account: &str, day: i64, payee: &str, change: i64) {
    for payee in [ALL, payee] {
        *sums.entry((account.to_owned(), day, payee.to_owned())).or_default() += change;
    }
}

static ADD: Many = Many {
    one: "INSERT INTO relay_sponsor_days (tenant_id, account, day, payee, spent) VALUES ($1, $2, $3, $4, $5)
          ON CONFLICT (tenant_id, account, day, payee) DO UPDATE SET spent = relay_sponsor_days.spent + excluded.spent",
    many:
        "INSERT INTO relay_sponsor_days (tenant_id, account, day, payee, spent)
           SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])
           ON CONFLICT (tenant_id, account, day, payee) DO UPDATE SET spent = relay_sponsor_days.spent + excluded.spent",
    kinds: &[Kind::Text, Kind::Text, Kind::Int, Kind::Text, Kind::Int],
};

async fn add(tx: &mut Tx<'_>, tenant: &TenantId, sums: Sums) -> Result<()> {
    let changed = sums.into_iter().filter(|(_, change)| *change != 0);
    let rows = changed.map(|((account, day, payee), change)| args![tenant, account, day, payee, change]);
    tx.many(&ADD, rows.collect()).await.map(drop)
}

#[cfg(test)]
#[path = "sponsors_tests.rs"]
mod tests;
