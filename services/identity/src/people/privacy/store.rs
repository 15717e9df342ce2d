//! Requests about persons' data, and the parts that services have in them.

use std::time::Duration;

use nsl_api::privacy::{DataDone, DataKind, DataOutcome, DataReport, DataRequest, DataState, DataTask};
use nsl_core::{Code, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_engine::queue::{Message, enqueue};
use nsl_sql::{Db, Row, Scope, Single, Tx, args};

use super::super::store::{PLATFORM, platform};

/// Those who hold what is personal, each under the topic of its name.
const SERVICES: &[&str] = &["identity", "storage", "audit", "relay", "contracts"];
/// Those of them who hold something of an account that belongs to no tenant.
const OF_ACCOUNTS: &[&str] = &["identity", "audit"];
/// Open requests that a tenant may have.
const MOST_OPEN: i64 = 100;
/// Whoever was let in before is out everywhere by then: what they write meanwhile is erased, too.
const SETTLED: Duration = Duration::from_secs(6);
/// One month (GDPR article 12).
const DUE: Duration = Duration::from_secs(30 * 86_400);

/// What `request` reads, in its order.
macro_rules! seen {
    () => {
        "SELECT r.tenant_id, r.id, r.kind, r.subject, r.state, r.reason, r.opened_at, r.due_at, r.done_at, r.kept_until,
            r.opened_by, (SELECT count(*) FROM privacy_parts p WHERE p.tenant_id = r.tenant_id AND p.request_id = r.id),
            (SELECT count(p.done_at) FROM privacy_parts p WHERE p.tenant_id = r.tenant_id AND p.request_id = r.id)
         FROM privacy_requests r "
    };
}

static FIND: &str = concat!(seen!(), "WHERE r.id = $1 AND (r.tenant_id = $2 OR r.tenant_id = 'platform')");
static LIST: &str = concat!(
    seen!(),
    "WHERE r.id < $3 AND ((r.tenant_id = $1 AND ($4 = 1 OR r.subject = $2))
        OR (r.tenant_id = 'platform' AND r.subject = $2)) ORDER BY r.id DESC LIMIT $5"
);
static INSERT: &str = "INSERT INTO privacy_requests (tenant_id, id, kind, subject, opened_by, state, opened_at, due_at)
    VALUES ($1, $2, $3, $4, $5, 'open', $6, $7)";
static INSERT_PART: &str = "INSERT INTO privacy_parts (tenant_id, request_id, service, place, asked_at)
    VALUES ($1, $2, $3, $4, $5)";
static OPEN_ONES: &str = "SELECT count(*), count(CASE WHEN kind = $2 AND subject = $3 THEN 1 END) FROM privacy_requests
    WHERE tenant_id = $1 AND state = 'open'";
static PLACES: &str = "SELECT tenant_id FROM members WHERE user_id = $1
    UNION SELECT tenant_id FROM privacy_traces WHERE user_id = $1 ORDER BY 1";
static PARTS: &str = "SELECT service, place, outcome FROM privacy_parts
    WHERE tenant_id = $1 AND request_id = $2 ORDER BY service, place";
static REPORT: &str = "SELECT count(CASE WHEN state = 'open' THEN 1 END),
        count(CASE WHEN state = 'open' AND due_at <= $2 THEN 1 END),
        count(CASE WHEN state = 'open' AND due_at > $2 AND due_at <= $3 THEN 1 END),
        count(CASE WHEN state = 'done' THEN 1 END), count(CASE WHEN state = 'failed' THEN 1 END),
        min(CASE WHEN state = 'open' THEN due_at END)
    FROM privacy_requests WHERE ($1 = '' OR tenant_id = $1)";

/// A request as it lies in its row.
pub(super) struct Found {
    pub(super) seen: DataRequest,
    pub(super) opened_by: String,
}

fn request(mut row: Row) -> Result<Found> {
    let (kind, subject, state): (String, String, String) = (row.take(2)?, row.take(3)?, row.take(4)?);
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let seen = DataRequest {
        tenant: row.take(0)?,
        id: row.take(1)?,
        kind: read_kind(&kind)?,
        subject: Some(subject).filter(|subject| !subject.is_empty()).map(|id| Subject::parse(&id)).transpose()?,
        state: match state.as_str() {
            "open" => DataState::Open,
            "done" => DataState::Done,
            _ => DataState::Failed,
        },
        reason: row.take(5)?,
        opened_at: row.take(6)?,
        due_at: row.take(7)?,
        done_at: row.take(8)?,
        kept_until: row.take(9)?,
        parts: count(row.take(11)?),
        parts_done: count(row.take(12)?),
    };
    Ok(Found { seen, opened_by: row.take(10)? })
}

pub(super) fn kind(kind: DataKind) -> &'static str {
    match kind {
        DataKind::Export => "export",
        DataKind::Erasure => "erasure",
        DataKind::Closing => "closing",
    }
}

fn read_kind(text: &str) -> Result<DataKind> {
    [DataKind::Export, DataKind::Erasure, DataKind::Closing]
        .into_iter()
        .find(|known| kind(*known) == text)
        .ok_or_else(|| Error::internal(anyhow::anyhow!("a request has the kind {text}")))
}

/// One of the tenant, or of the account of somebody.
pub(super) async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<Found>> {
    let rows = db.query(Scope::Platform, FIND, args![id, tenant]).await?;
    rows.into_iter().next().map(request).transpose()
}

/// Newest first: all of the tenant when `all`, else those of the subject, and those of the subject's account.
pub(super) async fn list(
    db: &Db,
    tenant: &TenantId,
    subject: Option<Subject>,
    all: bool,
    below: &str,
    limit: u32,
) -> Result<Vec<Found>> {
    let subject = subject.as_ref().map_or("", Subject::as_str);
    let args = args![tenant, subject, below, i64::from(all), limit];
    db.query(Scope::Platform, LIST, args).await?.into_iter().map(request).collect()
}

/// Of one tenant, or of all.
pub(super) async fn report(db: &Db, tenant: Option<&TenantId>, now: Timestamp) -> Result<DataReport> {
    let soon = now.plus(Duration::from_secs(7 * 86_400));
    let of = tenant.map_or("", TenantId::as_str);
    let mut rows = db.scan(Scope::Platform, REPORT, args![of, now, soon]).await?;
    let row = rows.first_mut().ok_or_else(|| Error::internal(anyhow::anyhow!("a count gave no row")))?;
    let mut count = |at| Ok::<u64, Error>(u64::try_from(row.take::<i64>(at)?).unwrap_or(0));
    let (open, overdue, due_soon, done, failed) = (count(0)?, count(1)?, count(2)?, count(3)?, count(4)?);
    Ok(DataReport { open, overdue, due_soon, done, failed, next_due_at: row.take(5)? })
}

/// What each service said, in one order.
pub(super) async fn parts(db: &Db, home: &TenantId, id: &str) -> Result<Vec<(String, TenantId, DataOutcome)>> {
    let read = |mut row: Row| {
        let outcome: Option<serde_json::Value> = row.take(2)?;
        let outcome = outcome.map(serde_json::from_value).transpose().map_err(Error::internal)?;
        Ok((row.take(0)?, row.take(1)?, outcome.unwrap_or_default()))
    };
    db.query(Scope::Platform, PARTS, args![home, id]).await?.into_iter().map(read).collect()
}

/// A request that is about to be opened.
#[derive(Clone)]
pub(crate) struct New {
    pub(crate) id: String,
    pub(crate) home: TenantId,
    pub(crate) kind: DataKind,
    pub(crate) subject: Option<Subject>,
    pub(crate) opened_by: String,
    pub(crate) at: Timestamp,
}

impl New {
    fn subject(&self) -> &str {
        self.subject.as_ref().map_or("", Subject::as_str)
    }
}

/// All tenants that a person is or was in, and the platform.
pub(crate) async fn places(tx: &mut Tx<'_>, user: &str) -> Result<Vec<TenantId>> {
    let mut places = vec![platform()];
    for mut row in tx.query(PLACES, args![user]).await? {
        places.push(row.take(0)?);
    }
    Ok(places)
}

/// Whether it may be opened; asked before a row is touched.
pub(crate) async fn is_welcome(tx: &mut Tx<'_>, new: &New) -> Result<Result<()>> {
    let mut rows = tx.query(OPEN_ONES, args![&new.home, kind(new.kind), new.subject().to_owned()]).await?;
    let row = rows.first_mut().ok_or_else(|| Error::internal(anyhow::anyhow!("a count gave no row")))?;
    let (all, same): (i64, i64) = (row.take(0)?, row.take(1)?);
    Ok(if same > 0 {
        let message = "such a request about this person is not done yet";
        Err(Error::new(Code::Conflict, "people.data_request_open", message))
    } else if all >= MOST_OPEN && new.home.as_str() != PLATFORM {
        let message = format!("the tenant has {all} requests that are not done");
        Err(Error::new(Code::Exhausted, "people.data_requests_many", message).detail("limit", MOST_OPEN))
    } else {
        Ok(())
    })
}

/// Opens a request and tells every service that has a part in it.
pub(crate) async fn insert(tx: &mut Tx<'_>, new: &New, places: &[TenantId]) -> Result<()> {
    let due = new.at.plus(DUE);
    let row =
        args![&new.home, new.id.clone(), kind(new.kind), new.subject().to_owned(), new.opened_by.clone(), new.at, due];
    tx.execute(INSERT, row).await?;
    let mut messages = Vec::new();
    for place in places {
        for service in if place.as_str() == PLATFORM { OF_ACCOUNTS } else { SERVICES } {
            tx.execute(INSERT_PART, args![&new.home, new.id.clone(), *service, place, new.at]).await?;
            let task = DataTask {
                request: new.id.clone(),
                home: new.home.clone(),
                kind: new.kind,
                service: (*service).to_owned(),
                tenant: place.clone(),
                subject: new.subject.clone(),
                cutoff: new.at.plus(SETTLED),
            };
            messages.extend(message(&task)?);
        }
    }
    enqueue(tx, &messages.iter().collect::<Vec<_>>(), new.at).await
}

fn message(task: &DataTask) -> Result<Option<Message>> {
    let Some(topic) = nsl_privacy::topic(&task.service) else { return Ok(None) };
    let payload = serde_json::to_vec(task).map_err(Error::internal)?;
    let message = Message::new(task.tenant.clone(), topic, task.request.clone(), payload);
    Ok(Some(if task.kind == DataKind::Export { message } else { message.after(SETTLED) }))
}

/// Opens a request about somebody in one tenant, or a copy for the account of a person.
pub(super) struct Open {
    pub(super) new: New,
    /// None: all tenants that the subject is or was in.
    pub(super) places: Option<Vec<TenantId>>,
    pub(super) entry: Entry,
}

impl Single for Open {
    type Done = String;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<String>> {
        if let Err(refused) = is_welcome(tx, &self.new).await? {
            return Ok(Err(refused));
        }
        let places = match &self.places {
            Some(places) => places.clone(),
            None => places(tx, self.new.subject()).await?,
        };
        insert(tx, &self.new, &places).await?;
        tx.note(self.entry.clone());
        Ok(Ok(self.new.id.clone()))
    }
}

/// A service has confirmed; with the last one the request is done.
pub(super) struct Confirm {
    pub(super) done: DataDone,
    pub(super) now: Timestamp,
    pub(super) kept_until: Timestamp,
    pub(super) entry: Entry,
}

static CONFIRM: &str = "UPDATE privacy_parts SET done_at = $5, outcome = $6
    WHERE tenant_id = $1 AND request_id = $2 AND service = $3 AND place = $4 AND done_at IS NULL";
static POSTPONE: &str = "UPDATE privacy_parts SET asked_at = $5
    WHERE tenant_id = $1 AND request_id = $2 AND service = $3 AND place = $4 AND done_at IS NULL";
static SAY_WHY: &str = "UPDATE privacy_requests SET reason = $3 WHERE tenant_id = $1 AND id = $2 AND state = 'open'";
static HOLD: &str = "UPDATE privacy_requests SET state = state WHERE tenant_id = $1 AND id = $2 AND state = 'open'";
static LEFT: &str = "SELECT count(*) FROM privacy_parts WHERE tenant_id = $1 AND request_id = $2 AND done_at IS NULL";
static END: &str = "UPDATE privacy_requests SET state = $3, done_at = $4, kept_until = $5
    WHERE tenant_id = $1 AND id = $2 AND state = 'open'";
static REFUSED: &str = "SELECT count(*) FROM privacy_parts WHERE tenant_id = $1 AND request_id = $2
    AND CAST(outcome AS text) LIKE '%\"refused\":\"%'";

/// What stands against the erasure of an account ends some time: it is asked for again this much later.
const AGAIN: Duration = Duration::from_secs(3_600);

impl Single for Confirm {
    type Done = bool;

    /// Whether the request is done by it.
    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<bool>> {
        let DataDone { task, outcome } = &self.done;
        let (home, id) = (&task.home, task.request.as_str());
        // Two that confirm at once would each see the other's part open.
        if tx.execute(HOLD, args![home, id]).await? == 0 {
            return Ok(Ok(false));
        }
        if let Some(reason) = &outcome.refused {
            tx.execute(SAY_WHY, args![home, id, reason.clone()]).await?;
            // A person who has no account any more could not ask again.
            if task.kind != DataKind::Export && (home.as_str() == PLATFORM || task.kind == DataKind::Closing) {
                let again = self.now.plus(AGAIN);
                tx.execute(POSTPONE, args![home, id, task.service.clone(), &task.tenant, again]).await?;
                return Ok(Ok(false));
            }
        }
        let outcome = serde_json::to_value(outcome).map_err(Error::internal)?;
        tx.execute(CONFIRM, args![home, id, task.service.clone(), &task.tenant, self.now, &outcome]).await?;
        if count(tx, LEFT, home, id).await? > 0 {
            return Ok(Ok(false));
        }
        let failed = count(tx, REFUSED, home, id).await? > 0;
        let state = if failed { "failed" } else { "done" };
        let kept = (task.kind == DataKind::Export).then_some(self.kept_until);
        tx.execute(END, args![home, id, state, self.now, kept]).await?;
        tx.note(self.entry.clone().response("state", state));
        Ok(Ok(true))
    }
}

async fn count(tx: &mut Tx<'_>, sql: &'static str, home: &TenantId, id: &str) -> Result<i64> {
    Ok(tx.query(sql, args![home, id]).await?.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0))
}

/// Asks again those who did not confirm in time: they were away, or gave up.
pub(super) struct AskAgain {
    pub(super) now: Timestamp,
    pub(super) patience: Duration,
}

static SILENT: &str = "SELECT p.tenant_id, p.request_id, p.service, p.place, r.kind, r.subject, r.opened_at
    FROM privacy_parts p JOIN privacy_requests r ON r.tenant_id = p.tenant_id AND r.id = p.request_id
    WHERE p.done_at IS NULL AND p.asked_at < $1 ORDER BY p.asked_at LIMIT 100";
static ASKED: &str = "UPDATE privacy_parts SET asked_at = $5 WHERE tenant_id = $1 AND request_id = $2 AND service = $3
    AND place = $4 AND done_at IS NULL AND asked_at < $6";

impl Single for AskAgain {
    type Done = u64;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<u64>> {
        let before = self.now.minus(self.patience);
        let mut messages = Vec::new();
        for mut row in tx.query(SILENT, args![before]).await? {
            let (kind, subject): (String, String) = (row.take(4)?, row.take(5)?);
            let task = DataTask {
                home: row.take(0)?,
                request: row.take(1)?,
                service: row.take(2)?,
                tenant: row.take(3)?,
                kind: read_kind(&kind)?,
                subject: Some(subject).filter(|id| !id.is_empty()).map(|id| Subject::parse(&id)).transpose()?,
                cutoff: row.take::<Timestamp>(6)?.plus(SETTLED),
            };
            let place = args![&task.home, task.request.clone(), task.service.clone(), &task.tenant, self.now, before];
            // Another process may have asked.
            if tx.execute(ASKED, place).await? > 0 {
                messages.extend(message(&task)?);
            }
        }
        enqueue(tx, &messages.iter().collect::<Vec<_>>(), self.now).await?;
        Ok(Ok(messages.len() as u64))
    }
}
