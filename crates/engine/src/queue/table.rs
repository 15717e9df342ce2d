//! All SQL of the queue.

use nsl_core::{Result, TenantId, Timestamp};
use nsl_sql::{EngineKind, Kind, Many, Row, Tx, args};
use serde::{Deserialize, Serialize};

use super::Message;

pub(super) static INSERT: Many = Many {
    one: "INSERT INTO queue_messages (id, tenant_id, topic, key, payload, attempt, fence, due_at, created_at, dead)
          VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7, FALSE) ON CONFLICT (id) DO NOTHING",
    many: "INSERT INTO queue_messages (id, tenant_id, topic, key, payload, attempt, fence, due_at, created_at, dead)
           SELECT id, tenant_id, topic, key, payload, 0, 0, due_at, created_at, FALSE
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[], $7::timestamptz[])
                AS g(id, tenant_id, topic, key, payload, due_at, created_at)
           ON CONFLICT (id) DO NOTHING",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Bytes, Kind::Time, Kind::Time],
};

/// Puts a message that came through the broker back into the table, over a row that the relay may still hold: its
/// fence goes up, so that the relay cannot take it away.
pub(super) const PUT_BACK: &str =
    "INSERT INTO queue_messages (id, tenant_id, topic, key, payload, attempt, fence, due_at, created_at, dead, reason)
     VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)
     ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt, due_at = excluded.due_at, dead = excluded.dead,
         reason = excluded.reason, fence = queue_messages.fence + 1";

pub(super) const DUE_OF_TOPIC: &str =
    "SELECT 1 FROM queue_messages WHERE topic = $1 AND NOT dead AND due_at <= $2 LIMIT 1";
pub(super) const DUE: &str = "SELECT 1 FROM queue_messages WHERE NOT dead AND due_at <= $1 LIMIT 1";

const TAKE_OF_TOPIC_SQLITE: &str = "UPDATE queue_messages SET fence = fence + 1, attempt = attempt + 1, due_at = $3
     WHERE id IN (SELECT id FROM queue_messages WHERE topic = $1 AND NOT dead AND due_at <= $2 ORDER BY due_at LIMIT $4)
     RETURNING id, tenant_id, topic, key, payload, attempt, fence, created_at";
const TAKE_OF_TOPIC_POSTGRES: &str =
    "UPDATE queue_messages AS q SET fence = q.fence + 1, attempt = q.attempt + 1, due_at = $3
     FROM (SELECT id FROM queue_messages WHERE topic = $1 AND NOT dead AND due_at <= $2 ORDER BY due_at LIMIT $4
           FOR UPDATE SKIP LOCKED) AS free
     WHERE q.id = free.id
     RETURNING q.id, q.tenant_id, q.topic, q.key, q.payload, q.attempt, q.fence, q.created_at";
const TAKE_SQLITE: &str = "UPDATE queue_messages SET fence = fence + 1, due_at = $2
     WHERE id IN (SELECT id FROM queue_messages WHERE NOT dead AND due_at <= $1 ORDER BY due_at LIMIT $3)
     RETURNING id, tenant_id, topic, key, payload, attempt, fence, created_at";
const TAKE_POSTGRES: &str = "UPDATE queue_messages AS q SET fence = q.fence + 1, due_at = $2
     FROM (SELECT id FROM queue_messages WHERE NOT dead AND due_at <= $1 ORDER BY due_at LIMIT $3
           FOR UPDATE SKIP LOCKED) AS free
     WHERE q.id = free.id
     RETURNING q.id, q.tenant_id, q.topic, q.key, q.payload, q.attempt, q.fence, q.created_at";

pub(super) static FINISH: Many = Many {
    one: "DELETE FROM queue_messages WHERE id = $1 AND fence = $2 AND NOT dead RETURNING id, fence",
    many: "DELETE FROM queue_messages AS q USING unnest($1::text[], $2::bigint[]) AS g(id, fence)
           WHERE q.id = g.id AND q.fence = g.fence AND NOT q.dead RETURNING q.id, q.fence",
    kinds: &[Kind::Text, Kind::Int],
};
pub(super) const MOVE: &str = "UPDATE queue_messages SET due_at = $3 WHERE id = $1 AND fence = $2 AND NOT dead";
/// As [`MOVE`], for a loan that nobody used.
pub(super) const RELEASE: &str =
    "UPDATE queue_messages SET due_at = $3, attempt = attempt - 1 WHERE id = $1 AND fence = $2 AND NOT dead";
pub(super) const BURY: &str =
    "UPDATE queue_messages SET dead = TRUE, reason = $3 WHERE id = $1 AND fence = $2 AND NOT dead";

pub(super) const CLAIM: &str = "INSERT INTO queue_claims (id, tenant_id, attempt, fence, lease_until)
     VALUES ($1, $2, 1, 1, $3)
     ON CONFLICT (id) DO UPDATE SET fence = queue_claims.fence + 1, attempt = queue_claims.attempt + 1,
         lease_until = excluded.lease_until
     WHERE queue_claims.done_at IS NULL AND queue_claims.lease_until <= $4
     RETURNING attempt, fence";
pub(super) const CLAIMED: &str = "SELECT done_at, lease_until FROM queue_claims WHERE id = $1";
pub(super) static FINISH_CLAIM: Many = Many {
    one: "UPDATE queue_claims SET done_at = $3 WHERE id = $1 AND fence = $2 AND done_at IS NULL RETURNING id, fence",
    many: "UPDATE queue_claims AS q SET done_at = g.done_at
           FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) AS g(id, fence, done_at)
           WHERE q.id = g.id AND q.fence = g.fence AND q.done_at IS NULL RETURNING q.id, q.fence",
    kinds: &[Kind::Text, Kind::Int, Kind::Time],
};
pub(super) const MOVE_CLAIM: &str =
    "UPDATE queue_claims SET lease_until = $3 WHERE id = $1 AND fence = $2 AND done_at IS NULL";
pub(super) const RELEASE_CLAIM: &str = "UPDATE queue_claims SET lease_until = $3, attempt = attempt - 1
     WHERE id = $1 AND fence = $2 AND done_at IS NULL";
pub(super) const BURY_CLAIM: &str =
    "UPDATE queue_claims SET done_at = $3 WHERE id = $1 AND fence = $2 AND done_at IS NULL";
pub(super) const PURGE_CLAIMS: &str = "DELETE FROM queue_claims WHERE id IN
     (SELECT id FROM queue_claims WHERE done_at IS NOT NULL AND done_at < $1 LIMIT 1000)";

pub(super) const DEAD: &str = "SELECT id, tenant_id, topic, key, attempt, reason, created_at FROM queue_messages
     WHERE dead ORDER BY id LIMIT $1";
pub(super) const REVIVE: &str = "UPDATE queue_messages SET dead = FALSE, reason = NULL, attempt = 0, fence = fence + 1,
     due_at = $2 WHERE id = $1 AND dead";
pub(super) const REVIVE_CLAIM: &str =
    "UPDATE queue_claims SET done_at = NULL, attempt = 0, fence = fence + 1, lease_until = $2 WHERE id = $1";
pub(super) const DEPTH: &str = "SELECT dead, count(*), min(due_at) FROM queue_messages GROUP BY dead";

/// A message as a row, on loan to whoever took it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) id: String,
    pub(super) tenant: TenantId,
    pub(super) topic: String,
    pub(super) key: String,
    pub(super) payload: Vec<u8>,
    pub(super) attempt: i64,
    pub(super) fence: i64,
    pub(super) created_at: Timestamp,
}

impl Taken {
    fn read(mut row: Row) -> Result<Self> {
        Ok(Self {
            id: row.take(0)?,
            tenant: row.take(1)?,
            topic: row.take(2)?,
            key: row.take(3)?,
            payload: row.take(4)?,
            attempt: row.take(5)?,
            fence: row.take(6)?,
            created_at: row.take(7)?,
        })
    }
}

pub(super) async fn insert(tx: &mut Tx<'_>, messages: &[&Message], now: Timestamp) -> Result<()> {
    let row = |message: &&Message| {
        args![
            message.id.as_str(),
            &message.tenant,
            message.topic.name(),
            message.key.as_str(),
            &message.payload[..],
            now.plus(message.delay),
            now
        ]
    };
    tx.many(&INSERT, messages.iter().map(row).collect()).await.map(drop)
}

/// Takes what is due, of one topic (which counts as an attempt) or of all (for the relay, which does not).
pub(super) async fn take(
    tx: &mut Tx<'_>,
    topic: Option<&str>,
    now: Timestamp,
    until: Timestamp,
    most: u32,
) -> Result<Vec<Taken>> {
    let rows = match (topic, tx.engine()) {
        (Some(topic), EngineKind::Sqlite) => tx.query(TAKE_OF_TOPIC_SQLITE, args![topic, now, until, most]).await?,
        (Some(topic), EngineKind::Postgres) => tx.query(TAKE_OF_TOPIC_POSTGRES, args![topic, now, until, most]).await?,
        (None, EngineKind::Sqlite) => tx.query(TAKE_SQLITE, args![now, until, most]).await?,
        (None, EngineKind::Postgres) => tx.query(TAKE_POSTGRES, args![now, until, most]).await?,
    };
    let mut taken: Vec<Taken> = rows.into_iter().map(Taken::read).collect::<Result<_>>()?;
    // Ids sort by birth.
    taken.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(taken)
}
