//! Idempotency keys as rows beside the change that they guard.

use std::time::Duration;

use nsl_core::{Code, Error, Once, Replay, Result, Subject, TenantId, Timestamp};

use crate::{
    tx::{Many, Tx},
    value::{Kind, Value},
};

/// How long an outcome is kept under its key.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Who may ask for the outcome again, and with what; and whom to tell whether it came again.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) tenant: TenantId,
    pub(crate) subject: Subject,
    pub(crate) once: Once,
    pub(crate) replay: Replay,
}

impl Guard {
    /// What two requests share that are to be done once.
    pub(crate) fn identity(&self) -> (&TenantId, &Subject, &str) {
        (&self.tenant, &self.subject, &self.once.key)
    }

    /// What an earlier outcome, kept with this fingerprint, means to the request.
    pub(crate) fn answer(&self, fingerprint: &str, outcome: String) -> Result<String> {
        if *fingerprint == *self.once.fingerprint { Ok(outcome) } else { Err(reused()) }
    }

    pub(crate) fn row(&self, outcome: String, now: Timestamp) -> Vec<Value> {
        crate::args![
            &self.tenant,
            &self.subject,
            self.once.key.clone(),
            self.once.fingerprint.clone(),
            Value::json(outcome),
            now.plus(KEPT)
        ]
    }
}

/// The earlier outcomes of these guards: the place that came with the guard, the fingerprint, the JSON.
pub(crate) async fn recall(tx: &mut Tx<'_>, guards: &[(usize, &Guard)]) -> Result<Vec<(usize, String, String)>> {
    let rows = guards
        .iter()
        .map(|(place, guard)| crate::args![&guard.tenant, &guard.subject, guard.once.key.clone(), *place as i64]);
    let found = tx.many(&RECALL, rows.collect()).await?;
    found.into_iter().map(|mut row| Ok((row.take::<i64>(0)? as usize, row.take(1)?, row.take(2)?))).collect()
}

pub(crate) fn reused() -> Error {
    Error::new(Code::Conflict, "idempotency.key_reused", "this idempotency key came before with another request")
}

static RECALL: Many = Many {
    one: "SELECT $4, fingerprint, outcome FROM idempotency WHERE tenant_id = $1 AND subject = $2 AND key = $3",
    many: "SELECT asked.place, kept.fingerprint, kept.outcome
           FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS asked (tenant_id, subject, key, place)
           JOIN idempotency AS kept USING (tenant_id, subject, key)",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

pub(crate) static REMEMBER: Many = Many {
    one: "INSERT INTO idempotency (tenant_id, subject, key, fingerprint, outcome, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
    many: "INSERT INTO idempotency (tenant_id, subject, key, fingerprint, outcome, expires_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::json[], $6::timestamptz[])",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Json, Kind::Time],
};

pub(crate) static FORGET: &str = "DELETE FROM idempotency WHERE expires_at < $1";
