//! Changes of accounts, which are the platform's and no tenant's.

use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Single, Tx, args};

use super::{
    invites::turn,
    members::{end_left, last_owner, other_owners},
    roles,
    store::{email_taken, list},
    tenants::close,
};
use crate::tokens::{What, revoke};

static EMAIL_OF: &str = "SELECT id FROM users WHERE email = $1";
static SET_EMAIL: &str = "UPDATE users SET email = $2 WHERE id = $1 AND status = 'active'";
static SET_NAME: &str = "UPDATE users SET name = $2, folded = $3 WHERE id = $1 AND status = 'active'";
static SET_STATUS: &str = "UPDATE users SET status = $2 WHERE id = $1 AND status = $3";
static MEMBERSHIPS: &str = "SELECT m.tenant_id, m.roles, m.status, t.status,
        (SELECT count(*) FROM members o WHERE o.tenant_id = m.tenant_id)
    FROM members m JOIN tenants t ON t.tenant_id = m.tenant_id WHERE m.user_id = $1 ORDER BY m.tenant_id";

/// Changes what a person says of themselves.
pub(super) struct Update {
    pub(super) user: String,
    pub(super) name: Option<String>,
    /// In lower case.
    pub(super) email: Option<String>,
    pub(super) entry: Entry,
}

impl Single for Update {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        if let Some(email) = &self.email {
            let holder = tx.query(EMAIL_OF, args![email.clone()]).await?.first_mut().map(|row| row.take::<String>(0));
            match holder.transpose()? {
                Some(id) if id != self.user => return Ok(Err(email_taken())),
                // Another process that takes it now is met by an index, and then this is asked again.
                _ => tx.execute(SET_EMAIL, args![self.user.clone(), email.clone()]).await?,
            };
        }
        if let Some(name) = &self.name {
            tx.execute(SET_NAME, args![self.user.clone(), name.clone(), name.to_lowercase()]).await?;
        }
        tx.note(self.entry.clone());
        Ok(Ok(()))
    }
}

/// Keeps a person out of the whole platform, or lets them in again.
pub(super) struct Bar {
    pub(super) user: String,
    pub(super) out: bool,
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
}

impl Single for Bar {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let (to, from) = if self.out { ("suspended", "active") } else { ("active", "suspended") };
        if tx.execute(SET_STATUS, args![self.user.clone(), to, from]).await? > 0 {
            revoke(tx, &[What::Subject(self.user.clone())], self.at).await?;
            tx.note(self.entry.clone());
        }
        Ok(Ok(()))
    }
}

/// Ends all that lets the person in, in every tenant; those with nobody else in them are closed. Refused, before a
/// row is touched, where others would be left without an owner.
pub(super) async fn leave_all(tx: &mut Tx<'_>, user: &str, erase_at: Timestamp, now: Timestamp) -> Result<Result<()>> {
    let mut left = Vec::new();
    let mut alone = Vec::new();
    for mut row in tx.query(MEMBERSHIPS, args![user]).await? {
        let (tenant, held): (TenantId, Vec<String>) = (row.take(0)?, list(row.take(1)?)?);
        let (status, state, members): (String, String, i64) = (row.take(2)?, row.take(3)?, row.take(4)?);
        turn(tx, &tenant).await?;
        let owns = status == "active" && state == "active" && held.iter().any(|role| role == roles::OWNER);
        if owns && members == 1 {
            alone.push(tenant.clone());
        } else if owns && other_owners(tx, &tenant, user).await? == 0 {
            return Ok(Err(last_owner().detail("tenant", tenant.as_str())));
        }
        left.push(tenant);
    }
    for tenant in &alone {
        close(tx, tenant, erase_at, now).await?;
    }
    for tenant in &left {
        end_left(tx, tenant, user, now).await?;
    }
    revoke(tx, &[What::Subject(user.to_owned())], now).await?;
    Ok(Ok(()))
}

pub(super) fn not_a_person() -> Error {
    let message = "this credential stands for no user of this platform";
    Error::new(Code::Forbidden, "people.not_a_person", message)
}
