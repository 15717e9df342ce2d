//! Engines that go away and come back under load.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use nsl_sandbox::{Connection, Launch, Nsl, Postgres, RabbitMq, Redis, S3, eventually, http};
use serde_json::json;

use crate::ground::{get, ok, put, unlimited, with};

fn readiness(nsl: &Nsl) -> u16 {
    http("GET", nsl.ops(), "/health/ready", &[], "").map(|reply| reply.status).unwrap_or(0)
}

/// Stores from eight clients while `harm` is done. Gives the keys that were acknowledged and how often each other
/// status was answered.
fn under_load(nsl: &Nsl, harm: impl FnOnce(&dyn Fn(usize))) -> (Vec<String>, Vec<(u16, bool)>) {
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let (stop, done) = (&stop, &done);
                scope.spawn(move || {
                    let headers =
                        [format!("X-API-Key: {}", nsl.api_key()), "Content-Type: application/json".to_owned()];
                    let mut connection = Connection::open(nsl.public()).unwrap();
                    let (mut kept, mut others) = (Vec::new(), Vec::new());
                    for n in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let key = format!("load:{client}-{n}");
                        let body = json!({ "key": key, "value": n, "encrypted": n % 2 == 0 }).to_string();
                        let reply = connection.request("POST", "/v1/storage/store/neo-n3", &headers, &body).unwrap();
                        if reply.status == 200 {
                            kept.push(key);
                            done.fetch_add(1, Ordering::SeqCst);
                        } else {
                            let is_problem = reply.header("content-type") == Some("application/problem+json");
                            others.push((reply.status, is_problem && reply.header("retry-after").is_some()));
                            std::thread::sleep(Duration::from_millis(10));
                        }
                    }
                    (kept, others)
                })
            })
            .collect();
        let goes_on = |more: usize| {
            let goal = done.load(Ordering::SeqCst) + more;
            let until = Instant::now() + Duration::from_secs(40);
            while done.load(Ordering::SeqCst) < goal && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            // Clients are let go before anything is claimed: a panic here must not wait for them for ever.
            if done.load(Ordering::SeqCst) < goal {
                stop.store(true, Ordering::Relaxed);
                panic!("stores do not go on");
            }
        };
        harm(&goes_on);
        stop.store(true, Ordering::Relaxed);
        let (mut kept, mut others) = (Vec::new(), Vec::new());
        for client in clients {
            let (some, more) = client.join().unwrap();
            kept.extend(some);
            others.extend(more);
        }
        (kept, others)
    })
}

fn all_there(nsl: &Nsl, keys: &[String]) {
    let headers = [format!("X-API-Key: {}", nsl.api_key())];
    let mut connection = Connection::open(nsl.public()).unwrap();
    for key in keys {
        let path = format!("/v1/storage/retrieve/neo-n3/{key}?fresh=true");
        let found = connection.request("GET", &path, &headers, "").unwrap();
        assert_eq!(found.status, 200, "{key} was acknowledged and is lost: {}", found.body);
    }
    let verdict = ok(&nsl.request("POST", "/v1/audit/verify", "").unwrap());
    assert_eq!(verdict["whole"], json!(true), "{verdict}");
}

#[test]
fn postgres_stopped_killed_and_started_under_load() {
    let mut server = Postgres::start().unwrap();
    let database = server.database().unwrap();
    let nsl = with(Launch::dev().unwrap(), &unlimited())
        .env("DATABASE_URL", database.url())
        .env("NSL_SQL__CONNECT_TIMEOUT_MS", "500")
        .start()
        .unwrap();
    let (kept, others) = under_load(&nsl, |goes_on| {
        for kill in [false, true] {
            goes_on(200);
            if kill {
                server.kill().unwrap()
            } else {
                server.stop().unwrap()
            }
            eventually("readiness is red", 20, || Ok(readiness(&nsl) == 503)).unwrap();
            assert_eq!(http("GET", nsl.ops(), "/health/live", &[], "").unwrap().status, 200);
            let read = nsl.request("GET", "/v1/storage/neo-n3/items", "").unwrap();
            assert!(read.status == 503 && read.header("retry-after").is_some(), "{}\n{}", read.head, read.body);
            server.start_again().unwrap();
            eventually("readiness is green", 20, || Ok(readiness(&nsl) == 200)).unwrap();
        }
        goes_on(200);
    });
    assert!(!others.is_empty());
    assert!(others.iter().all(|(status, told)| *status == 503 && *told), "{others:?}");
    all_there(&nsl, &kept);
    assert!(nsl.terminate().unwrap().success());
}

#[test]
fn redis_lost_under_load_slows_and_loses_nothing() {
    let mut redis = Redis::start().unwrap();
    let nsl = with(Launch::dev().unwrap(), &unlimited())
        .env("REDIS_URL", redis.url())
        .env("NSL_CACHE__ENGINE", "redis")
        .env("NSL_LIMITS__ENGINE", "redis")
        .start()
        .unwrap();
    let (kept, others) = under_load(&nsl, |goes_on| {
        goes_on(100);
        redis.stop();
        goes_on(100);
        redis.start_again().unwrap();
        goes_on(100);
        redis.pause().unwrap();
        goes_on(50);
        redis.resume().unwrap();
        goes_on(100);
    });
    assert!(others.is_empty(), "{others:?}");
    all_there(&nsl, &kept);
    ok(&put(&nsl, "after", &json!(1), true));
    assert_eq!(ok(&get(&nsl, "after"))["value"], json!(1));
}

#[test]
fn rabbitmq_and_blobs_lost_under_load_lose_nothing() {
    let mut rabbit = RabbitMq::start().unwrap();
    let vhost = rabbit.vhost().unwrap();
    let mut blobs = S3::start().unwrap();
    let nsl = with(Launch::dev().unwrap(), &unlimited())
        .env("RABBITMQ_URL", vhost.url())
        .env("NSL_BLOBS__URL", format!("s3://{}/nsl", S3::BUCKET))
        .env("NSL_BLOBS__ENDPOINT", blobs.endpoint())
        .env("NSL_BLOBS__REGION", S3::REGION)
        .env("NSL_BLOBS__ACCESS_KEY", S3::ACCESS_KEY)
        .env("NSL_BLOBS__SECRET_KEY", S3::SECRET_KEY)
        .start()
        .unwrap();
    let (kept, others) = under_load(&nsl, |goes_on| {
        goes_on(100);
        rabbit.kill().unwrap();
        blobs.stop();
        goes_on(100);
        rabbit.start_again().unwrap();
        blobs.start_again().unwrap();
        goes_on(100);
    });
    assert!(others.is_empty(), "{others:?}");
    all_there(&nsl, &kept);
    assert!(nsl.terminate().unwrap().success());
}
