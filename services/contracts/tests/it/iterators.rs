//! Calls on Neo N3 that give back iterators, at nodes that keep them for later and at such that show a few at once.

use std::os::unix::fs::PermissionsExt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use nsl_api::{Chain, contracts::Ask};
use nsl_devnet::{Cache, N3Options, NEO_GO};
use serde_json::{Map, Value, json};

use crate::{
    ground::Ground,
    n3::{ITEM, SHARE, STORE, deployed},
};

fn bytes(text: &str) -> Value {
    json!({"type": "ByteString", "value": BASE64.encode(text)})
}

fn iterator(items: &[Value], truncated: bool) -> Vec<Value> {
    vec![json!({"type": "InteropInterface", "iterator": items, "truncated": truncated})]
}

/// Writes so many entries under a prefix, as many at once as a transaction may tell of.
async fn fill(ground: &Ground, hash: &str, count: usize) -> i64 {
    let mut height = 0;
    for first in (0..count).step_by(250) {
        let entries: Map<String, Value> =
            (first..count.min(first + 250)).map(|place| (format!("many{place:04}"), json!("v"))).collect();
        height = ground.invoke(hash, "putAll", &[Value::Object(entries)]).await.height.unwrap();
    }
    height
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iterator_is_read_out_and_says_when_it_goes_on() {
    let ground = Ground::n3(None).await;
    let item = deployed(&ground, ITEM, None).await.hash.unwrap();
    for token in ["sword", "shield"] {
        ground.invoke(&item, "mint", &[json!(ground.account()), json!(token)]).await;
    }
    let owned = ground.ask(&item, "tokensOf", &[json!(ground.account())]).await.unwrap();
    assert_eq!(owned.stack, iterator(&[bytes("shield"), bytes("sword")], false));
    let none = ground.ask(&item, "tokensOf", &[json!(ground.other_account())]).await.unwrap();
    assert_eq!(none.stack, iterator(&[], false));

    let share = deployed(&ground, SHARE, None).await.hash.unwrap();
    ground.invoke(&share, "mint", &[json!(ground.account()), json!("gold")]).await;
    let to = [ground.account(), ground.other_account()].map(|account| json!(account));
    ground.invoke(&share, "transfer", &[to[0].clone(), to[1].clone(), json!(30), json!("gold"), Value::Null]).await;
    let owners = ground.ask(&share, "ownerOf", &[json!("gold")]).await.unwrap();
    assert_eq!(owners.stack[0]["iterator"].as_array().unwrap().len(), 2);
    assert_eq!(
        ground.ask(&share, "tokensOf", &[to[1].clone()]).await.unwrap().stack,
        iterator(&[bytes("gold")], false)
    );
    assert_eq!(ground.ask(&share, "balanceOf", &[to[1].clone()]).await.unwrap().stack[0]["value"], "30");
    let moves = ground.events(ground.listening(&share)).await;
    let names: Vec<_> = moves.iter().map(|event| event.told.name.as_deref()).collect();
    assert_eq!(names, [Some("Transfer"), Some("Transfer")]);

    let store = deployed(&ground, STORE, None).await.hash.unwrap();
    let height = fill(&ground, &store, 1_000).await;
    let pair = |place: usize| json!({"type": "Struct", "value": [bytes(&format!("{place:04}")), bytes("v")]});
    let all: Vec<Value> = (0..1_000).map(pair).collect();
    let found = ground.ask(&store, "find", &[json!("many")]).await.unwrap();
    assert_eq!(found.stack, iterator(&all, false), "as many as there may be, and no more are there");
    ground.invoke(&store, "put", &[json!("many1000"), json!("v")]).await;
    let found = ground.ask(&store, "find", &[json!("many")]).await.unwrap();
    assert_eq!(found.stack, iterator(&all, true), "one more is cut off, and that is told");
    let before = Ask {
        chain: Chain::NeoN3,
        hash: store.clone(),
        method: "find".into(),
        args: vec![json!("many09")],
        at: u64::try_from(height).ok(),
        account: None,
    };
    let before = ground.contracts.call(&ground.cx, before).await.unwrap();
    assert_eq!(before.stack[0]["iterator"].as_array().unwrap().len(), 100, "exactly a page, as of an older block");
    assert_eq!(before.stack[0]["truncated"], false);

    let trial = ground.invocation(&store, "find", &[json!("many0001")]);
    let trial = ground.contracts.simulate(&ground.cx, trial).await.unwrap();
    let one = json!({"type": "Struct", "value": [bytes(""), bytes("v")]});
    assert_eq!(trial.stack, Some(iterator(&[one], false)));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_sessions_shows_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let real = Cache::of_user().unwrap().program(&NEO_GO).await.unwrap();
    let program = dir.path().join("neogo-without-sessions");
    let script = format!(
        "#!/bin/sh\nfor arg; do\n  if [ -f \"$arg\" ]; then sed -i 's/SessionEnabled: true/SessionEnabled: false/' \"$arg\"; fi\n\
         done\nexec '{}' \"$@\"\n",
        real.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let ground = Ground::n3_as(N3Options { program: Some(program), ..N3Options::default() }, None).await;
    let store = deployed(&ground, STORE, None).await.hash.unwrap();
    fill(&ground, &store, 120).await;
    let found = ground.ask(&store, "find", &[json!("many")]).await.unwrap();
    let shown = found.stack[0]["iterator"].as_array().unwrap();
    assert_eq!((shown.len(), &found.stack[0]["truncated"]), (100, &json!(true)), "as many as neo-go shows at once");
    let few = ground.ask(&store, "find", &[json!("many011")]).await.unwrap();
    assert_eq!(few.stack[0]["iterator"].as_array().unwrap().len(), 10);
    assert_eq!(few.stack[0]["truncated"], false);
    ground.end().await;
}
