//! Taking rows away for good: deleted keys that nobody may restore any more, states whose time is over,
//! and everything of a person.

use nsl_api::storage::Chain;
use nsl_core::{Entry, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Kind, Many, Single, Tx, Value as Cell, args};
use serde::{Deserialize, Serialize};

/// Which states of the named keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Keys deleted by then, with their history.
    Deleted { by: Timestamp },
    /// All states made by then, living ones too.
    Everything { by: Timestamp },
    /// Superseded states that have expired.
    Lapsed { by: Timestamp },
}

pub(crate) struct Remove {
    pub(crate) tenant: TenantId,
    pub(crate) keys: Vec<(Subject, Chain, String)>,
    pub(crate) what: What,
    /// Evidence, noted with the counts if something went.
    pub(crate) entry: Option<Entry>,
    /// The erasure that this is part of; its progress grows in the same transaction.
    pub(crate) request: Option<String>,
}

/// How much went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    pub(crate) items: i64,
    pub(crate) versions: i64,
    pub(crate) bytes: i64,
    /// The last versions of the keys that went, for the cache.
    #[serde(default)]
    pub(crate) keys: Vec<(Subject, String, String, i64)>,
}

pub(super) static ROWS: Many = Many {
    one: "DELETE FROM storage_data WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4
            AND updated_at <= $5 AND ($6 OR deleted_at IS NOT NULL)
          RETURNING user_address, chain, key, version, size_bytes, deleted_at",
    many: "DELETE FROM storage_data WHERE ctid = ANY (ARRAY(
             SELECT d.ctid FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[])
               AS i (tenant_id, user_address, chain, key, until, living)
             CROSS JOIN LATERAL (
               SELECT s.ctid FROM storage_data s
               WHERE s.tenant_id = i.tenant_id AND s.user_address = i.user_address AND s.chain = i.chain AND s.key = i.key
                 AND s.updated_at <= i.until AND (i.living OR s.deleted_at IS NOT NULL)
               LIMIT 1 FOR UPDATE) d))
           RETURNING user_address, chain, key, version, size_bytes, deleted_at",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Time, Kind::Bool],
};

pub(super) static VERSIONS: Many = Many {
    one: "DELETE FROM storage_versions WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4
            AND updated_at <= $5 AND ($6 OR expires_at <= $5)
          RETURNING size_bytes",
    many: "DELETE FROM storage_versions WHERE ctid = ANY (ARRAY(
             SELECT d.ctid FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[])
               AS i (tenant_id, user_address, chain, key, until, living)
             CROSS JOIN LATERAL (
               SELECT v.ctid FROM storage_versions v
               WHERE v.tenant_id = i.tenant_id AND v.user_address = i.user_address AND v.chain = i.chain AND v.key = i.key
                 AND v.updated_at <= i.until AND (i.living OR v.expires_at <= i.until)
               LIMIT 100000) d))
           RETURNING size_bytes",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Time, Kind::Bool],
};

impl Single for Remove {
    type Done = Removed;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Removed>> {
        self.remove(tx).await.map(Ok)
    }

    fn weight(&self) -> usize {
        // Each may be a large value with a long history: alone in its group.
        8 << 20
    }
}

impl Remove {
    async fn remove(&self, tx: &mut Tx<'_>) -> Result<Removed> {
        let (until, living) = match self.what {
            What::Deleted { by } | What::Lapsed { by } => (by, false),
            What::Everything { by } => (by, true),
        };
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_unstable();
        let row = |(owner, chain, key): &(Subject, Chain, String), flag: bool| -> Vec<Cell> {
            args![&self.tenant, owner, chain.as_str(), key.as_str(), until, flag]
        };
        let mut removed = Removed::default();
        if !matches!(self.what, What::Lapsed { .. }) {
            let rows = keys.iter().map(|key| row(key, living)).collect();
            for mut found in tx.many(&ROWS, rows).await? {
                removed.keys.push((found.take(0)?, found.take(1)?, found.take(2)?, found.take(3)?));
                removed.bytes += found.take::<i64>(4)?;
                removed.items += i64::from(found.take::<Option<Timestamp>>(5)?.is_none());
            }
        }
        if matches!(self.what, What::Deleted { .. }) {
            let gone = |key: &&(Subject, Chain, String)| {
                removed
                    .keys
                    .iter()
                    .any(|(owner, chain, name, _)| (owner, chain.as_str(), name) == (&key.0, key.1.as_str(), &key.2))
            };
            keys.retain(gone);
        }
        let whole = !matches!(self.what, What::Lapsed { .. });
        for mut found in tx.many(&VERSIONS, keys.iter().map(|key| row(key, whole)).collect()).await? {
            removed.bytes += found.take::<i64>(0)?;
            removed.versions += 1;
        }
        self.settle(&removed, tx).await?;
        Ok(removed)
    }

    async fn settle(&self, removed: &Removed, tx: &mut Tx<'_>) -> Result<()> {
        if removed.keys.is_empty() && removed.versions == 0 {
            return Ok(());
        }
        tx.ask(&super::texts::HOLD, vec![args![&self.tenant, -removed.bytes, -removed.items]])?;
        if let Some(request) = &self.request {
            super::privacy::add_progress(tx, &self.tenant, request, removed).await?;
        }
        if let Some(entry) = &self.entry {
            tx.note(entry.clone().response("items", removed.keys.len()).response("versions", removed.versions));
        }
        Ok(())
    }
}
