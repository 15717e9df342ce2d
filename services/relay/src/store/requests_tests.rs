//! Requests, their states and what is counted for them, on both SQL engines.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nsl_core::{Clock, Cx, ManualClock};
use nsl_sandbox::Database;
use nsl_sql::{BASE, Config, Statement};

use super::*;
use crate::{
    MIGRATIONS,
    store::{ALONE, Cost, Held, Revoked, Step, Take, budget, day, end_revoked, revoked, step, waiting, wanted},
};

struct Ground {
    db: Db,
    clock: Arc<ManualClock>,
    cx: Cx,
    lane: LaneKey,
    _dir: tempfile::TempDir,
    _database: Option<Database>,
}

impl Ground {
    async fn fresh(database: Option<Database>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = database.as_ref().map_or_else(Config::embedded, |database| Config::postgres(database.url()));
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-11-21T08:00:00Z").unwrap()));
        config.migrate(dir.path(), &*clock, &[&BASE, &MIGRATIONS]).await.unwrap();
        let db = Db::open(&config, dir.path(), clock.clone(), || None).await.unwrap();
        let cx = Cx::system(TenantId::parse("ten_a").unwrap(), Duration::from_secs(60));
        let lane = LaneKey { tenant: cx.tenant.clone(), chain: "neo-x", account: "0x01".into() };
        Self { db, clock, cx, lane, _dir: dir, _database: database }
    }

    async fn both() -> [Self; 2] {
        [Self::fresh(None).await, Self::fresh(Some(Database::fresh().unwrap())).await]
    }

    async fn accept(&self, id: &str, expires_at: Option<Timestamp>) {
        let (by, now) = (self.cx.principal.subject.clone(), self.clock.now());
        let kept = Kept { expires_at, ..Kept::fresh(id.to_owned(), &self.lane, by, serde_json::json!({}), now) };
        let entry = Entry::new(&self.cx, "relay.test", "relay", "test", now);
        self.db.write(&self.cx, Accept { tenant: self.cx.tenant.clone(), kept, entry }).await.unwrap();
    }

    async fn hold(&self) -> Held {
        let now = self.clock.now();
        let until = now.plus(Duration::from_secs(3_600));
        let take = Take { lane: self.lane.clone(), holder: "here".into(), now, until };
        self.db.write_platform(take).await.unwrap().unwrap()
    }

    async fn step(&self, held: &Held, became: Vec<Became>, costs: Vec<Cost>) {
        let empty = Step::nothing(self.lane.clone(), held.fence, self.clock.now(), 0, 0);
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
        let found = waiting(&ground.db, &ground.lane).await.unwrap();
        assert_eq!(found.len(), 2_049);
        assert!(found.is_sorted());
        assert_eq!((&*found[0], &*found[2_047], &*found[2_048]), ("rel_00000", "rel_02047", "rel_02090"));
        let names = |now| {
            let (db, lane) = (&ground.db, &ground.lane);
            async move {
                let found = revoked(db, lane, now).await.unwrap();
                found.into_iter().map(|(id, why)| (id.to_string(), why == Revoked::Cancelled)).collect::<HashSet<_>>()
            }
        };
        let cancelled = [("rel_00003".to_owned(), true), ("rel_02090".to_owned(), true)];
        assert_eq!(names(ground.clock.now()).await, HashSet::from(cancelled.clone()));
        ground.clock.advance(Duration::from_secs(11));
        let over = [("rel_02099".to_owned(), false)];
        assert_eq!(names(ground.clock.now()).await, cancelled.into_iter().chain(over).collect());
        let held = ground.hold().await;
        end_revoked(&ground.db, &ground.lane, &held, ground.clock.now()).await.unwrap();
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
