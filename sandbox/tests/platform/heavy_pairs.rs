//! Two processes that run everything, on one database: together they promise what one does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nsl_sandbox::Connection;
use serde_json::{Value, json};

use crate::{
    ground::{Cut, Engines, Ground, make_tenant, ok},
    input::at_once,
};

fn each(test: impl Fn(&Ground), more: &[(&str, &str)]) {
    for engines in [Engines::Embedded, Engines::Real, Engines::Pooled] {
        let ground = Ground::start(engines, Cut::Pair, more);
        test(&ground);
        ground.assert_whole();
    }
}

#[test]
fn a_counter_by_compare_and_set_loses_no_step() {
    each(
        |ground| {
            let item = "/v1/storage/neo-n3/items/counter";
            ok(&ground.ask("PUT", item, &json!({ "value": 0 })));
            let won = AtomicUsize::new(0);
            at_once(16, |_| {
                for _ in 0..10 {
                    let now = ground.get(&format!("{item}?fresh=true"));
                    let next = now["value"].as_u64().unwrap() + 1;
                    let body = json!({ "value": next, "expected_version": now["version"] });
                    match ground.ask("PUT", item, &body).status {
                        200 => drop(won.fetch_add(1, Ordering::SeqCst)),
                        409 => {}
                        other => panic!("{other}"),
                    }
                }
            });
            let end = ground.get(&format!("{item}?fresh=true"));
            let won = won.into_inner();
            assert!(won > 0);
            assert_eq!((&end["value"], &end["version"]), (&json!(won), &json!(won + 1)));
        },
        &[],
    );
}

#[test]
fn a_request_sent_to_both_is_done_once() {
    each(
        |ground| {
            for round in 0..5 {
                let key = format!("Idempotency-Key: round-{round}");
                let body = json!({ "key": format!("once:{round}"), "value": round, "encrypted": true });
                let answers: Vec<Value> = at_once(20, |_| {
                    ok(&ground.ask_as(&ground.key, "POST", "/v1/storage/store/neo-n3", &[&key], &body))
                });
                assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
                assert_eq!(answers[0]["version"], json!(1));
            }
        },
        &[],
    );
}

#[test]
fn a_quota_holds_over_both() {
    each(
        |ground| {
            let answers = at_once(60, |n| {
                ground.ask("POST", "/v1/storage/store/neo-n3", &json!({ "key": format!("k{n}"), "value": n })).status
            });
            assert_eq!(answers.iter().filter(|status| **status == 200).count(), 25, "{answers:?}");
            assert_eq!(answers.iter().filter(|status| **status == 507).count(), 35, "{answers:?}");
        },
        &[("NSL_QUOTA__ITEMS", "25")],
    );
}

#[test]
fn a_limit_counted_in_redis_holds_over_both() {
    let ground = Ground::start(Engines::Real, Cut::Pair, &[("NSL_LIMITS__GENERAL_PER_MINUTE", "60")]);
    let answers = at_once(100, |_| ground.ask("GET", "/v1/storage/usage", &Value::Null).status);
    let allowed = answers.iter().filter(|status| **status == 200).count();
    // One a second comes back while it lasts.
    assert!((60..=75).contains(&allowed), "{allowed} of 60 allowed: {answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 100 - allowed);
}

#[test]
fn rolling_restarts_under_load_lose_nothing() {
    for engines in [Engines::Embedded, Engines::Real, Engines::Pooled] {
        let mut ground = Ground::start(engines, Cut::Pair, &[]);
        let urls: Vec<String> = ground.nodes.iter().map(|node| node.public().to_owned()).collect();
        let (key, stop) = (ground.key.clone(), AtomicBool::new(false));
        let kept = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|client| {
                    scope.spawn({
                        let (urls, key, stop) = (&urls, &key, &stop);
                        move || store_until(client, urls, key, stop)
                    })
                })
                .collect();
            for node in &mut ground.nodes {
                assert!(node.terminate().unwrap().success(), "{}", node.process().tail());
                node.start_again().unwrap();
            }
            stop.store(true, Ordering::SeqCst);
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(kept.len() > 20, "{} were stored", kept.len());
        for key in kept {
            ok(&ground.ask("GET", &format!("/v1/storage/retrieve/neo-n3/{key}?fresh=true"), &Value::Null));
        }
        ground.assert_whole();
    }
}

/// Stores key after key, at the other process when one does not answer; gives the keys that were acknowledged.
fn store_until(client: usize, urls: &[String], key: &str, stop: &AtomicBool) -> Vec<String> {
    let headers = [format!("X-API-Key: {key}"), "Content-Type: application/json".to_owned()];
    let (mut kept, mut at, mut connection) = (Vec::new(), client, None);
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("roll:{client}-{n}");
        let body = json!({ "key": name, "value": n, "encrypted": true }).to_string();
        let reply = match connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(&urls[at % urls.len()]),
        }
        .and_then(|mut open: Connection| {
            let reply = open.request("POST", "/v1/storage/store/neo-n3", &headers, &body)?;
            let closes = reply.header("connection").is_some_and(|says| says.eq_ignore_ascii_case("close"));
            connection = (!closes).then_some(open);
            Ok(reply)
        });
        match reply {
            Ok(reply) if reply.status == 200 => kept.push(name),
            Ok(reply) => assert_eq!(reply.status, 503, "{}", reply.body),
            Err(_) => at += 1,
        }
    }
    kept
}

#[test]
fn writers_of_many_tenants_never_deadlock() {
    let ground = Ground::start(Engines::Real, Cut::Pair, &[]);
    let mut keys: Vec<String> = (0..7).map(|_| make_tenant(&ground.environment).1).collect();
    keys.push(ground.key.clone());
    for key in &keys {
        let items: Vec<Value> =
            (0..6).map(|n| json!({ "key": format!("hot:{n}"), "value": 0, "encrypted": true })).collect();
        ok(&ground.ask_as(key, "POST", "/v1/storage/neo-n3/batch", &[], &json!({ "items": items })));
    }
    at_once(32, |client| {
        for n in 0..40 {
            // Each goes through tenants and keys in an order of its own.
            let key = &keys[(client * 3 + n * (1 + client % 5)) % keys.len()];
            let items: Vec<Value> = (0..4)
                .map(|step| json!({ "key": format!("hot:{}", (client + n + step * (1 + client % 3)) % 6), "value": n, "encrypted": step % 2 == 0 }))
                .collect();
            let reply = match n % 2 {
                0 => ground.ask_as(key, "POST", "/v1/storage/store/neo-n3", &[], &items[0]),
                _ => ground.ask_as(key, "POST", "/v1/storage/neo-n3/batch", &[], &json!({ "items": items })),
            };
            assert!([200, 400].contains(&reply.status), "{}\n{}", reply.head, reply.body);
        }
    });
    let database = ground.database.as_ref().unwrap();
    database.query("select pg_stat_force_next_flush()").unwrap();
    let deadlocks =
        database.query("select deadlocks from pg_stat_database where datname = current_database()").unwrap();
    assert_eq!(deadlocks, "0");
    ground.assert_whole();
}
