//! The rows of data keys.

use std::{collections::HashSet, sync::Arc, time::Duration};

use nsl_core::{Code, Cx, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Change, Kind, Many, Migrations, Pending, Single, Step, Tx, args};
use serde::{Deserialize, Serialize};

pub static MIGRATIONS: Migrations = Migrations {
    owner: "keyring",
    steps: &[Step {
        version: 1,
        name: "data_keys",
        breaking: false,
        sqlite: include_str!("../migrations/sqlite/1_data_keys.sql"),
        postgres: include_str!("../migrations/postgres/1_data_keys.sql"),
    }],
};

/// A data key vanished between being fetched and being used.
pub const KEY_GONE: &str = "keyring.key_gone";

pub fn key_gone() -> Error {
    Error::new(Code::Unavailable, KEY_GONE, "the data key was just destroyed")
}

pub(crate) static CURRENT: &str = "SELECT key_id, root_version, wrapped FROM data_keys
    WHERE tenant_id = $1 AND subject = $2 AND retired_at IS NULL";
pub(crate) static BY_ID: &str =
    "SELECT subject, root_version, wrapped FROM data_keys WHERE tenant_id = $1 AND key_id = $2";
pub(crate) static OUTDATED: &str = "SELECT tenant_id, subject, key_id, root_version, wrapped FROM data_keys
    WHERE root_version < $1 ORDER BY tenant_id, key_id LIMIT $2";

/// Keeps a new key, unless its subject has one by now; gives the one to use.
#[derive(Clone)]
pub(crate) struct Make {
    pub(crate) cx: Cx,
    pub(crate) subject: Subject,
    pub(crate) key: Stored,
    pub(crate) now: Timestamp,
}

/// A wrapped key as it lies in its row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) root_version: i64,
    pub(crate) wrapped: Vec<u8>,
}

impl Change for Make {
    type Done = Stored;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Stored>>> {
        // In one order, so that two groups which make keys of the same subjects wait for each other and not
        // crosswise; the outcomes go back in the order asked.
        let mut order: Vec<usize> = (0..group.len()).collect();
        order.sort_by_key(|&at| (&group[at].cx.tenant, &group[at].subject));
        let mut done: Vec<Option<Result<Stored>>> = group.iter().map(|_| None).collect();
        for at in order {
            let make = group[at];
            let mut found = tx.query(CURRENT, args![&make.cx.tenant, &make.subject]).await?;
            if let Some(row) = found.first_mut() {
                done[at] = Some(Ok(Stored { id: row.take(0)?, root_version: row.take(1)?, wrapped: row.take(2)? }));
                continue;
            }
            let key = &make.key;
            tx.execute(
                "INSERT INTO data_keys (tenant_id, subject, key_id, root_version, wrapped, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                args![&make.cx.tenant, &make.subject, key.id.clone(), key.root_version, key.wrapped.clone(), make.now],
            )
            .await?;
            let mut entry = Entry::new(&make.cx, "keyring.data_key_made", "keyring", "current", make.now)
                .response("key_id", key.id.clone());
            entry.subject = Some(make.subject.clone());
            tx.note(entry);
            done[at] = Some(Ok(key.clone()));
        }
        Ok(done.into_iter().flatten().collect())
    }
}

/// Puts keys under a newer root key, where no other process did so meanwhile. Gives how many it moved.
pub(crate) struct Rewrap {
    pub(crate) keys: Vec<Moved>,
    pub(crate) now: Timestamp,
}

/// A key wrapped anew, and the version of the root key that it lay under before.
pub(crate) struct Moved {
    pub(crate) tenant: TenantId,
    pub(crate) subject: Subject,
    pub(crate) key: Stored,
    pub(crate) from: i64,
}

impl Single for Rewrap {
    type Done = u64;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<u64>> {
        let mut moved = 0;
        for Moved { tenant, subject, key, from } in &self.keys {
            let rows = tx
                .execute(
                    "UPDATE data_keys SET wrapped = $1, root_version = $2
                     WHERE tenant_id = $3 AND key_id = $4 AND root_version = $5",
                    args![key.wrapped.clone(), key.root_version, tenant, key.id.clone(), *from],
                )
                .await?;
            if rows > 0 {
                let cx = Cx::system(tenant.clone(), Duration::ZERO);
                let mut entry = Entry::new(&cx, "keyring.data_key_rewrapped", "keyring", "rewrap", self.now)
                    .request("key_id", key.id.clone())
                    .response("root_version", key.root_version);
                entry.subject = Some(subject.clone());
                tx.note(entry);
            }
            moved += rows;
        }
        Ok(Ok(moved))
    }
}

static PRESENT: Many = Many {
    one: "SELECT key_id FROM data_keys WHERE tenant_id = $1 AND key_id = $2",
    many: "SELECT k.key_id FROM unnest($1::text[], $2::text[]) AS want (tenant_id, key_id)
           CROSS JOIN LATERAL (SELECT d.key_id FROM data_keys d
             WHERE d.tenant_id = want.tenant_id AND d.key_id = want.key_id LIMIT 1 FOR KEY SHARE) k",
    kinds: &[Kind::Text, Kind::Text],
};

/// Which keys still exist, asked within a change that is about to seal under them. They can't be destroyed
/// before that change is committed.
pub struct Presence {
    keys: Vec<(TenantId, Arc<str>)>,
    asked: Pending,
}

impl Presence {
    pub fn ask(tx: &mut Tx<'_>, keys: Vec<(TenantId, Arc<str>)>) -> Result<Self> {
        let mut distinct: Vec<_> = keys.iter().collect();
        distinct.sort();
        distinct.dedup();
        let wanted = distinct.into_iter().map(|(tenant, id)| args![tenant, Arc::clone(id)]).collect();
        Ok(Self { asked: tx.ask(&PRESENT, wanted)?, keys })
    }

    /// For each key, in the order in which they were asked for, whether it is there.
    pub async fn answer(self, tx: &mut Tx<'_>) -> Result<Vec<bool>> {
        let mut found = HashSet::new();
        for mut row in tx.answer(self.asked).await? {
            found.insert(row.take::<String>(0)?);
        }
        Ok(self.keys.iter().map(|(_, id)| found.contains(&**id)).collect())
    }
}

/// Deletes all keys of a subject within a change and names them. What they sealed can't be opened again.
pub async fn destroy(tx: &mut Tx<'_>, tenant: &TenantId, subject: &Subject) -> Result<Vec<String>> {
    let gone = tx
        .query("DELETE FROM data_keys WHERE tenant_id = $1 AND subject = $2 RETURNING key_id", args![tenant, subject])
        .await?;
    gone.into_iter().map(|mut row| row.take(0)).collect()
}
