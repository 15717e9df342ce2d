//! This service's part in what persons ask about their data: who asked for a transaction. The transaction itself is
//! the chain's, and the tenant's books; its asker is made nameless.

use async_trait::async_trait;
use nsl_api::privacy::{DataOutcome, DataTask};
use nsl_core::{Code, Error, Result, Subject, TenantId, Timestamp};
use nsl_engine::{blobs::Blobs, queue::Queue};
use nsl_keyring::Keyring;
use nsl_kit::Tasks;
use nsl_privacy::{Copy, Holder, erasures::Line};
use nsl_sql::{Db, Scope, Statement, args};
use serde_json::json;

/// Who stands where somebody was erased.
const ERASED: &str = "erased";
const PAGE: u32 = 200;

static OF: &str = "SELECT id, chain, account, intent, state, hash, created_at FROM relay_requests
    WHERE tenant_id = $1 AND subject = $2 AND id > $3 ORDER BY id LIMIT $4";
static OPEN: &str = "SELECT count(*) FROM relay_requests
    WHERE tenant_id = $1 AND ($2 = '' OR subject = $2) AND created_at <= $3 AND settled_at IS NULL";
static REQUESTS: &str = "UPDATE relay_requests SET subject = $4
    WHERE tenant_id = $1 AND ($2 = '' OR subject = $2) AND created_at <= $3 AND subject <> $4";
static MAKERS: &[&str] = &[
    "UPDATE relay_accounts SET created_by = $3 WHERE tenant_id = $1 AND ($2 = '' OR created_by = $2)",
    "UPDATE relay_budgets SET updated_by = $3 WHERE tenant_id = $1 AND ($2 = '' OR updated_by = $2)",
    "UPDATE relay_sponsors SET updated_by = $3 WHERE tenant_id = $1 AND ($2 = '' OR updated_by = $2)",
];

struct Books(Db);

/// Takes part in what persons ask about their data on the whole platform.
pub fn hold(db: Db, queue: Queue, blobs: Blobs, keyring: Keyring, tasks: &Tasks) {
    let parts = nsl_privacy::Parts { queue, blobs, keyring };
    nsl_privacy::serve("relay", std::sync::Arc::new(Books(db)), parts, tasks);
}

#[async_trait]
impl Holder for Books {
    async fn export(&self, task: &DataTask, copy: &mut Copy<'_>) -> Result<()> {
        let Some(subject) = &task.subject else { return Ok(()) };
        let mut after = String::new();
        loop {
            let args = args![&task.tenant, subject, after.clone(), PAGE];
            let rows = self.0.scan(Scope::Tenant(&task.tenant), OF, args).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for mut row in rows {
                after = row.take(0)?;
                let (chain, account): (String, String) = (row.take(1)?, row.take(2)?);
                let (intent, state): (serde_json::Value, String) = (row.take(3)?, row.take(4)?);
                let (hash, at): (Option<String>, Timestamp) = (row.take(5)?, row.take(6)?);
                let request = json!({
                    "what": "transaction", "id": after, "chain": chain, "account": account, "intent": intent,
                    "state": state, "hash": hash, "created_at": at,
                });
                copy.add(&request).await?;
            }
        }
    }

    async fn erase(&self, task: &DataTask) -> Result<DataOutcome> {
        let subject = task.subject.as_ref().map_or("", Subject::as_str);
        let args = args![&task.tenant, subject, task.cutoff];
        let mut open = self.0.scan(Scope::Tenant(&task.tenant), OPEN, args).await?;
        let open: i64 = open.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
        if open > 0 {
            let message = format!("{open} transactions are not settled: who asked for them is needed until then");
            return Err(Error::new(Code::Unavailable, "relay.erasure_waits", message));
        }
        let items = self.unname(&task.tenant, subject, task.cutoff).await?;
        Ok(DataOutcome { items, ..DataOutcome::default() })
    }

    async fn restored(&self, line: &Line) -> Result<()> {
        self.unname(&line.tenant, line.subject.as_str(), line.cutoff).await.map(drop)
    }
}

impl Books {
    /// Puts nobody in the place of a subject, or of everybody when it is empty.
    async fn unname(&self, tenant: &TenantId, subject: &str, cutoff: Timestamp) -> Result<u64> {
        let args = args![tenant, subject, cutoff, ERASED];
        let mut changed = self.0.write_platform(Statement { sql: REQUESTS, args }).await?;
        for sql in MAKERS {
            changed += self.0.write_platform(Statement { sql, args: args![tenant, subject, ERASED] }).await?;
        }
        Ok(changed)
    }
}
