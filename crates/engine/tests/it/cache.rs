use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nsl_core::SystemClock;
use nsl_engine::{
    cache::{Cache, CacheEngine, Entry},
    redis::RedisConfig,
};
use nsl_sandbox::{Process, Redis as Server, Sentinel};

use crate::node::{Node, cache_config, eventually, redis_config};

const HOUR: Duration = Duration::from_secs(3600);

fn entry(version: u64, bytes: &'static str) -> Option<Entry> {
    Some(Entry { version, bytes: bytes.into() })
}

/// What a cache promises whoever is alone with it; `other` may be the same or another process'.
async fn promises(cache: &Cache, other: &Cache) {
    assert_eq!(cache.get("a").await, None);
    cache.put("a", 5, "five".into(), HOUR).await;
    assert_eq!(cache.get("a").await, entry(5, "five"));
    assert_eq!(cache.peek("a"), entry(5, "five"));
    other.fill("a", 4, "four".into(), HOUR).await;
    other.put("a", 3, "three".into(), HOUR).await;
    assert_eq!((cache.get("a").await, other.get("a").await), (entry(5, "five"), entry(5, "five")));
    assert_eq!(other.peek("a"), entry(5, "five"));

    cache.put("a", 6, "six".into(), HOUR).await;
    assert_eq!(cache.get("a").await, entry(6, "six"));
    eventually("the other hears of it", async || other.get("a").await == entry(6, "six")).await;
    cache.fill("a", 6, "six".into(), HOUR).await;

    cache.forget("a", 7).await;
    assert_eq!((cache.get("a").await, cache.peek("a")), (None, None));
    eventually("the other hears that it went", async || other.get("a").await.is_none()).await;
    for late in [5, 7] {
        other.fill("a", late, "late".into(), HOUR).await;
        cache.put("a", late, "late".into(), HOUR).await;
        assert_eq!((cache.get("a").await, other.get("a").await), (None, None), "version {late}");
    }
    cache.forget("a", 2).await;
    other.put("a", 8, "eight".into(), HOUR).await;
    eventually("it is back", async || cache.get("a").await == entry(8, "eight")).await;
    cache.forget("a", 7).await;
    assert_eq!(cache.get("a").await, entry(8, "eight"));

    let large = bytes::Bytes::from((0..200_000).map(|i| i as u8).collect::<Vec<_>>());
    cache.put("große:Schlüssel", u64::MAX, large.clone(), HOUR).await;
    assert_eq!(other.get("große:Schlüssel").await.unwrap().bytes, large);
    assert_eq!(other.get("große:Schlüssel").await.unwrap().version, u64::MAX);
    cache.put("empty", 1 << 33, "".into(), HOUR).await;
    cache.put("empty", 1 << 32, "x".into(), HOUR).await;
    assert_eq!(other.get("empty").await, entry(1 << 33, ""));
}

#[tokio::test]
async fn memory_alone() {
    let cache = Cache::build(&cache_config(CacheEngine::Memory), None, Arc::new(SystemClock)).unwrap();
    promises(&cache, &cache.clone()).await;
}

#[tokio::test]
async fn two_processes_over_one_redis() {
    let server = Server::with_password("pass word").unwrap();
    let (one, two) = (Node::start(&server.url()).await, Node::start(&server.url()).await);
    promises(&one.cache, &two.cache).await;
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn entries_end_in_redis_too() {
    let server = Server::start().unwrap();
    let one = Node::start(&server.url()).await;
    one.cache.put("brief", 1, "x".into(), Duration::from_millis(40)).await;
    let two = Node::start(&server.url()).await;
    eventually("it ended", async || two.cache.get("brief").await.is_none()).await;
    one.cache.put("long", 1, "x".into(), HOUR).await;
    let left: i64 = server.command(&["PTTL", "test:cache:long"]).unwrap().trim().parse().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_lost_redis_costs_nothing_and_memory_is_passed_by() {
    let mut server = Server::start().unwrap();
    let node = Node::start(&server.url()).await;
    node.cache.put("a", 1, "one".into(), HOUR).await;
    assert!(node.cache.peek("a").is_some());
    server.stop();
    eventually("the loss is seen", async || !node.redis.is_up() && node.cache.peek("a").is_none()).await;
    let start = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(node.cache.get("a").await, None);
        node.cache.fill("b", 1, "x".into(), HOUR).await;
    }
    assert!(start.elapsed() < Duration::from_millis(300), "{:?} for 2000 calls", start.elapsed());
    server.start_again().unwrap();
    node.until_trusted("c").await;
    node.cache.put("a", 2, "two".into(), HOUR).await;
    assert_eq!(node.cache.get("a").await, entry(2, "two"));
}

#[tokio::test]
async fn a_frozen_redis_is_given_up_soon() {
    let server = Server::start().unwrap();
    let node = Node::start(&server.url()).await;
    server.pause().unwrap();
    let start = Instant::now();
    while node.redis.is_up() {
        node.cache.get("unknown").await;
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    server.resume().unwrap();
    node.until_trusted("c").await;
}

#[tokio::test]
async fn what_redis_missed_it_is_told_first() {
    let server = Server::start().unwrap();
    let (one, two) = (Node::start(&server.url()).await, Node::start(&server.url()).await);
    one.cache.put("changed", 1, "old".into(), HOUR).await;
    one.cache.put("deleted", 1, "old".into(), HOUR).await;
    // Redis keeps what it holds, but the changes do not reach it.
    server.pause().unwrap();
    while one.redis.is_up() {
        one.cache.get("unknown").await;
    }
    one.cache.put("changed", 2, "new".into(), HOUR).await;
    one.cache.forget("deleted", 2).await;
    server.resume().unwrap();
    one.until_trusted("c").await;
    two.until_trusted("d").await;
    assert_ne!(one.cache.get("changed").await, entry(1, "old"));
    assert_eq!(one.cache.get("deleted").await, None);
    eventually("two hears", async || two.cache.get("changed").await.is_none()).await;
    two.cache.fill("changed", 1, "old".into(), HOUR).await;
    two.cache.fill("deleted", 1, "old".into(), HOUR).await;
    assert_eq!((two.cache.get("changed").await, two.cache.get("deleted").await), (None, None));
    two.cache.fill("changed", 2, "new".into(), HOUR).await;
    assert_eq!(one.cache.get("changed").await, entry(2, "new"));
}

#[tokio::test]
async fn a_full_redis_serves_nothing_stale() {
    let server = Server::start().unwrap();
    let (one, two) = (Node::start(&server.url()).await, Node::start(&server.url()).await);
    one.cache.put("a", 1, "old".into(), HOUR).await;
    assert_eq!(two.cache.get("a").await, entry(1, "old"));
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    one.cache.put("a", 2, "new".into(), HOUR).await;
    assert_eq!(one.cache.get("a").await, None);
    eventually("two hears", async || two.cache.get("a").await.is_none()).await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    one.cache.put("a", 2, "new".into(), HOUR).await;
    assert_eq!(two.cache.get("a").await, entry(2, "new"));
}

#[tokio::test]
async fn a_process_that_hears_nothing_trusts_no_memory() {
    let server = Server::start().unwrap();
    let node = Node::start(&server.url()).await;
    node.cache.put("a", 1, "one".into(), HOUR).await;
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    eventually("memory is passed by", async || node.cache.peek("a").is_none()).await;
    assert_eq!(node.cache.get("a").await, entry(1, "one"));
    node.until_trusted("b").await;
    let cache = node.cache.clone();
    assert!(cache.peek("b").is_some());
    node.end().await;
    assert_eq!(cache.peek("b"), None);
}

#[tokio::test]
async fn over_tls_only_with_a_certificate_that_it_can_check() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key, port) = (dir.path().join("cert"), dir.path().join("key"), nsl_sandbox::free_port().unwrap());
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut command = std::process::Command::new("redis-server");
    command.args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no", "--save", ""]);
    command.arg("--tls-cert-file").arg(&cert).arg("--tls-key-file").arg(&key).current_dir(dir.path());
    let _server = Process::start("redis-server", &command, &dir.path().join("log"), None).unwrap();

    let url = format!("rediss://localhost:{port}");
    let node = Node::start_with(RedisConfig { ca: cert.to_str().unwrap().into(), ..redis_config(&url) });
    node.until_trusted("a").await;
    node.cache.put("b", 1, "x".into(), HOUR).await;
    assert_eq!(node.cache.get("b").await, entry(1, "x"));
    let stranger = Node::start_blind(&url);
    let reached = tokio::time::timeout(Duration::from_secs(1), stranger.redis.until_up()).await;
    assert!(reached.is_err(), "a certificate of nobody was believed");
}

#[tokio::test]
async fn it_follows_the_sentinels_to_the_new_master() {
    let mut sentinel = Sentinel::start().unwrap();
    let url = format!("redis+sentinel://{}/{}", sentinel.addresses().join(","), Sentinel::MASTER);
    let (one, two) = (Node::start(&url).await, Node::start(&url).await);
    one.cache.put("before", 1, "x".into(), HOUR).await;
    sentinel.fail_over().unwrap();
    one.until_trusted("c").await;
    two.until_trusted("d").await;
    one.cache.put("after", 1, "x".into(), HOUR).await;
    assert_eq!(two.cache.get("after").await, entry(1, "x"));
}
