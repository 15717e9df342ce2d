//! Random lives of a few keys, beside a model of a few lines that says what must be seen.

use std::collections::BTreeMap;

use nsl_api::storage::{Amend, Chain, Delete, Get, History, Put, Restore};
use nsl_core::{Clock, Cx, Timestamp};
use nsl_storage::{Config, Quota, Tick};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config as Runs, TestRunner},
};

use crate::ground::{Ground, SECOND, at, each, get, put, slug};

const KEEP: i64 = 3;

#[derive(Clone, Debug)]
enum Op {
    Put { key: u8, size: u8, sealed: bool, expires: Option<u8>, expected: Option<i64> },
    Delete { key: u8 },
    Amend { key: u8, expires: Option<u8> },
    Restore { key: u8, version: i64 },
    Wait { seconds: u8 },
    Sweep,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0u8..2;
    let soon = || proptest::option::weighted(0.3, 1u8..6);
    prop_oneof![
        6 => (key(), 0u8..20, any::<bool>(), soon(), proptest::option::weighted(0.2, 0i64..6))
            .prop_map(|(key, size, sealed, expires, expected)| Op::Put { key, size, sealed, expires, expected }),
        2 => key().prop_map(|key| Op::Delete { key }),
        2 => (key(), soon()).prop_map(|(key, expires)| Op::Amend { key, expires }),
        3 => (key(), 1i64..12).prop_map(|(key, version)| Op::Restore { key, version }),
        2 => (0u8..4).prop_map(|seconds| Op::Wait { seconds }),
        1 => Just(Op::Sweep),
    ]
}

#[derive(Clone, Debug)]
struct State {
    version: i64,
    /// None for a deletion.
    text: Option<String>,
    expires: Option<Timestamp>,
}

impl State {
    fn over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// All states of one key that are kept, the present one last.
#[derive(Default)]
struct Life(Vec<State>);

impl Life {
    fn living(&self, now: Timestamp) -> Option<&State> {
        self.0.last().filter(|state| state.text.is_some() && !state.over(now))
    }

    fn lapsed(&self, now: Timestamp) -> bool {
        self.0.last().is_some_and(|state| state.over(now))
    }

    fn go_on(&mut self, text: Option<String>, expires: Option<Timestamp>, now: Timestamp) -> i64 {
        let version = self.0.last().map_or(0, |state| state.version) + 1;
        if self.lapsed(now) {
            self.0.clear();
        }
        self.0.push(State { version, text, expires });
        self.0.retain(|state| state.version >= version - KEEP);
        version
    }

    fn seen(&self, now: Timestamp) -> Vec<(i64, bool)> {
        if self.lapsed(now) {
            return Vec::new();
        }
        self.0
            .iter()
            .rev()
            .filter(|state| !state.over(now))
            .map(|state| (state.version, state.text.is_none()))
            .collect()
    }
}

async fn act(ground: &Ground, cx: &Cx, lives: &mut BTreeMap<u8, Life>, op: &Op) {
    let now = ground.clock.now();
    let name = |key: &u8| format!("k{key}");
    let later = |seconds: &Option<u8>| seconds.map(|seconds| now.plus(SECOND * u32::from(seconds)));
    match op {
        Op::Put { key, size, sealed, expires, expected } => {
            let (life, text) = (lives.entry(*key).or_default(), format!("\"{}\"", "x".repeat((*size).into())));
            let expires_at = later(expires);
            let wanted = Put { encrypted: *sealed, expires_at, expected_version: *expected, ..put(&name(key), &text) };
            let outcome = ground.put(cx, wanted).await;
            let current = life.living(now).map_or(0, |state| state.version);
            if expected.is_some_and(|expected| expected != current) {
                return assert_eq!(slug(outcome), "storage.version_conflict");
            }
            let stored = outcome.unwrap();
            assert_eq!(stored.created, current == 0);
            assert_eq!(stored.version, life.go_on(Some(text), expires_at, now));
        }
        Op::Delete { key } => {
            let life = lives.entry(*key).or_default();
            let delete = Delete { chain: Chain::NeoN3, key: name(key), expected_version: None };
            let outcome = ground.client.delete(cx, delete).await;
            match life.living(now) {
                None => assert_eq!(slug(outcome), "storage.not_found"),
                Some(_) => assert_eq!(outcome.unwrap().version, life.go_on(None, None, now)),
            }
        }
        Op::Amend { key, expires } => {
            let life = lives.entry(*key).or_default();
            let expires_at = later(expires);
            let amend = Amend {
                chain: Chain::NeoN3,
                key: name(key),
                access: None,
                shared_with: None,
                expires_at,
                retain_until: None,
                metadata: None,
                expected_version: None,
            };
            let outcome = ground.client.amend(cx, amend).await;
            match life.living(now).cloned() {
                None => assert_eq!(slug(outcome), "storage.not_found"),
                Some(state) => {
                    let version = life.go_on(state.text, expires_at.or(state.expires), now);
                    assert_eq!(outcome.unwrap().version, version);
                }
            }
        }
        Op::Restore { key, version } => {
            let life = lives.entry(*key).or_default();
            let restore = Restore { chain: Chain::NeoN3, key: name(key), version: *version, expected_version: None };
            let outcome = ground.client.restore(cx, restore).await;
            let kept = life.0.iter().find(|state| state.version == *version && !state.over(now));
            match kept.and_then(|state| state.text.clone()).filter(|_| !life.lapsed(now)) {
                None => assert_eq!(slug(outcome), "storage.version_not_found"),
                Some(text) => {
                    let expires = life.living(now).and_then(|state| state.expires);
                    assert_eq!(outcome.unwrap().version, life.go_on(Some(text), expires, now));
                }
            }
        }
        Op::Wait { seconds } => ground.clock.advance(SECOND * u32::from(*seconds)),
        Op::Sweep => {
            ground.tick(Tick::Expiry).await;
            for life in lives.values_mut() {
                if life.lapsed(now) {
                    life.go_on(None, None, now);
                }
                life.0.retain(|state| !state.over(now));
            }
        }
    }
}

async fn compare(ground: &Ground, cx: &Cx, lives: &BTreeMap<u8, Life>) {
    let now = ground.clock.now();
    for (key, life) in lives {
        let key = format!("k{key}");
        for fresh in [false, true] {
            let found = ground.client.get(cx, Get { fresh, ..get(&key) }).await;
            match life.living(now) {
                None => assert_eq!(slug(found), "storage.not_found"),
                Some(state) => {
                    let item = found.unwrap();
                    assert_eq!((item.meta.version, Some(item.value.as_str())), (state.version, state.text.as_deref()));
                }
            }
        }
        let history = ground.client.history(cx, History { at: at(&key), limit: 100, after: None }).await;
        let seen: Vec<_> = history
            .map(|page| page.items.iter().map(|state| (state.version, state.deleted)).collect())
            .unwrap_or_default();
        assert_eq!(seen, life.seen(now), "{key}");
    }
    let held: usize =
        lives.values().flat_map(|life| &life.0).filter_map(|state| state.text.as_ref()).map(String::len).sum();
    assert_eq!(ground.exact_usage(&cx.tenant).await.0, held as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_keys_is_what_the_model_says() {
    each(async |ground| {
        ground.built.tune(Config { keep_versions: KEEP as u32, ..Config::default() }, Quota::default());
        // A fixed seed: what fails once fails again.
        let mut runner = TestRunner::new_with_rng(
            Runs::default(),
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        for _ in 0..12 {
            let lives_of = proptest::collection::vec(op(), 40).new_tree(&mut runner).unwrap().current();
            let (cx, mut lives) = (ground.alone(), BTreeMap::new());
            for (step, op) in lives_of.iter().enumerate() {
                act(&ground, &cx, &mut lives, op).await;
                if step % 4 == 3 {
                    compare(&ground, &cx, &lives).await;
                }
            }
            compare(&ground, &cx, &lives).await;
        }
    })
    .await;
}
