//! Transactions that wait for the signature of their user, and their one way out.

use nsl_api::sponsor::Prepared;
use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, Scope, Single, Statement, Tx, args};

use super::{
    Accept, Kept,
    sponsors::{Reserve, lock},
};
use crate::sponsor::Entry as Allowed;

/// What is kept of a prepared transaction, and its evidence.
#[derive(Clone)]
pub(crate) struct NewPrepared {
    pub(crate) intent: serde_json::Value,
    pub(crate) unsigned: Vec<u8>,
    pub(crate) verification: Option<Vec<u8>>,
    /// What its caller is told, also when it asks again under its idempotency key.
    pub(crate) shown: Prepared,
    pub(crate) entry: Entry,
}

impl NewPrepared {
    pub(super) async fn keep(&self, reserve: &Reserve, tx: &mut Tx<'_>) -> Result<()> {
        tx.execute(
            "INSERT INTO relay_sponsored (tenant_id, id, account, payee, intent, unsigned, verification, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![
                &reserve.tenant,
                reserve.id.as_str(),
                reserve.account.as_str(),
                reserve.payee.as_str(),
                &self.intent,
                self.unsigned.clone(),
                self.verification.clone(),
                reserve.now,
                self.shown.expires_at
            ],
        )
        .await?;
        tx.note(self.entry.clone());
        Ok(())
    }
}

/// A prepared transaction as it is kept.
pub(crate) struct Waiting {
    pub(crate) account: String,
    pub(crate) payee: String,
    pub(crate) intent: serde_json::Value,
    pub(crate) unsigned: Vec<u8>,
    pub(crate) verification: Option<Vec<u8>>,
    pub(crate) is_used: bool,
}

fn not_found() -> Error {
    Error::new(Code::NotFound, "sponsored.not_found", "there is no such prepared transaction")
}

/// The prepared transaction of this id, used or not.
pub(crate) async fn prepared(db: &Db, tenant: &TenantId, id: &str) -> Result<Waiting> {
    let one = "SELECT account, payee, intent, unsigned, verification, used_at FROM relay_sponsored
        WHERE tenant_id = $1 AND id = $2";
    let rows = db.query(Scope::Tenant(tenant), one, args![tenant, id]).await?;
    let mut row = rows.into_iter().next().ok_or_else(not_found)?;
    Ok(Waiting {
        account: row.take(0)?,
        payee: row.take(1)?,
        intent: row.take(2)?,
        unsigned: row.take(3)?,
        verification: row.take(4)?,
        is_used: row.take::<Option<Timestamp>>(5)?.is_some(),
    })
}

/// Turns a prepared transaction, signed by now, into a request: once, in time, and if the sponsor still wants it.
pub(crate) struct Use {
    pub(crate) accept: Accept,
    pub(crate) allowed: Allowed,
    pub(crate) now: Timestamp,
}

impl Single for Use {
    type Done = Kept;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Kept>> {
        let (tenant, kept) = (&self.accept.tenant, &self.accept.kept);
        let locked = lock(tx, tenant, &kept.account, self.now).await?;
        if let Err(refused) = locked.and_then(|policy| policy.allows(&self.allowed)) {
            return Ok(Err(refused));
        }
        // A reservation that may end belongs to what was neither used nor given up.
        let hold =
            "UPDATE relay_sponsor_holds SET expires_at = NULL WHERE tenant_id = $1 AND id = $2 AND expires_at > $3";
        if tx.execute(hold, args![tenant, kept.id.as_str(), self.now]).await? == 0 {
            return self.why_not(tx).await.map(Err);
        }
        let used = "UPDATE relay_sponsored SET used_at = $3 WHERE tenant_id = $1 AND id = $2";
        tx.execute(used, args![tenant, kept.id.as_str(), self.now]).await?;
        self.accept.one(tx).await
    }

    fn weight(&self) -> usize {
        1_024 + 2 * self.accept.kept.intent.to_string().len()
    }
}

impl Use {
    async fn why_not(&self, tx: &mut Tx<'_>) -> Result<Error> {
        let (tenant, id) = (&self.accept.tenant, self.accept.kept.id.as_str());
        let used = "SELECT used_at FROM relay_sponsored WHERE tenant_id = $1 AND id = $2";
        let Some(mut row) = tx.query(used, args![tenant, id]).await?.into_iter().next() else { return Ok(not_found()) };
        Ok(match row.take::<Option<Timestamp>>(0)? {
            Some(_) => {
                let message = "the prepared transaction was completed already";
                Error::new(Code::Conflict, "sponsored.used", message).detail("transaction", id)
            }
            None => expired(),
        })
    }
}

pub(crate) fn expired() -> Error {
    Error::new(Code::Conflict, "sponsored.expired", "the time of the prepared transaction has passed: prepare another")
}

/// Forgets what nobody asks for any more: prepared transactions a day after their end, and sums of days long gone.
pub(crate) async fn forget(db: &Db, now: Timestamp) -> Result<u64> {
    const DAY: u64 = 86_400;
    let long_ago = |days: u64| now.minus(std::time::Duration::from_secs(days * DAY));
    let sql = "DELETE FROM relay_sponsored WHERE expires_at < $1";
    let prepared = db.write_platform(Statement { sql, args: args![long_ago(1)] }).await?;
    let sql = "DELETE FROM relay_sponsor_days WHERE day < $1";
    let days = db.write_platform(Statement { sql, args: args![super::sponsors::day(long_ago(30))] }).await?;
    let sql = "DELETE FROM relay_sponsor_holds WHERE expires_at < $1";
    let holds = db.write_platform(Statement { sql, args: args![long_ago(2)] }).await?;
    let late = db.write_platform(super::sponsors::Sweep).await?;
    Ok(prepared + days + holds + late)
}
