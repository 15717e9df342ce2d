use std::{path::Path, sync::Arc, time::Duration};

use nsl_core::{Cx, Once, SystemClock, TenantId};
use nsl_sandbox::{Database, PgBouncer};
use nsl_sql::{BASE, Closer, Config, Db, Migrations, Scope, Statement, Step, args};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    Pooled,
}

/// An empty place of one engine, with the tables of the tests, that may be opened several times.
pub(crate) struct Bed {
    pub(crate) config: Config,
    pub(crate) engine: Engine,
    pub(crate) database: Option<Database>,
    _pooler: Option<PgBouncer>,
    home: tempfile::TempDir,
}

pub(crate) static NOTES: Migrations = Migrations {
    owner: "notes",
    steps: &[Step {
        version: 1,
        name: "notes",
        breaking: false,
        sqlite: "CREATE TABLE notes (
                tenant_id TEXT NOT NULL, key TEXT NOT NULL, body TEXT, number INTEGER, flag INTEGER, bytes BLOB,
                at INTEGER, name TEXT, PRIMARY KEY (tenant_id, key)) STRICT;
            CREATE TABLE evidence (
                tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, lane TEXT NOT NULL, number INTEGER NOT NULL
            ) STRICT;",
        postgres: "CREATE TABLE notes (
                tenant_id text NOT NULL, key text NOT NULL, body json, number bigint, flag boolean, bytes bytea,
                at timestamptz, name text, PRIMARY KEY (tenant_id, key));
            CREATE TABLE evidence (
                tenant_id text NOT NULL, id text NOT NULL PRIMARY KEY, lane text NOT NULL, number bigint NOT NULL);
            SELECT nsl_protect('notes');
            SELECT nsl_protect('evidence');",
    }],
};

pub(crate) static ALL: &[&Migrations] = &[&BASE, &NOTES];

impl Bed {
    pub(crate) async fn new(engine: Engine) -> Self {
        let bed = Self::bare(engine);
        bed.config.migrate(bed.dir(), &SystemClock, ALL).await.unwrap();
        bed
    }

    /// Without any table.
    pub(crate) fn bare(engine: Engine) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (mut config, mut database, mut pooler) = (Config::embedded(), None, None);
        if engine != Engine::Sqlite {
            let fresh = Database::fresh().unwrap();
            config = Config::postgres(fresh.url());
            if engine == Engine::Pooled {
                let before = PgBouncer::start(&fresh, 4).unwrap();
                config = Config::postgres(before.url());
                config.pgbouncer = true;
                pooler = Some(before);
            }
            database = Some(fresh);
        }
        Self { config, engine, database, _pooler: pooler, home }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.home.path()
    }

    pub(crate) async fn open(&self) -> Db {
        self.open_with(&self.config, || None).await
    }

    pub(crate) async fn open_with(&self, config: &Config, closer: impl FnMut() -> Option<Box<dyn Closer>>) -> Db {
        Db::open(config, self.dir(), Arc::new(SystemClock), closer).await.unwrap()
    }
}

pub(crate) fn tenant() -> Cx {
    Cx::system(TenantId::fresh(), Duration::from_secs(60))
}

pub(crate) fn once(cx: &Cx, key: &str, fingerprint: &str) -> Cx {
    let mut cx = cx.clone();
    cx.once = Some(Once { key: key.into(), fingerprint: fingerprint.into() });
    cx
}

/// How many notes there are of all tenants.
pub(crate) async fn count(db: &Db) -> i64 {
    let mut rows = db.scan(Scope::Platform, "SELECT count(*) FROM notes", args![]).await.unwrap();
    rows[0].take(0).unwrap()
}

/// The number kept under a key, if the tenant has that note.
pub(crate) async fn number(db: &Db, cx: &Cx, key: &str) -> Option<i64> {
    let sql = "SELECT number FROM notes WHERE tenant_id = $1 AND key = $2";
    let mut rows = db.query(Scope::Tenant(&cx.tenant), sql, args![&cx.tenant, key]).await.unwrap();
    rows.first_mut().map(|row| row.take(0).unwrap())
}

pub(crate) fn statement(sql: &'static str) -> Statement {
    Statement { sql, args: args![] }
}

/// Makes one test of each engine from each promise.
macro_rules! on_each {
    ($($promise:ident),+ $(,)?) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() { super::$promise(crate::bed::Bed::new(crate::bed::Engine::Sqlite).await).await }
        )+ }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() { super::$promise(crate::bed::Bed::new(crate::bed::Engine::Postgres).await).await }
        )+ }
        mod pooled { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() { super::$promise(crate::bed::Bed::new(crate::bed::Engine::Pooled).await).await }
        )+ }
    };
}
pub(crate) use on_each;
