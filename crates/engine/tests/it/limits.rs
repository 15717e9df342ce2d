use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nsl_core::SystemClock;
use nsl_engine::{
    limits::{Limits, LimitsConfig, LimitsEngine, OnLoss, Quota},
    redis::Redis,
};
use nsl_sandbox::Redis as Server;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use crate::node::{eventually, redis_config};

fn config(engine: LimitsEngine, on_loss: OnLoss) -> LimitsConfig {
    LimitsConfig { engine, on_loss, local_share: 0.5, callers: 10_000 }
}

async fn connected(server: &Server, tasks: &mut JoinSet<()>) -> Redis {
    let redis = Redis::new(&redis_config(&server.url())).unwrap();
    tasks.spawn(redis.clone().run(CancellationToken::new()));
    redis.until_up().await;
    redis
}

fn over(redis: &Redis, on_loss: OnLoss) -> Limits {
    Limits::build(&config(LimitsEngine::Redis, on_loss), Some(redis), Arc::new(SystemClock)).unwrap()
}

/// What both engines promise; the quota is slow enough that no time passes in the test.
async fn promises(limits: &Limits) {
    let quota = Quota::per(10, Duration::from_secs(10_000));
    for used in 1..=4 {
        let decision = limits.check("write", "me", quota, 2).await;
        assert!(decision.allowed, "{decision:?}");
        assert_eq!(decision.remaining, 10 - 2 * used);
        assert_eq!(decision.retry_after, Duration::ZERO);
        assert!(decision.reset_after.as_secs().abs_diff(u64::from(2_000 * used)) <= 2, "{decision:?}");
    }
    let refused = limits.check("write", "me", quota, 3).await;
    assert!(!refused.allowed && refused.remaining == 2, "{refused:?}");
    assert!(refused.retry_after.as_secs().abs_diff(1_000) <= 2, "{refused:?}");
    let refused = limits.check("write", "me", quota, 11).await;
    assert!(!refused.allowed, "{refused:?}");
    assert!(limits.check("write", "me", quota, 2).await.allowed, "a refused one does not count");
    assert!(!limits.check("write", "me", quota, 1).await.allowed);
    assert!(limits.check("write", "you", quota, 10).await.allowed);
    assert!(limits.check("read", "me", quota, 10).await.allowed);
    assert_eq!(limits.check("read", "me", quota.burst(20), 0).await.remaining, 10);
}

#[tokio::test]
async fn memory_and_redis_keep_their_promises() {
    let memory = config(LimitsEngine::Memory, OnLoss::Open);
    promises(&Limits::build(&memory, None, Arc::new(SystemClock)).unwrap()).await;
    let server = Server::start().unwrap();
    let mut tasks = JoinSet::new();
    let redis = connected(&server, &mut tasks).await;
    promises(&over(&redis, OnLoss::Closed)).await;
    let limits = over(&redis, OnLoss::Closed);
    assert!(!limits.check("write", "me", Quota::per(10, Duration::from_secs(10_000)), 1).await.allowed);
}

#[tokio::test]
async fn a_refused_caller_costs_redis_nothing() {
    let server = Server::start().unwrap();
    let mut tasks = JoinSet::new();
    let limits = over(&connected(&server, &mut tasks).await, OnLoss::Open);
    let quota = Quota::per(1, Duration::from_secs(1_000));
    assert!(limits.check("c", "me", quota, 1).await.allowed);
    assert!(!limits.check("c", "me", quota, 1).await.allowed);
    server.command(&["CONFIG", "RESETSTAT"]).unwrap();
    for _ in 0..100 {
        assert!(!limits.check("c", "me", quota, 1).await.allowed);
    }
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    assert!(!stats.contains("cmdstat_evalsha"), "{stats}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_together_never_grant_more() {
    let server = Server::start().unwrap();
    let quota = Quota::per(500, Duration::from_secs(1)).burst(1);
    let (mut links, mut offering) = (JoinSet::new(), JoinSet::new());
    let granted: Arc<[AtomicU32; 4]> = Arc::default();
    // All begin together.
    let start = Instant::now() + Duration::from_millis(300);
    for process in 0..3u32 {
        let limits = over(&connected(&server, &mut links).await, OnLoss::Closed);
        let granted = granted.clone();
        offering.spawn(async move {
            // Three times 270 a second, out of step with each other.
            let first = start + Duration::from_micros(u64::from(process) * 1_234);
            let mut beat = interval_at(first, Duration::from_nanos(1_000_000_000 / 270));
            beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                let due = beat.tick().await;
                let Some(second) = granted.get((due - start).as_secs() as usize) else { return };
                if limits.check("c", "all", quota, 1).await.allowed {
                    second.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    while let Some(ended) = offering.join_next().await {
        ended.unwrap();
    }
    let granted: Vec<u32> = granted.iter().map(|second| second.load(Ordering::Relaxed)).collect();
    // How much less depends on how busy this machine is.
    assert!((1_000..=2_001).contains(&granted.iter().sum::<u32>()), "{granted:?}");
}

#[tokio::test]
async fn each_answer_to_a_lost_redis_is_the_one_set() {
    let mut server = Server::start().unwrap();
    let mut tasks = JoinSet::new();
    let redis = connected(&server, &mut tasks).await;
    let quota = Quota::per(10, Duration::from_secs(10_000));
    let granted = async |on_loss| {
        let limits = over(&redis, on_loss);
        let mut granted = 0;
        for _ in 0..20 {
            granted += u32::from(limits.check("c", "me", quota, 1).await.allowed);
        }
        granted
    };
    server.stop();
    eventually("the loss is seen", async || !redis.is_up()).await;
    assert_eq!(granted(OnLoss::Open).await, 20);
    assert_eq!(granted(OnLoss::Closed).await, 0);
    assert_eq!(granted(OnLoss::Local).await, 5);
    let wait = over(&redis, OnLoss::Closed).check("c", "me", quota, 1).await.retry_after;
    assert_eq!(wait, Duration::from_secs(1));
    server.start_again().unwrap();
    redis.until_up().await;
    assert_eq!(granted(OnLoss::Closed).await, 10);
}
