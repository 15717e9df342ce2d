//! All SQL of policies.

use std::sync::Arc;

use nsl_api::access::{Policy, PolicyReply};
use nsl_core::{Code, Entry, Error, Result, Rules, TenantId};
use nsl_sql::{Db, Row, Scope, Single, Tx, args};

use crate::{
    people::store::list,
    tokens::{What, revoke},
};

/// A policy as those read it who judge by it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) text: String,
}

/// All policies of a tenant at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) version: i64,
    pub(super) policies: Vec<Held>,
}

impl Set {
    pub(super) fn bundle(&self) -> String {
        nsl_policy::bundle(self.policies.iter().map(|held| (held.name.as_str(), held.text.as_str())))
    }
}

// One statement, so that number and texts are of one time.
static SET: &str = "SELECT s.version, p.name, p.text FROM policy_sets s
    LEFT JOIN policies p ON p.tenant_id = s.tenant_id WHERE s.tenant_id = $1 ORDER BY p.name";
static FIND: &str =
    "SELECT name, text, version, digest, updated_by, updated_at FROM policies WHERE tenant_id = $1 AND name = $2";
static LIST: &str = "SELECT name, text, version, digest, updated_by, updated_at FROM policies
    WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3";
static VERSIONS: &str = "SELECT name, text, version, digest, updated_by, updated_at FROM policy_versions
    WHERE tenant_id = $1 AND name = $2 AND version < $3 ORDER BY version DESC LIMIT $4";
static NEWEST: &str = "SELECT coalesce(max(version), 0) FROM policy_versions WHERE tenant_id = $1 AND name = $2";
static FIRST_TURN: &str =
    "INSERT INTO policy_sets (tenant_id, version) VALUES ($1, 0) ON CONFLICT (tenant_id) DO NOTHING";
// Also the lock: who comes second waits here for the commit of the first, and then finds another number.
static TAKE_TURN: &str = "UPDATE policy_sets SET version = version + 1 WHERE tenant_id = $1 AND version = $2";
static PUT: &str = "INSERT INTO policies (tenant_id, name, text, version, digest, updated_by, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (tenant_id, name) DO UPDATE SET text = excluded.text, version = excluded.version,
        digest = excluded.digest, updated_by = excluded.updated_by, updated_at = excluded.updated_at";
static REMOVE: &str = "DELETE FROM policies WHERE tenant_id = $1 AND name = $2";
static KEEP: &str = "INSERT INTO policy_versions (tenant_id, name, version, text, digest, updated_by, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
static MEMBERS: &str = "SELECT m.user_id, m.roles FROM members m
    JOIN tenants t ON t.tenant_id = m.tenant_id JOIN users u ON u.id = m.user_id
    WHERE m.tenant_id = $1 AND m.user_id > $2 AND m.status = 'active' AND t.status = 'active' AND u.status = 'active'
    ORDER BY m.user_id LIMIT $3";
static MEMBER: &str = "SELECT m.roles FROM members m
    JOIN tenants t ON t.tenant_id = m.tenant_id JOIN users u ON u.id = m.user_id
    WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.status = 'active' AND t.status = 'active' AND u.status = 'active'";

pub(super) async fn set(db: &Db, tenant: &TenantId) -> Result<Set> {
    let mut set = Set::default();
    for mut row in db.query(Scope::Tenant(tenant), SET, args![tenant]).await? {
        set.version = row.take(0)?;
        if let (Some(name), Some(text)) = (row.take(1)?, row.take(2)?) {
            set.policies.push(Held { name, text });
        }
    }
    Ok(set)
}

/// The policies of a tenant as they are judged by; none when it has none.
pub(crate) async fn rules(db: &Db, tenant: &TenantId) -> Result<Option<Arc<Rules>>> {
    let set = set(db, tenant).await?;
    Ok((!set.policies.is_empty()).then(|| Arc::new(Rules::new(set.bundle(), set.version))))
}

pub(super) async fn find(db: &Db, tenant: &TenantId, name: &str) -> Result<Option<Policy>> {
    let rows = db.query(Scope::Tenant(tenant), FIND, args![tenant, name]).await?;
    rows.into_iter().next().map(policy).transpose()
}

pub(super) async fn list_policies(db: &Db, tenant: &TenantId, after: &str, limit: u32) -> Result<Vec<Policy>> {
    let rows = db.query(Scope::Tenant(tenant), LIST, args![tenant, after, limit]).await?;
    rows.into_iter().map(policy).collect()
}

/// Newest first.
pub(super) async fn versions(db: &Db, tenant: &TenantId, name: &str, below: i64, limit: u32) -> Result<Vec<Policy>> {
    let rows = db.query(Scope::Tenant(tenant), VERSIONS, args![tenant, name, below, limit]).await?;
    rows.into_iter().map(policy).collect()
}

/// The number of the last version that a policy of this name had, 0 when there was none.
pub(super) async fn newest(db: &Db, tenant: &TenantId, name: &str) -> Result<i64> {
    let mut rows = db.query(Scope::Tenant(tenant), NEWEST, args![tenant, name]).await?;
    rows.first_mut().map_or(Ok(0), |row| row.take(0))
}

fn policy(mut row: Row) -> Result<Policy> {
    let (name, text) = (row.take(0)?, row.take::<Option<String>>(1)?);
    Ok(Policy {
        name,
        removed: text.is_none(),
        text: text.unwrap_or_default(),
        version: row.take(2)?,
        digest: row.take(3)?,
        updated_by: row.take(4)?,
        updated_at: row.take(5)?,
    })
}

/// The active members after this one, with their roles.
pub(super) async fn members(db: &Db, tenant: &TenantId, after: &str, limit: u32) -> Result<Vec<(String, Vec<String>)>> {
    let rows = db.query(Scope::Platform, MEMBERS, args![tenant, after, limit]).await?;
    rows.into_iter().map(|mut row| Ok((row.take(0)?, list(row.take(1)?)?))).collect()
}

/// The roles of an active member.
pub(super) async fn member(db: &Db, tenant: &TenantId, user: &str) -> Result<Option<Vec<String>>> {
    let mut rows = db.query(Scope::Platform, MEMBER, args![tenant, user]).await?;
    rows.first_mut().map(|row| list(row.take(0)?)).transpose()
}

/// Saves a policy, or removes it when its reply says so.
pub(super) struct Save {
    pub(super) tenant: TenantId,
    /// The number of the set that all was checked against.
    pub(super) seen: i64,
    pub(super) reply: PolicyReply,
    pub(super) evidence: Entry,
}

impl Single for Save {
    type Done = PolicyReply;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<PolicyReply>> {
        let it = &self.reply.policy;
        if self.seen == 0 {
            tx.execute(FIRST_TURN, args![&self.tenant]).await?;
        }
        if tx.execute(TAKE_TURN, args![&self.tenant, self.seen]).await? == 0 {
            return Ok(Err(changed_meanwhile()));
        }
        let (name, digest, by) = (it.name.as_str(), it.digest.as_str(), &it.updated_by);
        let text = (!it.removed).then_some(it.text.as_str());
        match text {
            Some(text) => {
                tx.execute(PUT, args![&self.tenant, name, text, it.version, digest, by, it.updated_at]).await?
            }
            None => tx.execute(REMOVE, args![&self.tenant, name]).await?,
        };
        let text = text.map(str::to_owned);
        tx.execute(KEEP, args![&self.tenant, name, it.version, text, digest, by, it.updated_at]).await?;
        revoke(tx, &[What::Policies(self.tenant.clone())], it.updated_at).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(self.reply.clone()))
    }
}

/// Somebody else changed the policies of the tenant between what was checked and what was to be written.
pub(super) fn changed_meanwhile() -> Error {
    Error::new(Code::Conflict, "access.changed_meanwhile", "the policies were changed by another request meanwhile")
}
