use std::collections::HashMap;

use futures_util::future::BoxFuture;
use nsl_core::{Entry, Result, TenantId, Timestamp, fresh};
use nsl_sql::{Closer, Kind, Many, Tx, args};

use crate::{
    chain::{INSERT, columns, link},
    hash::{ChainKey, Hash, START, lane},
};

/// Lanes remembered by one writer; past this it begins new ones.
const MOST_LANES: usize = 20_000;

/// What a writer of SQL needs to put the evidence of its groups into chains of its own.
pub fn closer(key: &ChainKey) -> Box<dyn Closer> {
    Box::new(Chains { key: key.clone(), lanes: HashMap::new(), staged: HashMap::new() })
}

/// The heads of the lanes that this writer has begun. Each start of a process begins new lanes, so a head is
/// never read back, and one that may have been lost is never built upon.
struct Chains {
    key: ChainKey,
    lanes: HashMap<TenantId, Lane>,
    staged: HashMap<TenantId, Lane>,
}

#[derive(Clone)]
struct Lane {
    id: String,
    length: i64,
    head: Hash,
    // A lane takes entries of one month only, so that old months can be let go of whole.
    until: Timestamp,
}

static MOVE_HEAD: Many = Many {
    one: "INSERT INTO audit_lanes (lane, tenant_id, base, base_hash, length, head, mac) VALUES ($1, $2, 0, $3, $4, $5, $6)
          ON CONFLICT (lane) DO UPDATE SET length = excluded.length, head = excluded.head, mac = excluded.mac",
    many: "INSERT INTO audit_lanes (lane, tenant_id, base, base_hash, length, head, mac)
           SELECT l, t, 0, b, n, h, m FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bytea[])
             AS moved (l, t, b, n, h, m)
           ON CONFLICT (lane) DO UPDATE SET length = excluded.length, head = excluded.head, mac = excluded.mac",
    kinds: &[Kind::Text, Kind::Text, Kind::Bytes, Kind::Int, Kind::Bytes, Kind::Bytes],
};

impl Lane {
    fn begin(at: Timestamp) -> Self {
        Self { id: fresh("lan"), length: 0, head: START, until: at.month_start(1) }
    }
}

impl Closer for Chains {
    fn close<'a>(&'a mut self, notes: Vec<Entry>, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.staged.clear();
            let mut rows = Vec::with_capacity(notes.len());
            let mut ended = Vec::new();
            for entry in notes {
                let tenant = entry.tenant.clone();
                let lane = self
                    .staged
                    .entry(tenant.clone())
                    .or_insert_with(|| self.lanes.get(&tenant).cloned().unwrap_or_else(|| Lane::begin(entry.at)));
                if entry.at >= lane.until {
                    let full = std::mem::replace(lane, Lane::begin(entry.at));
                    let grew =
                        self.lanes.get(&tenant).is_none_or(|known| known.id != full.id || known.length < full.length);
                    if grew && full.length > 0 {
                        ended.push((tenant.clone(), full));
                    }
                }
                let sequence = lane.length + 1;
                let mut hashed = columns(entry);
                lane.head = link(&lane.head, &lane.id, sequence, &hashed);
                lane.length = sequence;
                let mut row = args![lane.id.clone(), sequence];
                row.append(&mut hashed);
                row.extend(args![lane.head.to_vec()]);
                rows.push(row);
            }
            tx.ask(&INSERT, rows)?;
            // In one order, so that two groups never wait for each other crosswise.
            let mut moved: Vec<_> =
                self.staged.iter().chain(ended.iter().map(|(tenant, lane)| (tenant, lane))).collect();
            moved.sort_by(|a, b| a.1.id.cmp(&b.1.id));
            let heads = moved.into_iter().map(|(tenant, state)| {
                let code = self.key.code(&lane(&state.id, tenant, 0, &START, state.length, &state.head));
                args![state.id.clone(), tenant, START.to_vec(), state.length, state.head.to_vec(), code]
            });
            let heads = heads.collect();
            // Nobody needs an answer, so both go out with the commit.
            tx.ask(&MOVE_HEAD, heads).map(drop)
        })
    }

    fn committed(&mut self) {
        if self.lanes.len() > MOST_LANES {
            self.lanes.clear();
        }
        self.lanes.extend(self.staged.drain());
    }

    fn undone(&mut self) {
        self.staged.clear();
    }

    fn unknown(&mut self) {
        // Whether these lanes grew is unknown: they stay as they are in the database, and new ones begin.
        for tenant in self.staged.drain().map(|(tenant, _)| tenant) {
            self.lanes.remove(&tenant);
        }
    }
}
