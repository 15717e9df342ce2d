//! What is read of people and tenants to be shown.

use nsl_api::people::{InviteInfo, ListUsers, MemberStatus, OwnTenant, RoleInfo, TenantStatus, UserInfo, UserStatus};
use nsl_core::{Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, Row, Scope, args};

use super::{
    rules,
    store::{Status, list},
};
use crate::page::ABOVE_ALL;

/// What `user_info` reads, in its order.
macro_rules! seen {
    () => {
        "SELECT u.id, u.email, u.name, u.status, m.roles, m.status, m.since, u.created_at
         FROM members m JOIN users u ON u.id = m.user_id "
    };
}

static LIST: &str = concat!(
    seen!(),
    "WHERE m.tenant_id = $1 AND m.user_id > $2 AND ($3 = '' OR (u.email >= $3 AND u.email < $4))
       AND ($5 = '' OR (u.folded >= $5 AND u.folded < $6)) AND ($7 = '' OR m.status = $7)
       AND ($8 = '' OR CAST(m.roles AS text) LIKE $8) ORDER BY m.user_id LIMIT $9"
);
static FIND: &str = concat!(seen!(), "WHERE m.tenant_id = $1 AND m.user_id = $2");
static TENANTS: &str = "SELECT t.tenant_id, t.name, t.status, t.erase_at, m.roles, m.status, m.since
    FROM members m JOIN tenants t ON t.tenant_id = m.tenant_id WHERE m.user_id = $1 ORDER BY m.since, m.tenant_id";
static ROLES: &str = "SELECT name, permissions, updated_at FROM roles WHERE tenant_id = $1 ORDER BY name";
static INVITES: &str = "SELECT id, email, roles, invited_by, created_at, expires_at, ended_at, accepted_by FROM invites
    WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
static INVITE: &str = "SELECT id, email, roles, invited_by, created_at, expires_at, ended_at, accepted_by FROM invites
    WHERE tenant_id = $1 AND id = $2";
static INVITE_BY_DIGEST: &str = "SELECT tenant_id, invited_by, roles FROM invites WHERE digest = $1";
static REVOKED_KEYS: &str = "SELECT digest, spare_digest FROM api_keys
    WHERE revoked_at = $1 AND (subject = $2 OR owner = $2)";

pub(super) async fn users(db: &Db, tenant: &TenantId, ask: &ListUsers, limit: u32) -> Result<Vec<UserInfo>> {
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
    let (email, name) = (lower(&ask.email), lower(&ask.name));
    let status = ask.status.map_or("", member_status_name);
    // A role's name has no character that LIKE reads as something else but '_', which may stand for itself too.
    let role = ask.role.as_ref().map_or(String::new(), |role| format!("%\"{}\"%", role.replace(['%', '"', '\\'], "")));
    let (above_email, above_name) = (rules::above(&email), rules::above(&name));
    let after = ask.after.clone().unwrap_or_default();
    let args = args![tenant, after, email, above_email, name, above_name, status, role, limit];
    let rows = db.scan(Scope::Platform, LIST, args).await?;
    rows.into_iter().map(user_info).collect()
}

/// None for one who is no member of the tenant.
pub(super) async fn user(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<UserInfo>> {
    let rows = db.query(Scope::Platform, FIND, args![tenant, id]).await?;
    rows.into_iter().next().map(user_info).transpose()
}

fn user_info(mut row: Row) -> Result<UserInfo> {
    Ok(UserInfo {
        id: row.take(0)?,
        email: row.take(1)?,
        name: row.take(2)?,
        status: shown(row.take::<String>(3)?.parse()?),
        roles: list(row.take(4)?)?,
        member: member_status(&row.take::<String>(5)?)?,
        since: row.take(6)?,
        created_at: row.take(7)?,
    })
}

/// Oldest membership first, also of those that are suspended or to be deleted.
pub(super) async fn tenants(db: &Db, user: &str) -> Result<Vec<OwnTenant>> {
    let rows = db.query(Scope::Platform, TENANTS, args![user]).await?;
    let read = |mut row: Row| {
        Ok(OwnTenant {
            tenant: row.take(0)?,
            name: row.take(1)?,
            status: tenant_status(&row.take::<String>(2)?)?,
            erase_at: row.take(3)?,
            roles: list(row.take(4)?)?,
            member: member_status(&row.take::<String>(5)?)?,
            since: row.take(6)?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// A tenant as one sees it who is no member of it.
pub(super) async fn tenant(db: &Db, tenant: &TenantId) -> Result<Option<OwnTenant>> {
    static TENANT: &str = "SELECT name, status, erase_at, created_at FROM tenants WHERE tenant_id = $1";
    let mut rows = db.query(Scope::Tenant(tenant), TENANT, args![tenant]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    Ok(Some(OwnTenant {
        tenant: tenant.clone(),
        name: row.take(0)?,
        status: tenant_status(&row.take::<String>(1)?)?,
        erase_at: row.take(2)?,
        roles: Vec::new(),
        member: MemberStatus::Active,
        since: row.take(3)?,
    }))
}

/// The roles that the tenant made.
pub(super) async fn roles(db: &Db, tenant: &TenantId) -> Result<Vec<RoleInfo>> {
    let rows = db.query(Scope::Tenant(tenant), ROLES, args![tenant]).await?;
    let read = |mut row: Row| {
        let (name, permissions) = (row.take(0)?, list(row.take(1)?)?);
        Ok(RoleInfo { name, permissions, built_in: false, updated_at: row.take(2)? })
    };
    rows.into_iter().map(read).collect()
}

/// Newest first.
pub(super) async fn invites(db: &Db, tenant: &TenantId, after: Option<String>, limit: u32) -> Result<Vec<InviteInfo>> {
    let below = after.unwrap_or_else(|| ABOVE_ALL.to_owned());
    let rows = db.query(Scope::Tenant(tenant), INVITES, args![tenant, below, limit]).await?;
    rows.into_iter().map(invite_info).collect()
}

pub(super) async fn invite(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<InviteInfo>> {
    let rows = db.query(Scope::Tenant(tenant), INVITE, args![tenant, id]).await?;
    rows.into_iter().next().map(invite_info).transpose()
}

/// The tenant that an invite is of, whether it still works or not.
/// What an invite gives, of whose, by whom.
pub(super) struct Given {
    pub(super) tenant: TenantId,
    pub(super) by: String,
    pub(super) roles: Vec<String>,
}

pub(super) async fn given_invite(db: &Db, digest: &str) -> Result<Option<Given>> {
    let read = |mut row: Row| Ok(Given { tenant: row.take(0)?, by: row.take(1)?, roles: list(row.take(2)?)? });
    db.query(Scope::Platform, INVITE_BY_DIGEST, args![digest]).await?.into_iter().next().map(read).transpose()
}

/// The digests of the person's keys that were revoked at this very time.
pub(super) async fn revoked_keys(db: &Db, user: &str, at: Timestamp) -> Result<Vec<String>> {
    let mut digests = Vec::new();
    for mut row in db.query(Scope::Platform, REVOKED_KEYS, args![at, user]).await? {
        digests.push(row.take(0)?);
        digests.extend(row.take::<Option<String>>(1)?);
    }
    Ok(digests)
}

fn invite_info(mut row: Row) -> Result<InviteInfo> {
    Ok(InviteInfo {
        id: row.take(0)?,
        email: row.take(1)?,
        roles: list(row.take(2)?)?,
        invited_by: row.take(3)?,
        created_at: row.take(4)?,
        expires_at: row.take(5)?,
        ended_at: row.take(6)?,
        accepted_by: row.take(7)?,
    })
}

pub(super) fn shown(status: Status) -> UserStatus {
    match status {
        Status::Active => UserStatus::Active,
        Status::Suspended => UserStatus::Suspended,
        Status::Erased => UserStatus::Erased,
    }
}

fn member_status_name(status: MemberStatus) -> &'static str {
    match status {
        MemberStatus::Active => "active",
        MemberStatus::Suspended => "suspended",
    }
}

fn member_status(text: &str) -> Result<MemberStatus> {
    match text {
        "active" => Ok(MemberStatus::Active),
        "suspended" => Ok(MemberStatus::Suspended),
        other => Err(Error::internal(anyhow::anyhow!("a member has the status {other}"))),
    }
}

fn tenant_status(text: &str) -> Result<TenantStatus> {
    match text {
        "active" => Ok(TenantStatus::Active),
        "deleting" => Ok(TenantStatus::Deleting),
        "erased" => Ok(TenantStatus::Erased),
        other => Err(Error::internal(anyhow::anyhow!("a tenant has the status {other}"))),
    }
}
