//! Requests of persons about their data, and what they need to know of it.

use nsl_api::storage::{Chain, PrivacyKind, PrivacyRequest, PrivacyStatus};
use nsl_core::{Code, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_keyring as keyring;
use nsl_sql::{Kind, Row, Scope, Single, Statement, Tx, Value as Cell, args};
use serde::{Deserialize, Serialize};

use super::{Past, Store, body, held, json, remove::Removed};
use crate::held::Held;

/// A request as it lies in its row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) tenant: TenantId,
    pub(crate) seen: PrivacyRequest,
    /// The data is gone, the ledger of erasures not yet written.
    pub(crate) erased: bool,
    pub(crate) progress: Progress,
    /// How often it was taken up.
    #[serde(default)]
    pub(crate) tries: i64,
}

/// How far an erasure has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// What was made by then goes; set when the keys are destroyed.
    pub(crate) cutoff: Option<Timestamp>,
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    #[serde(default)]
    pub(crate) items: i64,
    #[serde(default)]
    pub(crate) versions: i64,
    #[serde(default)]
    pub(crate) bytes: i64,
    /// Of an export: how many blobs it has become.
    #[serde(default)]
    pub(crate) parts: u32,
    /// Of an export: by which try.
    #[serde(default)]
    pub(crate) attempt: i64,
    /// The entry of the audit trail that tells of it.
    #[serde(default)]
    pub(crate) audit_entry: Option<String>,
}

static FIND: &str =
    "SELECT tenant_id, id, kind, subject, status, reason, progress, receipt, requested_at, due_at, completed_at, tries
    FROM gdpr_requests WHERE tenant_id = $1 AND id = $2";
static LIST: &str =
    "SELECT tenant_id, id, kind, subject, status, reason, progress, receipt, requested_at, due_at, completed_at, tries
    FROM gdpr_requests WHERE tenant_id = $1 AND id < $2 AND ($3 = '' OR subject = $3) ORDER BY id DESC LIMIT $4";
static OPEN: &str =
    "SELECT tenant_id, id, kind, subject, status, reason, progress, receipt, requested_at, due_at, completed_at, tries
    FROM gdpr_requests WHERE completed_at IS NULL AND (next_try_at IS NULL OR next_try_at <= $2) ORDER BY due_at LIMIT $1";
static OLD_EXPORTS: &str = "SELECT tenant_id, id, kind, subject, status, reason, progress, receipt, requested_at, due_at, completed_at, tries
    FROM gdpr_requests WHERE kind = 'export' AND status = 'done' AND (completed_at < $1 OR (tenant_id = $2 AND subject = $3)) LIMIT 100";

impl Store {
    pub(crate) async fn request(&self, tenant: &TenantId, id: &str) -> Result<Option<Request>> {
        let mut rows = self.db.query(Scope::Tenant(tenant), FIND, args![tenant, id]).await?;
        rows.first_mut().map(request).transpose()
    }

    /// Newest first, below an id; of one subject unless that is empty.
    pub(crate) async fn requests(
        &self,
        tenant: &TenantId,
        below: &str,
        subject: &str,
        limit: u32,
    ) -> Result<Vec<Request>> {
        let rows = self.db.query(Scope::Tenant(tenant), LIST, args![tenant, below, subject, limit]).await?;
        rows.into_iter().map(|mut row| request(&mut row)).collect()
    }

    /// Requests of all tenants that are not finished and may be taken up, the most urgent first.
    pub(crate) async fn open_requests(&self, limit: u32, now: Timestamp) -> Result<Vec<Request>> {
        let rows = self.db.query(Scope::Platform, OPEN, args![limit, now]).await?;
        rows.into_iter().map(|mut row| request(&mut row)).collect()
    }

    /// Finished exports from before a time, of all tenants; with a person, all of that person too.
    pub(crate) async fn old_exports(
        &self,
        before: Timestamp,
        person: Option<(&TenantId, &Subject)>,
    ) -> Result<Vec<Request>> {
        let (tenant, subject) = person.map_or(("", ""), |(tenant, subject)| (tenant.as_str(), subject.as_str()));
        let rows = self.db.query(Scope::Platform, OLD_EXPORTS, args![before, tenant, subject]).await?;
        rows.into_iter().map(|mut row| request(&mut row)).collect()
    }

    /// A page of a person's keys, after the given one, deleted ones too, that were last changed by a time.
    pub(crate) async fn keys_of(
        &self,
        tenant: &TenantId,
        owner: &Subject,
        by: Timestamp,
        after: &(String, String),
        limit: u32,
    ) -> Result<Vec<(String, String)>> {
        let sql = "SELECT chain, key FROM storage_data WHERE tenant_id = $1 AND user_address = $2 AND updated_at <= $3
                     AND (chain, key) > ($4, $5) ORDER BY chain, key LIMIT $6";
        self.pairs(tenant, sql, args![tenant, owner, by, after.0.as_str(), after.1.as_str(), limit]).await
    }

    /// Keys of which superseded states from before a time are left.
    pub(crate) async fn past_keys_of(
        &self,
        tenant: &TenantId,
        owner: &Subject,
        by: Timestamp,
        limit: u32,
    ) -> Result<Vec<(String, String)>> {
        let sql = "SELECT DISTINCT chain, key FROM storage_versions WHERE tenant_id = $1 AND user_address = $2
                     AND updated_at <= $3 LIMIT $4";
        self.pairs(tenant, sql, args![tenant, owner, by, limit]).await
    }

    async fn pairs(&self, tenant: &TenantId, sql: &'static str, args: Vec<Cell>) -> Result<Vec<(String, String)>> {
        let rows = self.db.scan(Scope::Tenant(tenant), sql, args).await?;
        rows.into_iter().map(|mut row| Ok((row.take(0)?, row.take(1)?))).collect()
    }

    /// A page of a person's living values for an export.
    pub(crate) async fn values_of(
        &self,
        tenant: &TenantId,
        owner: &Subject,
        after: &(String, String),
        limit: u32,
    ) -> Result<Vec<(Chain, String, Held)>> {
        let sql = "SELECT chain, key, version, value, sealed, key_id, access_level, shared_with, size_bytes, metadata,
                     accessed_count, last_accessed, expires_at, retain_until, created_at, updated_at
                   FROM storage_data WHERE tenant_id = $1 AND user_address = $2 AND deleted_at IS NULL
                     AND (chain, key) > ($3, $4) ORDER BY chain, key LIMIT $5";
        let args = args![tenant, owner, after.0.as_str(), after.1.as_str(), limit];
        let rows = self.db.scan(Scope::Tenant(tenant), sql, args).await?;
        rows.into_iter()
            .map(|mut row| Ok((row.take::<String>(0)?.parse()?, row.take(1)?, held(&mut row, 2)?)))
            .collect()
    }

    /// A page of a person's superseded values for an export.
    pub(crate) async fn past_values_of(
        &self,
        tenant: &TenantId,
        owner: &Subject,
        after: &(String, String, i64),
        limit: u32,
    ) -> Result<Vec<(Chain, String, i64, Past)>> {
        let sql = "SELECT chain, key, version, value, sealed, key_id, size_bytes, metadata, updated_at, expires_at
                   FROM storage_versions WHERE tenant_id = $1 AND user_address = $2 AND deleted_at IS NULL
                     AND (chain, key, version) > ($3, $4, $5) ORDER BY chain, key, version LIMIT $6";
        let args = args![tenant, owner, after.0.as_str(), after.1.as_str(), after.2, limit];
        let rows = self.db.scan(Scope::Tenant(tenant), sql, args).await?;
        rows.into_iter()
            .map(|mut row| {
                let past = Past {
                    body: body(row.take(3)?, row.take(4)?, row.take(5)?),
                    size_bytes: row.take(6)?,
                    metadata: json(row.take(7)?),
                    updated_at: row.take(8)?,
                    expires_at: row.take(9)?,
                };
                Ok((row.take::<String>(0)?.parse()?, row.take(1)?, row.take(2)?, past))
            })
            .collect()
    }
}

fn request(row: &mut Row) -> Result<Request> {
    let (kind, status): (String, String) = (row.take(2)?, row.take(4)?);
    let progress: Option<serde_json::Value> = row.take(6)?;
    let progress: Progress =
        progress.map(serde_json::from_value).transpose().map_err(Error::internal)?.unwrap_or_default();
    Ok(Request {
        tenant: row.take(0)?,
        seen: PrivacyRequest {
            id: row.take(1)?,
            kind: if kind == "erasure" { PrivacyKind::Erasure } else { PrivacyKind::Export },
            subject: row.take(3)?,
            status: match status.as_str() {
                "pending" | "erased" => PrivacyStatus::Pending,
                "failed" => PrivacyStatus::Failed,
                _ => PrivacyStatus::Done,
            },
            parts: (progress.parts > 0).then_some(progress.parts),
            reason: row.take(5)?,
            receipt: row.take(7)?,
            requested_at: row.take(8)?,
            due_at: row.take(9)?,
            completed_at: row.take(10)?,
        },
        erased: status == "erased",
        progress,
        tries: row.take(11)?,
    })
}

/// Takes a request down.
pub(crate) struct Ask {
    pub(crate) request: Request,
    pub(crate) requested_by: Subject,
    pub(crate) entry: Entry,
}

impl Single for Ask {
    type Done = Request;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Request>> {
        let (tenant, seen) = (&self.request.tenant, &self.request.seen);
        if let Err(error) = self.is_welcome(tx).await? {
            return Ok(Err(error));
        }
        tx.execute(
            "INSERT INTO gdpr_requests (tenant_id, id, kind, subject, requested_by, status, requested_at, due_at)
             VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7)",
            args![
                tenant,
                seen.id.as_str(),
                kind(seen.kind),
                &seen.subject,
                &self.requested_by,
                seen.requested_at,
                seen.due_at
            ],
        )
        .await?;
        tx.note(self.entry.clone());
        Ok(Ok(self.request.clone()))
    }
}

/// Open requests that a tenant may have.
const MOST_OPEN: i64 = 100;

impl Ask {
    // Two processes that ask at once are told apart by an index: the later one comes again, and is refused here.
    async fn is_welcome(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let sql = "SELECT count(*), count(CASE WHEN kind = $2 AND subject = $3 THEN 1 END) FROM gdpr_requests
                   WHERE tenant_id = $1 AND completed_at IS NULL";
        let seen = &self.request.seen;
        let mut rows = tx.query(sql, args![&self.request.tenant, kind(seen.kind), &seen.subject]).await?;
        let row = rows.first_mut().ok_or_else(|| Error::internal(anyhow::anyhow!("a count gave no row")))?;
        let (all, same): (i64, i64) = (row.take(0)?, row.take(1)?);
        Ok(if same > 0 {
            let message = "such a request of this person is not finished yet";
            Err(Error::new(Code::Conflict, "storage.request_open", message))
        } else if all >= MOST_OPEN {
            let message = format!("the tenant has {all} requests that are not finished");
            Err(Error::new(Code::Exhausted, "storage.requests_many", message).detail("limit", MOST_OPEN))
        } else {
            Ok(())
        })
    }
}

/// Takes an open request up for a time; none when another process has it.
pub(crate) struct TakeUp {
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
}

impl Single for TakeUp {
    type Done = Option<Request>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Option<Request>>> {
        let sql = "UPDATE gdpr_requests SET tries = tries + 1, next_try_at = $4 WHERE tenant_id = $1 AND id = $2
                     AND completed_at IS NULL AND (next_try_at IS NULL OR next_try_at <= $3)";
        let args = args![&self.tenant, self.id.as_str(), self.now, self.until];
        if tx.execute(sql, args).await? == 0 {
            return Ok(Ok(None));
        }
        let mut found = tx.query(FIND, args![&self.tenant, self.id.as_str()]).await?;
        found.first_mut().map(request).transpose().map(Ok)
    }
}

/// Lets nobody take the request up before this time. Changes no row if another took it up since.
pub(crate) fn postpone(request: &Request, until: Timestamp) -> Statement {
    let sql = "UPDATE gdpr_requests SET next_try_at = $4 WHERE tenant_id = $1 AND id = $2 AND tries = $3
                 AND completed_at IS NULL";
    Statement { sql, args: args![&request.tenant, request.seen.id.as_str(), request.tries, until] }
}

pub(crate) fn kind(kind: PrivacyKind) -> &'static str {
    match kind {
        PrivacyKind::Export => "export",
        PrivacyKind::Erasure => "erasure",
    }
}

/// The first deed of an erasure: the person's keys die, and with them all that they sealed. Refused while a
/// retention lock holds one of the person's values.
pub(crate) struct Shred {
    pub(crate) tenant: TenantId,
    pub(crate) request: Option<String>,
    pub(crate) subject: Subject,
    pub(crate) now: Timestamp,
    pub(crate) cutoff: Timestamp,
    pub(crate) entry: Option<Entry>,
}

impl Single for Shred {
    type Done = Progress;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Progress>> {
        if let Some(request) = &self.request
            && let Some(done_before) = claim(tx, &self.tenant, request).await?
            && done_before.progress.cutoff.is_some()
        {
            return Ok(Ok(done_before.progress));
        }
        let mut locked = tx
            .query(
                "SELECT count(*), max(retain_until) FROM storage_data WHERE tenant_id = $1 AND user_address = $2
                   AND retain_until > $3 AND deleted_at IS NULL",
                args![&self.tenant, &self.subject, self.now],
            )
            .await?;
        let row = locked.first_mut().ok_or_else(|| Error::internal(anyhow::anyhow!("a count gave no row")))?;
        let (locked, until): (i64, Option<Timestamp>) = (row.take(0)?, row.take(1)?);
        if let Some(until) = until.filter(|_| locked > 0) {
            // No names: a key may tell of a person, and the reason lies open.
            let message = format!("retention locks hold {locked} of the values, the last until {until}");
            return Ok(Err(Error::new(Code::Conflict, "storage.retained", message)));
        }
        let keys = keyring::destroy(tx, &self.tenant, &self.subject).await?;
        let progress = Progress { cutoff: Some(self.cutoff), keys, ..Progress::default() };
        if let Some(request) = &self.request {
            write_progress(tx, &self.tenant, request, &progress).await?;
        }
        if let Some(entry) = &self.entry {
            tx.note(entry.clone().response("keys", progress.keys.len()));
        }
        Ok(Ok(progress))
    }
}

/// Reads a request and holds it until the transaction ends.
async fn claim(tx: &mut Tx<'_>, tenant: &TenantId, id: &str) -> Result<Option<Request>> {
    tx.execute("UPDATE gdpr_requests SET status = status WHERE tenant_id = $1 AND id = $2", args![tenant, id]).await?;
    tx.query(FIND, args![tenant, id]).await?.first_mut().map(request).transpose()
}

async fn write_progress(tx: &mut Tx<'_>, tenant: &TenantId, id: &str, progress: &Progress) -> Result<()> {
    let text = serde_json::to_string(progress).map_err(Error::internal)?;
    let sql = "UPDATE gdpr_requests SET progress = $3 WHERE tenant_id = $1 AND id = $2";
    tx.execute(sql, args![tenant, id, Cell::json(text)]).await.map(drop)
}

pub(super) async fn add_progress(tx: &mut Tx<'_>, tenant: &TenantId, id: &str, more: &Removed) -> Result<()> {
    let Some(found) = claim(tx, tenant, id).await? else { return Ok(()) };
    let mut progress = found.progress;
    progress.items += more.items;
    progress.versions += more.versions;
    progress.bytes += more.bytes;
    write_progress(tx, tenant, id, &progress).await
}

/// Moves a request on: to `erased`, `done`, `failed` or `expired`.
pub(crate) struct Advance {
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) receipt: Option<serde_json::Value>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) parts: Option<u32>,
    /// Only if it was not taken up again since this try.
    pub(crate) attempt: Option<i64>,
    /// Evidence; its id is kept with the request.
    pub(crate) entry: Option<Entry>,
}

impl Single for Advance {
    type Done = Request;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Request>> {
        let missing = || Error::new(Code::NotFound, "storage.request_not_found", "there is no such request");
        let Some(found) = claim(tx, &self.tenant, &self.id).await? else { return Ok(Err(missing())) };
        // Another process may have come first: what it did stands.
        let open = found.seen.completed_at.is_none();
        let fits = match self.status {
            "erased" => open && !found.erased,
            "expired" => found.seen.status == PrivacyStatus::Done,
            _ => open && self.attempt.is_none_or(|attempt| attempt == found.tries),
        };
        if !fits {
            return Ok(Ok(found));
        }
        let mut progress = found.progress;
        progress.parts = self.parts.unwrap_or(progress.parts);
        progress.attempt = self.attempt.unwrap_or(progress.attempt);
        if let Some(entry) = &self.entry {
            progress.audit_entry = Some(entry.id.clone());
            let entry = entry.clone().response("items", progress.items).response("versions", progress.versions);
            tx.note(entry.response("keys", progress.keys.len()));
        }
        let text = serde_json::to_string(&progress).map_err(Error::internal)?;
        let receipt = self.receipt.as_ref().map_or(Cell::Null(Kind::Json), Cell::from);
        tx.execute(
            "UPDATE gdpr_requests SET status = $3, reason = $4, receipt = $5, completed_at = $6, progress = $7
             WHERE tenant_id = $1 AND id = $2",
            args![
                &self.tenant,
                self.id.as_str(),
                self.status,
                self.reason.clone(),
                receipt,
                self.completed_at,
                Cell::json(text)
            ],
        )
        .await?;
        let mut rows = tx.query(FIND, args![&self.tenant, self.id.as_str()]).await?;
        let row = rows.first_mut().ok_or_else(missing)?;
        Ok(Ok(request(row)?))
    }
}
