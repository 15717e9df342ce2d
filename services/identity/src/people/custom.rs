//! Roles that a tenant makes for itself.

use nsl_core::{Code, Entry, Error, Principal, Result, TenantId, Timestamp};
use nsl_sql::{Single, Tx, args};

use super::{
    invites::turn,
    members::{custom, end_invites, holders},
    roles, rules,
    store::end_resets,
};
use crate::tokens::{What, revoke};

static INSERT: &str =
    "INSERT INTO roles (tenant_id, name, permissions, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)";
static UPDATE: &str = "UPDATE roles SET permissions = $3, updated_at = $4 WHERE tenant_id = $1 AND name = $2";
static DELETE: &str = "DELETE FROM roles WHERE tenant_id = $1 AND name = $2";
static INVITED: &str = "SELECT count(*) FROM invites WHERE tenant_id = $1 AND ended_at IS NULL AND expires_at > $3
    AND CAST(roles AS text) LIKE '%\"' || $2 || '\"%'";

/// Most roles of a tenant, beside the built-in ones.
const MOST: usize = 100;

#[derive(Clone, Debug)]
pub(super) enum Verb {
    Create(Vec<String>),
    Set(Vec<String>),
    Delete,
}

/// Changes a role. Who has it works with the new permissions as soon as they ask for a token.
pub(super) struct Define {
    pub(super) tenant: TenantId,
    pub(super) name: String,
    pub(super) verb: Verb,
    pub(super) by: Principal,
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

impl Single for Define {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        turn(tx, &self.tenant).await?;
        let all = custom(tx, &self.tenant).await?;
        let now = all.iter().find(|(name, _)| *name == self.name).map(|(_, permissions)| permissions);
        let holders = holders(tx, &self.tenant, &self.name).await?;
        if let Err(refused) = self.check(all.len(), now, &holders) {
            return Ok(Err(refused));
        }
        let (tenant, name) = (&self.tenant, self.name.as_str());
        match &self.verb {
            Verb::Create(permissions) => {
                tx.execute(INSERT, args![tenant, name, &serde_json::json!(permissions), self.at]).await?;
            }
            Verb::Set(permissions) => {
                tx.execute(UPDATE, args![tenant, name, &serde_json::json!(permissions), self.at]).await?;
            }
            Verb::Delete => {
                let mut rows = tx.query(INVITED, args![tenant, name, self.at]).await?;
                if rows.first_mut().map(|row| row.take::<i64>(0)).transpose()?.unwrap_or(0) > 0 {
                    return Ok(Err(in_use()));
                }
                tx.execute(DELETE, args![tenant, name]).await?;
            }
        }
        let shrinks = matches!((&self.verb, now), (Verb::Set(to), Some(now)) if roles::is_less(to, now));
        for user in &holders {
            end_resets(tx, user).await?;
            if shrinks {
                end_invites(tx, tenant, user, self.at).await?;
            }
        }
        let whats: Vec<What> = holders.into_iter().map(|user| What::Within(tenant.clone(), user)).collect();
        revoke(tx, &whats, self.at).await?;
        tx.note(self.entry.clone());
        Ok(Ok(()))
    }
}

impl Define {
    fn check(&self, count: usize, now: Option<&Vec<String>>, holders: &[String]) -> Result<()> {
        match (&self.verb, now) {
            (Verb::Create(_), Some(_)) => {
                let message = format!("the tenant has a role {} already", self.name);
                Err(Error::new(Code::Conflict, "people.role_exists", message))
            }
            (Verb::Create(_), None) if count >= MOST => {
                let message = format!("the tenant has {count} roles of its own, which is all it may have");
                Err(Error::new(Code::Exhausted, "people.roles_exhausted", message).detail("limit", MOST))
            }
            (Verb::Create(_), None) => Ok(()),
            (_, None) => Err(role_missing()),
            // What is taken away must be the caller's to give, too.
            (Verb::Set(_), Some(now)) => rules::check_grant(now, &self.by),
            (Verb::Delete, Some(_)) if !holders.is_empty() => Err(in_use()),
            (Verb::Delete, Some(now)) => rules::check_grant(now, &self.by),
        }
    }
}

pub(super) fn role_missing() -> Error {
    Error::new(Code::NotFound, "people.role_missing", "the tenant has no such role of its own")
}

fn in_use() -> Error {
    Error::new(Code::Conflict, "people.role_in_use", "somebody has this role, or is invited to have it")
}
