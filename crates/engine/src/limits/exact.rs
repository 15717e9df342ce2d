use ::redis::Script;
use nsl_core::Timestamp;

use super::{Decision, OnLoss, Quota, blanket, gcra::decision, local::Local};
use crate::redis::{Away, Redis};

/// Counts of all processes together, kept by Redis and by its clock.
pub(super) struct Exact {
    redis: Redis,
    script: Script,
    prefix: String,
    /// What Redis last said of those who were refused, so that they cost it nothing until their time has come.
    refused: Local,
    /// The counts while it is away.
    alone: Local,
    on_loss: OnLoss,
    share: f64,
}

const CLOCK: &str = "local t = redis.call('TIME') local now, slack = t[1] * 1000000 + t[2], 1\n";
const RULE: &str = include_str!("gcra.lua");

impl Exact {
    pub(super) fn new(redis: Redis, locals: (Local, Local), on_loss: OnLoss, share: f64) -> Self {
        Self::with_clock(CLOCK, redis, locals, on_loss, share)
    }

    fn with_clock(clock: &str, redis: Redis, (refused, alone): (Local, Local), on_loss: OnLoss, share: f64) -> Self {
        let prefix = format!("{}:limit:", redis.prefix());
        Self { redis, script: Script::new(&[clock, RULE].concat()), prefix, refused, alone, on_loss, share }
    }

    pub(super) async fn check(&self, class: &str, who: &str, quota: Quota, cost: u32) -> Decision {
        // What is known here is never more than Redis knows: usage only adds to it.
        let known = self.refused.look(class, who, quota, cost);
        if !known.allowed {
            return known;
        }
        // Taken before the question, so that what is learned lies before Redis' own time and never after.
        let asked = self.refused.now();
        match self.ask(class, who, quota, cost).await {
            Ok((true, used, wait)) => decision(true, used, wait, quota),
            Ok((false, used, wait)) => {
                self.refused.learn(class, who, Timestamp(asked.0 + used));
                decision(false, used, wait, quota)
            }
            Err(Away) => match self.on_loss {
                OnLoss::Open => blanket(true, quota),
                OnLoss::Closed => blanket(false, quota),
                OnLoss::Local => self.alone.check(class, who, quota.share(self.share), cost),
            },
        }
    }

    async fn ask(&self, class: &str, who: &str, quota: Quota, cost: u32) -> Result<(bool, i64, i64), Away> {
        let mut call = self.script.key([self.prefix.as_str(), class, ":", who].concat());
        call.arg(quota.period_us()).arg(quota.limit()).arg(cost);
        self.redis.with(async |connection| call.invoke_async(connection).await).await
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use nsl_core::{ManualClock, Secret};
    use proptest::{
        collection::vec,
        prelude::*,
        test_runner::{Config, TestRunner},
    };
    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    use super::{super::gcra, *};
    use crate::redis::RedisConfig;

    const START: i64 = 1_700_000_000_000_000;

    /// The production script with the clock as a further argument.
    #[test]
    fn the_script_and_the_rule_agree() {
        let server = nsl_sandbox::Redis::start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = ::redis::Client::open(server.url()).unwrap();
        let connection = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
        let script = Script::new(&["local now, slack = tonumber(ARGV[4]), 600000\n", RULE].concat());
        let asks = vec((-2_000_000i64..3_000_000, 0u32..12), 1..40);
        TestRunner::new(Config { failure_persistence: None, ..Config::default() })
            .run(&(1u32..50, 1u64..20_000, asks), |(count, window_ms, asks)| {
                let quota = Quota::per(count, Duration::from_millis(window_ms));
                let (mut tat, mut now) = (Timestamp(0), START);
                let (mut connection, key) = (connection.clone(), nsl_core::fresh("caller"));
                for (pause, cost) in asks {
                    now += pause;
                    let (expected, next) = gcra(tat, Timestamp(now), quota, cost);
                    tat = next;
                    let mut call = script.key(&key);
                    call.arg(quota.period_us()).arg(quota.limit()).arg(cost).arg(now);
                    let (allowed, used, wait) = runtime.block_on(call.invoke_async(&mut connection)).unwrap();
                    prop_assert_eq!(decision(allowed, used, wait, quota), expected);
                }
                Ok(())
            })
            .unwrap();
    }

    /// On a clock that the test moves, so that a slow machine changes nothing.
    #[tokio::test]
    async fn three_processes_offered_800_a_second_grant_500() {
        let server = nsl_sandbox::Redis::start().unwrap();
        let config = RedisConfig {
            url: Secret::new(server.url()),
            sentinel_password: Secret::new(""),
            ca: String::new(),
            prefix: "test".into(),
            connect_timeout_ms: 1_000,
            command_timeout_ms: 1_000,
        };
        let (mut tasks, clock) = (JoinSet::new(), Arc::new(ManualClock::at(Timestamp(START))));
        let mut processes = Vec::new();
        for _ in 0..3 {
            let redis = Redis::new(&config).unwrap();
            tasks.spawn(redis.clone().run(CancellationToken::new()));
            redis.until_up().await;
            let local = || Local::new(1_000, clock.clone());
            let head = "local now, slack = tonumber(redis.call('GET', 'clock')), 600000\n";
            processes.push(Exact::with_clock(head, redis, (local(), local()), OnLoss::Closed, 1.0));
        }
        let clerk = Redis::new(&config).unwrap();
        tasks.spawn(clerk.clone().run(CancellationToken::new()));
        clerk.until_up().await;

        let quota = Quota::per(500, Duration::from_secs(1)).burst(5);
        let mut granted = [0; 5];
        for ask in 0..4_000 {
            clock.set(Timestamp(START + ask * 1_250));
            clerk.query::<()>(::redis::cmd("SET").arg("clock").arg(START + ask * 1_250)).await.unwrap();
            let process = &processes[ask as usize * 7 % 3];
            granted[ask as usize / 800] += u32::from(process.check("c", "all", quota, 1).await.allowed);
        }
        assert!(granted.iter().all(|second| (495..=505).contains(second)), "{granted:?}");
    }
}
