use nsl_core::{Result, TenantId, Timestamp};
use nsl_sql::{Db, Row, Scope, Value, args};

use crate::{
    chain::{HASHED, link},
    checkpoint::{Checkpoint, body, leaf},
    hash::{self, ChainKey, Hash, Parts, START, merkle},
};

/// What a walk over the chains found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub lanes: u64,
    pub entries: u64,
    pub checkpoints: u64,
    /// Each fault in words.
    pub faults: Vec<String>,
}

impl Verdict {
    pub fn whole(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(what);
        }
    }
}

const MOST_FAULTS: usize = 100;
const PAGE: i64 = 1_000;

static LANES: &str = "SELECT lane, tenant_id, base, base_hash, length, head, mac FROM audit_lanes
    WHERE lane > $1 AND ($2 = '' OR tenant_id = $2) ORDER BY lane LIMIT $3";
static MARKS: &str = "SELECT length, head FROM audit_checkpoint_lanes WHERE lane = $1 ORDER BY length, number";
static ENTRIES: &str = "SELECT sequence, hash, tenant_id, id, event_type, user_address, service_name, method_name, request_id,
        correlation_id, ip_address, user_agent, personal, key_id, request_data, response_data, status_code, error_message,
        execution_time_ms, created_at
    FROM audit_logs WHERE lane = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence LIMIT $4";
static LONGEST: &str = "SELECT MAX(sequence) FROM audit_logs WHERE lane = $1";
static LENGTH: &str = "SELECT length FROM audit_lanes WHERE lane = $1";
static STRAYS: &str = "SELECT lane, COUNT(*) FROM audit_logs a WHERE ($1 = '' OR tenant_id = $1)
    AND NOT EXISTS (SELECT 1 FROM audit_lanes l WHERE l.lane = a.lane) GROUP BY lane ORDER BY lane LIMIT 100";
static VANISHED: &str = "SELECT DISTINCT lane FROM audit_checkpoint_lanes c WHERE ($1 = '' OR tenant_id = $1)
    AND NOT EXISTS (SELECT 1 FROM audit_lanes l WHERE l.lane = c.lane) ORDER BY lane LIMIT 100";
static CHECKPOINTS: &str = "SELECT number, previous, root, lanes, created_at, hash, mac FROM audit_checkpoints
    WHERE number > $1 ORDER BY number LIMIT $2";
static LEAVES: &str = "SELECT lane, tenant_id, length, head FROM audit_checkpoint_lanes WHERE number = $1";

/// Walks the chains of one tenant, or all chains and the checkpoints, and names each change, deletion,
/// insertion and reordering. `seen` is a checkpoint kept elsewhere: a database that lacks it was rolled back.
/// Entries may be added meanwhile.
pub async fn verify(db: &Db, tenant: Option<&TenantId>, key: &ChainKey, seen: Option<&Checkpoint>) -> Result<Verdict> {
    let scope = tenant.map_or(Scope::Platform, Scope::Tenant);
    let name = tenant.map(TenantId::as_str).unwrap_or_default();
    let mut walk = Walk { db, scope, key, verdict: Verdict::default() };
    if tenant.is_none() {
        walk.checkpoints(seen).await?;
    }
    let mut last = String::new();
    loop {
        let lanes = db.scan(scope, LANES, args![last.clone(), name, PAGE]).await?;
        let full = lanes.len() as i64 == PAGE;
        for mut row in lanes {
            let lane = Lane::read(&mut row)?;
            last.clone_from(&lane.id);
            walk.lane(lane).await?;
        }
        if !full {
            break;
        }
    }
    for mut row in db.scan(scope, STRAYS, args![name]).await? {
        let (lane, count): (String, i64) = (row.take(0)?, row.take(1)?);
        walk.verdict.fault(format!("lane {lane}: {count} entries belong to no known lane"));
    }
    for mut row in db.scan(scope, VANISHED, args![name]).await? {
        walk.verdict.fault(format!("lane {}: a checkpoint names it, and it is gone", row.take::<String>(0)?));
    }
    Ok(walk.verdict)
}

/// Walks one lane and names its faults.
pub(crate) async fn verify_lane(db: &Db, key: &ChainKey, lane: Lane) -> Result<Vec<String>> {
    let mut walk = Walk { db, scope: Scope::Platform, key, verdict: Verdict::default() };
    walk.lane(lane).await?;
    Ok(walk.verdict.faults)
}

struct Walk<'a> {
    db: &'a Db,
    scope: Scope<'a>,
    key: &'a ChainKey,
    verdict: Verdict,
}

/// A lane as its row has it.
pub(crate) struct Lane {
    pub(crate) id: String,
    pub(crate) tenant: TenantId,
    pub(crate) base: i64,
    base_hash: Vec<u8>,
    pub(crate) length: i64,
    pub(crate) head: Vec<u8>,
    code: Vec<u8>,
}

impl Lane {
    /// Reads `lane, tenant_id, base, base_hash, length, head, mac`.
    pub(crate) fn read(row: &mut Row) -> Result<Self> {
        Ok(Self {
            id: row.take(0)?,
            tenant: row.take(1)?,
            base: row.take(2)?,
            base_hash: row.take(3)?,
            length: row.take(4)?,
            head: row.take(5)?,
            code: row.take(6)?,
        })
    }

    /// Whether its code covers what the row says.
    pub(crate) fn is_signed(&self, key: &ChainKey) -> bool {
        let state = hash::lane(&self.id, &self.tenant, self.base, &self.base_hash, self.length, &self.head);
        key.fits(&state, &self.code)
    }
}

impl Walk<'_> {
    async fn lane(&mut self, lane: Lane) -> Result<()> {
        self.verdict.lanes += 1;
        let id = &lane.id;
        if !lane.is_signed(self.key) {
            self.verdict.fault(format!("lane {id}: its length and head were changed"));
        }
        let mut marks = Vec::new();
        for mut row in self.db.scan(self.scope, MARKS, args![id.clone()]).await? {
            marks.push((row.take::<i64>(0)?, row.take::<Vec<u8>>(1)?));
        }
        let mut marks = marks.into_iter().filter(|(length, _)| *length > lane.base).peekable();
        let mut at = lane.base;
        let mut head: Hash = lane.base_hash.as_slice().try_into().unwrap_or(START);
        while at < lane.length {
            let args = args![id.clone(), at, lane.length, PAGE];
            let page = self.db.scan(self.scope, ENTRIES, args).await?;
            if page.is_empty() {
                break;
            }
            for mut row in page {
                let (sequence, stored): (i64, Vec<u8>) = (row.take(0)?, row.take(1)?);
                let columns: Vec<Value> = (2..2 + HASHED).map(|column| row.take(column)).collect::<Result<_>>()?;
                self.verdict.entries += 1;
                if sequence != at + 1 {
                    self.verdict.fault(format!("lane {id}: entries {} to {} are missing", at + 1, sequence - 1));
                }
                let expected = link(&head, id, sequence, &columns);
                if sequence == at + 1 && stored != expected {
                    self.verdict.fault(format!("lane {id}: entry {sequence} was changed, moved or put in"));
                }
                if columns[0].as_text() != Some(lane.tenant.as_str()) {
                    self.verdict.fault(format!("lane {id}: entry {sequence} belongs to another tenant"));
                }
                // From here on the chain is followed as it is stored, so that one fault is named once.
                head = stored.try_into().unwrap_or(START);
                at = sequence;
                while let Some((_, mark)) = marks.next_if(|(length, _)| *length <= at) {
                    if mark != head {
                        self.verdict.fault(format!("lane {id}: entry {at} is not the one that a checkpoint saw"));
                    }
                }
            }
        }
        if at != lane.length {
            self.verdict.fault(format!("lane {id}: it ends at entry {at} and should at {}", lane.length));
        } else if lane.head != head {
            self.verdict.fault(format!("lane {id}: its last entry is not its head"));
        }
        if marks.next().is_some() {
            self.verdict.fault(format!("lane {id}: a checkpoint saw it longer than it is"));
        }
        self.beyond_the_end(id).await
    }

    // The entries are asked first: an honest writer adds entry and length together.
    async fn beyond_the_end(&mut self, lane: &str) -> Result<()> {
        let longest = self.db.scan(self.scope, LONGEST, args![lane]).await?;
        let longest: Option<i64> = longest.into_iter().next().map(|mut row| row.take(0)).transpose()?.flatten();
        let length = self.db.scan(self.scope, LENGTH, args![lane]).await?;
        let length: Option<i64> = length.into_iter().next().map(|mut row| row.take(0)).transpose()?;
        if longest > length {
            self.verdict.fault(format!("lane {lane}: there are entries past its end"));
        }
        Ok(())
    }

    async fn checkpoints(&mut self, seen: Option<&Checkpoint>) -> Result<()> {
        let (mut last, mut previous) = (0, START.to_vec());
        let mut met = seen.is_none();
        loop {
            let page = self.db.scan(self.scope, CHECKPOINTS, args![last, PAGE]).await?;
            let full = page.len() as i64 == PAGE;
            for mut row in page {
                let number: i64 = row.take(0)?;
                let (before, root, lanes): (Vec<u8>, Vec<u8>, i64) = (row.take(1)?, row.take(2)?, row.take(3)?);
                let (at, stored, code): (Timestamp, Vec<u8>, Vec<u8>) = (row.take(4)?, row.take(5)?, row.take(6)?);
                self.verdict.checkpoints += 1;
                let parts = body(number, &before, &root, lanes, at);
                if number != last + 1 || before != previous {
                    self.verdict.fault(format!("checkpoint {number}: it does not follow checkpoint {last}"));
                }
                if parts.hash().as_slice() != stored || !self.key.fits(&parts, &code) {
                    self.verdict.fault(format!("checkpoint {number}: it was changed"));
                }
                if self.root(number).await? != root {
                    self.verdict.fault(format!("checkpoint {number}: the lanes that it names were changed"));
                }
                met |= seen.is_some_and(|seen| seen.number == number && seen.hash == hex::encode(&stored));
                (last, previous) = (number, stored);
            }
            if !full {
                break;
            }
        }
        if let (false, Some(seen)) = (met, seen) {
            self.verdict.fault(format!(
                "checkpoint {} of {} was seen before and is not there: the database was rolled back",
                seen.number, seen.created_at
            ));
        }
        Ok(())
    }

    async fn root(&self, number: i64) -> Result<Vec<u8>> {
        let mut lanes: Vec<(String, TenantId, i64, Vec<u8>)> = Vec::new();
        for mut row in self.db.scan(self.scope, LEAVES, args![number]).await? {
            lanes.push((row.take(0)?, row.take(1)?, row.take(2)?, row.take(3)?));
        }
        lanes.sort();
        let leaves: Vec<Parts> =
            lanes.iter().map(|(lane, tenant, length, head)| leaf(lane, tenant, *length, head)).collect();
        Ok(merkle(&leaves).to_vec())
    }
}
