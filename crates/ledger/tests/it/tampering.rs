use std::time::Duration;

use nsl_core::{Clock, SystemClock, TenantId};
use nsl_ledger::verify;
use nsl_sql::args;

use crate::ground::{Ground, each};

/// Passes the time that entries are kept, for the entries of the ground and for the lanes, which were begun now.
async fn grow_old(ground: &Ground) {
    let kept = Duration::from_secs(2_600 * 86_400);
    ground.clock.set(SystemClock.now().max(ground.clock.now()).plus(kept));
    ground.ledger.prepare_partitions().await.unwrap();
}

async fn filled(ground: &Ground) -> (TenantId, TenantId) {
    let (one, two) = (TenantId::fresh(), TenantId::fresh());
    ground.act(&one, 40).await;
    ground.act(&two, 25).await;
    ground.ledger.checkpoint().await.unwrap().unwrap();
    ground.act(&one, 10).await;
    (one, two)
}

#[tokio::test]
async fn an_honest_trail_is_whole_and_counts_what_was_done() {
    each(async |ground| {
        let (one, _) = filled(&ground).await;
        let verdict = ground.verdict().await;
        assert_eq!(verdict.faults, Vec::<String>::new());
        // 75 deeds, and the making of the two data keys.
        assert_eq!((verdict.entries, verdict.checkpoints), (77, 1));
        let own = verify(&ground.db, Some(&one), &ground.key, None).await.unwrap();
        assert!(own.whole() && own.entries == 51);
        assert_eq!(ground.ledger.checkpoint().await.unwrap().unwrap().number, 2);
        assert_eq!(ground.ledger.checkpoint().await.unwrap(), None, "nothing was added since");
        assert!(ground.verdict().await.whole());
    })
    .await;
}

#[tokio::test]
async fn every_way_of_changing_the_trail_is_named() {
    let ways: &[(&str, &str, &str)] = &[
        ("a changed column", "UPDATE audit_logs SET method_name = 'other' WHERE sequence = 3", "was changed"),
        (
            "a changed number",
            "UPDATE audit_logs SET request_data = '{\"number\":999}' WHERE sequence = 3",
            "was changed",
        ),
        ("a column made null", "UPDATE audit_logs SET personal = NULL WHERE sequence = 4", "was changed"),
        ("an entry cut out of the middle", "DELETE FROM audit_logs WHERE sequence = 2", "missing"),
        (
            "the last entries cut off",
            "DELETE FROM audit_logs WHERE EXISTS (SELECT 1 FROM audit_lanes l WHERE l.lane = audit_logs.lane AND l.length = audit_logs.sequence)",
            "ends at entry",
        ),
        ("a head moved back", "UPDATE audit_lanes SET length = length - 1", "length and head were changed"),
        (
            "two entries swapped",
            "UPDATE audit_logs SET sequence = CASE sequence WHEN 2 THEN 100002 WHEN 3 THEN 100003 END WHERE sequence IN (2, 3)",
            "missing",
        ),
        (
            "an entry given to another tenant",
            "UPDATE audit_logs SET tenant_id = 'ten_x' WHERE sequence = 1",
            "another tenant",
        ),
        ("a lane taken out", "DELETE FROM audit_lanes", "belong to no known lane"),
        ("all of it taken out", "DELETE FROM audit_logs", "ends at entry 0"),
        ("a checkpoint taken out", "DELETE FROM audit_checkpoints WHERE number = 1", "does not follow"),
        ("a checkpoint changed", "UPDATE audit_checkpoints SET lanes = lanes + 1", "was changed"),
        (
            "a lane of a checkpoint changed",
            "UPDATE audit_checkpoint_lanes SET length = length - 1",
            "lanes that it names",
        ),
    ];
    each(async |ground| {
        filled(&ground).await;
        ground.ledger.checkpoint().await.unwrap();
        drop(ground);
    })
    .await;
    for (way, sql, named) in ways {
        each(async |ground| {
            filled(&ground).await;
            ground.ledger.checkpoint().await.unwrap();
            assert!(ground.tamper(sql, vec![]).await > 0, "{way} changed nothing");
            let verdict = ground.verdict().await;
            assert!(verdict.faults.iter().any(|fault| fault.contains(named)), "{way}: {:?}", verdict.faults);
            // What is past its time goes, but not what would take the fault with it.
            grow_old(&ground).await;
            ground.ledger.retain().await.unwrap();
            let verdict = ground.verdict().await;
            assert!(verdict.faults.iter().any(|fault| fault.contains(named)), "{way}, later: {:?}", verdict.faults);
        })
        .await;
    }
}

#[tokio::test]
async fn entries_made_older_than_they_are_stay() {
    each(async |ground| {
        filled(&ground).await;
        let long_ago = ground.clock.now().minus(Duration::from_secs(3_000 * 86_400));
        assert!(ground.tamper("UPDATE audit_logs SET created_at = $1", args![long_ago]).await > 0);
        assert_eq!(ground.ledger.retain().await.unwrap(), 0);
        assert!(!ground.verdict().await.whole());
    })
    .await;
}

#[tokio::test]
async fn a_lane_that_vanished_with_all_its_traces_is_missed_by_the_checkpoint() {
    each(async |ground| {
        let (_, two) = filled(&ground).await;
        for sql in ["DELETE FROM audit_logs WHERE tenant_id = $1", "DELETE FROM audit_lanes WHERE tenant_id = $1"] {
            ground.tamper(sql, args![&two]).await;
        }
        let verdict = ground.verdict().await;
        assert!(verdict.faults.iter().any(|fault| fault.contains("it is gone")), "{:?}", verdict.faults);
        ground.tamper("DELETE FROM audit_checkpoint_lanes WHERE tenant_id = $1", args![&two]).await;
        let verdict = ground.verdict().await;
        assert!(verdict.faults.iter().any(|fault| fault.contains("lanes that it names")), "{:?}", verdict.faults);
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_database_is_older_than_the_checkpoint_seen_elsewhere() {
    each(async |ground| {
        filled(&ground).await;
        let seen = ground.ledger.checkpoint().await.unwrap().unwrap();
        let verdict = verify(&ground.db, None, &ground.key, Some(&seen)).await.unwrap();
        assert!(verdict.whole(), "{:?}", verdict.faults);
        ground.tamper("DELETE FROM audit_checkpoint_lanes WHERE number = $1", args![seen.number]).await;
        ground.tamper("DELETE FROM audit_checkpoints WHERE number = $1", args![seen.number]).await;
        assert!(ground.verdict().await.whole(), "from the inside nothing is to be seen");
        let verdict = verify(&ground.db, None, &ground.key, Some(&seen)).await.unwrap();
        assert!(verdict.faults[0].contains("rolled back"), "{:?}", verdict.faults);
    })
    .await;
}

#[tokio::test]
async fn seven_years_on_old_months_go_and_the_rest_still_verifies() {
    each(async |ground| {
        let (one, _) = filled(&ground).await;
        ground.ledger.checkpoint().await.unwrap();
        grow_old(&ground).await;
        ground.act(&one, 5).await;
        assert_eq!(ground.ledger.retain().await.unwrap(), 77);
        let verdict = ground.verdict().await;
        assert!(verdict.whole(), "{:?}", verdict.faults);
        // The five, and a line for each lane that was let go.
        assert!(verdict.entries > 5 && verdict.entries < 20, "{}", verdict.entries);
    })
    .await;
}
