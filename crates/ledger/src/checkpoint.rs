use nsl_core::{Result, TenantId, Timestamp};
use nsl_sql::{Change, Kind, Many, Tx, args};
use serde::{Deserialize, Serialize};

use crate::hash::{ChainKey, Hash, Parts, START, merkle};

/// The state of all lanes at one moment, in one hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub number: i64,
    /// SHA-256 over number, previous hash, Merkle root, number of lanes and time; lower-case hex.
    pub hash: String,
    pub created_at: Timestamp,
}

/// The state of one lane, as a leaf of the tree.
pub(crate) fn leaf(lane: &str, tenant: &TenantId, length: i64, head: &[u8]) -> Parts {
    Parts::of("nsl leaf 1").text(lane).text(tenant.as_str()).number(length).bytes(Some(head))
}

pub(crate) fn body(number: i64, previous: &[u8], root: &[u8], lanes: i64, at: Timestamp) -> Parts {
    Parts::of("nsl checkpoint 1").number(number).bytes(Some(previous)).bytes(Some(root)).number(lanes).number(at.0)
}

static LAST: &str = "SELECT number, hash FROM audit_checkpoints ORDER BY number DESC LIMIT 1";
static GROWN: &str = "SELECT lane, tenant_id, length, head FROM audit_lanes l WHERE NOT EXISTS
    (SELECT 1 FROM audit_checkpoint_lanes c WHERE c.lane = l.lane AND c.length >= l.length)";
static KEEP_LANES: Many = Many {
    one: "INSERT INTO audit_checkpoint_lanes (number, lane, tenant_id, length, head) VALUES ($1, $2, $3, $4, $5)",
    many: "INSERT INTO audit_checkpoint_lanes (number, lane, tenant_id, length, head)
           SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bytea[])",
    kinds: &[Kind::Int, Kind::Text, Kind::Text, Kind::Int, Kind::Bytes],
};

/// Takes a checkpoint of the lanes that grew since the last one; none when none did.
pub(crate) struct Take {
    pub(crate) key: ChainKey,
    pub(crate) now: Timestamp,
}

impl Change for Take {
    type Done = Option<Checkpoint>;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Self::Done>>> {
        let mut done = Vec::with_capacity(group.len());
        for take in group {
            done.push(Ok(take.one(tx).await?));
        }
        Ok(done)
    }
}

impl Take {
    async fn one(&self, tx: &mut Tx<'_>) -> Result<Option<Checkpoint>> {
        let mut lanes: Vec<(String, TenantId, i64, Vec<u8>)> = Vec::new();
        for mut row in tx.query(GROWN, vec![]).await? {
            lanes.push((row.take(0)?, row.take(1)?, row.take(2)?, row.take(3)?));
        }
        if lanes.is_empty() {
            return Ok(None);
        }
        lanes.sort();
        let (number, previous) = match tx.query(LAST, vec![]).await?.first_mut() {
            Some(row) => (row.take::<i64>(0)? + 1, row.take::<Vec<u8>>(1)?),
            None => (1, START.to_vec()),
        };
        let leaves: Vec<Parts> =
            lanes.iter().map(|(lane, tenant, length, head)| leaf(lane, tenant, *length, head)).collect();
        let (root, count): (Hash, i64) = (merkle(&leaves), lanes.len() as i64);
        let body = body(number, &previous, &root, count, self.now);
        let hash = body.hash();
        tx.execute(
            "INSERT INTO audit_checkpoints (number, previous, root, lanes, created_at, hash, mac)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            args![number, previous, root.to_vec(), count, self.now, hash.to_vec(), self.key.code(&body)],
        )
        .await?;
        let rows =
            lanes.into_iter().map(|(lane, tenant, length, head)| args![number, lane, &tenant, length, head]).collect();
        tx.many(&KEEP_LANES, rows).await?;
        Ok(Some(Checkpoint { number, hash: hex::encode(hash), created_at: self.now }))
    }
}
