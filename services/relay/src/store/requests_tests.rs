//! Requests, their states and what is counted for them, on both SQL engines.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nsl_core::Clock;
use nsl_sql::Statement;

use super::*;
use crate::store::{
    ALONE, Cost, Held, Revoked, Step, Take, budget, day, end_revoked, ground::Ground, open_lanes, revoked, step,
    waiting, wanted,
};

impl Ground {
    fn lane(&self) -> LaneKey {
        LaneKey { tenant: self.cx.tenant.clone(), chain: "neo-x", account: "0x01".into() }
    }

    async fn accept(&self, id: &str, expires_at: Option<Timestamp>) {
        let (by, now) = (self.cx.principal.subject.clone(), self.clock.now());
        let kept = Kept { expires_at, ..Kept::fresh(id.to_owned(), &self.lane(), by, serde_json::json!({}), now) };
        let entry = self.entry();
        self.db.write(&self.cx, Accept { tenant: self.cx.tenant.clone(), kept, entry }).await.unwrap();
    }

    async fn hold(&self) -> Held {
        let now = self.clock.now();
        let until = now.plus(Duration::from_secs(3_600));
        let take = Take { lane: self.lane(), holder: "here".into(), now, until };
        self.db.write_platform(take).await.unwrap().unwrap()
    }

    /// Requests of a tenant and account that wait and whose time is over, stored all at once.
    async fn heap(&self, tenant: &'static str, account: &'static str, first: i64, count: i64) {
        let sql = "INSERT INTO relay_requests (tenant_id, id, chain, account, subject, intent, state, expires_at,
              created_at, updated_at)
            WITH RECURSIVE n (i) AS (SELECT CAST($3 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < $4)
            SELECT $1, 'rel_' || i, 'neo-x', $2, 'somebody', '{}', 'accepted', $5, $5, $5 FROM n";
        let args = args![tenant, account, first, first + count - 1, self.clock.now()];
        assert_eq!(self.db.write_platform(Statement { sql, args }).await.unwrap(), count as u64);
    }

    async fn step(&self, held: &Held, became: Vec<Became>, costs: Vec<Cost>) {
        let empty = Step::nothing(self.lane(), held.fence, self.clock.now(), 0, 0);
        assert!(step(&self.db, &self.cx, Step { became, costs, ..empty }).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_and_fro_is_told_so_often_and_its_end_always() {
    for ground in Ground::both().await {
        ground.accept("rel_1", None).await;
        ground.accept("rel_2", None).await;
        let held = ground.hold().await;
        let told = |state, reason: Option<&str>| Became::told("rel_1".into(), state, reason.map(str::to_owned));
        for _ in 0..50 {
            let other = Became::told("rel_2".into(), "sent", None);
            ground.step(&held, vec![told("sent", None), other], vec![]).await;
            ground.step(&held, vec![told("signed", None)], vec![]).await;
            ground.step(&held, vec![told("sent", Some("again"))], vec![]).await;
        }
        ground.step(&held, vec![told("final", None)], vec![]).await;
        let passed = steps(&ground.db, &ground.cx.tenant, "rel_1", 0).await.unwrap();
        let numbers: Vec<i64> = passed.iter().map(|one| one.number).collect();
        assert_eq!(numbers, (1..=62).collect::<Vec<i64>>());
        assert_eq!((passed[0].state.as_str(), passed[61].state.as_str()), ("accepted", "final"));
        let again = passed.iter().filter(|one| one.reason.as_deref() == Some("again")).count();
        assert_eq!(again, 20);
        assert_eq!(steps(&ground.db, &ground.cx.tenant, "rel_2", 0).await.unwrap().len(), 21);
        // What it is now is kept also where it is no step.
        assert_eq!(find(&ground.db, &ground.cx.tenant, "rel_2").await.unwrap().state, "sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_long_queue_the_oldest_are_taken_up_and_all_that_are_over_end() {
    for ground in Ground::both().await {
        let soon = ground.clock.now().plus(Duration::from_secs(10));
        let many = (0..2_100).map(|number| {
            let (ground, id) = (&ground, format!("rel_{number:05}"));
            async move { ground.accept(&id, [None, Some(soon)][usize::from(number == 2_099)]).await }
        });
        join_all(many).await;
        let cancel = Statement {
            sql: "UPDATE relay_requests SET cancelled_at = $1 WHERE id IN ('rel_00003', 'rel_02090')",
            args: args![ground.clock.now()],
        };
        assert_eq!(ground.db.write_platform(cancel).await.unwrap(), 2);
        let found = waiting(&ground.db, &ground.lane()).await.unwrap();
        assert_eq!(found.len(), 2_049);
        assert!(found.is_sorted());
        assert_eq!((&*found[0], &*found[2_047], &*found[2_048]), ("rel_00000", "rel_02047", "rel_02090"));
        let names = |now| {
            let (db, lane) = (&ground.db, ground.lane());
            async move {
                let found = revoked(db, &lane, now).await.unwrap();
                found.into_iter().map(|(id, why)| (id.to_string(), why == Revoked::Cancelled)).collect::<HashSet<_>>()
            }
        };
        let cancelled = [("rel_00003".to_owned(), true), ("rel_02090".to_owned(), true)];
        assert_eq!(names(ground.clock.now()).await, HashSet::from(cancelled.clone()));
        ground.clock.advance(Duration::from_secs(11));
        let over = [("rel_02099".to_owned(), false)];
        assert_eq!(names(ground.clock.now()).await, cancelled.into_iter().chain(over).collect());
        let held = ground.hold().await;
        end_revoked(&ground.db, &ground.lane(), &held, ground.clock.now()).await.unwrap();
        assert!(names(ground.clock.now()).await.is_empty());
        for (id, state) in [("rel_00003", "replaced"), ("rel_02090", "replaced"), ("rel_02099", "expired")] {
            assert_eq!(find(&ground.db, &ground.cx.tenant, id).await.unwrap().state, state, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_block_took_and_nobody_tells_stays_reserved() {
    for ground in Ground::both().await {
        let ids = ["rel_1", "rel_2", "rel_3"];
        for id in ids {
            ground.accept(id, None).await;
        }
        let held = ground.hold().await;
        let costs = ids.map(|id| Cost { request: id.into(), amount: 100, must: false });
        ground.step(&held, vec![], costs.to_vec()).await;
        let spent = async || {
            let today = day(ground.clock.now());
            budget(&ground.db, &ground.cx.tenant, "neo-x", today).await.unwrap().1
        };
        assert_eq!(spent().await, 300);
        let end = |id: &str, state| Became::told(id.into(), state, None);
        ground.step(&held, vec![end("rel_1", "final").at(&[1; 32], 7)], vec![]).await;
        assert_eq!(spent().await, 300, "in a block, and its fee is not told");
        ground.step(&held, vec![end("rel_2", "final").at(&[2; 32], 7).paid(Some(30))], vec![]).await;
        assert_eq!(spent().await, 230);
        ground.step(&held, vec![end("rel_3", "expired")], vec![]).await;
        assert_eq!(spent().await, 130, "in no block");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_to_go_alone_stays_so_whatever_is_told_later() {
    for ground in Ground::both().await {
        let ids: [Arc<str>; 2] = ["rel_1".into(), "rel_2".into()];
        for id in &ids {
            ground.accept(id, None).await;
        }
        let held = ground.hold().await;
        let told = |place: usize, state, reason: &str| Became::told(ids[place].clone(), state, Some(reason.to_owned()));
        ground.step(&held, vec![told(0, "accepted", &format!("{ALONE}its transaction was undone"))], vec![]).await;
        for state in ["accepted", "signed"] {
            ground.step(&held, vec![told(0, state, "no endpoint answers"), told(1, state, "it goes")], vec![]).await;
        }
        let found = wanted(&ground.db, &ground.cx.tenant, &ids).await.unwrap();
        assert_eq!((found[&ids[0]].goes_alone, found[&ids[1]].goes_alone), (true, false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reason_of_any_bytes_is_kept() {
    for ground in Ground::both().await {
        ground.accept("rel_1", None).await;
        let held = ground.hold().await;
        ground.step(&held, vec![Became::told("rel_1".into(), "failed", Some("it \0 threw".into()))], vec![]).await;
        let found = find(&ground.db, &ground.cx.tenant, "rel_1").await.unwrap();
        assert_eq!((found.state.as_str(), found.reason.as_deref()), ("failed", Some("it   threw")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_are_over_all_end_and_what_is_under_way_is_told_first() {
    for ground in Ground::both().await {
        let (lane, last) = (ground.lane(), Arc::<str>::from("rel_99999"));
        ground.heap("ten_a", "0x01", 10_000, 4_300).await;
        ground.accept(&last, Some(ground.clock.now())).await;
        let held = ground.hold().await;
        ground.step(&held, vec![Became::told(last.clone(), "sent", None)], vec![]).await;
        let found = revoked(&ground.db, &lane, ground.clock.now()).await.unwrap();
        assert_eq!(found.len(), 4_096);
        assert_eq!(found[&last], Revoked::Expired);
        assert!(found.contains_key("rel_10000") && !found.contains_key("rel_14299"));
        end_revoked(&ground.db, &lane, &held, ground.clock.now()).await.unwrap();
        assert!(waiting(&ground.db, &lane).await.unwrap().is_empty());
        assert_eq!(find(&ground.db, &lane.tenant, "rel_14299").await.unwrap().state, "expired");
        let left = revoked(&ground.db, &lane, ground.clock.now()).await.unwrap();
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [last], "what is signed is for the chain to decide");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_are_found_from_account_to_account_and_keep_to_their_tenant() {
    for ground in Ground::both().await {
        assert!(open_lanes(&ground.db, "neo-x").await.unwrap().is_empty());
        for (place, (tenant, account)) in
            [("ten_b", "0x00"), ("ten_a", "0x01"), ("ten_a", "0x03"), ("ten_c", "0x02")].into_iter().enumerate()
        {
            ground.heap(tenant, account, 10_000 * (1 + place as i64), 50).await;
        }
        let settle = "UPDATE relay_requests SET settled_at = $1 WHERE account = '0x03'";
        ground.db.write_platform(Statement { sql: settle, args: args![ground.clock.now()] }).await.unwrap();
        let found = open_lanes(&ground.db, "neo-x").await.unwrap();
        let found: Vec<_> = found.iter().map(|lane| (lane.tenant.as_str(), &*lane.account)).collect();
        assert_eq!(found, [("ten_b", "0x00"), ("ten_a", "0x01"), ("ten_c", "0x02")]);
        assert!(open_lanes(&ground.db, "neo-n3").await.unwrap().is_empty());
        // Even a tenant that bypassed every check sees nothing of another's account.
        let strange = LaneKey { account: "0x02".into(), ..ground.lane() };
        assert!(waiting(&ground.db, &strange).await.unwrap().is_empty());
        assert!(revoked(&ground.db, &strange, ground.clock.now()).await.unwrap().is_empty());
        assert_eq!(waiting(&ground.db, &ground.lane()).await.unwrap().len(), 50);
    }
}
