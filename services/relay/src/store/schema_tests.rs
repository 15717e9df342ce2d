//! The schema: how it grows, and how what is asked often finds its rows.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use nsl_core::{ManualClock, Timestamp};
use nsl_sandbox::Database;
use nsl_sql::{BASE, Config, Db, Migrations, Scope, Statement, args};

use super::{
    MIGRATIONS,
    accounts::ALL,
    ground::Ground,
    lanes::{OPEN_LANES, WAITING},
    requests::{LIST, find},
    revoke::{LAST_STATES, REVOKED},
};

fn at() -> Timestamp {
    Timestamp::parse("2026-11-21T08:00:00Z").unwrap()
}

#[test]
fn a_step_stays_as_it_was_once_databases_have_taken_it() {
    let taken = [
        (
            "cd88192e202ce66d2e596c040e455746e07d7d514aa7b336cb6e26f12684c144",
            "39ebb8474dfd05adf9d557c3ca95a17c59d3dda89b4b530652ef7edc64ecbf61",
        ),
        (
            "e8ddef44c61dca310f90964942be4e190f042bb8489739bc2ffcff1c16055334",
            "904a0b22e0f27d381559d62927c41070e8d7eca87e1fdba583baea8bb8138ef6",
        ),
        (
            "7b006666938d167f4db2c7ad63bddb15504e78c941bcc4e82862ea954e25c8d4",
            "7b006666938d167f4db2c7ad63bddb15504e78c941bcc4e82862ea954e25c8d4",
        ),
    ];
    let sum = |text: &str| hex::encode(digest(&SHA256, text.as_bytes()));
    let found: Vec<_> = MIGRATIONS.steps.iter().map(|step| (sum(step.sqlite), sum(step.postgres))).collect();
    let found: Vec<_> = found.iter().map(|(sqlite, postgres)| (sqlite.as_str(), postgres.as_str())).collect();
    assert_eq!(found, taken, "what is to change goes into a further step");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_an_earlier_version_is_brought_up_with_its_rows() {
    let before: &'static Migrations =
        Box::leak(Box::new(Migrations { owner: MIGRATIONS.owner, steps: &MIGRATIONS.steps[..1] }));
    for database in [None, Some(Database::fresh().unwrap())] {
        let dir = tempfile::tempdir().unwrap();
        let config = database.as_ref().map_or_else(Config::embedded, |database| Config::postgres(database.url()));
        let clock = Arc::new(ManualClock::at(at()));
        config.migrate(dir.path(), &*clock, &[&BASE, before]).await.unwrap();
        let db = Db::open(&config, dir.path(), clock.clone(), || None).await.unwrap();
        let sql = "INSERT INTO relay_requests (tenant_id, id, chain, account, subject, intent, state, created_at,
              updated_at)
            VALUES ('ten_a', 'rel_1', 'neo-x', '0x01', 'somebody', '{}', 'sent', $1, $1)";
        db.write_platform(Statement { sql, args: args![at()] }).await.unwrap();
        assert!(db.check_schema(&[&MIGRATIONS]).await.is_err());
        let taken = config.migrate(dir.path(), &*clock, &[&BASE, &MIGRATIONS]).await.unwrap();
        assert_eq!(taken, ["relay 2 sponsor", "relay 3 indexes"]);
        db.check_schema(&[&MIGRATIONS]).await.unwrap();
        assert_eq!(find(&db, &nsl_core::TenantId::parse("ten_a").unwrap(), "rel_1").await.unwrap().state, "sent");
        db.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_again_and_again_is_found_by_an_index() {
    let [ground, _] = Ground::both().await;
    let lane = || args!["ten_a", "neo-x", "0x01"];
    let late = || args!["ten_a", "neo-x", "0x01", at()];
    for (sql, args, indexes) in [
        (OPEN_LANES, args!["neo-x"], &["idx_relay_requests_open"][..]),
        (WAITING, lane(), &["idx_relay_requests_open", "idx_relay_requests_taken_back"]),
        (REVOKED, late(), &["idx_relay_requests_taken_back", "idx_relay_requests_over"]),
        (LAST_STATES, lane(), &["idx_relay_requests_open"]),
        (LIST, args!["ten_a", "neo-x", "rel_1", 100], &["idx_relay_requests_chain"]),
        (ALL, args!["ten_a", "neo-x"], &["idx_relay_accounts_tenant"]),
    ] {
        let sql: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {sql}").into_boxed_str());
        let plan = ground.db.query(Scope::Platform, sql, args).await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|mut row| row.take(3).unwrap()).collect();
        assert!(!plan.iter().any(|step| step.starts_with("SCAN relay_") || step.starts_with("SCAN r")), "{plan:#?}");
        for index in indexes {
            assert!(plan.iter().any(|step| step.starts_with("SEARCH") && step.contains(index)), "{index}: {plan:#?}");
        }
    }
}
