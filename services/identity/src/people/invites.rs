//! Invites: how a person comes into a tenant that others made.

use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{EngineKind, Single, Tx, args};

use super::store;
use crate::{secrets::digest_of, signin::federation::is_managed_elsewhere};

static INSERT: &str = "INSERT INTO invites (tenant_id, id, digest, email, roles, invited_by, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
static COUNT_OPEN: &str = "SELECT count(*) FROM invites WHERE tenant_id = $1 AND ended_at IS NULL AND expires_at > $2";
static WITHDRAW: &str = "UPDATE invites SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL";
static TAKE: &str =
    "SELECT i.tenant_id, i.id, i.email, i.roles FROM invites i JOIN tenants t ON t.tenant_id = i.tenant_id
    WHERE i.digest = $1 AND i.ended_at IS NULL AND i.expires_at > $2 AND t.status = 'active'";
static END: &str = "UPDATE invites SET ended_at = $3, accepted_by = $4, email = NULL
    WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL";

/// Makes an invite.
pub(super) struct AddInvite {
    pub(super) tenant: TenantId,
    pub(super) id: String,
    pub(super) digest: String,
    pub(super) email: Option<String>,
    pub(super) roles: Vec<String>,
    pub(super) invited_by: String,
    pub(super) at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) most: u32,
    pub(super) entry: Entry,
}

impl Single for AddInvite {
    // Not the token: what a change gives back is kept beside idempotency keys.
    type Done = String;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<String>> {
        turn(tx, &self.tenant).await?;
        let mut rows = tx.query(COUNT_OPEN, args![&self.tenant, self.at]).await?;
        let open: i64 = rows.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
        if open >= i64::from(self.most) {
            let message = format!("the tenant has {open} open invites, which is all it may have");
            return Ok(
                Err(Error::new(Code::Exhausted, "people.invites_exhausted", message).detail("limit", self.most)),
            );
        }
        tx.execute(
            INSERT,
            args![
                &self.tenant,
                self.id.clone(),
                self.digest.clone(),
                self.email.clone(),
                &serde_json::json!(self.roles),
                self.invited_by.clone(),
                self.at,
                self.expires_at
            ],
        )
        .await?;
        tx.note(self.entry.clone());
        Ok(Ok(self.id.clone()))
    }
}

/// Takes an invite back; one that has ended stays as it is.
pub(super) struct Withdraw {
    pub(super) tenant: TenantId,
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

impl Single for Withdraw {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        if tx.execute(WITHDRAW, args![&self.tenant, self.id.clone(), self.at]).await? > 0 {
            tx.note(self.entry.clone());
        }
        Ok(Ok(()))
    }
}

/// Makes the person a member of the tenant that the invite is of, and ends it; refused before a row is touched.
/// `email` is the person's own: an invite with an address is for its owner alone. For a platform write. The entry of
/// evidence is the caller's to note, under the tenant that this gives.
pub(crate) async fn accept(
    tx: &mut Tx<'_>,
    token: &str,
    user: &str,
    email: Option<&str>,
    at: Timestamp,
) -> Result<Result<TenantId>> {
    let mut found = tx.query(TAKE, args![digest_of(token), at]).await?;
    let Some(row) = found.first_mut() else { return Ok(Err(invite_invalid())) };
    let (tenant, id): (TenantId, String) = (row.take(0)?, row.take(1)?);
    let (meant_for, roles): (Option<String>, Vec<String>) = (row.take(2)?, store::list(row.take(3)?)?);
    if meant_for.is_some() && meant_for.as_deref() != email {
        let message = "the invite is for another email address";
        return Ok(Err(Error::new(Code::Forbidden, "people.invite_other", message)));
    }
    if store::is_member(tx, &tenant, user).await? {
        return Ok(Err(store::member_already()));
    }
    if is_managed_elsewhere(tx, &tenant, user).await? {
        return Ok(Err(store::managed_elsewhere()));
    }
    // Of two that show it at once, the later one finds that nothing is left to end.
    if tx.execute(END, args![&tenant, id, at, user.to_owned()]).await? == 0 {
        return Ok(Err(invite_invalid()));
    }
    store::add_member(tx, &tenant, user, &roles, at).await?;
    Ok(Ok(tenant))
}

/// Alike for one that never was, is over, withdrawn or used: who guesses learns nothing.
pub(crate) fn invite_invalid() -> Error {
    Error::new(Code::NotFound, "people.invite_invalid", "the invite is not valid, or not any more")
}

/// Whoever rules over the people of a tenant does so one by one, so that each sees what the one before did.
pub(super) async fn turn(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<()> {
    static TAKE_TURN: &str =
        "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.people ' || $1::text, 0))";
    match tx.engine() {
        EngineKind::Postgres => tx.query(TAKE_TURN, args![tenant]).await.map(drop),
        EngineKind::Sqlite => Ok(()),
    }
}

/// A signed-in person accepts an invite.
pub(super) struct Accept {
    pub(super) token: nsl_api::Revealed,
    pub(super) user: String,
    pub(super) email: Option<String>,
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

impl Single for Accept {
    type Done = TenantId;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<TenantId>> {
        let tenant = match accept(tx, &self.token.0, &self.user, self.email.as_deref(), self.at).await? {
            Ok(tenant) => tenant,
            Err(refused) => return Ok(Err(refused)),
        };
        tx.note(Entry { tenant: tenant.clone(), ..self.entry.clone() });
        Ok(Ok(tenant))
    }
}
