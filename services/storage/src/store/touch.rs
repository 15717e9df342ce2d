use std::sync::Arc;

use nsl_api::storage::Chain;
use nsl_core::{Result, Subject, TenantId, Timestamp};
use nsl_sql::{Change, Tx, args};

use super::texts;

/// Reads of one key since the last time they were written down.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) tenant: TenantId,
    pub(crate) owner: Subject,
    pub(crate) chain: Chain,
    pub(crate) key: Arc<str>,
    pub(crate) times: i64,
    pub(crate) last: Timestamp,
}

/// Adds to the access counters. No state changes, so no version grows and no evidence is written.
pub(crate) struct Touch {
    pub(crate) reads: Vec<Read>,
}

impl Change for Touch {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        let mut reads: Vec<&Read> = group.iter().flat_map(|touch| &touch.reads).collect();
        // In the order in which writes lock.
        reads.sort_unstable_by_key(|read| (&read.tenant, &read.owner, read.chain.as_str(), &read.key));
        let row = |read: &Read| {
            let (chain, key) = (read.chain.as_str(), Arc::clone(&read.key));
            args![&read.tenant, &read.owner, chain, key, read.times, read.last]
        };
        for part in reads.chunks(500) {
            tx.ask(&texts::TOUCH, part.iter().map(|read| row(read)).collect())?;
        }
        Ok(group.iter().map(|_| Ok(())).collect())
    }
}
