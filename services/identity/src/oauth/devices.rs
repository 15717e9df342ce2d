//! Devices that wait to be let in (RFC 8628), in SQL.

use std::time::Duration;

use nsl_core::{Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, EngineKind, Row, Scope, Single, Statement, Tx, args};
use serde::{Deserialize, Serialize};

use super::rules::invalid_grant;
use crate::{people::store::PLATFORM, tokens::store::is_let_in};

/// How long codes live.
pub(crate) const LIFE: Duration = Duration::from_secs(600);
/// How often a device may ask at first, and how much less often after each time that it asked too soon.
pub(crate) const INTERVAL_S: i64 = 5;
/// A device's clock and ours may count a second differently.
const SLACK: Duration = Duration::from_millis(500);

macro_rules! columns {
    ($after:literal) => {
        concat!(
            "SELECT digest, client, client_name, client_tenant, scope, state, user_id, works_in, interval_s, \
             polled_at, origin, seal_key, created_at, expires_at FROM device_codes ",
            $after
        )
    };
}

static INSERT: &str =
    "INSERT INTO device_codes (tenant_id, digest, user_code, client, client_name, client_tenant, scope,
    state, interval_s, origin, seal_key, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
static BY_USER_CODE: &str = columns!("WHERE user_code = $1");
static BY_DIGEST: &str = columns!("WHERE digest = $1");
static LOCK: &str = "SELECT 1 FROM device_codes WHERE digest = $1 FOR UPDATE";
static ANSWER: &str = "UPDATE device_codes SET state = $2, user_id = $3, works_in = $4, session = $6
    WHERE user_code = $1 AND state = 'pending' AND expires_at > $5";
static POLLED: &str = "UPDATE device_codes SET polled_at = $2, interval_s = $3 WHERE digest = $1";
static USE: &str = "UPDATE device_codes SET state = 'used' WHERE digest = $1 AND state = 'approved'";
static FORGET: &str = "DELETE FROM device_codes WHERE expires_at < $1";

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) digest: String,
    pub(crate) client: String,
    pub(crate) client_name: String,
    pub(crate) client_tenant: Option<TenantId>,
    pub(crate) scope: Option<String>,
    pub(crate) state: String,
    pub(crate) user: Option<String>,
    pub(crate) works_in: Option<TenantId>,
    pub(crate) interval_s: i64,
    pub(crate) polled_at: Option<Timestamp>,
    pub(crate) origin: Option<Vec<u8>>,
    pub(crate) seal_key: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

fn read(mut row: Row) -> Result<Waiting> {
    let tenant = |id: Option<String>| id.map(|id| TenantId::parse(&id)).transpose();
    Ok(Waiting {
        digest: row.take(0)?,
        client: row.take(1)?,
        client_name: row.take(2)?,
        client_tenant: tenant(row.take(3)?)?,
        scope: row.take(4)?,
        state: row.take(5)?,
        user: row.take(6)?,
        works_in: tenant(row.take(7)?)?,
        interval_s: row.take(8)?,
        polled_at: row.take(9)?,
        origin: row.take(10)?,
        seal_key: row.take(11)?,
        created_at: row.take(12)?,
        expires_at: row.take(13)?,
    })
}

pub(crate) async fn by_user_code(db: &Db, user_code: &str, now: Timestamp) -> Result<Option<Waiting>> {
    let rows = db.query(Scope::Platform, BY_USER_CODE, args![user_code]).await?;
    Ok(rows.into_iter().next().map(read).transpose()?.filter(|waiting| now < waiting.expires_at))
}

pub(crate) struct Begin {
    pub(crate) waiting: Waiting,
    pub(crate) user_code: String,
    pub(crate) evidence: Entry,
}

impl Single for Begin {
    /// False: another waits under the same user code.
    type Done = bool;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<bool>> {
        let waiting = &self.waiting;
        let args = args![
            PLATFORM,
            waiting.digest.as_str(),
            self.user_code.as_str(),
            waiting.client.as_str(),
            waiting.client_name.as_str(),
            waiting.client_tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
            waiting.scope.clone(),
            waiting.interval_s,
            waiting.origin.clone(),
            waiting.seal_key.clone(),
            waiting.created_at,
            waiting.expires_at
        ];
        let is_new = tx.execute(INSERT, args).await? == 1;
        if is_new {
            tx.note(self.evidence.clone());
        }
        Ok(Ok(is_new))
    }
}

pub(crate) struct Answer {
    pub(crate) user_code: String,
    pub(crate) state: &'static str,
    pub(crate) user: String,
    /// What they answer from: the answer is good while it goes on.
    pub(crate) session: Option<String>,
    pub(crate) works_in: TenantId,
    pub(crate) now: Timestamp,
    pub(crate) evidence: Entry,
}

impl Single for Answer {
    /// False: it was answered before, or its time is over.
    type Done = bool;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<bool>> {
        let (user, session) = (self.user.as_str(), self.session.clone());
        let args = args![self.user_code.as_str(), self.state, user, &self.works_in, self.now, session];
        let is_done = tx.execute(ANSWER, args).await? == 1;
        if is_done {
            tx.note(self.evidence.clone());
        }
        Ok(Ok(is_done))
    }
}

/// The code was never good, or is not any more.
pub(crate) fn unknown() -> Error {
    invalid_grant("the device code is not valid")
}

/// A device asks whether it was let in. Approved codes are good once, and while the session goes on that approved.
pub(crate) struct Poll {
    pub(crate) digest: String,
    pub(crate) client: String,
    pub(crate) now: Timestamp,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Polled {
    Unknown,
    Expired,
    TooSoon,
    Pending,
    Denied,
    Approved { user: String, works_in: TenantId, scope: Option<String> },
}

impl Single for Poll {
    type Done = Polled;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Polled>> {
        if tx.engine() == EngineKind::Postgres {
            tx.query(LOCK, args![self.digest.as_str()]).await?;
        }
        let found = tx.query(BY_DIGEST, args![self.digest.as_str()]).await?.into_iter().next().map(read).transpose()?;
        let Some(waiting) = found.filter(|waiting| waiting.client == self.client) else {
            return Ok(Ok(Polled::Unknown));
        };
        if self.now >= waiting.expires_at {
            return Ok(Ok(Polled::Expired));
        }
        let interval = Duration::from_secs(waiting.interval_s.unsigned_abs());
        let too_soon = waiting.polled_at.is_some_and(|at| self.now.since(at) + SLACK < interval);
        let next = if too_soon { waiting.interval_s + INTERVAL_S } else { waiting.interval_s };
        tx.execute(POLLED, args![self.digest.as_str(), self.now, next]).await?;
        if too_soon {
            return Ok(Ok(Polled::TooSoon));
        }
        Ok(Ok(match (waiting.state.as_str(), waiting.user, waiting.works_in) {
            ("pending", ..) => Polled::Pending,
            ("denied", ..) => Polled::Denied,
            ("approved", ..) if !is_let_in(tx, &self.digest, self.now).await? => Polled::Unknown,
            ("approved", Some(user), Some(works_in)) => {
                tx.execute(USE, args![self.digest.as_str()]).await?;
                Polled::Approved { user, works_in, scope: waiting.scope }
            }
            ("used", ..) => Polled::Unknown,
            (state, ..) => {
                return Err(Error::internal(anyhow::anyhow!("a device code has the state {state}")));
            }
        }))
    }
}

/// Removes codes whose time was over long ago: until then their device is told so.
pub(crate) async fn forget(db: &Db, now: Timestamp) -> Result<u64> {
    db.write_platform(Statement { sql: FORGET, args: args![now.minus(LIFE)] }).await
}
