//! The end of an account, and of what a person is in one tenant.

use nsl_api::privacy::DataKind;
use nsl_core::{Entry, Result, Subject, TenantId, Timestamp};
use nsl_keyring as keyring;
use nsl_sql::{Single, Tx, args};

use super::{
    super::{
        accounts::leave_all,
        members::user_missing,
        store::{PLATFORM, platform},
        tenants::end_tokens,
    },
    store::{New, insert, is_welcome, places},
};
use crate::{
    signin,
    tokens::{What, revoke},
};

static STATUS: &str = "SELECT status FROM users WHERE id = $1";
static ERASE_USER: &str = "UPDATE users SET email = NULL, name = NULL, folded = NULL, status = 'erased' WHERE id = $1";
/// What is known of a person beside their ways to sign in, everywhere.
static EVERYWHERE: &[&str] = &[
    "DELETE FROM refresh_tokens WHERE session IN (SELECT id FROM sessions WHERE user_id = $1)",
    "DELETE FROM sessions WHERE user_id = $1",
    "DELETE FROM members WHERE user_id = $1",
    "DELETE FROM privacy_traces WHERE user_id = $1",
    "DELETE FROM idempotency WHERE subject = $1",
];
static INVITES_FOR: &str = "UPDATE invites SET email = NULL, ended_at = coalesce(ended_at, $2) WHERE email = $1";
static EMAIL: &str = "SELECT email FROM users WHERE id = $1";
static END_KEYS: &str = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3), name = 'erased', description = NULL
    WHERE tenant_id = $1 AND (subject = $2 OR owner = $2)";
static LEAVE: &str = "DELETE FROM members WHERE tenant_id = $1 AND user_id = $2";
static FORGET_OUTCOMES: &str = "DELETE FROM idempotency WHERE tenant_id = $1 AND subject = $2";
/// All that a tenant has here.
static OF_TENANT: &[&str] = &[
    "DELETE FROM members WHERE tenant_id = $1",
    "DELETE FROM roles WHERE tenant_id = $1",
    "DELETE FROM invites WHERE tenant_id = $1",
    "DELETE FROM api_keys WHERE tenant_id = $1",
    "DELETE FROM oauth_clients WHERE tenant_id = $1",
    "DELETE FROM device_codes WHERE tenant_id = $1",
    "DELETE FROM identity_providers WHERE tenant_id = $1",
    "DELETE FROM federated WHERE tenant_id = $1",
    "DELETE FROM federation_flows WHERE tenant_id = $1",
    "DELETE FROM policies WHERE tenant_id = $1",
    "DELETE FROM policy_versions WHERE tenant_id = $1",
    "DELETE FROM policy_sets WHERE tenant_id = $1",
    "DELETE FROM privacy_traces WHERE tenant_id = $1",
    "DELETE FROM idempotency WHERE tenant_id = $1",
];

/// Ends an account at once, and asks every service to let go of the person.
pub(super) struct EraseAccount {
    pub(super) user: String,
    pub(super) new: New,
    /// When tenants that nobody else is in are erased.
    pub(super) erase_tenants_at: Timestamp,
    pub(super) entry: Entry,
}

impl Single for EraseAccount {
    type Done = String;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<String>> {
        let status = tx.query(STATUS, args![self.user.clone()]).await?.first_mut().map(|row| row.take::<String>(0));
        if status.transpose()?.is_none_or(|status| status == "erased") {
            return Ok(Err(user_missing()));
        }
        if let Err(refused) = is_welcome(tx, &self.new).await? {
            return Ok(Err(refused));
        }
        let places = places(tx, &self.user).await?;
        if let Err(refused) = leave_all(tx, &self.user, self.erase_tenants_at, self.new.at).await? {
            return Ok(Err(refused));
        }
        wipe(tx, &self.user, self.new.at).await?;
        insert(tx, &self.new, &places).await?;
        tx.note(self.entry.clone());
        Ok(Ok(self.new.id.clone()))
    }
}

/// Takes away all that is known of a person but their id; for a platform write. Names the data keys that die with it.
pub(super) async fn wipe(tx: &mut Tx<'_>, user: &str, now: Timestamp) -> Result<Vec<String>> {
    let email = tx.query(EMAIL, args![user]).await?.first_mut().map(|row| row.take::<Option<String>>(0));
    if let Some(email) = email.transpose()?.flatten() {
        tx.execute(INVITES_FOR, args![email, now]).await?;
    }
    tx.execute(ERASE_USER, args![user]).await?;
    signin::forget_factors(tx, user).await?;
    signin::wallet::forget_wallets(tx, user).await?;
    signin::passkey::forget_passkeys(tx, user).await?;
    signin::federation::forget_federated(tx, user).await?;
    for sql in EVERYWHERE {
        tx.execute(sql, args![user]).await?;
    }
    revoke(tx, &[What::Subject(user.to_owned())], now).await?;
    keyring::destroy(tx, &platform(), &Subject::parse(user)?).await
}

/// What the identity service has of a person in one tenant, or of an account.
pub(super) struct EraseHere {
    pub(super) tenant: TenantId,
    /// None: all of the tenant.
    pub(super) subject: Option<Subject>,
    pub(super) now: Timestamp,
}

impl Single for EraseHere {
    /// The data keys that were destroyed.
    type Done = Vec<String>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Vec<String>>> {
        let Some(subject) = &self.subject else {
            for sql in OF_TENANT {
                tx.execute(sql, args![&self.tenant]).await?;
            }
            return Ok(Ok(Vec::new()));
        };
        if self.tenant.as_str() == PLATFORM {
            return wipe(tx, subject.as_str(), self.now).await.map(Ok);
        }
        tx.execute(END_KEYS, args![&self.tenant, subject, self.now]).await?;
        tx.execute(LEAVE, args![&self.tenant, subject]).await?;
        tx.execute(FORGET_OUTCOMES, args![&self.tenant, subject]).await?;
        let within = What::Within(self.tenant.clone(), subject.as_str().to_owned());
        // Their data keys are the storage service's to destroy: it knows of locks that stand against it.
        revoke(tx, &[within], self.now).await.map(|()| Ok(Vec::new()))
    }
}

/// Closes tenants whose time is over, and asks every service to let go of what they have.
pub(super) struct CloseDue {
    pub(super) now: Timestamp,
    pub(super) entry: Entry,
}

static DUE: &str = "SELECT tenant_id FROM tenants WHERE status = 'deleting' AND erase_at <= $1 LIMIT 20";
static ERASE_TENANT: &str = "UPDATE tenants SET status = 'erased', name = 'erased', erase_at = NULL
    WHERE tenant_id = $1 AND status = 'deleting' AND erase_at <= $2";

impl Single for CloseDue {
    type Done = u64;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<u64>> {
        let mut closed = 0;
        for mut row in tx.query(DUE, args![self.now]).await? {
            let tenant: TenantId = row.take(0)?;
            // An owner or another process may have come first.
            if tx.execute(ERASE_TENANT, args![&tenant, self.now]).await? == 0 {
                continue;
            }
            end_tokens(tx, &tenant, self.now).await?;
            let new = New {
                id: nsl_core::fresh("prv"),
                home: tenant.clone(),
                kind: DataKind::Closing,
                subject: None,
                opened_by: "system".to_owned(),
                at: self.now,
            };
            insert(tx, &new, std::slice::from_ref(&tenant)).await?;
            tx.note(Entry { id: nsl_core::fresh("aud"), tenant, ..self.entry.clone() });
            closed += 1;
        }
        Ok(Ok(closed))
    }
}
