use std::time::Duration;

use nsl_core::TenantId;
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
