//! Accounts whose key is kept here too.

use neo::script::Opcode;
use nsl_api::{
    Chain as Name,
    relay::{Call, State, Submit},
    sponsor::SponsorPolicy,
};
use serde_json::json;

use crate::sponsor_ground::{Ground, hash, transfer_args, wallet};

/// Kept accounts: the user's key is here too, and one call does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_account_is_sponsored_in_one_call() {
    let ground = Ground::fresh(None).await;
    let (user, to, sponsor) = (wallet(120), hash(&wallet(121)), hash(&ground.sponsor));
    ground.keep(&user).await;
    ground.give(hash(&user), 1_000).await;
    let submit = |method: &str, max_fee: Option<i64>| Submit {
        chain: Name::NeoN3,
        account: user.public().address(),
        call: Call {
            contract: Some(ground.token.to_string()),
            method: Some(method.to_owned()),
            args: transfer_args(hash(&user), to, 10).iter().map(|arg| json!(arg)).collect(),
            sponsor: Some(ground.sponsor.public().address()),
            ..Call::default()
        },
        max_fee: max_fee.map(|fee| fee.to_string()),
        valid_for_ms: None,
    };
    let refused = async |submit: Submit| ground.relay.submit(&ground.cx, submit).await.unwrap_err().slug.into_owned();
    assert_eq!(refused(submit("transfer", None)).await, "sponsor.unknown");
    ground.put(ground.policy(&["transfer"])).await;
    assert_eq!(refused(submit("mint", None)).await, "sponsor.call_refused");
    let raw = Call { data: Some(format!("0x{}", hex::encode([Opcode::PUSH1 as u8]))), ..submit("", None).call };
    let raw = Call { contract: None, method: None, args: Vec::new(), ..raw };
    assert_eq!(
        refused(Submit { call: raw, ..submit("", None) }).await,
        "sponsor.call_refused",
        "a script of one's own"
    );
    let before = ground.gas(sponsor).await;
    let id = ground.relay.submit(&ground.cx, submit("transfer", None)).await.unwrap().id;
    let done = ground.settled(&id).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    let fee: i64 = done.fee.unwrap().parse().unwrap();
    assert_eq!((ground.tokens(to).await, ground.gas(hash(&user)).await), (10, 0));
    assert_eq!((before - ground.gas(sponsor).await, ground.spent().await), (fee, fee));
    // The sponsor's day is asked at each signature.
    ground.put(SponsorPolicy { per_day: (fee + 1).to_string(), ..ground.policy(&["transfer"]) }).await;
    let id = ground.relay.submit(&ground.cx, submit("transfer", None)).await.unwrap().id;
    let done = ground.settled(&id).await;
    assert_eq!(done.state, State::Failed);
    assert!(done.reason.as_deref().unwrap_or_default().starts_with("budget"), "{:?}", done.reason);
    assert_eq!((ground.tokens(to).await, ground.spent().await), (10, fee));
    ground.end().await;
}

/// Calls that share a transaction share its fee, and the sponsor pays it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_calls_are_paid_once() {
    let ground = Ground::fresh(None).await;
    let (user, to, sponsor) = (wallet(130), hash(&wallet(131)), hash(&ground.sponsor));
    ground.keep(&user).await;
    ground.give(hash(&user), 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    let before = ground.gas(sponsor).await;
    let submit = |amount: u64| Submit {
        chain: Name::NeoN3,
        account: user.public().address(),
        call: Call {
            contract: Some(ground.token.to_string()),
            method: Some("transfer".to_owned()),
            args: transfer_args(hash(&user), to, amount).iter().map(|arg| json!(arg)).collect(),
            sponsor: Some(ground.sponsor.public().address()),
            share: true,
            ..Call::default()
        },
        max_fee: None,
        valid_for_ms: None,
    };
    let mut ids = Vec::new();
    for amount in 1..=8 {
        ids.push(ground.relay.submit(&ground.cx, submit(amount)).await.unwrap().id);
    }
    let mut fees = 0;
    for id in &ids {
        let done = ground.settled(id).await;
        assert_eq!(done.state, State::Final, "{done:?}");
        fees += done.fee.unwrap().parse::<i64>().unwrap();
    }
    assert_eq!((ground.tokens(to).await, ground.gas(hash(&user)).await), (36, 0));
    assert_eq!((before - ground.gas(sponsor).await, ground.spent().await), (fees, fees));
    ground.end().await;
}
