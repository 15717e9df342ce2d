//! Lanes among nodes that lie or refuse without a reason, chains that begin anew, budgets that others spend, and clocks
//! that are set back.

use nsl_api::relay::Limits;

use super::{troubles::Ground, *};
use crate::{
    node::IDLE_GAS,
    store::{Allow, ground},
};

/// What a request costs at most.
const COST: u128 = 21_000 * 40;

impl Ground {
    async fn ask(&self, number: u32) -> Id {
        ask(&self.db, &self.key, number, false, self.clock.now()).await
    }

    /// Rounds and blocks until nothing is left to do.
    async fn finish(&self, runner: &mut Runner<FakeNode>) {
        for _ in 0..60 {
            self.clock.advance(Duration::from_secs(3));
            runner.round().await.unwrap();
            self.node.0.lock().mine();
            if runner.is_idle() {
                return;
            }
        }
        panic!("stuck: {:?}", runner.lane);
    }

    async fn tell(&self, sql: &'static str, number: i64) {
        self.db.write_platform(Statement { sql, args: args![number] }).await.unwrap();
    }

    /// How often each request is in a block.
    fn times(&self) -> HashMap<String, u32> {
        let chain = self.node.0.lock();
        let mut times = HashMap::new();
        for (_, hash) in chain.blocks.iter().flatten() {
            if let Some(id) = &chain.signed[hash].2 {
                *times.entry(id.clone()).or_default() += 1;
            }
        }
        times
    }

    async fn done_once(&self, ids: &[Id]) {
        let times = self.times();
        for id in ids {
            assert_eq!((&*self.end(id).await.0, times.get(&**id)), ("final", Some(&1)), "{id}");
        }
    }
}

async fn over_and_again(ground: ground::Ground) {
    let entry = ground.entry();
    let ground = Ground::on(ground);
    let cx = Cx::system(ground.key.tenant.clone(), Duration::from_secs(30));
    let limits = Limits { per_transaction: None, per_day: Some((3 * COST).to_string()) };
    let (tenant, by, now) = (ground.key.tenant.clone(), Subject::parse("owner").unwrap(), ground.clock.now());
    ground.db.write(&cx, Allow { tenant: tenant.clone(), chain: "neo-x", limits, by, now, entry }).await.unwrap();
    let asked = [ground.ask(1).await, ground.ask(2).await, ground.ask(3).await];
    ground.node.0.lock().greedy = Some((ground.db.clone(), tenant, 2 * COST));
    let mut runner = ground.runner(1).await;
    runner.give().await.unwrap();
    for id in &asked[1..] {
        assert!(ground.end(id).await.1.unwrap().starts_with("budget: "), "another lane was faster");
    }
    assert!(ground.node.0.lock().pool.is_empty());
    // The process dies before its next turn.
    drop(runner);
    ground.clock.advance(Duration::from_secs(2));
    let mut runner = ground.runner(2).await;
    assert!(!runner.is_idle(), "what was acknowledged is still to be done: {:?}", ground.end(&asked[0]).await);
    ground.finish(&mut runner).await;
    ground.done_once(&asked[..1]).await;
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_when_others_are_over_the_budget_is_not_lost() {
    for ground in ground::Ground::both().await {
        over_and_again(ground).await;
    }
}

async fn tried_out_and_left(ground: ground::Ground) {
    let ground = Ground::on(ground);
    let (goes_on, back) = (ground.ask(1).await, ground.ask(2).await);
    ground.tell("UPDATE relay_requests SET state = 'simulated' WHERE length(id) > $1", 0).await;
    cancel(&ground.db, &ground.key, &back, ground.clock.now()).await;
    let held = hold(&ground.db, &ground.key, 1, ground.clock.now()).await;
    end_revoked(&ground.db, &ground.key, &held, ground.clock.now()).await.unwrap();
    assert_eq!(ground.end(&back).await.0, "replaced");
    let mut runner = ground.runner(1).await;
    ground.finish(&mut runner).await;
    ground.done_once(&[goes_on]).await;
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_tried_out_and_not_signed_goes_on_or_ends() {
    for ground in ground::Ground::both().await {
        tried_out_and_left(ground).await;
    }
}

#[tokio::test]
async fn words_that_nobody_knows_end_nothing_before_they_are_said_again_and_again() {
    let ground = Ground::new().await;
    let (clock, chain) = (&ground.clock, &ground.node.0);
    let first = ground.ask(1).await;
    chain.lock().grumbles = true;
    let mut runner = ground.runner(1).await;
    for _ in 0..6 {
        runner.round().await.unwrap();
        clock.advance(Duration::from_secs(3));
    }
    assert_eq!(ground.end(&first).await, ("signed".to_owned(), Some("the sky is falling".to_owned())));
    assert!(chain.lock().signed.values().all(|(_, _, whose)| whose.is_some()), "nothing takes its place");
    chain.lock().grumbles = false;
    ground.finish(&mut runner).await;
    ground.done_once(&[first]).await;
    // Where it is never taken it must not hold up the others for ever.
    let (second, third) = (ground.ask(2).await, ground.ask(3).await);
    chain.lock().grumbles = true;
    let mut runner = ground.runner(1).await;
    for _ in 0..9 {
        runner.round().await.unwrap();
        clock.advance(Duration::from_secs(3));
    }
    chain.lock().grumbles = false;
    ground.finish(&mut runner).await;
    assert_eq!(ground.end(&second).await, ("failed".to_owned(), Some("the sky is falling".to_owned())));
    ground.done_once(&[third]).await;
    ground.close().await;
}

#[tokio::test]
async fn a_trial_in_words_that_nobody_knows_is_put_off_and_ends_only_at_last() {
    let ground = Ground::new().await;
    let (passing, lasting) = (ground.ask(1).await, ground.ask(2).await);
    let troubles = [(passing.to_string(), "chain.node_error"), (lasting.to_string(), "chain.node_error")];
    ground.node.0.lock().troubles = HashMap::from(troubles);
    let mut runner = ground.runner(1).await;
    runner.round().await.unwrap();
    assert_eq!(ground.end(&passing).await.0, "accepted");
    ground.node.0.lock().troubles.remove(&*passing);
    ground.finish(&mut runner).await;
    ground.done_once(&[passing]).await;
    assert_eq!(ground.end(&lasting).await.0, "failed");
    ground.close().await;
}

#[tokio::test]
async fn no_more_is_offered_at_first_than_at_last() {
    let ground = Ground::new().await;
    let id = ground.ask(1).await;
    ground.node.0.lock().dearer = 10_000;
    let mut runner = ground.runner(1).await;
    for _ in 0..4 {
        runner.round().await.unwrap();
        ground.clock.advance(Duration::from_secs(3));
    }
    let (state, why) = ground.end(&id).await;
    assert!(state == "accepted" && why.as_ref().is_some_and(|why| why.contains("10000 wei")), "{state} {why:?}");
    assert!(ground.node.0.lock().signed.is_empty());
    assert_eq!(steps(&ground.db, &ground.key.tenant, &id, 0).await.unwrap().len(), 2, "it is told once");
    ground.node.0.lock().dearer = 0;
    ground.finish(&mut runner).await;
    ground.done_once(&[id]).await;
    ground.close().await;
}

#[tokio::test]
async fn nonces_that_a_liar_made_pass_over_are_filled() {
    let ground = Ground::new().await;
    let asked = [ground.ask(1).await, ground.ask(2).await];
    ground.node.0.lock().lie = 5;
    let mut runner = ground.runner(1).await;
    runner.round().await.unwrap();
    assert_eq!(runner.lane.slots.keys().copied().collect::<Vec<_>>(), [5, 6]);
    ground.node.0.lock().lie = 0;
    ground.finish(&mut runner).await;
    ground.done_once(&asked).await;
    assert_eq!((ground.node.0.lock().count, runner.lane.next), (7, 7));
    let (_, spent) = budget(&ground.db, &ground.key.tenant, "neo-x", day(ground.clock.now())).await.unwrap();
    assert_eq!(spent, 2 * COST, "nobody pays for them but the account");
    ground.close().await;
}

#[tokio::test]
async fn what_a_liar_left_behind_is_set_right_where_nothing_is_under_way() {
    let ground = Ground::new().await;
    let first = ground.ask(1).await;
    ground.finish(&mut ground.runner(1).await).await;
    ground.tell("UPDATE relay_lanes SET next = $1", 9_000).await;
    let second = ground.ask(2).await;
    let mut runner = ground.runner(1).await;
    assert_eq!(runner.lane.next, 1);
    ground.finish(&mut runner).await;
    ground.done_once(&[first, second]).await;
    ground.close().await;
}

#[tokio::test]
async fn a_nonce_that_was_spent_long_ago_is_found_out() {
    let ground = Ground::new().await;
    let mut asked = vec![ground.ask(1).await];
    ground.finish(&mut ground.runner(1).await).await;
    // Further back than blocks are read again at first.
    (0..500).for_each(|_| ground.node.0.lock().mine());
    ground.tell("UPDATE relay_lanes SET next = $1", 0).await;
    asked.push(ground.ask(2).await);
    ground.node.0.lock().lie = -1;
    let mut runner = ground.runner(1).await;
    runner.round().await.unwrap();
    assert_eq!(runner.lane.slots.keys().copied().collect::<Vec<_>>(), [0]);
    ground.node.0.lock().lie = 0;
    ground.finish(&mut runner).await;
    ground.done_once(&asked).await;
    ground.close().await;
}

#[tokio::test]
async fn an_account_goes_on_where_the_chain_begins_anew_or_lost_blocks() {
    for anew in [true, false] {
        let ground = Ground::new().await;
        let asked = [ground.ask(1).await, ground.ask(2).await];
        ground.finish(&mut ground.runner(1).await).await;
        ground.done_once(&asked).await;
        (0..30).for_each(|_| ground.node.0.lock().mine());
        let third = ground.ask(3).await;
        let mut runner = ground.runner(1).await;
        runner.round().await.unwrap();
        ground.node.0.lock().mine();
        ground.finish(&mut runner).await;
        drop(runner);
        ground.clock.advance(Duration::from_secs(60));
        {
            let mut chain = ground.node.0.lock();
            (chain.count, chain.blocks) = (0, Vec::new());
            chain.began = anew.then(|| ground.clock.now());
        }
        let fourth = ground.ask(4).await;
        let mut runner = ground.runner(2).await;
        assert_eq!(runner.lane.next, if anew { 0 } else { 3 });
        ground.finish(&mut runner).await;
        ground.done_once(&[fourth]).await;
        assert_eq!(ground.end(&third).await.0, "final", "of what the chain once had nothing is told anew");
        assert_eq!(ground.node.0.lock().count, if anew { 1 } else { 4 });
        ground.close().await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    let ground = Ground::new().await;
    let (clock, chain) = (&ground.clock, &ground.node.0);
    let (stays, back) = (ground.ask(1).await, ground.ask(2).await);
    let mut runner = ground.runner(1).await;
    runner.round().await.unwrap();
    assert_eq!(chain.lock().pool.len(), 2);
    chain.lock().pool.clear();
    clock.set(Timestamp(clock.now().0 - 86_400_000_000));
    cancel(&ground.db, &ground.key, &back, clock.now()).await;
    runner.round().await.unwrap();
    clock.advance(Duration::from_secs(3));
    runner.round().await.unwrap();
    assert_eq!(chain.lock().pool.len(), 2, "what was forgotten is sent again");
    assert_eq!(chain.lock().signed.len(), 3, "and what does nothing takes the place of one");
    ground.finish(&mut runner).await;
    ground.done_once(&[stays]).await;
    assert_eq!(ground.end(&back).await.0, "replaced");
    ground.close().await;
}

#[tokio::test]
async fn what_does_nothing_is_not_free_where_nobody_tells_what_it_took() {
    let ground = Ground::new().await;
    let id = ground.ask(1).await;
    let mut runner = ground.runner(1).await;
    runner.round().await.unwrap();
    ground.node.0.lock().feeless = true;
    cancel(&ground.db, &ground.key, &id, ground.clock.now()).await;
    ground.clock.advance(Duration::from_secs(3));
    runner.round().await.unwrap();
    ground.finish(&mut runner).await;
    assert_eq!(ground.end(&id).await.0, "replaced");
    let (_, spent) = budget(&ground.db, &ground.key.tenant, "neo-x", day(ground.clock.now())).await.unwrap();
    assert_eq!(spent, 44 * u128::from(IDLE_GAS));
    ground.close().await;
}
