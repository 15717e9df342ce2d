//! Sessions across processes, and across the sudden end of one.

use std::time::{Duration, Instant};

use nsl_sandbox::{Nsl, Reply, http};
use serde_json::{Value, json};

use crate::ground::{Cut, Engines, Ground, both, dev, ok};

const PASSWORD: &str = "correct horse battery staple";

fn post(nsl: &Nsl, path: &str, more: &[String], body: &Value) -> anyhow::Result<Reply> {
    let mut headers = vec!["Content-Type: application/json".to_owned()];
    headers.extend_from_slice(more);
    http("POST", nsl.public(), path, &headers, &body.to_string())
}

fn register(nsl: &Nsl, email: &str) -> Value {
    ok(&post(nsl, "/v1/auth/register", &[], &json!({ "email": email, "password": PASSWORD })).unwrap())
}

fn login(nsl: &Nsl, email: &str) -> Value {
    ok(&post(nsl, "/v1/auth/login", &[], &json!({ "email": email, "password": PASSWORD })).unwrap())
}

fn bearer(tokens: &Value) -> String {
    format!("Authorization: Bearer {}", tokens["access_token"].as_str().unwrap())
}

fn whoami(nsl: &Nsl, tokens: &Value) -> u16 {
    http("GET", nsl.public(), "/v1/identity/whoami", &[bearer(tokens)], "").unwrap().status
}

fn refresh(nsl: &Nsl, tokens: &Value, more: &[String]) -> anyhow::Result<Reply> {
    post(nsl, "/v1/auth/refresh", more, &json!({ "refresh_token": tokens["refresh_token"] }))
}

/// A token that another process took back is refused within a second.
#[track_caller]
fn ends(nsl: &Nsl, what: &str, tokens: &Value) {
    let began = Instant::now();
    while whoami(nsl, tokens) != 401 {
        assert!(began.elapsed() < Duration::from_secs(1), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{what}: refused elsewhere after {:?}", began.elapsed());
}

#[test]
fn what_one_process_ends_the_other_refuses_within_a_second() {
    let ground = Ground::start(Engines::Real, Cut::Pair, &[]);
    let [here, there] = &ground.nodes[..] else { panic!("two processes") };
    let keys = |nsl: &Nsl| ok(&http("GET", nsl.public(), "/.well-known/jwks.json", &[], "").unwrap());
    assert_eq!(keys(here), keys(there));
    assert_eq!(keys(here)["keys"].as_array().unwrap().len(), 1);

    let ann = register(here, "ann@example.com");
    assert_eq!((whoami(here, &ann), whoami(there, &ann)), (200, 200));
    let second = login(there, "ann@example.com");
    assert_eq!((whoami(here, &second), whoami(there, &second)), (200, 200));
    let path = format!("/v1/auth/sessions/{}", second["session_id"].as_str().unwrap());
    ok(&http("DELETE", here.public(), &path, &[bearer(&ann)], "").unwrap());
    ends(there, "a session ended by its person", &second);
    let third = login(there, "ann@example.com");
    assert_eq!(whoami(here, &third), 200);
    ok(&post(there, "/v1/auth/logout", &[], &json!({ "refresh_token": third["refresh_token"] })).unwrap());
    ends(here, "a session signed out of", &third);

    let body = json!({ "name": "robot", "scopes": ["storage:read"] });
    let robot = ok(&post(here, "/v1/oauth/clients", &[bearer(&ann)], &body).unwrap());
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        robot["id"].as_str().unwrap(),
        robot["secret"].as_str().unwrap()
    );
    let form_type = ["Content-Type: application/x-www-form-urlencoded".to_owned()];
    let machine = ok(&http("POST", there.public(), "/oauth2/token", &form_type, &form).unwrap());
    assert_eq!((whoami(here, &machine), whoami(there, &machine)), (200, 200));
    let path = format!("/v1/oauth/clients/{}", robot["id"].as_str().unwrap());
    let headers = [bearer(&ann), "Content-Type: application/json".to_owned()];
    ok(&http("PATCH", here.public(), &path, &headers, &json!({ "suspended": true }).to_string()).unwrap());
    ends(there, "a client's token after its suspension", &machine);

    // Of many uses of one refresh token in both processes one wins, and then the session ends everywhere.
    let prey = login(here, "ann@example.com");
    assert_eq!((whoami(here, &prey), whoami(there, &prey)), (200, 200));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let uses: Vec<_> = (0..20)
            .map(|n| {
                scope.spawn({
                    let prey = &prey;
                    move || refresh([here, there][n % 2], prey, &[]).unwrap().status
                })
            })
            .collect();
        uses.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|&status| status == 200 || status == 401), "{statuses:?}");
    ends(here, "a session after theft", &prey);
    ends(there, "a session after theft", &prey);
    ground.assert_whole();
}

#[test]
fn a_refresh_that_a_kill_cut_off_is_finished_by_repeating_it() {
    for database in both() {
        let mut nsl = dev(database.as_ref()).start().unwrap();
        let mut tokens = register(&nsl, "ann@example.com");
        let mut finished = 0;
        for (round, wait) in [0, 2, 5, 10, 20, 40].into_iter().enumerate() {
            let once = [format!("Idempotency-Key: round-{round}")];
            let began = Instant::now();
            let first = std::thread::scope(|scope| {
                let asks = scope.spawn(|| refresh(&nsl, &tokens, &once));
                std::thread::sleep(Duration::from_millis(wait));
                nsl.kill();
                asks.join().unwrap()
            });
            nsl.start_again().unwrap();
            let again = refresh(&nsl, &tokens, &once).unwrap();
            if again.status != 200 && began.elapsed() > Duration::from_secs(10) {
                // It took too long to come back: then a repeated use is theft, and the session has ended.
                tokens = login(&nsl, "ann@example.com");
                continue;
            }
            let again = ok(&again);
            // Who got the first answer, too, got the same.
            if let Ok(first) = first.and_then(|reply| reply.json()) {
                assert_eq!(first["refresh_token"], again["refresh_token"], "round {round}");
            }
            finished += 1;
            tokens = again;
            assert_eq!(whoami(&nsl, &tokens), 200);
        }
        println!("{finished} of 6 kills came back in time");
        assert!(finished >= 1);
        let verdict = ok(&nsl.request("POST", "/v1/audit/verify", "").unwrap());
        assert_eq!(verdict["whole"], json!(true), "{verdict}");
    }
}
