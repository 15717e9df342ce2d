//! Server-sent events, over a real listener and as they come.

use std::{sync::Arc, time::Duration};

use axum::Extension;
use futures_util::StreamExt;
use nsl_api::relay::{Relay, RelayClient, State};
use nsl_chain::x::Address;
use nsl_core::Cx;
use nsl_edge::Admitted;
use nsl_kit::{
    Check, Loader, Mistakes, Profile,
    serve::{Listener, Serving},
    settings::{HttpSettings, ListenerSettings},
};
use nsl_rpc::{Client, Via};
use nsl_sandbox::Database;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ground::Ground;

#[derive(Deserialize)]
struct Sections {
    public: ListenerSettings,
    http: HttpSettings,
}

impl Check for Sections {
    fn check(&self, _: Profile, _: &mut Mistakes) {}
}

pub(crate) async fn serve(relay: Arc<dyn Relay>, cx: &Cx) -> Serving {
    let loaded = Loader::default().flags(vec!["public.address=127.0.0.1:0"]).load::<Sections>().unwrap();
    let listener = Listener::bind("public", &loaded.value.public, &loaded.value.http).await.unwrap();
    let client = RelayClient::new(Via::Local(relay));
    listener.serve(nsl_relay::routes(client).layer(Extension(Admitted::new(cx.clone()))))
}

/// The events of a text, each as id, name and data.
fn events(text: &str) -> Vec<(i64, String, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let read = |block: &str| {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
            line.trim_start().to_owned()
        };
        (field("id").parse().unwrap(), field("event"), serde_json::from_str(&field("data")).unwrap())
    };
    blocks.map(read).collect()
}

async fn follow(url: &str, last: Option<i64>) -> reqwest::Response {
    let mut request = reqwest::Client::new().get(url);
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    request.send().await.unwrap()
}

async fn to_the_end(database: Option<Database>) {
    let apart = database.is_some();
    let ground = Ground::fresh(database, None).await;
    ground.order_with("evm_setAutomine", json!([false])).await;
    // Where the engine allows it, who tells is another process than who sends.
    let other = if apart { Some(ground.another().await) } else { None };
    let relay = other.as_ref().map_or(&ground.relay, |other| &other.relay).clone();
    let serving = serve(relay, &ground.cx).await;
    let id = ground.send(ground.transfer(0, Address::from([0x71; 20]), 1)).await.unwrap().id;
    let url = format!("{}/v1/tx/neo-x/{id}/events", serving.url());
    let answer = follow(&url, None).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.bytes_stream();
    let mut text = String::new();
    while !events(&text).iter().any(|(_, name, _)| name == "sent") {
        text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    // Nothing of the end is there before the end is.
    assert!(!text.contains("final"), "{text}");
    ground.order("evm_mine").await;
    while let Some(part) = body.next().await {
        text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
    }
    let told = events(&text);
    let passed = ground.passed(&id).await;
    assert_eq!(told.len(), passed.len());
    for ((number, name, data), passed) in told.iter().zip(&passed) {
        assert_eq!((number, data), (&passed.number, &serde_json::to_value(passed).unwrap()));
        assert_eq!(json!(name), serde_json::to_value(passed.state).unwrap());
    }
    assert_eq!(passed.last().unwrap().state, State::Final);
    // Whoever was cut off goes on, by the header or the parameter; who knows the end is told that there is no more.
    let last = passed.last().unwrap().number;
    assert_eq!(events(&follow(&url, Some(2)).await.text().await.unwrap())[0].0, 3);
    assert_eq!(events(&follow(&format!("{url}?after={}", last - 1), None).await.text().await.unwrap()).len(), 1);
    assert_eq!(follow(&url, Some(last)).await.status(), 204);
    assert_eq!(follow(&url.replace(&id, "rel_none"), None).await.status(), 404);
    assert!(serving.drain(Duration::from_secs(5)).await);
    if let Some(other) = other {
        other.end().await;
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_are_told_as_they_come_on_sqlite() {
    to_the_end(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_are_told_as_they_come_by_another_process_on_postgres() {
    to_the_end(Some(Database::fresh().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_bounded_and_end_with_their_listener() {
    let ground = Ground::fresh(None, None).await;
    ground.order_with("evm_setAutomine", json!([false])).await;
    let serving = serve(Arc::clone(&ground.relay), &ground.cx).await;
    let id = ground.send(ground.transfer(0, Address::from([0x72; 20]), 1)).await.unwrap().id;
    ground.until(&id, State::Sent).await;
    let url = format!("{}/v1/tx/neo-x/{id}/events", serving.url());
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(follow(&url, None).await);
    }
    assert!(open.iter().all(|answer| answer.status() == 200));
    let refused = follow(&url, None).await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
    // A client that goes makes room.
    open.pop();
    let again = async {
        while follow(&url, None).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
    assert!(serving.drain(Duration::from_secs(10)).await, "nothing is cut off");
    for answer in open {
        assert!(answer.text().await.unwrap().contains("event:"), "what was told came whole");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_claims_to_know_more_than_there_is_is_let_go_at_the_end() {
    let ground = Ground::fresh(None, None).await;
    ground.order_with("evm_setAutomine", json!([false])).await;
    let serving = serve(Arc::clone(&ground.relay), &ground.cx).await;
    let id = ground.send(ground.transfer(0, Address::from([0x73; 20]), 1)).await.unwrap().id;
    ground.until(&id, State::Sent).await;
    let ahead = follow(&format!("{}/v1/tx/neo-x/{id}/events?after=1000", serving.url()), None).await;
    assert_eq!(ahead.status(), 200);
    ground.order("evm_mine").await;
    let nothing = tokio::time::timeout(Duration::from_secs(60), ahead.text()).await.expect("it ends").unwrap();
    assert!(!nothing.contains("data:"), "{nothing}");
    assert!(serving.drain(Duration::from_secs(10)).await);
    ground.end().await;
}
