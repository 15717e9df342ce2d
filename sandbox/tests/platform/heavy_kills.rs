use nsl_sandbox::{Chaos, eventually, http};
use serde_json::{Value, json};

use crate::ground::{Cut, Engines, Ground, both, dev, ok, problem};

#[test]
fn what_was_acknowledged_outlives_kills_in_the_middle_of_a_thousand_stores() {
    for database in both() {
        let outcome = Chaos { kills: 3, clients: 100, stores: 10 }.run(dev(database.as_ref()), |_| {}).unwrap();
        assert!(outcome.is_good() && outcome.kills == 3, "{outcome}");
    }
}

#[test]
fn a_service_whose_process_was_killed_is_missed_alone_and_comes_back() {
    for engines in [Engines::Embedded, Engines::Real] {
        let mut ground = Ground::start(engines, Cut::Each, &[]);
        ground.post("/v1/storage/store/neo-n3", &json!({ "key": "k", "value": 1, "encrypted": true }));
        let headers = [format!("X-API-Key: {}", ground.key), "Content-Type: application/json".to_owned()];
        let ask = |ground: &Ground, path: &str| http("GET", ground.nodes[1].public(), path, &headers, "").unwrap();
        ground.nodes[2].kill();
        let missed = ask(&ground, "/v1/storage/retrieve/neo-n3/k");
        problem(&missed, 503, missed.json().unwrap()["code"].as_str().unwrap());
        assert_eq!(ask(&ground, "/v1/identity/whoami").status, 200);
        ground.nodes[2].start_again().unwrap();
        eventually("storage is found again", 40, || Ok(ask(&ground, "/v1/storage/retrieve/neo-n3/k").status == 200))
            .unwrap();
        assert_eq!(ok(&ask(&ground, "/v1/storage/retrieve/neo-n3/k"))["value"], json!(1));
        let verdict: Value = ground.post("/v1/audit/verify", &Value::Null);
        assert_eq!(verdict["whole"], json!(true), "{verdict}");
    }
}
