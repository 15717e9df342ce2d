//! What was taken back before its time.

use std::{borrow::Cow, time::Duration};

use nsl_api::sessions::Revocation;
use nsl_core::{Result, TenantId, Timestamp};
use nsl_sql::{Db, EngineKind, Row, Scope, Statement, Tx, args};

use crate::people::store::PLATFORM;

/// Whose tokens are refused from now on.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Of one session.
    Session(String),
    /// One token by its `jti`.
    Token(String),
    /// Of a person, or of a client by its id, wherever it works. For a platform write.
    Subject(String),
    /// Of a person or client in one tenant.
    Within(TenantId, String),
    /// No token: what was remembered of the policies of a tenant.
    Policies(TenantId),
    /// No token: what was remembered of an API key, by its id.
    Key(TenantId, String),
}

impl What {
    fn name(&self) -> String {
        match self {
            Self::Session(id) => format!("sid:{id}"),
            Self::Token(id) => format!("jti:{id}"),
            Self::Subject(id) => format!("sub:{id}"),
            Self::Within(tenant, id) => format!("sub:{id}@{tenant}"),
            Self::Policies(tenant) => format!("policy:{tenant}"),
            Self::Key(_, id) => format!("key:{id}"),
        }
    }

    fn tenant(&self) -> &str {
        match self {
            Self::Within(tenant, _) | Self::Policies(tenant) | Self::Key(tenant, _) => tenant.as_str(),
            _ => PLATFORM,
        }
    }
}

/// What a token is known by to those who revoke.
pub(crate) struct Marks<'a> {
    pub(crate) session: Option<&'a str>,
    pub(crate) id: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) rev: i64,
}

const PAGE: usize = 1_000;

// Numbers are given out one transaction after the other, up to its commit: who reads one has missed none before it.
static TAKE_TURN: &str = "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.revocations', 0))";
static INSERT: &str = "INSERT INTO revocations (tenant_id, what, until) VALUES ($1, $2, $3)";
static SINCE: &str = "SELECT seq, what, until FROM revocations WHERE seq > $1 ORDER BY seq LIMIT $2";
static NEWEST: &str = "SELECT coalesce(max(seq), 0) FROM revocations";
static REFUSED: &str = "SELECT seq FROM revocations WHERE what IN ($1, $2, $3, $4) AND seq > $5 LIMIT 1";
static FORGET: &str = "DELETE FROM revocations WHERE until < $1";

/// Clocks of processes may differ by so much, and edges forget by their own.
const SLACK: Duration = Duration::from_secs(300);
/// The longest life that an access token can be given by a setting.
pub(super) const LONGEST_ACCESS: Duration = Duration::from_secs(3_600);

/// Refuses all tokens of these that were given out up to now; in effect when the transaction has committed.
pub(crate) async fn revoke(tx: &mut Tx<'_>, whats: &[What], now: Timestamp) -> Result<()> {
    if whats.is_empty() {
        return Ok(());
    }
    if tx.engine() == EngineKind::Postgres {
        tx.query(TAKE_TURN, args![]).await?;
    }
    for what in whats {
        tx.execute(INSERT, args![what.tenant(), what.name(), now.plus(LONGEST_ACCESS + SLACK)]).await?;
    }
    Ok(())
}

/// The oldest after `seq`, and whether there are more.
pub(super) async fn since(db: &Db, seq: i64) -> Result<(Vec<Revocation>, bool)> {
    let read = |mut row: Row| Ok(Revocation { seq: row.take(0)?, what: row.take(1)?, until: row.take(2)? });
    let rows = db.query(Scope::Platform, SINCE, args![seq, PAGE as i64]).await?;
    let more = rows.len() == PAGE;
    Ok((rows.into_iter().map(read).collect::<Result<_>>()?, more))
}

/// The newest revocation. Read before rights are looked up, it is what a token says it knew.
pub(crate) async fn newest(db: &Db) -> Result<i64> {
    let mut rows = db.query(Scope::Platform, NEWEST, args![]).await?;
    rows.first_mut().map_or(Ok(0), |row| row.take(0))
}

/// Whether a token was taken back.
pub(crate) async fn is_revoked(db: &Db, marks: &Marks<'_>) -> Result<bool> {
    let session = marks.session.map_or(Cow::Borrowed(""), |id| format!("sid:{id}").into());
    let args = args![
        session.into_owned(),
        format!("jti:{}", marks.id),
        format!("sub:{}", marks.subject),
        format!("sub:{}@{}", marks.subject, marks.tenant),
        marks.rev
    ];
    Ok(!db.query(Scope::Platform, REFUSED, args).await?.is_empty())
}

/// Removes what refuses nothing any more: the tokens have all ended.
pub(super) async fn forget(db: &Db, now: Timestamp) -> Result<u64> {
    db.write_platform(Statement { sql: FORGET, args: args![now.minus(SLACK)] }).await
}
