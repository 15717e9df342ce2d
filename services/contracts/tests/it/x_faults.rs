//! How contracts of Neo X fail, and what their callers are told.

use nsl_api::{
    Chain,
    contracts::{Ask, Deploy, Standing},
    relay::State,
};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, refused},
    x::{STORE, TOKEN, deploy, deployed},
};

const FAULTY: &str = include_str!("../../../../contracts/x/Faulty.json");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_is_told_in_the_words_of_the_contract() {
    let ground = Ground::x(None).await;
    let hash = deployed(&ground, FAULTY, &[]).await.hash.unwrap();
    for (method, args, reason) in [
        ("requireThat", vec![json!(false), json!("not today")], "not today"),
        ("requireSilently", vec![json!(false)], "reverted without a reason"),
        ("bareError", vec![], "Bare()"),
        ("assertThat", vec![json!(false)], "panic 0x01: an assertion does not hold"),
        ("add", vec![json!(200), json!(100)], "panic 0x11: a sum, difference or product does not fit its type"),
        ("divide", vec![json!(1), json!(0)], "panic 0x12: division or remainder by zero"),
        ("colour", vec![json!(7)], "panic 0x21: a number is no member of the enumeration"),
        ("pop", vec![], "panic 0x31: an element taken from an empty array"),
        ("element", vec![json!([1, 2]), json!(2)], "panic 0x32: an index outside the array"),
        ("invalid", vec![], "invalid opcode"),
    ] {
        let error = ground.ask(&hash, method, &args).await.unwrap_err();
        assert_eq!((&*error.slug, error.details["reason"].as_str()), ("contracts.reverted", Some(reason)), "{method}");
        let trial = ground.contracts.simulate(&ground.cx, ground.invocation(&hash, method, &args)).await.unwrap();
        assert_eq!((trial.ok, trial.reason.as_deref()), (false, Some(reason)), "{method}");
    }
    let caller = ground.account();
    let ask = Ask {
        chain: Chain::NeoX,
        hash: hash.clone(),
        method: "refuse".into(),
        args: vec![json!(42), json!("because")],
        at: None,
        account: Some(caller.clone()),
    };
    let (slug, said) = refused(ground.contracts.call(&ground.cx, ask).await);
    let reason = format!("Refused(caller: {caller}, code: 42, reason: \"because\")");
    assert_eq!((slug.as_str(), said.ends_with(&reason)), ("contracts.reverted", true), "{said}");

    // The same words, however it is asked.
    let refuse = || ground.invocation(&hash, "refuse", &[json!(42), json!("because")]);
    let trial = ground.contracts.simulate(&ground.cx, refuse()).await.unwrap();
    assert_eq!((trial.ok, trial.reason.as_deref()), (false, Some(&*reason)));
    let error = ground.contracts.estimate(&ground.cx, refuse()).await.unwrap_err();
    assert_eq!((&*error.slug, error.details["reason"].as_str()), ("relay.would_fail", Some(&*reason)));
    assert_eq!(error.message, format!("it would be undone: {reason}"));
    assert!(error.details["data"].as_str().is_some_and(|data| data.starts_with("0x")), "{:?}", error.details);
    let bare = ground.contracts.estimate(&ground.cx, ground.invocation(&hash, "bareError", &[])).await.unwrap_err();
    assert_eq!(bare.details["reason"], "Bare()");

    // What would be undone is told so by the relay, and costs nothing.
    let args: [Value; 3] = [json!(format!("0x{}", "01".repeat(32))), json!("v"), json!("no")];
    let done = ground.contracts.invoke(&ground.cx, ground.invocation(&hash, "putThenRefuse", &args)).await;
    let done = ground.sent(done).await;
    assert_eq!((done.state, done.height), (State::Failed, None), "{done:?}");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_fails_says_why() {
    let ground = Ground::x(None).await;
    let refusal = async |deploy: Deploy| refused(ground.contracts.deploy(&ground.cx, deploy).await).0;
    assert_eq!(refusal(deploy(&ground, TOKEN, &[])).await, "chain.argument_count");
    let unknown = Deploy { account: ground.other_account(), ..deploy(&ground, STORE, &[]) };
    assert_eq!(refusal(unknown).await, "relay.account_unknown");
    assert!(ground.list(&ground.cx).await.is_empty(), "nothing of it is recorded");

    // Its constructor reverts: the proxy finds no contract there.
    let proxy = include_str!("../../../../contracts/x/Proxy.json");
    let nowhere = json!(ground.other_account());
    let begun = ground.contracts.deploy(&ground.cx, deploy(&ground, proxy, &[nowhere])).await.unwrap();
    let failed = ground.decided(&begun.transaction.id).await;
    assert_eq!((failed.state, failed.hash.is_some()), (Standing::Failed, false), "{failed:?}");
    assert!(failed.reason.is_some(), "{failed:?}");
    // The account is not stuck behind it.
    deployed(&ground, STORE, &[]).await;

    for (hash, slug) in [(ground.other_account(), "contracts.not_found"), ("0x12".into(), "contracts.hash_malformed")] {
        assert_eq!(refused(ground.find(&hash).await).0, slug);
    }
    let elsewhere = Ask {
        chain: Chain::NeoN3,
        hash: format!("0x{}", "00".repeat(20)),
        method: "m".into(),
        args: vec![],
        at: None,
        account: None,
    };
    assert_eq!(refused(ground.contracts.call(&ground.cx, elsewhere).await).0, "contracts.chain_missing");
    ground.end().await;
}
