//! Changes of tenants: made by people for themselves, renamed, closed for good after a while.

use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Single, Tx, args};

use super::{
    invites::turn,
    members::{Member, member},
    store::{NewTenant, insert_tenant, managed_elsewhere},
};
use crate::{
    signin::federation::is_managed_elsewhere,
    tokens::{What, revoke},
};

static COUNT_OWN: &str = "SELECT count(*) FROM members m JOIN tenants t ON t.tenant_id = m.tenant_id
    WHERE m.user_id = $1 AND t.status <> 'erased' AND CAST(m.roles AS text) LIKE '%\"owner\"%'";
static STATUS: &str = "SELECT status FROM tenants WHERE tenant_id = $1";
static RENAME: &str = "UPDATE tenants SET name = $2 WHERE tenant_id = $1";
static CLOSE: &str = "UPDATE tenants SET status = 'deleting', erase_at = $2 WHERE tenant_id = $1 AND status = 'active'";
static REOPEN: &str =
    "UPDATE tenants SET status = 'active', erase_at = NULL WHERE tenant_id = $1 AND status = 'deleting'";
static MEMBERS: &str = "SELECT user_id FROM members WHERE tenant_id = $1";
static CLIENTS: &str = "SELECT id FROM oauth_clients WHERE tenant_id = $1";
static KEYS: &str = "SELECT id FROM api_keys
    WHERE tenant_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";

/// Makes a tenant whose owner is the user.
pub(super) struct Open {
    pub(super) new: NewTenant,
    pub(super) user: String,
    pub(super) most: u32,
    pub(super) entry: Entry,
}

impl Single for Open {
    type Done = TenantId;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<TenantId>> {
        // The user's own turn: nobody makes more than they may by asking twice at once.
        turn(tx, &TenantId::parse(&self.user)?).await?;
        let mut rows = tx.query(COUNT_OWN, args![self.user.clone()]).await?;
        let own: i64 = rows.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
        if own >= i64::from(self.most) {
            let message = format!("this person owns {own} tenants, which is all one may own");
            return Ok(
                Err(Error::new(Code::Exhausted, "people.tenants_exhausted", message).detail("limit", self.most)),
            );
        }
        if is_managed_elsewhere(tx, &self.new.tenant, &self.user).await? {
            return Ok(Err(managed_elsewhere()));
        }
        insert_tenant(tx, &self.new, &self.user).await?;
        tx.note(self.entry.clone());
        Ok(Ok(self.new.tenant.clone()))
    }
}

#[derive(Clone, Debug)]
pub(super) enum Fate {
    Rename(String),
    /// Everybody's tokens end at once, keys are refused, and at this time the data goes.
    Close(Timestamp),
    Reopen,
}

/// Changes a tenant; to reopen one, `user` must be an owner of it.
pub(super) struct Decide {
    pub(super) tenant: TenantId,
    pub(super) fate: Fate,
    pub(super) user: String,
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

impl Single for Decide {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        turn(tx, &self.tenant).await?;
        let Some(status) = status(tx, &self.tenant).await? else { return Ok(Err(tenant_missing())) };
        let changed = match &self.fate {
            Fate::Rename(name) => tx.execute(RENAME, args![&self.tenant, name.clone()]).await?,
            Fate::Close(erase_at) => match close(tx, &self.tenant, *erase_at, self.at).await? {
                true => 1,
                false => return Ok(Err(closed())),
            },
            Fate::Reopen => {
                let is_owner = member(tx, &self.tenant, &self.user).await?.as_ref().is_some_and(Member::is_owner);
                if !is_owner {
                    return Ok(Err(tenant_missing().detail("refused", true)));
                }
                if status == "erased" {
                    return Ok(Err(closed()));
                }
                tx.execute(REOPEN, args![&self.tenant]).await?
            }
        };
        if changed > 0 {
            tx.note(self.entry.clone());
        }
        Ok(Ok(()))
    }
}

/// Closes an open tenant: nobody gets in from now on, and what is out ends. Says whether it was open.
pub(super) async fn close(tx: &mut Tx<'_>, tenant: &TenantId, erase_at: Timestamp, now: Timestamp) -> Result<bool> {
    if tx.execute(CLOSE, args![tenant, erase_at]).await? == 0 {
        return Ok(false);
    }
    end_tokens(tx, tenant, now).await?;
    Ok(true)
}

/// Takes back the tokens of all members and clients of a tenant, and has its keys looked up anew. For a platform
/// write.
pub(super) async fn end_tokens(tx: &mut Tx<'_>, tenant: &TenantId, now: Timestamp) -> Result<()> {
    let mut whats = Vec::new();
    for sql in [MEMBERS, CLIENTS] {
        for mut row in tx.query(sql, args![tenant]).await? {
            whats.push(What::Within(tenant.clone(), row.take(0)?));
        }
    }
    for mut row in tx.query(KEYS, args![tenant, now]).await? {
        whats.push(What::Key(tenant.clone(), row.take(0)?));
    }
    revoke(tx, &whats, now).await
}

async fn status(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Option<String>> {
    tx.query(STATUS, args![tenant]).await?.first_mut().map(|row| row.take(0)).transpose()
}

pub(super) fn tenant_missing() -> Error {
    Error::new(Code::NotFound, "people.tenant_missing", "there is no such tenant, or not for you")
}

fn closed() -> Error {
    Error::new(Code::Conflict, "people.tenant_closed", "the tenant is being deleted, or is deleted")
}
