use nsl_core::SystemClock;
use nsl_sql::{BASE, Config, Migrations, Scope, Step, args};
use tokio::task::JoinSet;

use crate::bed::{ALL, Bed, Engine, NOTES, count};

static BROKEN: Migrations = Migrations {
    owner: "broken",
    steps: &[
        Step {
            version: 1,
            name: "fine",
            breaking: false,
            sqlite: "CREATE TABLE fine (n INTEGER) STRICT",
            postgres: "CREATE TABLE fine (n int)",
        },
        Step {
            version: 2,
            name: "wrong",
            breaking: false,
            sqlite: "CREATE TABLE half (n INTEGER) STRICT; CREATE TABEL whole (n INTEGER);",
            postgres: "CREATE TABLE half (n int); CREATE TABEL whole (n int);",
        },
    ],
};

static NEXT: Migrations = Migrations { owner: "notes", steps: &[step(1, false), step(2, false)] };
static AFTER: Migrations = Migrations { owner: "notes", steps: &[step(1, false), step(2, false), step(3, true)] };

const fn step(version: i64, breaking: bool) -> Step {
    let (sqlite, postgres) = match version {
        1 => (NOTES.steps[0].sqlite, NOTES.steps[0].postgres),
        2 => ("CREATE TABLE two (n INTEGER) STRICT", "CREATE TABLE two (n int)"),
        _ => ("DROP TABLE two", "DROP TABLE two"),
    };
    Step { version, name: "step", breaking, sqlite, postgres }
}

fn engines() -> [Bed; 3] {
    [Engine::Sqlite, Engine::Postgres, Engine::Pooled].map(Bed::bare)
}

async fn migrate(config: &Config, bed: &Bed, all: &[&'static Migrations]) -> Result<Vec<String>, String> {
    config.migrate(bed.dir(), &SystemClock, all).await.map_err(|error| format!("{error:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_does_nothing() {
    for bed in engines() {
        assert_eq!(migrate(&bed.config, &bed, ALL).await.unwrap(), ["sql 1 idempotency", "notes 1 notes"]);
        assert_eq!(migrate(&bed.config, &bed, ALL).await.unwrap(), [""; 0]);
        let db = bed.open().await;
        db.check_schema(ALL).await.unwrap();
        assert_eq!(count(&db).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_take_each_step_once() {
    for bed in engines() {
        let bed = std::sync::Arc::new(bed);
        let mut starts = JoinSet::new();
        for _ in 0..8 {
            let bed = std::sync::Arc::clone(&bed);
            starts.spawn(async move { migrate(&bed.config, &bed, ALL).await.unwrap().len() });
        }
        assert_eq!(starts.join_all().await.into_iter().sum::<usize>(), 2);
        bed.open().await.check_schema(ALL).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_step_leaves_nothing_behind() {
    for bed in engines() {
        let said = migrate(&bed.config, &bed, &[&BASE, &BROKEN]).await.unwrap_err();
        assert!(said.contains("broken 2 wrong") && said.contains("TABEL"), "{said}");
        let tables = match bed.engine {
            Engine::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table'",
            _ => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'neo_service_layer'",
        };
        let db = bed.open().await;
        assert!(db.scan(Scope::Platform, tables, args![]).await.unwrap().is_empty());
        let said = db.check_schema(ALL).await.unwrap_err().to_string();
        assert!(said.contains("no schema yet"), "{said}");
        migrate(&bed.config, &bed, ALL).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_release_runs_beside_expansions_and_not_after_a_break() {
    for bed in engines() {
        migrate(&bed.config, &bed, ALL).await.unwrap();
        let db = bed.open().await;
        let said = db.check_schema(&[&BASE, &NEXT]).await.unwrap_err().to_string();
        assert!(said.contains("lacks 1 step") && said.contains("notes 2"), "{said}");
        assert_eq!(migrate(&bed.config, &bed, &[&BASE, &NEXT]).await.unwrap(), ["notes 2 step"]);
        db.check_schema(ALL).await.unwrap();
        migrate(&bed.config, &bed, ALL).await.unwrap();
        assert_eq!(migrate(&bed.config, &bed, &[&BASE, &AFTER]).await.unwrap(), ["notes 3 step"]);
        for said in [
            db.check_schema(&[&BASE, &NEXT]).await.unwrap_err().to_string(),
            migrate(&bed.config, &bed, &[&BASE, &NEXT]).await.unwrap_err(),
        ] {
            assert!(said.contains("step 3 of notes"), "{said}");
        }
        db.check_schema(&[&BASE]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_outlive_a_migration_under_them() {
    let bed = Bed::new(Engine::Postgres).await;
    let db = bed.open().await;
    let cx = crate::bed::tenant();
    db.write(&cx, crate::deeds::Note::new(&cx, "k", 1)).await.unwrap();
    let read = async || {
        let mut rows = db.query(Scope::Tenant(&cx.tenant), "SELECT number, name FROM notes", args![]).await.unwrap();
        rows[0].take::<i64>(0).unwrap()
    };
    assert_eq!(read().await, 1);
    let database = bed.database.as_ref().unwrap();
    database.query("ALTER TABLE neo_service_layer.notes ALTER COLUMN name TYPE varchar(90)").unwrap();
    assert_eq!(read().await, 1);
    let cut = "UPDATE notes SET number = number + 1 RETURNING name";
    db.write(&cx, crate::bed::statement(cut)).await.unwrap();
    database.query("ALTER TABLE neo_service_layer.notes ALTER COLUMN name TYPE text").unwrap();
    db.write(&cx, crate::bed::statement(cut)).await.unwrap();
    assert_eq!(read().await, 3);
}
