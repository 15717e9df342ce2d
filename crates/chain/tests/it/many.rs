//! Many questions in one request, to an anvil and to a node that takes one at a time.

use nsl_chain::{
    Chain, XConfig,
    x::{self, Abi, Address, Artefact, NeoX},
};
use nsl_devnet::X;
use serde_json::json;

use crate::{
    proxy::Proxy,
    x::{Sender, anvil, config, executed, key},
};

const FAULTY: &str = include_str!("../../../../contracts/x/Faulty.json");

async fn faulty(sender: &Sender<'_>) -> (Address, Abi) {
    let artefact = Artefact::read(&serde_json::from_str(FAULTY).unwrap()).unwrap();
    let code = artefact.deployment(&[]).unwrap();
    let signed = sender.draft(None, code, 0, 3_000_000).await.signed_by(&sender.key).unwrap();
    sender.chain.send(&signed.raw).await.unwrap();
    let made = executed(sender.chain, &signed.id).await;
    (x::address(made.contract.as_deref().unwrap()).unwrap(), artefact.abi)
}

async fn each_has_an_outcome_of_its_own(node: &X, config: XConfig) {
    let chain = NeoX::open(config).unwrap();
    let sender = Sender { chain: &chain, key: key(node, 0) };
    let (contract, abi) = faulty(&sender).await;
    let from = Some(sender.key.address());

    let good = x::Call { from, to: Some(Address::ZERO), value: x::U256::from(1), ..x::Call::default() };
    let bad = x::Call {
        from,
        to: Some(contract),
        data: abi.call("requireThat", &[json!(false), json!("no")]).unwrap(),
        ..x::Call::default()
    };
    let poor = x::Call { value: x::U256::MAX, ..good.clone() };
    let calls: Vec<x::Call> =
        (0..40).map(|number| if number % 7 == 3 { bad.clone() } else { good.clone() }).chain([poor]).collect();
    let gas = chain.gas_of(&calls).await.unwrap();
    assert_eq!(gas.len(), 41);
    for (number, done) in gas[..40].iter().enumerate() {
        match done.as_ref().unwrap() {
            Ok(gas) => assert!(number % 7 != 3 && *gas == 21_000, "{number}: {gas}"),
            Err(fault) => assert!(number % 7 == 3 && fault.reason.contains("no"), "{number}: {}", fault.reason),
        }
    }
    assert_eq!(gas[40].as_ref().unwrap_err().slug, "chain.insufficient_funds");

    let height = chain.height().await.unwrap();
    let first = sender.draft(Some(contract), Vec::new(), 0, 100_000).await;
    let mut signed = Vec::new();
    for number in 0..40 {
        let mut draft = first.clone();
        draft.nonce += number;
        (draft.to, draft.value) = (Some(Address::ZERO), x::U256::from(number));
        if number == 11 {
            (draft.to, draft.data) = (bad.to, bad.data.clone());
        }
        signed.push(draft.signed_by(&sender.key).unwrap());
    }
    let mut raw: Vec<&[u8]> = signed.iter().map(|one| one.raw.as_slice()).collect();
    raw.insert(5, b"none");
    raw.push(&signed[0].raw);
    let sent = chain.send_all(&raw).await;
    assert_eq!(sent[5].as_ref().unwrap_err().slug, "chain.tx_malformed");
    let ids: Vec<_> =
        sent.into_iter().enumerate().filter(|(place, _)| *place != 5).map(|(_, id)| id.unwrap()).collect();
    assert!(ids[..40].iter().zip(&signed).all(|(id, signed)| *id == signed.id) && ids[40] == signed[0].id);
    for one in &signed {
        executed(&chain, &one.id).await;
    }

    // Many blocks, of which one has what failed.
    let head = chain.height().await.unwrap();
    let ours = chain.sent_by(sender.key.address(), height + 1, head).await.unwrap().sent;
    assert_eq!(ours.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), ids[..40]);
    for (number, one) in ours.iter().enumerate() {
        assert_eq!(one.fault.is_some(), number == 11, "{number}: {:?}", one.fault);
    }
    let missing = chain.sent_by(sender.key.address(), head, head + 1).await.unwrap_err();
    assert_eq!(missing.slug, "chain.not_there_yet");
}

#[tokio::test]
async fn many_questions_in_one_request_have_an_outcome_each() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    each_has_an_outcome_of_its_own(&node, config(&node, &[&node.rpc])).await;
}

#[tokio::test]
async fn a_node_that_takes_one_question_at_a_time_is_asked_so() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let proxy = Proxy::before(&node.rpc).await;
    // What begins a list of questions: the node finds no question there.
    proxy.hide("[{\"jsonrpc\"");
    each_has_an_outcome_of_its_own(&node, config(&node, &[&proxy.url])).await;

    assert!(proxy.seen() > 120, "{} requests", proxy.seen());
}
