//! Changes of a key that exists, one transaction each.

use std::sync::Arc;

use nsl_api::identity::KeyInfo;
use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{EngineKind, Single, Tx, args};
use parking_lot::Mutex;

use super::store::{FIND, Held, columns, held};
use crate::tokens;

static LOCK: &str = "SELECT 1 FROM api_keys WHERE tenant_id = $1 AND id = $2 FOR UPDATE";
static REVOKE: &str = concat!(
    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
);
static END_MADE: &str = concat!(
    "UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND created_by = $2 AND revoked_at IS NULL RETURNING ",
    columns!()
);
static UPDATE: &str = concat!(
    "UPDATE api_keys SET name = $3, description = $4, networks = $5, expires_at = $6 \
     WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
);
static ROTATE: &str = concat!(
    "UPDATE api_keys SET digest = $3, prefix = $4, rotated_at = $5, spare_digest = $6, spare_until = $7 \
     WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
);

/// The digests of what is to be forgotten, told beside the outcome: that is kept beside idempotency keys, and a digest
/// lies in the row of its key alone.
pub(crate) type Stale = Arc<Mutex<Vec<String>>>;

/// Ends a key. One that has ended already stays as it is, without a further entry.
pub(crate) struct Revoke {
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    /// Together with the keys that it made, and those that they made.
    pub(crate) with_made: bool,
    pub(crate) at: Timestamp,
    pub(crate) evidence: Entry,
    pub(crate) stale: Stale,
}

impl Single for Revoke {
    type Done = KeyInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<KeyInfo>> {
        let Some(before) = now(tx, &self.tenant, &self.id).await? else { return Ok(Err(key_missing())) };
        *self.stale.lock() = before.digests;
        if before.key.revoked_at.is_some() {
            return Ok(Ok(before.key));
        }
        let args = args![&self.tenant, self.id.as_str(), self.at];
        look_again(tx, &self.tenant, &self.id, self.at).await?;
        let after = tx.query(REVOKE, args).await?.into_iter().next().map(held).transpose()?;
        if self.with_made {
            self.end_made(tx).await?;
        }
        tx.note(self.evidence.clone());
        Ok(after.map(|held| held.key).ok_or_else(key_missing))
    }
}

impl Revoke {
    async fn end_made(&self, tx: &mut Tx<'_>) -> Result<()> {
        let mut waiting = vec![self.id.clone()];
        while let Some(maker) = waiting.pop() {
            for made in tx.query(END_MADE, args![&self.tenant, maker, self.at]).await? {
                let made = held(made)?;
                look_again(tx, &self.tenant, &made.key.id, self.at).await?;
                self.stale.lock().extend(made.digests);
                waiting.push(made.key.id);
            }
        }
        Ok(())
    }
}

/// Has every process look the key up anew before it lets anybody in with it.
async fn look_again(tx: &mut Tx<'_>, tenant: &TenantId, id: &str, at: Timestamp) -> Result<()> {
    tokens::revoke(tx, &[tokens::What::Key(tenant.clone(), id.to_owned())], at).await
}

/// The key at this moment; nobody else changes it before the end of the transaction.
async fn now(tx: &mut Tx<'_>, tenant: &TenantId, id: &str) -> Result<Option<Held>> {
    if tx.engine() == EngineKind::Postgres {
        tx.query(LOCK, args![tenant, id]).await?;
    }
    tx.query(FIND, args![tenant, id]).await?.into_iter().next().map(held).transpose()
}

/// Changes what is given. `seen` is the key that the change was judged by.
pub(crate) struct Update {
    pub(crate) tenant: TenantId,
    pub(crate) seen: KeyInfo,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<Option<String>>,
    pub(crate) networks: Option<Vec<String>>,
    pub(crate) expires_at: Option<Option<Timestamp>>,
    pub(crate) at: Timestamp,
    pub(crate) evidence: Entry,
    pub(crate) stale: Stale,
}

impl Single for Update {
    type Done = KeyInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<KeyInfo>> {
        let Some(before) = now(tx, &self.tenant, &self.seen.id).await? else { return Ok(Err(key_missing())) };
        if let Err(error) = unchanged(&before.key, &self.seen) {
            return Ok(Err(error));
        }
        let key = before.key;
        *self.stale.lock() = before.digests;
        look_again(tx, &self.tenant, &key.id, self.at).await?;
        let args = args![
            &self.tenant,
            key.id.as_str(),
            self.name.as_deref().unwrap_or(&key.name),
            self.description.as_ref().unwrap_or(&key.description).as_deref(),
            &serde_json::json!(self.networks.as_ref().unwrap_or(&key.networks)),
            self.expires_at.unwrap_or(key.expires_at)
        ];
        let after = tx.query(UPDATE, args).await?.into_iter().next().map(held).transpose()?;
        tx.note(self.evidence.clone());
        Ok(after.map(|held| held.key).ok_or_else(key_missing))
    }
}

/// Gives a key a new secret; the one of before works until `until`.
pub(crate) struct Rotate {
    pub(crate) tenant: TenantId,
    pub(crate) seen: KeyInfo,
    pub(crate) digest: String,
    pub(crate) prefix: String,
    pub(crate) at: Timestamp,
    /// None: the one of before, and any before that, end now.
    pub(crate) until: Option<Timestamp>,
    pub(crate) evidence: Entry,
    pub(crate) stale: Stale,
}

impl Single for Rotate {
    // Not the secret, as with `AddKey`: by its prefix a repeated request knows that it is another's.
    type Done = KeyInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<KeyInfo>> {
        let Some(before) = now(tx, &self.tenant, &self.seen.id).await? else { return Ok(Err(key_missing())) };
        if let Err(error) = unchanged(&before.key, &self.seen) {
            return Ok(Err(error));
        }
        if let (Some(_), Some(open)) = (self.until, before.key.overlap_until.filter(|until| *until > self.at)) {
            return Ok(Err(Error::new(
                Code::Conflict,
                "identity.rotation_open",
                "the secret before the last rotation still works, and a key has two at most",
            )
            .detail("until", open.rfc3339())));
        }
        let spare = self.until.and_then(|_| before.digests.first().cloned());
        *self.stale.lock() = before.digests;
        look_again(tx, &self.tenant, &self.seen.id, self.at).await?;
        let args = args![
            &self.tenant,
            self.seen.id.as_str(),
            self.digest.as_str(),
            self.prefix.as_str(),
            self.at,
            spare,
            self.until
        ];
        let after = tx.query(ROTATE, args).await?.into_iter().next().map(held).transpose()?;
        tx.note(self.evidence.clone());
        Ok(after.map(|held| held.key).ok_or_else(key_missing))
    }
}

/// What a change was judged by still holds: the key works, and reaches no further than it did then.
fn unchanged(now: &KeyInfo, seen: &KeyInfo) -> Result<()> {
    if now.revoked_at.is_some() {
        return Err(key_ended());
    }
    if now.expires_at != seen.expires_at || now.networks != seen.networks {
        let message = "somebody else changed the key at this moment";
        return Err(Error::new(Code::Conflict, "identity.key_changed", message));
    }
    Ok(())
}

pub(crate) fn key_ended() -> Error {
    Error::new(Code::Conflict, "identity.key_ended", "the key was revoked or has expired")
}

pub(crate) fn key_missing() -> Error {
    Error::new(Code::NotFound, "identity.key_missing", "there is no such key")
}
