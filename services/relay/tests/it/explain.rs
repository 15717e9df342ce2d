//! Why requests failed, on both real nodes.

use std::time::Duration;

use neo::stack::Param;
use nsl_api::{
    Chain,
    relay::{Call, Explain, Explanation, Relay, State, Submit, Transaction},
};
use nsl_chain::{
    Receipt,
    x::{Abi, Artefact, As, Draft, Fees, U256},
};
use nsl_core::Cx;
use serde_json::{Value, json};

use crate::{
    ground::{Ground, key_of},
    n3_ground::{N3Ground, invoke},
};

fn artefact() -> Value {
    serde_json::from_str(include_str!("../../../../contracts/x/Faulty.json")).unwrap()
}

async fn ask(relay: &dyn Relay, cx: &Cx, chain: Chain, id: &str, abi: Option<Value>) -> Explanation {
    relay.explain(cx, Explain { chain, id: id.into(), abi }).await.unwrap()
}

async fn done(ground: &Ground, to: Option<String>, data: Vec<u8>) -> Transaction {
    let call = Call { to, data: Some(format!("0x{}", hex::encode(data))), ..Call::default() };
    let (chain, account) = (Chain::NeoX, ground.account());
    let submit = Submit { chain, account, call, max_fee: None, valid_for_ms: None };
    let id = ground.send(submit).await.unwrap().id;
    ground.settled(&[id], Duration::from_secs(60)).await.remove(0)
}

async fn deploy(ground: &Ground, artefact: &Value, args: &[Value]) -> String {
    let made = done(ground, None, Artefact::read(artefact).unwrap().deployment(args).unwrap()).await;
    assert_eq!(made.state, State::Final, "{made:?}");
    let Receipt::Executed(executed) =
        nsl_chain::Chain::receipt(&*ground.chain, &made.tx.unwrap().parse().unwrap()).await.unwrap()
    else {
        panic!("it is in a block");
    };
    executed.contract.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reverts_of_neo_x_are_told_down_to_the_instruction() {
    let ground = Ground::fresh(None, None).await;
    let contract = deploy(&ground, &artefact(), &[]).await;
    let abi = artefact()["abi"].clone();
    let read = Abi::read(&abi).unwrap();
    for (method, args, cause, text) in [
        ("requireThat", json!([false, "too late"]), "revert", "too late"),
        ("requireSilently", json!([false]), "revert", "reverted without a reason"),
        ("divide", json!(["1", "0"]), "panic", "panic 0x12: division or remainder by zero"),
        ("bareError", json!([]), "error", "Bare()"),
        ("invalid", json!([]), "other", "invalid opcode"),
    ] {
        let data = read.call(method, args.as_array().unwrap()).unwrap();
        let failed = done(&ground, Some(contract.clone()), data).await;
        assert_eq!((failed.state, failed.height), (State::Failed, None), "{method}");
        let told = ask(&*ground.relay, &ground.cx, Chain::NeoX, &failed.id, Some(abi.clone())).await;
        let fault = told.fault.unwrap();
        assert_eq!((&*fault.cause, &*fault.text, fault.on_chain), (cause, text, false), "{method}");
        assert_eq!(fault.contract.as_deref(), Some(&*contract), "{method}");
        assert!(fault.method.as_deref().unwrap().starts_with(method), "{:?}", fault.method);
        let instruction = fault.instruction.unwrap_or_else(|| panic!("{method}: {:?}", fault.no_instruction));
        let operation = if method == "invalid" { "INVALID" } else { "REVERT" };
        assert_eq!((&*instruction.opcode, instruction.offset > 0), (operation, true), "{method}");
    }
    // An error of the contract's own, without and with its ABI.
    let data = read.call("refuse", &[json!("7"), json!("not you")]).unwrap();
    let failed = done(&ground, Some(contract.clone()), data).await;
    let plain = ask(&*ground.relay, &ground.cx, Chain::NeoX, &failed.id, None).await.fault.unwrap();
    let error = plain.error.unwrap();
    assert_eq!((error.name, error.args, error.data.starts_with(&error.selector)), (None, None, true));
    let named = ask(&*ground.relay, &ground.cx, Chain::NeoX, &failed.id, Some(abi)).await.fault.unwrap();
    let error = named.error.unwrap();
    assert_eq!(error.name.as_deref(), Some("Refused"));
    let args = error.args.unwrap();
    assert_eq!((&args["code"], &args["reason"]), (&json!("7"), &json!("not you")));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_in_a_block_is_told_as_it_was_there() {
    let ground = Ground::fresh(None, None).await;
    let artefact: Value = serde_json::from_str(include_str!("../../../../contracts/x/Token.json")).unwrap();
    let contract = deploy(&ground, &artefact, &[json!("1000")]).await;
    let abi = artefact["abi"].clone();
    let read = Abi::read(&abi).unwrap();
    let other = key_of(&ground.x, 1);
    let approve = read.call("approve", &[json!(other.address().to_checksum(None)), json!("1000")]).unwrap();
    assert_eq!(done(&ground, Some(contract.clone()), approve).await.state, State::Final);
    // What is tried out does what it is to; then another takes all before it, in the same block.
    ground.order_with("evm_setAutomine", json!([false])).await;
    let receiver = json!(format!("0x{}", "77".repeat(20)));
    let data = read.call("transfer", &[receiver.clone(), json!("1000")]).unwrap();
    let call = Call { to: Some(contract.clone()), data: Some(format!("0x{}", hex::encode(data))), ..Call::default() };
    let (chain, account) = (Chain::NeoX, ground.account());
    let submit = Submit { chain, account, call, max_fee: None, valid_for_ms: None };
    let id = ground.send(submit).await.unwrap().id;
    ground.until(&id, State::Sent).await;
    let gwei = 1_000_000_000;
    let taken = Draft {
        chain_id: ground.x.chain_id,
        nonce: ground.chain.nonce(other.address(), As::Latest).await.unwrap(),
        to: Some(contract.parse().unwrap()),
        value: U256::ZERO,
        data: read.call("transferFrom", &[json!(ground.account()), receiver, json!("1000")]).unwrap(),
        gas_limit: 200_000,
        fees: Fees::Dynamic { max_fee: 500 * gwei, tip: 400 * gwei },
    };
    nsl_chain::Chain::send(&*ground.chain, &taken.signed_by(&other).unwrap().raw).await.unwrap();
    ground.order("evm_mine").await;
    let failed = ground.settled(&[id], Duration::from_secs(60)).await.remove(0);
    assert!(failed.state == State::Failed && failed.height.is_some() && failed.fee.is_some(), "{failed:?}");
    let fault = ask(&*ground.relay, &ground.cx, chain, &failed.id, Some(abi)).await.fault.unwrap();
    assert!(fault.on_chain && fault.instruction.is_some(), "{fault:?}");
    let (error, instruction) = (fault.error.unwrap(), fault.instruction.unwrap());
    assert_eq!((error.name.as_deref(), &error.args.unwrap()["needed"]), (Some("InsufficientBalance"), &json!("1000")));
    assert_eq!((&*instruction.opcode, instruction.offset > 0), ("REVERT", true));
    assert_eq!(fault.method.as_deref(), Some("transfer(address,uint256)"));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_neo_n3_are_told_down_to_the_instruction() {
    let mut ground = N3Ground::fresh(None).await;
    let (nef, manifest) = (
        include_bytes!("../../../../contracts/n3/faulty.nef").as_slice(),
        include_str!("../../../../contracts/n3/faulty.manifest.json"),
    );
    let contract = ground.deploy(nef, manifest, Param::Null).await;
    let text = |text: &str| Param::String(text.into());
    for (method, args, cause, opcode) in [
        ("throw", vec![text("no such luck")], "thrown", "THROW"),
        ("abort", vec![], "aborted", "ABORT"),
        ("assertThat", vec![Param::Boolean(false)], "assertion_failed", "ASSERT"),
        ("nothingOfThatName", vec![], "no_method", "SYSCALL"),
    ] {
        let failed = ground.done(method, invoke(contract, method, &args)).await;
        assert_eq!((failed.state, failed.height), (State::Failed, None), "{failed:?}");
        let told = ask(&*ground.relay, &ground.cx, Chain::NeoN3, &failed.id, None).await;
        let fault = told.fault.unwrap();
        assert_eq!((&*fault.cause, fault.on_chain), (cause, false), "{method}: {fault:?}");
        assert_eq!(fault.contract, Some(contract.to_string()));
        assert_eq!(fault.method.as_deref(), Some(method));
        assert_eq!(fault.instruction.unwrap().opcode, opcode, "{method}");
        let steps = told.steps.unwrap();
        assert_eq!(steps[0]["call"]["method"], method, "{steps}");
    }
    let fine =
        ground.done("put", invoke(contract, "put", &[Param::ByteArray(vec![1]), Param::ByteArray(vec![2])])).await;
    let told = ask(&*ground.relay, &ground.cx, Chain::NeoN3, &fine.id, None).await;
    assert_eq!((told.state, told.fault), (State::Final, None));
    ground.down().await;
}
