//! Changes of who is what in a tenant. Each revokes the tokens that tell otherwise.

use nsl_core::{Code, Entry, Error, Principal, Result, TenantId, Timestamp};
use nsl_sql::{Row, Single, Tx, args};

use super::{
    invites::turn,
    roles, rules,
    store::{Status, end_resets, list},
};
use crate::tokens::{What, revoke};

static MEMBER: &str = "SELECT m.roles, m.status, u.status FROM members m JOIN users u ON u.id = m.user_id
    WHERE m.tenant_id = $1 AND m.user_id = $2";
static CUSTOM: &str = "SELECT name, permissions FROM roles WHERE tenant_id = $1";
// A built-in role's name is in no other's: names have neither quotes nor wildcards.
static OTHER_OWNERS: &str = "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id
    WHERE m.tenant_id = $1 AND m.user_id <> $2 AND m.status = 'active' AND u.status = 'active'
      AND CAST(m.roles AS text) LIKE '%\"owner\"%'";
static SET_ROLES: &str = "UPDATE members SET roles = $3 WHERE tenant_id = $1 AND user_id = $2";
static SET_STATUS: &str = "UPDATE members SET status = $3 WHERE tenant_id = $1 AND user_id = $2";
static REMOVE: &str = "DELETE FROM members WHERE tenant_id = $1 AND user_id = $2";
// What they stored here is theirs still, and found by it.
static TRACE: &str = "INSERT INTO privacy_traces (tenant_id, user_id) VALUES ($1, $2)
    ON CONFLICT (tenant_id, user_id) DO NOTHING";
// Also what their keys invited, under whatever name.
static END_INVITES: &str = "UPDATE invites SET ended_at = $3 WHERE tenant_id = $1 AND ended_at IS NULL
    AND (invited_by = $2 OR invited_by IN (SELECT subject FROM api_keys WHERE tenant_id = $1 AND owner = $2))";
static END_KEYS: &str = "UPDATE api_keys SET revoked_at = $3
    WHERE tenant_id = $1 AND (subject = $2 OR owner = $2) AND revoked_at IS NULL";
static HOLDERS: &str =
    "SELECT user_id FROM members WHERE tenant_id = $1 AND CAST(roles AS text) LIKE '%\"' || $2 || '\"%'";

/// What is done to a member.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    SetRoles(Vec<String>),
    Suspend,
    Resume,
    /// By another, or by the member's own will.
    Remove,
}

/// Does it, unless the tenant would be left without an owner, or the member holds what `by` lacks.
pub(super) struct Rule {
    pub(super) tenant: TenantId,
    pub(super) user: String,
    pub(super) deed: Deed,
    pub(super) by: Principal,
    pub(super) known: std::sync::Arc<[&'static str]>,
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

impl Single for Rule {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        turn(tx, &self.tenant).await?;
        let Some(member) = member(tx, &self.tenant, &self.user).await? else { return Ok(Err(user_missing())) };
        let custom = custom(tx, &self.tenant).await?;
        if let Err(refused) = self.check(&member, &custom) {
            return Ok(Err(refused));
        }
        let stays_owner = match &self.deed {
            Deed::SetRoles(roles) => member.is_active && roles.iter().any(|role| role == roles::OWNER),
            Deed::Suspend | Deed::Remove => false,
            Deed::Resume => true,
        };
        if member.is_owner() && !stays_owner && other_owners(tx, &self.tenant, &self.user).await? == 0 {
            return Ok(Err(last_owner()));
        }
        match &self.deed {
            Deed::SetRoles(roles) => {
                tx.execute(SET_ROLES, args![&self.tenant, self.user.clone(), &serde_json::json!(roles)]).await?;
            }
            Deed::Suspend | Deed::Resume => {
                let status = if matches!(self.deed, Deed::Suspend) { "suspended" } else { "active" };
                tx.execute(SET_STATUS, args![&self.tenant, self.user.clone(), status]).await?;
            }
            Deed::Remove => {
                tx.execute(REMOVE, args![&self.tenant, self.user.clone()]).await?;
                tx.execute(TRACE, args![&self.tenant, self.user.clone()]).await?;
            }
        }
        if matches!(self.deed, Deed::Suspend | Deed::Remove) {
            end_left(tx, &self.tenant, &self.user, self.at).await?;
        }
        if let Deed::SetRoles(given) = &self.deed {
            let [before, after] = [&member.roles, given].map(|held| roles::permissions(held, &custom, &self.known));
            if roles::is_less(&after, &before) {
                end_invites(tx, &self.tenant, &self.user, self.at).await?;
            }
        }
        end_resets(tx, &self.user).await?;
        revoke(tx, &[What::Within(self.tenant.clone(), self.user.clone())], self.at).await?;
        tx.note(self.entry.clone());
        Ok(Ok(()))
    }
}

impl Rule {
    fn check(&self, member: &Member, custom: &[(String, Vec<String>)]) -> Result<()> {
        // Who leaves gives up what is their own.
        if matches!(self.deed, Deed::Remove) && self.by.subject.as_str() == self.user {
            return Ok(());
        }
        rules::check_grant(&roles::permissions(&member.roles, custom, &self.known), &self.by)?;
        match &self.deed {
            Deed::SetRoles(given) => check_given(given, custom, &self.known, &self.by),
            _ => Ok(()),
        }
    }
}

/// Whether the roles exist and `by` holds all that they allow.
pub(super) fn check_given(
    given: &[String],
    custom: &[(String, Vec<String>)],
    known: &[&str],
    by: &Principal,
) -> Result<()> {
    rules::check_roles(given)?;
    let exists =
        |role: &String| roles::BUILT_IN.contains(&role.as_str()) || custom.iter().any(|(name, _)| name == role);
    if let Some(unknown) = given.iter().find(|role| !exists(role)) {
        let message = format!("the tenant has no role {unknown}");
        return Err(Error::invalid("people.role_unknown", message).detail("role", unknown.as_str()));
    }
    rules::check_grant(&roles::permissions(given, custom, known), by)
}

pub(super) struct Member {
    pub(super) roles: Vec<String>,
    pub(super) is_active: bool,
}

impl Member {
    pub(super) fn is_owner(&self) -> bool {
        self.is_active && self.roles.iter().any(|role| role == roles::OWNER)
    }
}

pub(super) async fn member(tx: &mut Tx<'_>, tenant: &TenantId, user: &str) -> Result<Option<Member>> {
    let mut found = tx.query(MEMBER, args![tenant, user]).await?;
    let Some(row) = found.first_mut() else { return Ok(None) };
    let (roles, status, account): (_, String, String) = (list(row.take(0)?)?, row.take(1)?, row.take(2)?);
    let is_active = status == "active" && account.parse::<Status>()? == Status::Active;
    Ok(Some(Member { roles, is_active }))
}

/// The roles that the tenant made, as they are in this transaction.
pub(super) async fn custom(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Vec<(String, Vec<String>)>> {
    let read = |mut row: Row| Ok((row.take(0)?, list(row.take(1)?)?));
    tx.query(CUSTOM, args![tenant]).await?.into_iter().map(read).collect()
}

pub(super) async fn other_owners(tx: &mut Tx<'_>, tenant: &TenantId, user: &str) -> Result<i64> {
    let mut rows = tx.query(OTHER_OWNERS, args![tenant, user]).await?;
    Ok(rows.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0))
}

/// Who has the role, by name.
pub(super) async fn holders(tx: &mut Tx<'_>, tenant: &TenantId, role: &str) -> Result<Vec<String>> {
    tx.query(HOLDERS, args![tenant, role]).await?.into_iter().map(|mut row| row.take(0)).collect()
}

/// Ends the person's keys and invites in the tenant.
pub(super) async fn end_left(tx: &mut Tx<'_>, tenant: &TenantId, user: &str, at: Timestamp) -> Result<()> {
    end_invites(tx, tenant, user, at).await?;
    tx.execute(END_KEYS, args![tenant, user, at]).await.map(drop)
}

/// Ends what the person invited others to: whoever may do less now must not come back by it.
pub(super) async fn end_invites(tx: &mut Tx<'_>, tenant: &TenantId, user: &str, at: Timestamp) -> Result<()> {
    tx.execute(END_INVITES, args![tenant, user, at]).await.map(drop)
}

pub(super) fn user_missing() -> Error {
    Error::new(Code::NotFound, "people.user_missing", "there is no such person in this tenant")
}

pub(super) fn last_owner() -> Error {
    let message = "the tenant would be left without an owner";
    Error::new(Code::Conflict, "people.last_owner", message)
}
