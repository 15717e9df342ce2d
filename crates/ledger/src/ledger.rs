use std::{sync::Arc, time::Duration};

use nsl_core::{Clock, Cx, Entry, PrincipalKind, ProcessId, Result, Subject, TenantId, Timestamp, fresh};
use nsl_keyring::{DataKey, Keyring, bind};
use nsl_sql::{Db, EngineKind, Migrations, Scope, Statement, Step};

use crate::{
    checkpoint::{Checkpoint, Take},
    hash::{ChainKey, Parts},
    refusals::{Close, Count, Refusal, Tally},
};

pub static MIGRATIONS: Migrations = Migrations {
    owner: "ledger",
    steps: &[
        Step {
            version: 1,
            name: "audit",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/1_audit.sql"),
            postgres: include_str!("../migrations/postgres/1_audit.sql"),
        },
        Step {
            version: 2,
            name: "facts",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/2_facts.sql"),
            postgres: include_str!("../migrations/postgres/2_facts.sql"),
        },
    ],
};

/// The tenant of what concerns none: refusals of strangers, the platform's own deeds.
pub const PLATFORM: &str = "platform";

/// How long entries are kept: seven years.
pub(crate) const KEPT: Duration = Duration::from_secs(2_555 * 86_400);
const MONTHS_AHEAD: i64 = 3;

/// Writes and reads the audit trail. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: ChainKey,
    process: ProcessId,
}

impl Ledger {
    /// `key` must be the one that the writers of `db` close with (see [`crate::closer`]).
    pub fn new(db: Db, keyring: Keyring, clock: Arc<dyn Clock>, key: ChainKey, process: ProcessId) -> Self {
        Self { db, keyring, clock, key, process }
    }

    /// Seals what an entry holds of a person: where the request came from, and `personal`. Do this before the
    /// change; within it, `tx.note(entry)`.
    pub async fn seal(
        &self,
        cx: &Cx,
        mut entry: Entry,
        personal: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Entry> {
        let ip = cx.source.ip.map(|ip| ip.to_string());
        let agent = cx.source.user_agent.as_deref();
        if ip.is_none() && agent.is_none() && personal.is_empty() {
            return Ok(entry);
        }
        let subject = match (&entry.subject, cx.principal.kind) {
            (None, _) | (_, PrincipalKind::Anonymous) => stranger(entry.at),
            (Some(subject), _) => subject.clone(),
        };
        let key = self.keyring.current(&entry.tenant, &subject).await?;
        let seal = |column: &str, plain: &str| key.seal(&place(&entry.tenant, &entry.id, column), plain.as_bytes());
        entry.ip_address = ip.map(|ip| seal("ip_address", &ip)).transpose()?;
        entry.user_agent = agent.map(|agent| seal("user_agent", agent)).transpose()?;
        if !personal.is_empty() {
            entry.personal = Some(seal("personal", &serde_json::Value::Object(personal).to_string())?);
        }
        entry.seal_key = Some(Arc::clone(key.id()));
        Ok(entry)
    }

    /// Counts refusals. They become entries of the chain when their minute is over.
    pub async fn refuse(&self, refusals: Vec<Refusal>) -> Result<()> {
        let mut tallies = Vec::with_capacity(refusals.len());
        for refusal in refusals {
            let tenant = refusal.tenant.clone().unwrap_or_else(platform);
            let id = fresh("aud");
            let who = Parts::of("nsl stranger 1")
                .bytes(refusal.subject.as_ref().map(|subject| subject.as_str().as_bytes()))
                .bytes(refusal.ip.map(|ip| ip.to_string()).as_deref().map(str::as_bytes));
            let who = refusal
                .facts
                .iter()
                .fold(who, |who, (name, fact)| who.bytes(Some(name.as_bytes())).bytes(Some(fact.as_bytes())));
            let who = hex::encode(&self.key.code(&who)[..16]);
            let (mut ip, mut seal_key) = (None, None);
            if let Some(address) = refusal.ip {
                let subject = refusal.subject.clone().unwrap_or_else(|| stranger(refusal.at));
                let key: DataKey = self.keyring.current(&tenant, &subject).await?;
                ip = Some(key.seal(&place(&tenant, &id, "ip_address"), address.to_string().as_bytes())?);
                seal_key = Some(Arc::clone(key.id()));
            }
            let minute = Timestamp(refusal.at.0 - refusal.at.0.rem_euclid(60_000_000));
            tallies.push(Tally {
                tenant,
                process: self.process.as_str().into(),
                minute,
                who,
                refusal,
                id,
                ip,
                seal_key,
            });
        }
        self.db.write_platform(Count { tallies }).await
    }

    /// Puts the counts of past minutes into the chain; of every minute up to now when `all`.
    pub async fn close_refusals(&self, all: bool) -> Result<u64> {
        let now = self.clock.now();
        let before = if all { now.plus(Duration::from_secs(60)) } else { now.minus(Duration::from_secs(65)) };
        self.db.write_platform(Close { before }).await
    }

    /// Ties the lanes together as they are now; none when nothing was added since the last time.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        self.db.write_platform(Take { key: self.key.clone(), now: self.clock.now() }).await
    }

    /// Whether the database has this checkpoint as it was; when not, the database was rolled back.
    pub async fn holds(&self, checkpoint: &Checkpoint) -> Result<bool> {
        let sql = "SELECT hash FROM audit_checkpoints WHERE number = $1";
        let found = self.db.query(Scope::Platform, sql, nsl_sql::args![checkpoint.number]).await?;
        let hash: Option<Vec<u8>> = found.into_iter().next().map(|mut row| row.take(0)).transpose()?;
        Ok(hash.is_some_and(|hash| hex::encode(hash) == checkpoint.hash))
    }

    /// Makes the monthly partitions ahead of time, where the engine has them.
    pub async fn prepare_partitions(&self) -> Result<()> {
        if self.db.kind() == EngineKind::Sqlite {
            return Ok(());
        }
        let args = nsl_sql::args![self.clock.now(), MONTHS_AHEAD];
        self.db.write_platform(Statement { sql: "SELECT nsl_audit_partitions($1, $2)", args }).await.map(drop)
    }
}

pub(crate) fn platform() -> TenantId {
    TenantId::parse(PLATFORM).expect("a fixed valid id")
}

/// Whose key seals what is known of people without a name: one each month.
fn stranger(at: Timestamp) -> Subject {
    Subject::parse(&format!("stranger-{}", &at.rfc3339()[..7])).expect("a year and a month fit an id")
}

pub(crate) fn place(tenant: &TenantId, entry: &str, column: &str) -> Vec<u8> {
    bind(&[tenant.as_str().as_bytes(), entry.as_bytes(), column.as_bytes()])
}
