//! Sponsored transactions on a running neo-go: who has no GAS acts, and nobody gets more out of a sponsor than it says.

mod bounds;
mod kept;
mod later;
mod wallets;

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::tx::{Signer, Transaction};
use nsl_api::{
    Chain as Name,
    relay::{AskPassed, Explain, State},
    sponsor::{Prepared, SponsorPolicy},
};
use nsl_chain::Chain;
use nsl_sandbox::Database;

use crate::sponsor_ground::{GAS, Ground, hash, signature, wallet};

fn read(prepared: &Prepared) -> Transaction {
    Transaction::from_unsigned_bytes(&BASE64.decode(&prepared.transaction).unwrap()).unwrap()
}

fn fees(prepared: &Prepared) -> i64 {
    [&prepared.system_fee, &prepared.network_fee].map(|fee| fee.parse::<i64>().unwrap()).iter().sum()
}

/// A fresh wallet without any GAS moves its tokens; the sponsor pays, to the last unit.
async fn who_has_no_gas_acts(ground: Ground) {
    let (user, to, sponsor) = (wallet(50), hash(&wallet(51)), hash(&ground.sponsor));
    ground.give(hash(&user), 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    let before = ground.gas(sponsor).await;
    let prepared = ground.prepare(ground.transfer(hash(&user), to, 300)).await.unwrap();
    let transaction = read(&prepared);
    assert_eq!(transaction.signers, [Signer::none(sponsor), Signer::called_by_entry(hash(&user))]);
    assert_eq!((prepared.scopes.as_str(), prepared.hash.clone()), ("CalledByEntry", transaction.hash().to_string()));
    let height = ground.chain.height().await.unwrap() as u32;
    let rules = ground.chain.rules().await.unwrap();
    let five_minutes = (300_000 / rules.ms_per_block).min(rules.most_valid_blocks.into()) as u32;
    assert!((1..=five_minutes).contains(&(prepared.valid_until_block - height)), "{}", prepared.valid_until_block);
    assert_eq!(ground.spent().await, fees(&prepared), "set aside");
    let kept = ground.complete(&prepared.id, signature(&user, &prepared)).await.unwrap();
    assert_eq!((kept.id.as_str(), kept.tx.as_deref()), (prepared.id.as_str(), Some(prepared.hash.as_str())));
    let done = ground.settled(&kept.id).await;
    assert_eq!((done.state, done.tx.as_deref()), (State::Final, Some(prepared.hash.as_str())), "{done:?}");
    assert_eq!(done.fee.as_deref(), Some(fees(&prepared).to_string().as_str()));
    assert_eq!((ground.tokens(to).await, ground.tokens(hash(&user)).await), (300, 700));
    assert_eq!(ground.gas(hash(&user)).await, 0);
    assert_eq!(before - ground.gas(sponsor).await, fees(&prepared), "the sponsor paid exactly that");
    assert_eq!(ground.spent().await, fees(&prepared));
    let why = Explain { chain: Name::NeoN3, id: kept.id.clone(), abi: None };
    let why = ground.relay.explain(&ground.cx, why).await.unwrap();
    assert_eq!((why.state, why.tx.as_deref(), why.fault), (State::Final, Some(prepared.hash.as_str()), None));
    let asked = AskPassed { chain: Name::NeoN3, id: kept.id, after: 0 };
    let passed = ground.relay.passed(&ground.cx, asked).await.unwrap().items;
    let states: Vec<State> = passed.iter().map(|one| one.state).collect();
    for state in [State::Accepted, State::Simulated, State::Signed, State::Final] {
        assert!(states.contains(&state), "{states:?}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_without_gas_moves_its_tokens() {
    who_has_no_gas_acts(Ground::fresh(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_without_gas_moves_its_tokens_on_postgres() {
    who_has_no_gas_acts(Ground::fresh(Some(Database::fresh().unwrap())).await).await;
}

/// The process ends right after it said yes; another one on the same database does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_completed_outlives_its_process() {
    for database in [None, Some(Database::fresh().unwrap())] {
        let mut ground = Ground::fresh(database).await;
        let (user, to) = (wallet(140), hash(&wallet(141)));
        ground.give(hash(&user), 10).await;
        ground.put(ground.policy(&["transfer"])).await;
        let one = ground.prepare(ground.transfer(hash(&user), to, 3)).await.unwrap();
        let two = ground.prepare(ground.transfer(hash(&user), to, 4)).await.unwrap();
        ground.halt().await;
        let kept = ground.complete(&one.id, signature(&user, &one)).await.unwrap();
        ground.again().await;
        assert_eq!(ground.settled(&kept.id).await.state, State::Final);
        // What was prepared at the one is completed at the other.
        let kept = ground.complete(&two.id, signature(&user, &two)).await.unwrap();
        assert_eq!(ground.settled(&kept.id).await.state, State::Final);
        assert_eq!((ground.tokens(to).await, ground.spent().await), (7, fees(&one) + fees(&two)));
        ground.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo nextest run -p nsl-relay --run-ignored only"]
async fn how_long_it_takes() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(150), hash(&wallet(151)));
    ground.give(hash(&user), 1_000_000).await;
    let much = (1_000 * GAS).to_string();
    ground.put(SponsorPolicy { per_day: much.clone(), per_user_per_day: much, ..ground.policy(&["transfer"]) }).await;
    let (mut preparing, mut completing, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let whole = Instant::now();
    for _ in 0..200 {
        let start = Instant::now();
        let prepared = ground.prepare(ground.transfer(hash(&user), to, 1)).await.unwrap();
        preparing.push(start.elapsed());
        let proof = signature(&user, &prepared);
        let start = Instant::now();
        ids.push(ground.complete(&prepared.id, proof).await.unwrap().id);
        completing.push(start.elapsed());
    }
    for id in &ids {
        assert_eq!(ground.settled(id).await.state, State::Final);
    }
    let rate = ids.len() as f64 / whole.elapsed().as_secs_f64();
    for (what, times) in [("prepare", &mut preparing), ("complete", &mut completing)] {
        times.sort();
        println!("{what}: median {:?}, P95 {:?}", times[100], times[190]);
    }
    println!("{rate:.1} a second to their end, one after the other");
    ground.end().await;
}
