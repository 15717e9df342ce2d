//! A full disk: writes are refused until there is room again, and what was acknowledged stays.

use std::{path::Path, sync::Arc};

use nsl_core::{Code, SystemClock};
use nsl_sandbox::{Postgres, PostgresOptions, SmallDisk};
use nsl_sql::{Config, Db, Statement, args};

use crate::{
    bed::{ALL, count, number, tenant},
    deeds::Note,
};

const BIG: &str = "INSERT INTO notes (tenant_id, key, bytes) VALUES ($1, $2, $3)";

async fn fills_up_and_heals(config: Config, dir: &Path, disk: &SmallDisk) {
    config.migrate(dir, &SystemClock, ALL).await.unwrap();
    let db = Db::open(&config, dir, Arc::new(SystemClock), || None).await.unwrap();
    let cx = tenant();
    db.write(&cx, Note::new(&cx, "first", 1)).await.unwrap();
    disk.fill().unwrap();
    let mut kept = 1;
    let refused = loop {
        let args = args![&cx.tenant, format!("big{kept}"), vec![kept as u8; 300_000]];
        match db.write(&cx, Statement { sql: BIG, args }).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1_000, "the disk does not get full");
    };
    assert!(refused.code == Code::Unavailable && refused.retry_after_ms.is_some(), "{refused:?}");
    assert_eq!((number(&db, &cx, "first").await, count(&db).await), (Some(1), kept), "reads go on");
    disk.free().unwrap();
    let mut healed = None;
    for _ in 0..200 {
        healed = Some(db.write(&cx, Note::new(&cx, "after", 2)).await);
        if matches!(healed, Some(Ok(_))) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    healed.unwrap().unwrap();
    db.drain().await;
    drop(db);
    let db = Db::open(&config, dir, Arc::new(SystemClock), || None).await.unwrap();
    assert_eq!((number(&db, &cx, "after").await, count(&db).await), (Some(2), kept + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_on_a_full_disk() {
    let disk = SmallDisk::mount(16 << 20).unwrap();
    fills_up_and_heals(Config::embedded(), disk.path(), &disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_on_a_full_disk() {
    let disk = SmallDisk::mount(160 << 20).unwrap();
    let options = PostgresOptions {
        within: Some(disk.path().to_owned()),
        settings: vec![
            ("max_wal_size".into(), "64MB".into()),
            ("min_wal_size".into(), "32MB".into()),
            ("wal_recycle".into(), "off".into()),
        ],
        ..PostgresOptions::default()
    };
    let server = Postgres::start_with(options).unwrap();
    let database = server.database().unwrap();
    let dir = tempfile::tempdir().unwrap();
    fills_up_and_heals(Config::postgres(database.url()), dir.path(), &disk).await;
}
