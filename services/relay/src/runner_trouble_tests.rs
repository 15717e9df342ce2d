//! Lanes on bad days, one trouble at a time.

use super::*;
use crate::store::ground;

pub(super) struct Ground {
    pub(super) clock: Arc<ManualClock>,
    pub(super) db: Db,
    pub(super) key: LaneKey,
    pub(super) node: FakeNode,
    dir: tempfile::TempDir,
    database: Option<nsl_sandbox::Database>,
}

impl Ground {
    pub(super) async fn new() -> Self {
        Self::on(ground::Ground::fresh(None).await)
    }

    pub(super) fn on(ground: ground::Ground) -> Self {
        let ground::Ground { db, clock, cx, dir, database, .. } = ground;
        let key = LaneKey { tenant: cx.tenant, chain: "neo-x", account: "0xabc".into() };
        Self { clock, db, key, node: FakeNode(Arc::default(), false, 1), dir, database }
    }

    pub(super) async fn runner(&self, holder: u32) -> Runner<FakeNode> {
        self.runner_at(holder, pace()).await
    }

    pub(super) async fn runner_at(&self, holder: u32, pace: Pace) -> Runner<FakeNode> {
        let held = hold(&self.db, &self.key, holder, self.clock.now()).await;
        let (db, clock, node) = (self.db.clone(), self.clock.clone(), self.node.clone());
        Runner::take_up(db, clock, node, self.key.clone(), held, pace).await.unwrap()
    }

    pub(super) async fn end(&self, id: &Id) -> (String, Option<String>) {
        let kept = find(&self.db, &self.key.tenant, id).await.unwrap();
        (kept.state, kept.reason)
    }

    pub(super) async fn close(self) {
        self.db.drain().await;
        drop((self.dir, self.database));
    }
}

#[tokio::test]
async fn what_no_endpoint_tries_out_holds_nobody_up() {
    let ground = Ground::new().await;
    let (db, key, clock, chain) = (&ground.db, &ground.key, &ground.clock, &ground.node.0);
    let mut asked = Vec::new();
    for number in 0..8 {
        asked.push(ask(db, key, number, false, clock.now()).await);
    }
    chain.lock().troubles = HashMap::from([
        (asked[0].to_string(), "chain.unreachable"),
        (asked[3].to_string(), "chain.too_slow"),
        (asked[5].to_string(), "chain.too_slow"),
    ]);
    let mut runner = ground.runner(1).await;
    runner.round().await.unwrap();
    assert_eq!(chain.lock().pool.len(), 5);
    for number in [0, 3, 5] {
        let reason = Some("no endpoint tries it out".to_owned());
        assert_eq!(ground.end(&asked[number]).await, ("accepted".to_owned(), reason));
    }
    chain.lock().mine();
    chain.lock().troubles.remove(&*asked[3]);
    for _ in 0..60 {
        clock.advance(Duration::from_secs(2));
        runner.round().await.unwrap();
        chain.lock().mine();
    }
    for number in [1, 2, 3, 4, 6, 7] {
        assert_eq!(ground.end(&asked[number]).await.0, "final", "{number}");
    }
    assert_eq!(ground.end(&asked[0]).await.0, "accepted", "what decides nothing never ends it");
    assert_eq!(ground.end(&asked[5]).await.0, "failed", "too slow again and again");
    let steps = steps(db, &key.tenant, &asked[0], 0).await.unwrap();
    assert_eq!(steps.len(), 2, "it is told once: {steps:?}");
    chain.lock().troubles.clear();
    clock.advance(Duration::from_secs(70));
    runner.round().await.unwrap();
    chain.lock().mine();
    runner.round().await.unwrap();
    assert_eq!(ground.end(&asked[0]).await.0, "final");
    assert!(runner.is_idle());
    ground.close().await;
}

#[tokio::test]
async fn what_is_under_way_is_offered_again_as_it_was_after_a_restart() {
    let ground = Ground::new().await;
    let (db, key, clock, chain) = (&ground.db, &ground.key, &ground.clock, &ground.node.0);
    let id = ask(db, key, 1, false, clock.now()).await;
    ground.runner(1).await.round().await.unwrap();
    for (holder, slug) in [(2, "chain.too_slow"), (3, "chain.unreachable")] {
        clock.advance(Duration::from_secs(20));
        chain.lock().troubles.insert(id.to_string(), slug);
        let other = ask(db, key, 10 + holder, false, clock.now()).await;
        chain.lock().troubles.insert(other.to_string(), slug);
        let mut runner = ground.runner(holder).await;
        for _ in 0..2 {
            runner.round().await.unwrap();
            clock.advance(Duration::from_secs(11));
        }
        assert_eq!(runner.lane.slots.len(), 1);
    }
    clock.advance(Duration::from_secs(2));
    let slots = ground.runner(4).await.lane.slots;
    assert_eq!(slots[&0].given_up, None);
    assert!(slots[&0].tries.len() > 1 && slots[&0].tries.iter().all(|one| one.request.as_ref() == Some(&id)));
    chain.lock().mine();
    clock.advance(Duration::from_secs(2));
    ground.runner(5).await.round().await.unwrap();
    assert_eq!(ground.end(&id).await.0, "final");
    ground.close().await;
}

#[tokio::test]
async fn an_account_without_money_offers_no_more_and_a_request_can_be_taken_back_at_any_price() {
    let ground = Ground::new().await;
    let (db, key, clock, chain) = (&ground.db, &ground.key, &ground.clock, &ground.node.0);
    chain.lock().poor = true;
    let id = ask(db, key, 1, false, clock.now()).await;
    let mut runner = ground.runner(1).await;
    // As high as it may be.
    runner.pace.most_price = 40;
    for _ in 0..20 {
        runner.round().await.unwrap();
        clock.advance(Duration::from_secs(4));
        chain.lock().mine();
    }
    assert_eq!(chain.lock().signed.len(), 1, "a higher price brings no money");
    assert_eq!(ground.end(&id).await, ("signed".to_owned(), Some("no money".to_owned())));
    cancel(db, key, &id, clock.now()).await;
    for _ in 0..20 {
        runner.round().await.unwrap();
        clock.advance(Duration::from_secs(4));
    }
    assert_eq!(chain.lock().signed.len(), 2, "what does nothing, once");
    chain.lock().poor = false;
    for _ in 0..3 {
        runner.round().await.unwrap();
        clock.advance(Duration::from_secs(4));
        chain.lock().mine();
    }
    assert_eq!(ground.end(&id).await.0, "replaced");
    assert!(runner.is_idle());
    ground.close().await;
}

#[tokio::test]
async fn a_lie_about_the_height_costs_a_second_look() {
    let ground = Ground::new().await;
    let (db, key, clock, chain) = (&ground.db, &ground.key, &ground.clock, &ground.node.0);
    (0..500).for_each(|_| chain.lock().mine());
    for (number, lie) in [(1, 20), (2, 400)] {
        let id = ask(db, key, number, false, clock.now()).await;
        clock.advance(Duration::from_secs(2));
        let mut runner = ground.runner(number).await;
        let head = chain.lock().blocks.len() as u64;
        (runner.looked, runner.at) = (head + lie, Some([0xee; 32]));
        runner.give().await.unwrap();
        chain.lock().mine();
        let mut rounds = 0;
        while !runner.is_idle() {
            runner.round().await.unwrap();
            chain.lock().mine();
            rounds += 1;
            assert!(rounds < 40, "{lie}: stuck at {}", runner.looked);
        }
        assert_eq!(ground.end(&id).await.0, "final", "{lie}");
    }
    ground.close().await;
}

async fn ended_without_a_node(config: Config, dir: &std::path::Path) {
    let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-11-21T08:00:00Z").unwrap()));
    config.migrate(dir, &*clock, &[&BASE, &MIGRATIONS]).await.unwrap();
    let db = Db::open(&config, dir, clock.clone(), || None).await.unwrap();
    let key = LaneKey { tenant: TenantId::parse("ten_a").unwrap(), chain: "neo-x", account: "0xabc".into() };
    let now = clock.now();
    let soon = Some(now.plus(Duration::from_secs(1)));
    let (back, over) = (ask(&db, &key, 1, false, now).await, ask_until(&db, &key, 2, false, now, soon).await);
    let stays = ask_until(&db, &key, 3, false, now, Some(now.plus(Duration::from_secs(60)))).await;
    cancel(&db, &key, &back, now).await;
    let held = hold(&db, &key, 1, now).await;
    end_revoked(&db, &key, &held, now).await.unwrap();
    let state = async |id: &Id| find(&db, &key.tenant, id).await.unwrap().state;
    assert_eq!((&*state(&back).await, &*state(&over).await), ("replaced", "accepted"));
    clock.advance(Duration::from_secs(2));
    // Who lost the lane ends nothing.
    hold(&db, &key, 2, clock.now()).await;
    assert_eq!(end_revoked(&db, &key, &held, clock.now()).await.unwrap_err().slug, crate::store::LANE_LOST);
    let held = hold(&db, &key, 2, clock.now()).await;
    end_revoked(&db, &key, &held, clock.now()).await.unwrap();
    assert_eq!((&*state(&over).await, &*state(&stays).await), ("expired", "accepted"));
    db.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_before_it_was_signed_ends_while_no_node_answers() {
    ended_without_a_node(Config::embedded(), tempfile::tempdir().unwrap().path()).await;
    let database = nsl_sandbox::Database::fresh().unwrap();
    ended_without_a_node(Config::postgres(database.url()), tempfile::tempdir().unwrap().path()).await;
}

#[tokio::test]
async fn what_is_sent_again_and_again_is_told_once() {
    let ground = Ground::new().await;
    let (db, key, clock) = (&ground.db, &ground.key, &ground.clock);
    let id = ask(db, key, 1, false, clock.now()).await;
    let mut runner = ground.runner_at(1, Pace { raise: Duration::from_secs(1_000), ..pace() }).await;
    for _ in 0..20 {
        clock.advance(Duration::from_secs(3));
        runner.round().await.unwrap();
    }
    ground.node.0.lock().mine();
    runner.round().await.unwrap();
    let passed: Vec<String> = steps(db, &key.tenant, &id, 0).await.unwrap().into_iter().map(|one| one.state).collect();
    assert_eq!(passed, ["accepted", "simulated", "signed", "sent", "final"]);
    ground.close().await;
}

#[tokio::test]
async fn a_process_that_lost_its_lane_writes_nothing() {
    let ground = Ground::new().await;
    let (db, key, clock) = (&ground.db, &ground.key, &ground.clock);
    let id = ask(db, key, 1, false, clock.now()).await;
    let mut slow = ground.runner(1).await;
    clock.advance(Duration::from_secs(2));
    hold(db, key, 2, clock.now()).await;
    let error = slow.round().await.unwrap_err();
    assert!(!passes(&error), "{error}");
    assert!(ground.node.0.lock().pool.is_empty(), "what was not stored was not sent");
    assert_eq!(ground.end(&id).await.0, "accepted");
    ground.close().await;
}
