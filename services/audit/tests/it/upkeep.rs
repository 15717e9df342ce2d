use std::time::Duration;

use nsl_core::TenantId;
use nsl_kit::Tasks;
use nsl_ledger::verify;
use nsl_sql::args;

use crate::ground::{Ground, each};

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_ties_all_lanes_and_the_newest_checkpoint_is_kept_elsewhere() {
    each(async |ground: Ground| {
        let tenant = TenantId::fresh();
        ground.act(&tenant, 1).await;
        assert_eq!(nsl_audit::last_seen(&ground.blobs).await.unwrap(), None);
        assert!(ground.tasks.drain(Duration::from_secs(5)).await.is_empty());
        let seen = nsl_audit::last_seen(&ground.blobs).await.unwrap().unwrap();
        assert_eq!(seen.number, 1);
        let found = verify(&ground.db, None, &ground.key, Some(&seen)).await.unwrap();
        assert!(found.whole() && found.checkpoints == 1, "{found:?}");

        // A database as it was before: consistent in itself, but older than what was seen.
        ground.tamper("DELETE FROM audit_checkpoint_lanes WHERE number = $1", args![1i64]).await;
        ground.tamper("DELETE FROM audit_checkpoints WHERE number = $1", args![1i64]).await;
        assert!(verify(&ground.db, None, &ground.key, None).await.unwrap().whole());
        let found = verify(&ground.db, None, &ground.key, Some(&seen)).await.unwrap();
        assert!(found.faults.iter().any(|fault| fault.contains("rolled back")), "{found:?}");
    })
    .await;
}

/// What a process does from its start to its stop.
async fn live(ground: &Ground) {
    let tasks = Tasks::new();
    let (config, key) = (nsl_audit::Config::default(), ground.key.clone());
    nsl_audit::build(config, ground.db.clone(), ground.ledger.clone(), key, ground.blobs.clone(), &tasks);
    assert!(tasks.drain(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_database_never_replaces_the_checkpoint_that_gives_it_away() {
    each(async |ground: Ground| {
        let tenant = TenantId::fresh();
        for number in 1..=2 {
            ground.act(&tenant, number).await;
            live(&ground).await;
        }
        let seen = nsl_audit::last_seen(&ground.blobs).await.unwrap().unwrap();
        assert_eq!(seen.number, 2, "a later checkpoint takes the place of one that is still there");

        ground.tamper("DELETE FROM audit_checkpoint_lanes WHERE number = $1", args![2i64]).await;
        ground.tamper("DELETE FROM audit_checkpoints WHERE number = $1", args![2i64]).await;
        assert!(!ground.ledger.holds(&seen).await.unwrap());
        for number in 3..=4 {
            ground.act(&tenant, number).await;
            assert_eq!(ground.ledger.checkpoint().await.unwrap().unwrap().number, number as i64 - 1);
        }
        ground.act(&tenant, 5).await;
        live(&ground).await;
        assert_eq!(nsl_audit::last_seen(&ground.blobs).await.unwrap(), Some(seen.clone()));
        let found = verify(&ground.db, None, &ground.key, Some(&seen)).await.unwrap();
        assert!(found.checkpoints == 4 && found.faults.iter().any(|fault| fault.contains("rolled back")), "{found:?}");
    })
    .await;
}
