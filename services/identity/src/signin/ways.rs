//! How many ways a person has to sign in: the last one is never taken from them.

use nsl_core::{Code, Error, Result};
use nsl_sql::{EngineKind, Tx, args};

use crate::people::store::PLATFORM;

static TAKE_TURN: &str =
    "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.ways ' || $1::text, 0))";
// What counts is what somebody can begin with: a code is shown beside one of these. Others' providers are of tenants.
static COUNT: &str = "SELECT (SELECT count(*) FROM passwords WHERE tenant_id = $1 AND user_id = $2)
    + (SELECT count(*) FROM passkeys WHERE tenant_id = $1 AND user_id = $2)
    + (SELECT count(*) FROM wallets WHERE tenant_id = $1 AND user_id = $2)
    + (SELECT count(*) FROM federated WHERE user_id = $2)";

/// Whoever takes a way from a person does so one by one. Call this first.
pub(crate) async fn turn(tx: &mut Tx<'_>, user: &str) -> Result<()> {
    if tx.engine() == EngineKind::Postgres {
        tx.query(TAKE_TURN, args![user]).await?;
    }
    Ok(())
}

/// In a write across tenants.
pub(crate) async fn count(tx: &mut Tx<'_>, user: &str) -> Result<i64> {
    let mut rows = tx.query(COUNT, args![PLATFORM, user]).await?;
    rows.first_mut().map(|row| row.take(0)).transpose().map(Option::unwrap_or_default)
}

pub(crate) fn last() -> Error {
    Error::new(Code::Conflict, "signin.last_way", "nothing else would be left to sign in with")
}
