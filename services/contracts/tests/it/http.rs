//! The public routes, as they are asked and answered.

use axum::{
    Extension,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use nsl_edge::Admitted;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    ground::{Ground, until},
    x::STORE,
};

async fn ask(ground: &Ground, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let router = nsl_contracts::routes(ground.contracts.clone()).layer(Extension(Admitted::new(ground.cx.clone())));
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    let response = router.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_is_deployed_and_asked_over_http() {
    let ground = Ground::x(None).await;
    let post = async |path: &str, body: Value| ask(&ground, Method::POST, path, body).await;
    let get = async |path: &str| ask(&ground, Method::GET, path, Value::Null).await;
    let artefact: Value = serde_json::from_str(STORE).unwrap();
    let account = ground.account();
    let body = json!({"account": account, "artefact": artefact, "args": []});
    let (status, begun) = post("/v1/contracts/neo-x", body).await;
    assert_eq!(
        (status, &begun["hash"], &begun["transaction"]["state"]),
        (StatusCode::ACCEPTED, &Value::Null, &json!("accepted"))
    );
    let by_request = format!("/v1/contracts/neo-x/by-request/{}", begun["transaction"]["id"].as_str().unwrap());
    let contract = until("a deployment is decided", async || {
        let (status, contract) = get(&by_request).await;
        assert_eq!(status, StatusCode::OK, "{contract}");
        (contract["state"] != "deploying").then_some(contract)
    })
    .await;
    assert_eq!(contract["state"], "deployed");
    let at = format!("/v1/contracts/neo-x/{}", contract["hash"].as_str().unwrap());

    let call = json!({"method": "version", "args": []});
    assert_eq!(post(&format!("{at}/call"), call).await, (StatusCode::OK, json!({"stack": ["1"]})));
    let put = json!({"account": account, "method": "put", "args": ["k", "v"]});
    let (status, trial) = post(&format!("{at}/simulate"), put.clone()).await;
    assert_eq!((status, &trial["ok"], &trial["events"][0]["name"]), (StatusCode::OK, &json!(true), &json!("Put")));
    assert!(trial["gas"].is_string() && trial.get("reason").is_none(), "{trial}");
    let (status, estimate) = post(&format!("{at}/estimate"), put.clone()).await;
    assert_eq!((status, estimate["fee"].is_string()), (StatusCode::OK, true), "{estimate}");
    let (status, sent) = post(&format!("{at}/invoke"), put).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{sent}");
    let sent = ground.sent(serde_json::from_value(sent).map_err(nsl_core::Error::internal)).await;
    let (status, events) = get(&format!("{at}/events?name=Put&limit=5")).await;
    assert_eq!((status, events.get("next")), (StatusCode::OK, None), "{events}");
    let event = &events["items"][0];
    assert_eq!(
        (&event["tx"], &event["values"]["key"], &event["height"]),
        (&json!(sent.tx), &json!("k"), &json!(sent.height))
    );
    assert!(event["cursor"].as_str().unwrap().starts_with(&format!("{}-", event["height"])), "{event}");

    let (status, list) = get("/v1/contracts/neo-x?limit=10").await;
    assert_eq!((status, list["items"].as_array().unwrap().len()), (StatusCode::OK, 1), "{list}");
    let (status, diff) = post(&format!("{at}/diff"), json!({"artefact": artefact})).await;
    assert_eq!((status, &diff["changes"][0]["weight"]), (StatusCode::OK, &json!("note")), "{diff}");
    let (status, described) = ask(&ground, Method::PUT, &at, json!({"abi": artefact["abi"], "name": "shop"})).await;
    assert_eq!((status, &described["name"], &described["state"]), (StatusCode::OK, &json!("shop"), &json!("deployed")));

    for (path, body, code) in [
        (format!("{at}/call"), json!({"method": "gone"}), "chain.method_unknown"),
        (format!("{at}/call"), json!({"method": "version", "argument": []}), "json.unfit"),
        (format!("{at}/call"), json!({"args": []}), "json.unfit"),
        (format!("{at}/update"), json!({"account": account}), "contracts.artefact_unfit"),
        ("/v1/contracts/neo-x/0x12/call".into(), json!({"method": "m"}), "contracts.hash_malformed"),
        ("/v1/contracts/neo-y/0x12/call".into(), json!({"method": "m"}), "request.path"),
        ("/v1/contracts/neo-n3".into(), json!({"account": account}), "contracts.chain_missing"),
    ] {
        let (status, problem) = post(&path, body).await;
        assert_eq!(problem["code"], code, "{path} {status}: {problem}");
    }
    for (query, code) in
        [("limit=0", "request.query"), ("after=1-2", "contracts.cursor_malformed"), ("from=x", "request.query")]
    {
        assert_eq!(get(&format!("{at}/events?{query}")).await.1["code"], code, "{query}");
    }
    ground.end().await;
}
