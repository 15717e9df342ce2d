//! This service's part in what persons ask about their data: who recorded, deployed and updated which contract. The
//! contracts are the tenant's; their makers are made nameless.

use std::sync::Arc;

use async_trait::async_trait;
use nsl_api::privacy::{DataOutcome, DataTask};
use nsl_core::{Result, Subject, TenantId, Timestamp};
use nsl_engine::{blobs::Blobs, queue::Queue};
use nsl_keyring::Keyring;
use nsl_kit::Tasks;
use nsl_privacy::{Copy, Holder, erasures::Line};
use nsl_sql::{Db, Scope, Statement, args};
use serde_json::json;

/// Who stands where somebody was erased.
const ERASED: &str = "erased";

static MADE: &str = "SELECT id, chain, hash, name, created_at FROM contracts_known
    WHERE tenant_id = $1 AND created_by = $2 ORDER BY id";
static UPDATED: &str = "SELECT request_id, chain, hash, state, asked_at FROM contracts_updates
    WHERE tenant_id = $1 AND asked_by = $2 ORDER BY request_id";
static UNNAME: &[&str] = &[
    "UPDATE contracts_known SET created_by = $4 WHERE tenant_id = $1 AND ($2 = '' OR created_by = $2) AND created_at <= $3",
    "UPDATE contracts_updates SET asked_by = $4 WHERE tenant_id = $1 AND ($2 = '' OR asked_by = $2) AND asked_at <= $3",
];

struct Records(Db);

/// Takes part in what persons ask about their data on the whole platform.
pub fn hold(db: Db, queue: Queue, blobs: Blobs, keyring: Keyring, tasks: &Tasks) {
    let parts = nsl_privacy::Parts { queue, blobs, keyring };
    nsl_privacy::serve("contracts", Arc::new(Records(db)), parts, tasks);
}

#[async_trait]
impl Holder for Records {
    async fn export(&self, task: &DataTask, copy: &mut Copy<'_>) -> Result<()> {
        let Some(subject) = &task.subject else { return Ok(()) };
        for (what, sql) in [("contract", MADE), ("update of a contract", UPDATED)] {
            let rows = self.0.scan(Scope::Tenant(&task.tenant), sql, args![&task.tenant, subject]).await?;
            for mut row in rows {
                let (id, chain): (String, String) = (row.take(0)?, row.take(1)?);
                let (hash, name): (Option<String>, Option<String>) = (row.take(2)?, row.take(3)?);
                let at: Timestamp = row.take(4)?;
                let name_of = if what == "contract" { "name" } else { "state" };
                let record = json!({"what": what, "id": id, "chain": chain, "hash": hash, name_of: name, "at": at});
                copy.add(&record).await?;
            }
        }
        Ok(())
    }

    async fn erase(&self, task: &DataTask) -> Result<DataOutcome> {
        let subject = task.subject.as_ref().map_or("", Subject::as_str);
        let items = self.unname(&task.tenant, subject, task.cutoff).await?;
        Ok(DataOutcome { items, ..DataOutcome::default() })
    }

    async fn restored(&self, line: &Line) -> Result<()> {
        self.unname(&line.tenant, line.subject.as_str(), line.cutoff).await.map(drop)
    }
}

impl Records {
    /// Puts nobody in the place of a subject, or of everybody when it is empty.
    async fn unname(&self, tenant: &TenantId, subject: &str, cutoff: Timestamp) -> Result<u64> {
        let mut changed = 0;
        for sql in UNNAME {
            let args = args![tenant, subject, cutoff, ERASED];
            changed += self.0.write_platform(Statement { sql, args }).await?;
        }
        Ok(changed)
    }
}
