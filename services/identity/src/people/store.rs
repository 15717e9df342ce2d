//! Users, tenants and members: what every part of the service asks of them.

use std::str::FromStr;

use nsl_core::{Code, Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, Row, Scope, Tx, args};

use super::roles;

/// Where users are kept: they belong to no tenant.
pub(crate) const PLATFORM: &str = "platform";

/// [`PLATFORM`] as the owner of rows, keys and evidence.
pub(crate) fn platform() -> TenantId {
    TenantId::parse(PLATFORM).expect("a fixed valid id")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Suspended,
    Erased,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Erased => "erased",
        }
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Active, Self::Suspended, Self::Erased]
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or_else(|| Error::internal(anyhow::anyhow!("a user has the status {text}")))
    }
}

/// A person.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    /// In lower case. None for people who came with a wallet, and for erased ones.
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) status: Status,
    pub(crate) created_at: Timestamp,
}

static USER: &str = "SELECT id, email, name, status, created_at FROM users WHERE id = $1";
static USER_BY_EMAIL: &str = "SELECT id, email, name, status, created_at FROM users WHERE email = $1";
static INSERT_USER: &str = "INSERT INTO users (tenant_id, id, email, name, folded, status, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) WHERE email IS NOT NULL DO NOTHING";
static INSERT_TENANT: &str = "INSERT INTO tenants (tenant_id, name, created_at) VALUES ($1, $2, $3)";
static INSERT_MEMBER: &str = "INSERT INTO members (tenant_id, user_id, roles, status, since)
    VALUES ($1, $2, $3, 'active', $4) ON CONFLICT (tenant_id, user_id) DO NOTHING";
// A tenant that is to be deleted lets nobody in but its owners, who may take that back.
static OLDEST_MEMBERSHIP: &str = "SELECT m.tenant_id FROM members m JOIN tenants t ON t.tenant_id = m.tenant_id WHERE m.user_id = $1 AND m.status = 'active'
      AND (t.status = 'active' OR (t.status = 'deleting' AND CAST(m.roles AS text) LIKE '%\"owner\"%'))
    ORDER BY t.status, m.since, m.tenant_id LIMIT 1";
static ROLES_OF: &str = "SELECT m.roles, t.status FROM members m JOIN tenants t ON t.tenant_id = m.tenant_id
    JOIN users u ON u.id = m.user_id
    WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.status = 'active' AND u.status = 'active'";
static CUSTOM_ROLES: &str = "SELECT name, permissions FROM roles WHERE tenant_id = $1";

/// The person with this id, erased ones included.
pub(crate) async fn user(db: &Db, id: &str) -> Result<Option<User>> {
    db.query(Scope::Platform, USER, args![id]).await?.first_mut().map(read_user).transpose()
}

/// The person with this address, whatever the case of its letters.
pub(crate) async fn user_by_email(db: &Db, email: &str) -> Result<Option<User>> {
    let args = args![email.to_lowercase()];
    db.query(Scope::Platform, USER_BY_EMAIL, args).await?.first_mut().map(read_user).transpose()
}

pub(super) fn read_user(row: &mut Row) -> Result<User> {
    Ok(User {
        id: row.take(0)?,
        email: row.take(1)?,
        name: row.take(2)?,
        status: row.take::<String>(3)?.parse()?,
        created_at: row.take(4)?,
    })
}

/// Refuses an address that somebody has already, before a row is touched. For a platform write: a user is no
/// tenant's row.
pub(crate) async fn insert_user(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let email = user.email.as_ref().map(|email| email.to_lowercase());
    let folded = user.name.as_ref().map(|name| name.to_lowercase());
    let args = args![PLATFORM, user.id.clone(), email, user.name.clone(), folded, user.status.name(), user.created_at];
    match tx.execute(INSERT_USER, args).await? {
        0 => Err(email_taken()),
        _ => Ok(()),
    }
}

pub(crate) fn email_taken() -> Error {
    Error::new(Code::Conflict, "people.email_taken", "somebody has this email address already")
}

pub(crate) struct NewTenant {
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) at: Timestamp,
}

/// With its owner as the first member.
pub(crate) async fn insert_tenant(tx: &mut Tx<'_>, new: &NewTenant, owner: &str) -> Result<()> {
    tx.execute(INSERT_TENANT, args![&new.tenant, new.name.clone(), new.at]).await?;
    add_member(tx, &new.tenant, owner, &[roles::OWNER.to_owned()], new.at).await
}

/// Refuses one who is a member already; `roles` were checked before.
pub(crate) async fn add_member(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    user: &str,
    roles: &[String],
    at: Timestamp,
) -> Result<()> {
    match tx.execute(INSERT_MEMBER, args![tenant, user.to_owned(), &serde_json::json!(roles), at]).await? {
        0 => Err(member_already()),
        _ => end_resets(tx, user).await,
    }
}

/// A reset token was given out for what its person could do at the time: it must not open more. For a platform write.
pub(super) async fn end_resets(tx: &mut Tx<'_>, user: &str) -> Result<()> {
    static END_RESETS: &str = "DELETE FROM reset_tokens WHERE tenant_id = $1 AND user_id = $2";
    tx.execute(END_RESETS, args![PLATFORM, user]).await.map(drop)
}

pub(super) async fn is_member(tx: &mut Tx<'_>, tenant: &TenantId, user: &str) -> Result<bool> {
    static MEMBER: &str = "SELECT 1 FROM members WHERE tenant_id = $1 AND user_id = $2";
    Ok(!tx.query(MEMBER, args![tenant, user]).await?.is_empty())
}

pub(super) fn managed_elsewhere() -> Error {
    let message = "the account is signed in by the identity provider of another tenant, and belongs to that one alone";
    Error::new(Code::Conflict, "people.managed_elsewhere", message)
}

pub(super) fn member_already() -> Error {
    Error::new(Code::Conflict, "people.member_already", "the person is a member already")
}

/// Where the person has been a member longest and may come in now, so not where they are suspended; one that is to be
/// deleted only where there is no other.
pub(crate) async fn oldest_membership(db: &Db, user: &str) -> Result<Option<TenantId>> {
    let mut rows = db.query(Scope::Platform, OLDEST_MEMBERSHIP, args![user]).await?;
    rows.first_mut().map(|row| row.take(0)).transpose()
}

/// All that the roles of a member allow: nothing in a tenant that is to be deleted, whose owners can but restore it.
/// None for one who is no member, or a suspended one. `known`: what the services ask for (`Ground::scopes`).
pub(crate) async fn permissions(db: &Db, known: &[&str], tenant: &TenantId, user: &str) -> Result<Option<Vec<String>>> {
    let mut found = db.query(Scope::Platform, ROLES_OF, args![tenant, user]).await?;
    let Some(row) = found.first_mut() else { return Ok(None) };
    let (held, status) = (list(row.take(0)?)?, row.take::<String>(1)?);
    if status != "active" {
        let waits = status == "deleting" && held.iter().any(|role| role == roles::OWNER);
        return Ok(waits.then(Vec::new));
    }
    let needs_custom = held.iter().any(|role| !roles::BUILT_IN.contains(&role.as_str()));
    let custom = if needs_custom { custom_roles(db, tenant).await? } else { Vec::new() };
    Ok(Some(roles::permissions(&held, &custom, known)))
}

/// The roles that a tenant made for itself, with what they allow.
pub(crate) async fn custom_roles(db: &Db, tenant: &TenantId) -> Result<Vec<(String, Vec<String>)>> {
    let rows = db.query(Scope::Tenant(tenant), CUSTOM_ROLES, args![tenant]).await?;
    rows.into_iter().map(|mut row| Ok((row.take(0)?, list(row.take(1)?)?))).collect()
}

pub(crate) fn list(value: serde_json::Value) -> Result<Vec<String>> {
    serde_json::from_value(value).map_err(Error::internal)
}
