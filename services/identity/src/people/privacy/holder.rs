//! What the identity service itself holds of persons.

use async_trait::async_trait;
use nsl_api::privacy::{DataOutcome, DataTask};
use nsl_core::{Result, Subject, TenantId, Timestamp};
use nsl_privacy::{
    Copy, Holder,
    erasures::{self, Line},
};
use nsl_sql::{Row, Scope, args};
use serde_json::json;

use super::{
    super::{
        reads,
        service::Service,
        store::{self, PLATFORM, Status},
    },
    erase::EraseHere,
};

static KEYS: &str = "SELECT id, name, scopes, created_at, expires_at, revoked_at, last_used_at FROM api_keys
    WHERE tenant_id = $1 AND (subject = $2 OR owner = $2) ORDER BY id";
static SESSIONS: &str = "SELECT id, created_at, last_used_at, ended_at FROM sessions WHERE user_id = $1 ORDER BY id";
/// What else an account is signed in with: a name for it, and what of it may be told.
static WAYS: &[(&str, &str)] = &[
    ("passkey", "SELECT name, created_at FROM passkeys WHERE user_id = $1 ORDER BY id"),
    ("wallet", "SELECT chain || ' ' || address, created_at FROM wallets WHERE user_id = $1 ORDER BY id"),
    ("identity elsewhere", "SELECT issuer || ' ' || subject, created_at FROM federated WHERE user_id = $1 ORDER BY id"),
];
static BACK: &str = "SELECT 1 FROM members WHERE tenant_id = $1 AND user_id = $2 AND since <= $3
    UNION ALL SELECT 1 FROM api_keys
        WHERE tenant_id = $1 AND (subject = $2 OR owner = $2) AND created_at <= $3 AND revoked_at IS NULL";

#[async_trait]
impl Holder for Service {
    async fn export(&self, task: &DataTask, copy: &mut Copy<'_>) -> Result<()> {
        let Some(subject) = &task.subject else { return Ok(()) };
        let (db, id) = (&self.ground.db, subject.as_str());
        if task.tenant.as_str() == PLATFORM {
            let Some(user) = store::user(db, id).await? else { return Ok(()) };
            let profile = json!({
                "what": "account", "id": user.id, "email": user.email, "name": user.name,
                "status": user.status.name(), "created_at": user.created_at,
            });
            copy.add(&profile).await?;
            for mut row in db.scan(Scope::Platform, SESSIONS, args![id]).await? {
                let (id, created_at): (String, Timestamp) = (row.take(0)?, row.take(1)?);
                let (used_at, ended_at): (Timestamp, Option<Timestamp>) = (row.take(2)?, row.take(3)?);
                let session = json!({
                    "what": "session", "id": id, "created_at": created_at, "last_used_at": used_at,
                    "ended_at": ended_at,
                });
                copy.add(&session).await?;
            }
            for (what, sql) in WAYS {
                for mut row in db.scan(Scope::Platform, sql, args![id]).await? {
                    let (name, created_at): (String, Timestamp) = (row.take(0)?, row.take(1)?);
                    copy.add(&json!({"what": what, "name": name, "created_at": created_at})).await?;
                }
            }
            return Ok(());
        }
        if let Some(member) = reads::user(db, &task.tenant, id).await? {
            let membership = json!({
                "what": "membership", "tenant": task.tenant, "roles": member.roles, "since": member.since,
            });
            copy.add(&membership).await?;
        }
        for mut row in db.scan(Scope::Tenant(&task.tenant), KEYS, args![&task.tenant, id]).await? {
            copy.add(&key(&mut row)?).await?;
        }
        Ok(())
    }

    async fn erase(&self, task: &DataTask) -> Result<DataOutcome> {
        let keys = self.erase_here(&task.tenant, task.subject.as_ref()).await?;
        if let Some(subject) = &task.subject {
            let line = Line {
                request: task.request.clone(),
                tenant: task.tenant.clone(),
                subject: subject.clone(),
                cutoff: task.cutoff,
                keys,
                receipt: serde_json::Value::Null,
            };
            erasures::record(&self.ground.blobs, &line).await?;
        }
        Ok(DataOutcome { items: 1, ..DataOutcome::default() })
    }
}

impl Service {
    async fn erase_here(&self, tenant: &TenantId, subject: Option<&Subject>) -> Result<Vec<String>> {
        let now = self.ground.clock.now();
        let change = EraseHere { tenant: tenant.clone(), subject: subject.cloned(), now };
        let keys = self.ground.db.write_platform(change).await?;
        if let Some(subject) = subject {
            self.ground.keyring.forget(tenant, subject);
            self.tell_of_keys(subject.as_str(), now).await?;
        }
        Ok(keys)
    }

    /// Goes through the ledger of erasures and erases again whom a restored backup brought back. Says how many.
    pub(crate) async fn replay_erasures(&self) -> Result<usize> {
        let mut again = 0;
        for line in erasures::lines(&self.ground.blobs).await? {
            let is_back = match line.tenant.as_str() {
                PLATFORM => store::user(&self.ground.db, line.subject.as_str())
                    .await?
                    .is_some_and(|user| user.status != Status::Erased),
                _ => {
                    let args = args![&line.tenant, &line.subject, line.cutoff];
                    !self.ground.db.query(Scope::Platform, BACK, args).await?.is_empty()
                }
            };
            if is_back {
                self.erase_here(&line.tenant, Some(&line.subject)).await?;
                tracing::warn!(request = line.request, "a person who had come back was erased again");
                again += 1;
            }
        }
        Ok(again)
    }
}

fn key(row: &mut Row) -> Result<serde_json::Value> {
    let (id, name, scopes): (String, String, serde_json::Value) = (row.take(0)?, row.take(1)?, row.take(2)?);
    let mut at = |column| row.take::<Option<Timestamp>>(column);
    Ok(json!({
        "what": "api key", "id": id, "name": name, "scopes": scopes, "created_at": at(3)?, "expires_at": at(4)?,
        "revoked_at": at(5)?, "last_used_at": at(6)?,
    }))
}
