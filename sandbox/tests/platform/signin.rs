//! Signing in on the real socket, by those who should not get in.

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use nsl_sandbox::{Launch, Nsl, Reply, http};
use serde_json::{Value, json};

use crate::ground::{both, dev, ok, problem};

const PASSWORD: &str = "correct horse battery staple";

/// Believes the header by which these tests come from many places.
fn world(launch: Launch) -> Launch {
    launch.env("NSL_HTTP__TRUSTED_PROXIES", "127.0.0.0/8,::1/128")
}

fn post(nsl: &Nsl, from: &str, path: &str, token: Option<&str>, body: &Value) -> Reply {
    let mut headers = vec!["Content-Type: application/json".to_owned(), format!("X-Forwarded-For: {from}")];
    headers.extend(token.map(|token| format!("Authorization: Bearer {token}")));
    http("POST", nsl.public(), path, &headers, &body.to_string()).unwrap()
}

fn login(nsl: &Nsl, from: &str, email: &str, password: &str) -> Reply {
    post(nsl, from, "/v1/auth/login", None, &json!({ "email": email, "password": password }))
}

fn register(nsl: &Nsl, email: &str) -> Value {
    let body = json!({ "email": email, "password": PASSWORD });
    let reply = post(nsl, "192.0.2.1", "/v1/auth/register", None, &body);
    assert_eq!(reply.status, 201, "{}", reply.body);
    ok(&reply)
}

/// Everything of an answer that is the same for each request like it.
fn shape(reply: &Reply) -> (u16, Vec<String>, Value) {
    let mut names: Vec<String> = reply
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| match name.to_ascii_lowercase().as_str() {
            name @ ("x-request-id" | "date" | "ratelimit" | "content-length" | "retry-after") => name.to_owned(),
            name => format!("{name}: {}", value.trim()),
        })
        .collect();
    names.sort();
    let mut body = reply.json().unwrap();
    body["instance"] = Value::Null;
    (reply.status, names, body)
}

/// The code that an authenticator app shows (RFC 6238), worked out here by itself.
pub(crate) fn totp(secret: &str, steps_ahead: i64) -> String {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = secret.chars().map(|c| format!("{:05b}", letters.find(c).unwrap())).collect();
    let key: Vec<u8> =
        (0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap()).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let step = (now / 30 + steps_ahead).to_be_bytes();
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &step);
    let mac = mac.as_ref();
    let at = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(count));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count)
            .map(|number| {
                let (barrier, work) = (Arc::clone(&barrier), &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn nobody_learns_who_has_an_account() {
    for database in both() {
        let nsl = world(dev(database.as_ref())).start().unwrap();
        register(&nsl, "alice@example.com");
        for round in 0..7 {
            let known = login(&nsl, "203.0.113.1", "alice@example.com", "wrong horse");
            let unknown = login(&nsl, "203.0.113.1", "nobody@example.com", "wrong horse");
            assert_eq!(shape(&known), shape(&unknown), "round {round}");
            problem(
                &known,
                if round < 5 { 401 } else { 429 },
                if round < 5 { "signin.wrong" } else { "signin.locked" },
            );
        }
        // By the time it takes: each from a network of its own, so that none is held up.
        let mut took = [Vec::new(), Vec::new()];
        for number in 0..60 {
            let from = format!("10.1.{number}.1");
            let email = ["alice@example.com", "nobody@example.com"][number % 2];
            let began = Instant::now();
            problem(&login(&nsl, &from, email, "wrong horse"), 401, "signin.wrong");
            took[number % 2].push(began.elapsed());
        }
        let medians = took.map(|mut took| {
            took.sort();
            took[took.len() / 2]
        });
        println!(
            "the median answer to a wrong password: {:?} where there is an account, {:?} where not",
            medians[0], medians[1]
        );
        let ratio = medians[0].as_secs_f64() / medians[1].as_secs_f64();
        assert!((0.5..2.0).contains(&ratio), "{medians:?}");
    }
}

#[test]
fn with_sign_up_by_invitation_an_address_cannot_be_probed() {
    let nsl = world(dev(None)).env("NSL_IDENTITY__SIGNIN__SIGN_UP", "invited").start().unwrap();
    for email in ["alice@example.com", "nobody@example.com"] {
        let body = json!({ "email": email, "password": PASSWORD });
        problem(&post(&nsl, "192.0.2.1", "/v1/auth/register", None, &body), 403, "signin.invite_needed");
        let body = json!({ "email": email, "password": PASSWORD, "invite": "nsi_made-up" });
        problem(&post(&nsl, "192.0.2.1", "/v1/auth/register", None, &body), 404, "people.invite_invalid");
    }
}

#[test]
fn wrong_tries_are_remembered_over_a_kill_and_do_not_keep_the_owner_out() {
    for database in both() {
        let mut nsl = world(dev(database.as_ref())).start().unwrap();
        register(&nsl, "alice@example.com");
        for _ in 0..5 {
            problem(&login(&nsl, "203.0.113.1", "alice@example.com", "wrong horse"), 401, "signin.wrong");
        }
        nsl.kill();
        nsl.start_again().unwrap();
        let locked = login(&nsl, "203.0.113.1", "alice@example.com", PASSWORD);
        problem(&locked, 429, "signin.locked");
        let wait: u64 = locked.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        ok(&login(&nsl, "192.0.2.200", "alice@example.com", PASSWORD));
        ok(&login(&nsl, "2001:db8::1", "alice@example.com", PASSWORD));
        let said = nsl.output();
        assert!(!said.contains("horse") && !said.contains("alice@example.com"), "a log has what was typed");
    }
}

#[test]
fn a_thousand_tries_at_once_are_five() {
    for database in both() {
        let nsl = world(dev(database.as_ref())).env("NSL_IDENTITY__SIGNIN__HASH_WAITING", "1000").start().unwrap();
        register(&nsl, "alice@example.com");
        let tries = at_once(100, |_| login(&nsl, "203.0.113.1", "alice@example.com", "wrong horse"));
        let count = |status: u16| tries.iter().filter(|reply| reply.status == status).count();
        assert_eq!((count(401), count(429)), (5, 95));
    }
}

#[test]
fn what_counts_once_counts_once() {
    for database in both() {
        let nsl = world(dev(database.as_ref())).start().unwrap();
        let made = register(&nsl, "alice@example.com");
        let token = made["access_token"].as_str().unwrap();
        let home = "192.0.2.1";
        problem(&post(&nsl, home, "/v1/auth/totp", Some(token), &json!({})), 400, "signin.password_needed");
        let begun = ok(&post(&nsl, home, "/v1/auth/totp", Some(token), &json!({ "password": PASSWORD })));
        let secret = begun["secret"].as_str().unwrap();
        // The step before now confirms, so that those of now and after are left.
        let confirmed = post(&nsl, home, "/v1/auth/totp/confirm", Some(token), &json!({ "code": totp(secret, -1) }));
        let codes = ok(&confirmed)["recovery_codes"].as_array().unwrap().clone();
        assert_eq!(codes.len(), 10);
        let ask = || {
            let asked = ok(&login(&nsl, home, "alice@example.com", PASSWORD));
            assert_eq!(asked["mfa_required"], json!(true), "{asked}");
            assert!(asked.get("access_token").is_none());
            asked["mfa_token"].as_str().unwrap().to_owned()
        };
        let network = |number: usize| format!("10.2.{number}.1");
        let wins = |replies: &[Reply]| {
            assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 401)), "{replies:?}");
            replies.iter().filter(|reply| reply.status == 200).count()
        };
        // One code, many sign-ins.
        let asked: Vec<String> = (0..6).map(|_| ask()).collect();
        let code = totp(secret, 1);
        let replies = at_once(6, |number| {
            let body = json!({ "mfa_token": asked[number], "code": code });
            post(&nsl, &network(number), "/v1/auth/mfa", None, &body)
        });
        assert_eq!(wins(&replies), 1);
        // One sign-in, many recovery codes.
        let asked = ask();
        let replies = at_once(8, |number| {
            let body = json!({ "mfa_token": asked, "recovery_code": codes[number] });
            post(&nsl, &network(10 + number), "/v1/auth/mfa", None, &body)
        });
        assert_eq!(wins(&replies), 1);
        // One recovery code, many sign-ins.
        let asked: Vec<String> = (0..6).map(|_| ask()).collect();
        let replies = at_once(6, |number| {
            let body = json!({ "mfa_token": asked[number], "recovery_code": codes[9] });
            post(&nsl, &network(20 + number), "/v1/auth/mfa", None, &body)
        });
        assert_eq!(wins(&replies), 1);
        // Nobody gets at secrets by asking again under one idempotency key.
        let headers = [
            "Content-Type: application/json".to_owned(),
            "Idempotency-Key: k1".to_owned(),
            "X-Forwarded-For: 192.0.2.1".to_owned(),
        ];
        let body = json!({ "email": "bob@example.com", "password": PASSWORD }).to_string();
        let first = http("POST", nsl.public(), "/v1/auth/register", &headers, &body).unwrap();
        assert_eq!(first.status, 201, "{}", first.body);
        problem(&http("POST", nsl.public(), "/v1/auth/register", &headers, &body).unwrap(), 409, "people.email_taken");
    }
}

#[test]
fn a_flood_of_sign_ins_is_answered_to_the_last_and_slows_nobody_else() {
    for database in both() {
        let nsl = world(dev(database.as_ref())).env("NSL_IDENTITY__SIGNIN__HASH_WAITING", "16").start().unwrap();
        for number in 0..4 {
            register(&nsl, &format!("user{number}@example.com"));
        }
        let body = json!({ "key": "k", "value": 1, "encrypted": true }).to_string();
        ok(&nsl.request("POST", "/v1/storage/store/neo-n3", &body).unwrap());
        let mut reads = Vec::new();
        let replies = std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                at_once(200, |number| {
                    let email = format!("user{}@example.com", number % 4);
                    login(&nsl, &format!("10.3.{number}.1"), &email, PASSWORD)
                })
            });
            while !flood.is_finished() {
                let began = Instant::now();
                ok(&nsl.request("GET", "/v1/storage/retrieve/neo-n3/k?fresh=true", "").unwrap());
                reads.push(began.elapsed());
            }
            flood.join().unwrap()
        });
        for reply in &replies {
            match reply.status {
                200 => assert!(ok(reply)["access_token"].is_string()),
                _ => problem(reply, 503, "signin.busy"),
            }
        }
        let got_in = replies.iter().filter(|reply| reply.status == 200).count();
        assert!((5..200).contains(&got_in), "{got_in} of 200 got in");
        reads.sort();
        let p99 = reads[reads.len() * 99 / 100 - usize::from(reads.len() % 100 == 0)];
        println!(
            "{got_in} of 200 got in; {} reads meanwhile, P50 {:?}, P99 {p99:?}",
            reads.len(),
            reads[reads.len() / 2]
        );
        assert!(p99 < Duration::from_secs(2), "reads waited {p99:?}");
        // Whoever was sent away gets in later.
        ok(&login(&nsl, "10.3.250.1", "user0@example.com", PASSWORD));
    }
}
