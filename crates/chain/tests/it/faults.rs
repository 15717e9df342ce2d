//! Endpoints that fail, lag, or are of another network.

use std::time::{Duration, Instant};

use nsl_chain::{
    Chain, is_retryable,
    x::{self, Address, As, NeoX, Traced},
};
use nsl_devnet::{X, XOptions};
use serde_json::json;

use crate::{
    proxy::Proxy,
    x::{Sender, anvil, config, executed, key, tell},
};

#[tokio::test]
async fn no_read_fails_while_one_endpoint_is_well() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let faulty = Proxy::before(&node.rpc).await;
    faulty.drop_every(10);
    let chain = NeoX::open(config(&node, &[&faulty.url, &node.rpc])).unwrap();
    for _ in 0..1_000 {
        chain.height().await.unwrap();
    }
    assert!(faulty.dropped() >= 50, "{} of {} requests were dropped", faulty.dropped(), faulty.seen());

    // Both lose requests: they are asked again until one goes through.
    let other = Proxy::before(&node.rpc).await;
    other.drop_every(10);
    let chain = NeoX::open(config(&node, &[&faulty.url, &other.url])).unwrap();
    for _ in 0..300 {
        chain.height().await.unwrap();
    }

    // One that is slow is no worse than slow.
    faulty.drop_every(0);
    faulty.delay(Duration::from_millis(100));
    let mut settings = config(&node, &[&faulty.url, &node.rpc]);
    settings.pool.timeout_ms = 2_000;
    let chain = NeoX::open(settings).unwrap();
    for _ in 0..5 {
        chain.height().await.unwrap();
    }
    assert_eq!(chain.endpoints()[0].standing, "up");
    faulty.delay(Duration::ZERO);

    // One that swallows requests costs its timeout a few times and is left alone then.
    faulty.mute(true);
    let mut settings = config(&node, &[&faulty.url, &node.rpc]);
    settings.pool.timeout_ms = 200;
    settings.pool.eject_ms = 60_000;
    let chain = NeoX::open(settings).unwrap();
    let began = Instant::now();
    for _ in 0..200 {
        chain.height().await.unwrap();
    }
    assert_eq!(chain.endpoints()[0].standing, "down");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_is_sent_again_and_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let faulty = Proxy::before(&node.rpc).await;
    faulty.drop_every(3);
    let mut settings = config(&node, &[&faulty.url]);
    settings.pool.eject_after = 1_000;
    let chain = NeoX::open(settings).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    for nonce in 0..40 {
        let draft = sender.draft(Some(Address::ZERO), Vec::new(), 1, 21_000).await;
        assert_eq!(draft.nonce, nonce);
        let signed = draft.signed_by(&sender.key).unwrap();
        let id = chain.send(&signed.raw).await.unwrap();
        assert_eq!(executed(&chain, &id).await.fault, None);
    }
    assert_eq!(chain.nonce(sender.key.address(), As::Latest).await.unwrap(), 40);
    assert!(faulty.dropped() > 20, "{}", faulty.dropped());
}

#[tokio::test]
async fn an_endpoint_of_another_network_is_refused_and_named() {
    let (dir, wrong_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = anvil(dir.path(), None).await;
    let wrong = X::start(wrong_dir.path(), XOptions { chain_id: 1, ..XOptions::default() }).await.unwrap();
    tell(&wrong, "anvil_mine", json!([7])).await;
    let chain = NeoX::open(config(&node, &[&wrong.rpc, &node.rpc])).unwrap();
    assert_eq!(chain.height().await.unwrap(), 0);
    let status = &chain.endpoints()[0];
    assert_eq!(status.standing, "foreign");
    assert!(status.trouble.as_ref().unwrap().contains("network 1 instead of 12227332"), "{status:?}");

    let alone = NeoX::open(config(&node, &[&wrong.rpc])).unwrap();
    let error = alone.height().await.unwrap_err();
    assert_eq!(error.slug, "chain.wrong_network");
    assert!(!is_retryable(&error));
}

#[tokio::test]
async fn a_height_without_a_block_is_no_head() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    tell(&node, "anvil_mine", json!([3])).await;
    let liar = Proxy::before(&node.rpc).await;
    let chain = NeoX::open(config(&node, &[&liar.url, &node.rpc])).unwrap();
    assert_eq!(chain.head().await.unwrap().height, 3);
    liar.boast();
    assert_eq!(chain.height().await.unwrap(), 9, "it is believed where nothing depends on it");
    for height in 4..7 {
        tell(&node, "anvil_mine", json!([1])).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        let head = chain.head().await.unwrap();
        assert_eq!((head.height, head.tip), (height, height));
    }
}

#[tokio::test]
async fn what_was_sent_before_is_sent_again_whatever_is_the_most_by_now() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let chain = NeoX::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let draft = sender.draft(Some(sender.key.address()), Vec::new(), 1, 21_000).await;
    let signed = draft.signed_by(&sender.key).unwrap();
    let mut lower = config(&node, &[&node.rpc]);
    lower.max_fee_wei = 1;
    let lower = NeoX::open(lower).unwrap();
    assert!(lower.send(&signed.raw).await.is_err(), "nothing new is sent so");
    assert_eq!(lower.send_all(&[&signed.raw]).await.remove(0).unwrap(), signed.id);
}

#[tokio::test]
async fn a_lagging_endpoint_is_left_alone_until_it_has_caught_up() {
    let (dir, late_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (node, late) = (anvil(dir.path(), None).await, anvil(late_dir.path(), None).await);
    tell(&node, "anvil_mine", json!([10])).await;
    let mut settings = config(&node, &[&late.rpc, &node.rpc]);
    settings.pool.probe_ms = 50;
    let chain = NeoX::open(settings).unwrap();
    let until = async |standing: &str| {
        while chain.endpoints()[0].standing != standing {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let test = async {
        until("lagging").await;
        for _ in 0..20 {
            assert_eq!(chain.height().await.unwrap(), 10);
        }
        tell(&late, "anvil_mine", json!([20])).await;
        until("up").await;
        assert_eq!(chain.height().await.unwrap(), 20);
        assert_eq!(chain.endpoints()[1].standing, "lagging");
    };
    tokio::select! {
        () = chain.tend() => unreachable!("it never ends"),
        done = tokio::time::timeout(Duration::from_secs(20), test) => done.expect("in time"),
    }
}

#[tokio::test]
async fn a_node_that_is_away_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = anvil(dir.path(), None).await;
    let mut settings = config(&node, &[&node.rpc]);
    settings.pool.probe_ms = 50;
    settings.pool.eject_ms = 100;
    settings.pool.deadline_ms = 5_000;
    let chain = NeoX::open(settings).unwrap();
    chain.height().await.unwrap();
    node.kill();
    let error = chain.height().await.unwrap_err();
    assert_eq!(error.slug, "chain.unreachable");
    assert!(is_retryable(&error));
    assert!(!format!("{error} {:?}", error.details).contains("127.0.0.1"), "{error:?}");
    node.restart().await.unwrap();
    chain.height().await.unwrap();
    assert_eq!(chain.endpoints()[0].standing, "up");
}

#[tokio::test]
async fn requests_keep_to_the_rate_of_an_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let (first, second) = (Proxy::before(&node.rpc).await, Proxy::before(&node.rpc).await);
    let mut settings = config(&node, &[&first.url, &second.url]);
    settings.pool.requests_per_second = 20;
    settings.pool.burst = 10;
    let chain = NeoX::open(settings).unwrap();
    let began = Instant::now();
    for done in futures_util::future::join_all((0..60).map(|_| chain.height())).await {
        done.unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    for proxy in [&first, &second] {
        assert!(proxy.seen() as f64 <= 10.0 + 20.0 * (seconds + 0.2) + 1.0, "{} in {seconds} s", proxy.seen());
        assert!(proxy.seen() >= 15, "both take their part: {}", proxy.seen());
    }
    assert!(seconds < 4.0, "{seconds}");
}

#[tokio::test]
async fn a_trace_that_is_too_long_costs_no_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let seen = Proxy::before(&node.rpc).await;
    let mut settings = config(&node, &[&seen.url]);
    settings.pool.answer_bytes = 1 << 20;
    let chain = NeoX::open(settings).unwrap();
    // It counts down from its number, and reverts.
    let looping = |times: u16| {
        let [high, low] = times.to_be_bytes();
        let code = [0x61, high, low, 0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 3, 0x57, 0x5f, 0x5f, 0xfd];
        x::Call { from: Some(key(&node, 0).address()), data: code.to_vec(), ..x::Call::default() }
    };
    let short = chain.trace(Traced::Call(&looping(3))).await.unwrap().unwrap().unwrap();
    assert_eq!(short.at.unwrap(), (14, "REVERT".to_owned()));
    let (before, began) = (seen.seen(), Instant::now());
    for _ in 0..6 {
        let long = chain.trace(Traced::Call(&looping(20_000))).await.unwrap().unwrap().unwrap();
        assert!(long.at.unwrap_err().contains("longer than what is read"));
    }
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(seen.seen() - before, 12, "two questions each, and none again");
    assert_eq!(chain.endpoints()[0].standing, "up");
    chain.height().await.unwrap();
}
