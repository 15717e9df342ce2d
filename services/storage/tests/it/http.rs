use axum::{
    Extension,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use nsl_core::{Cx, Once, Principal};
use nsl_edge::Admitted;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::ground::{Ground, each};

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

async fn ask(ground: &Ground, cx: &Cx, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let router = nsl_storage::routes(ground.client.clone()).layer(Extension(Admitted::new(cx.clone())));
    let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_request_works_as_it_is_sent() {
    each(async |ground| {
        let cx = ground.alone();
        let body = r#"{"key":"test_1_1","value":{"data":"test data"},"encrypted":false}"#;
        let stored = ask(&ground, &cx, Method::POST, "/v1/storage/store/neo-n3", &[], body).await;
        assert_eq!(stored.status, 200);
        assert_eq!((&stored.json()["version"], &stored.json()["created"]), (&json!(1), &json!(true)));
        let found = ask(&ground, &cx, Method::GET, "/v1/storage/retrieve/neo-n3/test_1_1", &[], "").await;
        assert_eq!(
            (found.status.as_u16(), &found.headers[header::ETAG]),
            (200, &"\"1\"".parse::<header::HeaderValue>().unwrap())
        );
        let found = found.json();
        assert_eq!(
            (&found["key"], &found["value"], &found["version"]),
            (&json!("test_1_1"), &json!({"data":"test data"}), &json!(1))
        );
        for (path, body, status, code) in [
            ("/v1/storage/store/neo-n4", body, 400, "request.path"),
            ("/v1/storage/store/neo-n3", r#"{"key":"a b","value":1}"#, 400, "storage.key_malformed"),
            ("/v1/storage/store/neo-n3", r#"{"key":"","value":1}"#, 400, "storage.key_empty"),
            ("/v1/storage/store/neo-n3", r#"{"key":"a"}"#, 400, "json.unfit"),
            ("/v1/storage/store/neo-n3", r#"{"key":"a","value":1,"typo":1}"#, 400, "json.unfit"),
            ("/v1/storage/store/neo-n3", r#"{"key":"a","value":"#, 400, "json.malformed"),
            ("/v1/storage/store/neo-n3", r#"{"key":"a","value":{"a":1,"a":2}}"#, 400, "json.duplicate_key"),
            ("/v1/storage/store/neo-n3", r#"{"key":"a","value":1,"metadata":[1]}"#, 400, "storage.metadata_malformed"),
            (
                "/v1/storage/store/neo-n3",
                r#"{"key":"a","value":1,"expires_at":"2020-01-01T00:00:00Z"}"#,
                400,
                "storage.expiry_past",
            ),
        ] {
            let refused = ask(&ground, &cx, Method::POST, path, &[], body).await;
            assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (status, &json!(code)), "{body}");
        }
        let elsewhere = ask(&ground, &cx, Method::POST, "/v1/storage/store/neo-n4", &[], body).await.json();
        assert_eq!(elsewhere["detail"], "the chain is neither neo-n3 nor neo-x");
        let of_key = ask(&ground, &cx, Method::GET, "/v1/storage/neo-n4/items/a/versions", &[], "").await.json();
        assert_eq!(of_key["detail"], "the chain is neither neo-n3 nor neo-x");
        for limit in ["0", "1001"] {
            let path = format!("/v1/storage/neo-n3/items?limit={limit}");
            let refused = ask(&ground, &cx, Method::GET, &path, &[], "").await;
            let bounds = "limit wants a whole number from 1 to 1000";
            assert_eq!((refused.status.as_u16(), &refused.json()["detail"]), (400, &json!(bounds)));
        }
        let large = format!(r#"{{"key":"a","value":"{}"}}"#, "x".repeat(1_048_575));
        let refused = ask(&ground, &cx, Method::POST, "/v1/storage/store/neo-n3", &[], &large).await;
        assert_eq!(refused.json()["code"], "storage.value_too_large");
        let fits = format!(r#"{{"key":"a","value":"{}","encrypted":true}}"#, "x".repeat(1_048_574));
        let stored = ask(&ground, &cx, Method::POST, "/v1/storage/store/neo-n3", &[], &fits).await;
        assert_eq!((stored.status.as_u16(), &stored.json()["size_bytes"]), (200, &json!(1_048_576)));
        let absent = ask(&ground, &cx, Method::GET, "/v1/storage/retrieve/neo-n3/none", &[], "").await;
        assert_eq!((absent.status.as_u16(), &absent.json()["code"]), (404, &json!("storage.not_found")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_resources_with_entity_tags() {
    each(async |ground| {
        let cx = ground.alone();
        let path = "/v1/storage/neo-x/items/a";
        let send = async |method: Method, path: &str, headers: &[(&str, &str)], body: &str| {
            ask(&ground, &cx, method, path, headers, body).await
        };
        assert_eq!(send(Method::PUT, path, &[("if-none-match", "*")], r#"{"value":1}"#).await.status, 201);
        let refused = send(Method::PUT, path, &[("if-none-match", "*")], r#"{"value":2}"#).await;
        assert_eq!(refused.json()["code"], "storage.precondition_failed");
        assert_eq!(send(Method::PUT, path, &[("if-match", "\"1\"")], r#"{"value":2}"#).await.status, 200);
        assert_eq!(send(Method::PUT, path, &[("if-match", "\"1\"")], r#"{"value":3}"#).await.json()["code"], "storage.precondition_failed");
        assert_eq!(send(Method::PUT, path, &[("if-match", "*")], r#"{"value":3}"#).await.status, 200);
        assert_eq!(send(Method::PUT, "/v1/storage/neo-x/items/none", &[("if-match", "*")], r#"{"value":3}"#).await.json()["code"], "storage.precondition_failed");
        let conflict = send(Method::PUT, path, &[], r#"{"value":4,"expected_version":1}"#).await;
        assert_eq!((conflict.status.as_u16(), &conflict.json()["code"]), (409, &json!("storage.version_conflict")));
        assert_eq!(conflict.json()["details"]["current_version"], 3);

        let known = send(Method::GET, path, &[("if-none-match", "\"3\"")], "").await;
        assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""));
        let head = send(Method::HEAD, path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.headers[header::ETAG].to_str().unwrap(), head.text.as_str()), (200, "\"3\"", ""));
        let patched = send(Method::PATCH, path, &[], r#"{"access":"tenant","metadata":{"k":1}}"#).await;
        assert_eq!((patched.status.as_u16(), &patched.json()["version"]), (200, &json!(4)));
        let found = send(Method::GET, path, &[], "").await.json();
        assert_eq!((&found["access"], &found["metadata"], &found["value"]), (&json!("tenant"), &json!({"k":1}), &json!(3)));
        assert_eq!(send(Method::GET, &format!("{path}?version=1"), &[], "").await.json()["value"], 1);

        let versions = send(Method::GET, &format!("{path}/versions?limit=2"), &[], "").await.json();
        assert_eq!((&versions["items"][0]["version"], &versions["next"]), (&json!(4), &json!("3")));
        assert_eq!(send(Method::POST, &format!("{path}/versions/1/restore"), &[], "").await.json()["version"], 5);
        assert_eq!(send(Method::DELETE, path, &[("if-match", "\"4\"")], "").await.json()["code"], "storage.precondition_failed");
        assert_eq!(send(Method::DELETE, path, &[], "").await.json()["version"], 6);
        assert_eq!(send(Method::HEAD, path, &[], "").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_conditional_write_gets_its_first_answer() {
    each(async |ground| {
        let cx = ground.alone();
        let path = "/v1/storage/neo-x/items/a";
        let once = |key: &str| {
            let mut cx = cx.clone();
            cx.once = Some(Once { key: key.into(), fingerprint: "f".into() });
            cx
        };
        let (put, delete) = (Method::PUT, Method::DELETE);
        for (key, method, header) in [
            ("1", &put, ("if-none-match", "*")),
            ("2", &put, ("if-match", "\"1\"")),
            ("3", &put, ("if-match", "\"1\", \"2\"")),
            ("4", &put, ("if-match", "*")),
            ("5", &delete, ("if-match", "*")),
        ] {
            let body = if *method == put { r#"{"value":1}"# } else { "" };
            let send = async |key: &str| ask(&ground, &once(key), method.clone(), path, &[header], body).await;
            let first = send(key).await;
            assert!(first.status.is_success(), "{key}: {}", first.text);
            let again = send(key).await;
            assert_eq!((again.status, again.text), (first.status, first.text), "{key}");
        }
        for (key, header) in [("6", "*"), ("7", "\"1\", \"2\"")] {
            let refused = ask(&ground, &once(key), put.clone(), path, &[("if-match", header)], r#"{"value":1}"#).await;
            assert_eq!(refused.json()["code"], "storage.precondition_failed");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_lists_and_usage_answer_json() {
    each(async |ground| {
        let cx = ground.alone();
        let body = r#"{"items":[{"key":"a","value":{"n": 1}},{"key":"b","value":2,"encrypted":true,"access":"shared","shared_with":["sub_x"]}]}"#;
        let stored = ask(&ground, &cx, Method::POST, "/v1/storage/neo-n3/batch", &[], body).await;
        assert_eq!(stored.json()["items"][1]["version"], 1);
        let body = r#"{"keys":["b","none","a"]}"#;
        let found = ask(&ground, &cx, Method::POST, "/v1/storage/neo-n3/batch/get", &[], body).await;
        assert!(found.text.contains(r#""value":{"n": 1}"#));
        let found = found.json();
        assert_eq!((&found["items"][0]["value"], &found["missing"]), (&json!(2), &json!(["none"])));
        assert_eq!(found["items"][0]["shared_with"], json!(["sub_x"]));
        let list = ask(&ground, &cx, Method::GET, "/v1/storage/neo-n3/items?prefix=&limit=1", &[], "").await.json();
        assert_eq!((&list["items"][0]["key"], &list["next"]), (&json!("a"), &json!("a")));
        let usage = ask(&ground, &cx, Method::GET, "/v1/storage/usage", &[], "").await.json();
        assert_eq!((&usage["items"], &usage["bytes"], &usage["quota_items"]), (&json!(2), &json!(9), &json!(100_000)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subjects_that_could_not_read_are_not_named() {
    each(async |ground| {
        let cx = ground.alone();
        let item = "/v1/storage/neo-n3/items/a";
        let put = r#"{"value":1,"access":"shared","shared_with":["sub_x"]}"#;
        assert_eq!(ask(&ground, &cx, Method::PUT, item, &[], put).await.status, 201);
        for (method, path, body) in [
            (Method::PUT, item, r#"{"value":1,"shared_with":["sub_x"]}"#),
            (Method::PATCH, item, r#"{"shared_with":["sub_x"]}"#),
            (Method::PATCH, item, r#"{"access":"tenant","shared_with":["sub_x"]}"#),
            (Method::POST, "/v1/storage/store/neo-n3", r#"{"key":"a","value":1,"shared_with":["sub_x"]}"#),
            (Method::POST, "/v1/storage/neo-n3/batch", r#"{"items":[{"key":"a","value":1,"shared_with":["sub_x"]}]}"#),
        ] {
            let refused = ask(&ground, &cx, method, path, &[], body).await;
            assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (400, &json!("storage.shared_with_nobody")));
        }
        let amend = r#"{"access":"shared","shared_with":["sub_y"]}"#;
        let amended = ask(&ground, &cx, Method::PATCH, item, &[], amend).await;
        assert_eq!(amended.json()["version"], 2, "nothing of the others was done");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_values_need_no_credential_and_names_mean_nothing_there() {
    each(async |ground| {
        let cx = ground.alone();
        for (key, access) in [("open", "public"), ("closed", "tenant"), ("own", "private")] {
            let body = json!({"key": key, "value": key, "access": access}).to_string();
            ask(&ground, &cx, Method::POST, "/v1/storage/store/neo-n3", &[], &body).await;
        }
        let path = |key: &str| format!("/v1/storage/public/neo-n3/{}/{}/{key}", cx.tenant, cx.principal.subject);
        let mut nobody = cx.clone();
        nobody.principal = Principal::anonymous();
        // The same name in another tenant is somebody else.
        let namesake = ground.alone();
        for caller in [&nobody, &namesake, &cx] {
            assert_eq!(ask(&ground, caller, Method::GET, &path("open"), &[], "").await.json()["value"], "open");
            let hidden = ask(&ground, caller, Method::GET, &path("own"), &[], "").await;
            let closed = ask(&ground, caller, Method::GET, &path("closed"), &[], "").await;
            let absent = ask(&ground, caller, Method::GET, &path("none"), &[], "").await;
            assert_eq!((absent.status.as_u16(), &absent.text), (404, &hidden.text));
            assert_eq!(absent.text, closed.text);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_requests_go_over_http() {
    each(async |ground| {
        let cx = ground.alone();
        ask(&ground, &cx, Method::POST, "/v1/storage/store/neo-n3", &[], r#"{"key":"a","value":1}"#).await;
        let asked = ask(&ground, &cx, Method::POST, "/v1/storage/privacy/requests", &[], r#"{"kind":"export"}"#).await;
        assert_eq!((asked.status.as_u16(), &asked.json()["status"]), (202, &json!("pending")));
        let path = format!("/v1/storage/privacy/requests/{}", asked.json()["id"].as_str().unwrap());
        ground.tick(nsl_storage::Tick::Privacy).await;
        assert_eq!(ask(&ground, &cx, Method::GET, &path, &[], "").await.json()["status"], "done");
        let export = ask(&ground, &cx, Method::GET, &format!("{path}/export"), &[], "").await;
        assert_eq!(export.json()["items"][0]["value"], 1);
        let list = ask(&ground, &cx, Method::GET, "/v1/storage/privacy/requests", &[], "").await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    })
    .await;
}
