//! What the tests of the store stand on: one of the SQL engines, a tenant, and a clock that they move.

use std::{sync::Arc, time::Duration};

use nsl_core::{Clock, Cx, Entry, ManualClock, TenantId, Timestamp};
use nsl_sandbox::Database;
use nsl_sql::{BASE, Config, Db};

use super::MIGRATIONS;

pub(crate) struct Ground {
    pub(crate) db: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) cx: Cx,
    pub(crate) config: Config,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) database: Option<Database>,
}

impl Ground {
    pub(crate) async fn fresh(database: Option<Database>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = database.as_ref().map_or_else(Config::embedded, |database| Config::postgres(database.url()));
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-11-21T08:00:00Z").unwrap()));
        config.migrate(dir.path(), &*clock, &[&BASE, &MIGRATIONS]).await.unwrap();
        let db = Db::open(&config, dir.path(), clock.clone(), || None).await.unwrap();
        let cx = Cx::system(TenantId::parse("ten_a").unwrap(), Duration::from_secs(60));
        Self { db, clock, cx, config, dir, database }
    }

    pub(crate) async fn both() -> [Self; 2] {
        [Self::fresh(None).await, Self::fresh(Some(Database::fresh().unwrap())).await]
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry::new(&self.cx, "relay.test", "relay", "test", self.clock.now())
    }
}
