//! Bad requests: each gets its own answer, and the next good one is served.

use nsl_sandbox::{Connection, Nsl, Reply};
use serde_json::json;

use crate::ground::{beside, both, dev, get, make_tenant, ok, problem, put, verifies};

fn on_both(test: impl Fn(&Nsl)) {
    for database in both() {
        let nsl = dev(database.as_ref()).start().unwrap();
        test(&nsl);
        ok(&put(&nsl, "after", &json!(1), true));
        assert_eq!(ok(&get(&nsl, "after"))["value"], json!(1));
        nsl.kill();
        assert!(verifies(nsl.directory(), database.as_ref()));
    }
}

fn send(nsl: &Nsl, body: &[u8]) -> Reply {
    let mut connection = Connection::open(nsl.public()).unwrap();
    let head = format!(
        "POST /v1/storage/store/neo-n3 HTTP/1.1\r\nHost: nsl\r\nX-API-Key: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        nsl.api_key(),
        body.len()
    );
    connection.send(head.as_bytes()).unwrap();
    // It may answer before the end of a body that is too large.
    let _ = connection.send(body);
    connection.receive(false).unwrap()
}

#[test]
fn bodies_that_are_no_good_json_are_refused_by_name() {
    on_both(|nsl| {
        let deep = |levels: usize| format!(r#"{{"key":"k","value":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        let bodies: Vec<(Vec<u8>, u16, &str)> = vec![
            (b"".to_vec(), 400, "json.malformed"),
            (b"{".to_vec(), 400, "json.malformed"),
            (br#"{"key":"k","value":1}x"#.to_vec(), 400, "json.malformed"),
            (br#"{"key":"k","value":01}"#.to_vec(), 400, "json.malformed"),
            (br#"{"key":"k","value":NaN}"#.to_vec(), 400, "json.malformed"),
            (b"{\"key\":\"k\",\"value\":\"\xff\xfe\"}".to_vec(), 400, "json.not_utf8"),
            (b"{\"key\":\"k\",\"value\":\"\xed\xa0\x80\"}".to_vec(), 400, "json.not_utf8"),
            (br#"{"key":"k","value":"\ud800"}"#.to_vec(), 400, "json.surrogate"),
            (br#"{"key":"k","key":"l","value":1}"#.to_vec(), 400, "json.duplicate_key"),
            (br#"{"key":"k","value":{"a":{"b":1,"b":2}}}"#.to_vec(), 400, "json.duplicate_key"),
            (deep(64).into_bytes(), 400, "json.too_deep"),
            (deep(100_000).into_bytes(), 400, "json.too_deep"),
            (br#"["k",1]"#.to_vec(), 400, "json.unfit"),
            (br#"{"key":"k"}"#.to_vec(), 400, "json.unfit"),
            (br#"{"key":7,"value":1}"#.to_vec(), 400, "json.unfit"),
            (br#"{"key":"k","value":1,"encryptd":true}"#.to_vec(), 400, "json.unfit"),
            (
                format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(1 << 20)).into_bytes(),
                413,
                "storage.value_too_large",
            ),
            (format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(2 << 20)).into_bytes(), 413, "request.too_large"),
        ];
        for (body, status, code) in bodies {
            let reply = send(nsl, &body);
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert_eq!(reply.status, status, "{shown}: {}", reply.body);
            problem(&reply, status, code);
        }
        problem(&get(nsl, "k"), 404, "storage.not_found");
        ok(&send(nsl, deep(60).as_bytes()));
        let whole = format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat((1 << 20) - 2));
        ok(&send(nsl, whole.as_bytes()));
    });
}

#[test]
fn keys_that_are_none_are_refused_by_name() {
    on_both(|nsl| {
        let long = "k".repeat(257);
        let nul = "a\u{0}b";
        for (key, code) in [
            ("", "storage.key_empty"),
            (" ", "storage.key_malformed"),
            ("a b", "storage.key_malformed"),
            ("a/b", "storage.key_malformed"),
            ("../etc/passwd", "storage.key_malformed"),
            ("ключ", "storage.key_malformed"),
            ("a'; DROP TABLE storage_data; --", "storage.key_malformed"),
            ("k%00", "storage.key_malformed"),
            (nul, "storage.key_malformed"),
            (&long, "storage.key_too_long"),
        ] {
            problem(&put(nsl, key, &json!(1), false), 400, code);
        }
        ok(&put(nsl, &"k".repeat(256), &json!(1), false));
        let encoded = nsl.request("GET", "/v1/storage/retrieve/neo-n3/a%20b", "").unwrap();
        assert_eq!(encoded.status, 400, "{}", encoded.body);
        let nowhere = nsl.request("GET", "/v1/storage/retrieve/neo-n4/a", "").unwrap();
        assert_eq!(nowhere.status, 400, "{}", nowhere.body);
    });
}

#[test]
fn another_tenants_key_opens_nothing_here() {
    for database in both() {
        let nsl = dev(database.as_ref()).start().unwrap();
        ok(&put(&nsl, "mine", &json!("secret"), true));
        let (_, stranger) = make_tenant(&beside(&nsl, database.as_ref()));
        let headers = [format!("X-API-Key: {stranger}")];
        let ask = |method: &str, path: &str| nsl_sandbox::http(method, nsl.public(), path, &headers, "").unwrap();
        let whoami = ask("GET", "/v1/identity/whoami").json().unwrap();
        assert_ne!(whoami["tenant"], json!(nsl.ready().tenant));
        for path in [
            "retrieve/neo-n3/mine",
            "retrieve/neo-n3/mine?owner=developer",
            "neo-n3/items/mine?fresh=true&owner=developer",
        ] {
            problem(&ask("GET", &format!("/v1/storage/{path}")), 404, "storage.not_found");
        }
        assert_eq!(ask("DELETE", "/v1/storage/neo-n3/items/mine").status, 404);
        assert_eq!(ok(&ask("GET", "/v1/storage/neo-n3/items"))["items"], json!([]));
        let mine = ok(&nsl.request("GET", "/v1/identity/keys", "").unwrap());
        let id = mine["items"][0]["id"].as_str().unwrap();
        assert_eq!(ask("DELETE", &format!("/v1/identity/keys/{id}")).status, 404);
        assert_eq!(ok(&get(&nsl, "mine"))["value"], json!("secret"));
    }
}

#[test]
fn a_quota_is_kept_to_the_last_item_and_byte_however_many_come_at_once() {
    for database in both() {
        let launch = dev(database.as_ref()).env("NSL_QUOTA__ITEMS", "10").env("NSL_QUOTA__BYTES", "100000");
        let nsl = launch.start().unwrap();
        let answers = at_once(40, |n| put(&nsl, &format!("k{n}"), &json!(n), n % 2 == 0).status);
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 10, "{answers:?}");
        assert!(answers.iter().all(|status| [200, 507].contains(status)), "{answers:?}");
        let taken = (0..40).find(|n| answers[*n] == 200).unwrap();
        let big = json!("x".repeat(90_000));
        problem(&put(&nsl, "k-new", &json!(1), false), 507, "storage.quota_items");
        ok(&put(&nsl, &format!("k{taken}"), &big, false));
        problem(&put(&nsl, &format!("k{taken}"), &big, false), 507, "storage.quota_bytes");
        // What is deleted gives its place back.
        let gone = nsl.request("DELETE", &format!("/v1/storage/neo-n3/items/k{taken}"), "").unwrap();
        assert_eq!(gone.status / 100, 2);
        ok(&put(&nsl, "k-new", &json!(1), false));
    }
}

#[test]
fn a_replayed_idempotency_key_does_nothing_twice_and_takes_no_other_body() {
    for database in both() {
        let mut nsl = dev(database.as_ref()).start().unwrap();
        let store = |nsl: &Nsl, value: usize| {
            let headers = [
                format!("X-API-Key: {}", nsl.api_key()),
                "Content-Type: application/json".to_owned(),
                "Idempotency-Key: payment-7".to_owned(),
            ];
            let body = json!({ "key": "once", "value": value, "encrypted": true }).to_string();
            nsl_sandbox::http("POST", nsl.public(), "/v1/storage/store/neo-n3", &headers, &body).unwrap()
        };
        let answers = at_once(30, |_| ok(&store(&nsl, 1)));
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        problem(&store(&nsl, 2), 409, "idempotency.key_reused");
        nsl.kill();
        nsl.start_again().unwrap();
        assert_eq!(ok(&store(&nsl, 1)), answers[0]);
        problem(&store(&nsl, 2), 409, "idempotency.key_reused");
        assert_eq!(ok(&get(&nsl, "once"))["version"], json!(1));
    }
}

/// Calls this many times at once and gives the answers in order.
pub(crate) fn at_once<T: Send>(times: usize, call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let call = &call;
        let calls: Vec<_> = (0..times).map(|n| scope.spawn(move || call(n))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

#[test]
fn configurations_with_five_mistakes_hear_of_all_five() {
    for database in both() {
        let launch = dev(database.as_ref())
            .env("NSL_SQL__GROUP", "0")
            .env("NSL_LOG__LEVEL", "loud")
            .env("NSL_HTTP__MAX_HEADERS", "many")
            .env("NSL_STORAGE__KEEP_VERSION", "3")
            .env("NSL_QUEUE__URL", "http://example");
        let (status, said) = launch.ends().unwrap();
        assert!(!status.success());
        for name in ["group", "level", "max_headers", "keep_version", "queue.url"] {
            assert!(said.to_lowercase().contains(name), "{name} is not named in: {said}");
        }
    }
}
