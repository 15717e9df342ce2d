use nsl_sandbox::eventually;
use serde_json::json;

use crate::ground::{both, dev, get, ok, put, verifies};

#[test]
fn a_clock_that_steps_back_breaks_nothing() {
    for database in both() {
        let nsl = dev(database.as_ref()).with_movable_clock().unwrap().start().unwrap();
        for (version, moved) in [0, 3_600, -7_200, -86_400, 0].into_iter().enumerate() {
            nsl.move_clock(moved).unwrap();
            // Limits count a caller as exhausted whose past lies ahead: for a moment, not for as long as the step.
            let mut stored = put(&nsl, "clock", &json!(moved), true);
            eventually("a limit forgets the step", 5, || {
                if stored.status == 429 {
                    stored = put(&nsl, "clock", &json!(moved), true);
                }
                Ok(stored.status != 429)
            })
            .unwrap();
            let stored = ok(&stored);
            assert_eq!(stored["version"], json!(version + 1));
            let found = ok(&nsl.request("GET", "/v1/storage/retrieve/neo-n3/clock?fresh=true", "").unwrap());
            assert_eq!((&found["value"], &found["version"]), (&json!(moved), &json!(version + 1)));
            assert_eq!(ok(&get(&nsl, "clock"))["version"], json!(version + 1));
        }
        let history = ok(&nsl.request("GET", "/v1/storage/neo-n3/items/clock/versions", "").unwrap());
        let versions: Vec<_> =
            history["items"].as_array().unwrap().iter().map(|item| item["version"].clone()).collect();
        assert!(versions.windows(2).all(|pair| pair[0].as_i64() > pair[1].as_i64()), "{history}");
        let verdict = ok(&nsl.request("POST", "/v1/audit/verify", "").unwrap());
        assert_eq!(verdict["whole"], json!(true), "{verdict}");
        nsl.move_clock(-3_600).unwrap();
        eventually("it is ready", 10, || Ok(nsl.request("GET", "/health/ready", "")?.status == 200)).unwrap();
        assert!(nsl.terminate().unwrap().success());
        assert!(verifies(nsl.directory(), database.as_ref()));
    }
}
