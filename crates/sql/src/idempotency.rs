//! Idempotency keys as rows beside the change that they guard.

use std::time::Duration;

use nsl_core::{Code, Error, Once, Result, Subject, TenantId, Timestamp};

use crate::{
    tx::{Many, Tx},
    value::{Kind, Value},
};

/// How long an outcome is kept under its key.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Who may ask for the outcome again, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) tenant: TenantId,
    pub(crate) subject: Subject,
    pub(crate) once: Once,
}

impl Guard {
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        self.tenant == other.tenant && self.subject == other.subject && self.once.key == other.once.key
    }

    /// The JSON of the earlier outcome, when there is one and it answered the same request.
    pub(crate) async fn recall(&self, tx: &mut Tx<'_>) -> Result<Option<Result<String>>> {
        let mut found = tx
            .query(
                "SELECT fingerprint, outcome FROM idempotency WHERE tenant_id = $1 AND subject = $2 AND key = $3",
                crate::args![&self.tenant, &self.subject, self.once.key.clone()],
            )
            .await?;
        let Some(row) = found.first_mut() else { return Ok(None) };
        if row.take::<String>(0)? == *self.once.fingerprint {
            Ok(Some(Ok(row.take(1)?)))
        } else {
            Ok(Some(Err(reused())))
        }
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

pub(crate) fn reused() -> Error {
    Error::new(Code::Conflict, "idempotency.key_reused", "this idempotency key came before with another request")
}

pub(crate) static REMEMBER: Many = Many {
    one: "INSERT INTO idempotency (tenant_id, subject, key, fingerprint, outcome, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
    many: "INSERT INTO idempotency (tenant_id, subject, key, fingerprint, outcome, expires_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::json[], $6::timestamptz[])",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Json, Kind::Time],
};
