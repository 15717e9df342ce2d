//! Signatures of other wallets, and of several keys.

use std::{io::Write, path::Path, process::Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{Hash160, PrivateKey, account, context::Context};
use nsl_api::{
    relay::State,
    sponsor::{Prepared, Proof},
};
use serde_json::{Value, json};

use crate::sponsor_ground::{Ground, hash, wallet};

/// What neon-js makes of what was prepared.
fn neon(question: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = root.join("../../.sandbox/peers/neon/node_modules");
    assert!(modules.exists(), "{} is missing: run scripts/peers.sh", modules.display());
    let mut wallet = std::process::Command::new("node")
        .env("NODE_PATH", modules)
        .arg(root.join("tests/peers/wallet.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wallet.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = wallet.wait_with_output().unwrap();
    assert!(answer.status.success(), "neon-js refused what was prepared");
    serde_json::from_slice(&answer.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallets_of_neon_js_sign_what_is_prepared() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(60), hash(&wallet(61)));
    ground.give(hash(&user), 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    for (number, form) in (1..).zip(["signature", "witness", "transaction"]) {
        let prepared = ground.prepare(ground.transfer(hash(&user), to, 10)).await.unwrap();
        let signed = neon(&json!({
            "prepared": prepared, "wif": *user.to_wif(), "sponsor": hash(&ground.sponsor), "contract": ground.token,
        }));
        let proof = match form {
            "signature" => json!({ "signature": signed["signature"], "public_key": signed["public_key"] }),
            form => json!({ form: signed[form] }),
        };
        let kept = ground.complete(&prepared.id, serde_json::from_value(proof).unwrap()).await.unwrap();
        assert_eq!(ground.settled(&kept.id).await.state, State::Final, "{form}");
        assert_eq!(ground.tokens(to).await, 10 * number);
    }
    assert_eq!(ground.gas(hash(&user)).await, 0);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_several_keys_are_sponsored_too() {
    let ground = Ground::fresh(None).await;
    let keys = [wallet(70), wallet(71), wallet(72)];
    let multi = account::multi(2, &keys.each_ref().map(PrivateKey::public)).unwrap();
    let user = Hash160::of_script(&multi);
    ground.give(user, 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    let to = hash(&wallet(73));
    // Without their script the fee would not cover what they sign.
    let prepared = ground.prepare(ground.transfer(user, to, 1)).await.unwrap();
    let signed = |prepared: &Prepared| {
        let mut context: Context = serde_json::from_value(prepared.context.clone()).unwrap();
        context.add_script(&multi).unwrap();
        assert_eq!(context.sign(&keys[2]).unwrap() + context.sign(&keys[0]).unwrap(), 2);
        Proof { context: Some(serde_json::to_value(&context).unwrap()), ..Proof::default() }
    };
    assert_eq!(ground.complete(&prepared.id, signed(&prepared)).await.unwrap_err(), "sponsored.witness_unpaid");
    let mut prepare = ground.transfer(user, to, 5);
    prepare.verification = Some(BASE64.encode(keys[0].public().verification_script()));
    assert_eq!(ground.prepare(prepare.clone()).await.unwrap_err(), "sponsored.verification_unfit");
    prepare.verification = Some(BASE64.encode(&multi));
    let prepared = ground.prepare(prepare).await.unwrap();
    let kept = ground.complete(&prepared.id, signed(&prepared)).await.unwrap();
    assert_eq!(ground.settled(&kept.id).await.state, State::Final);
    assert_eq!((ground.tokens(to).await, ground.gas(user).await), (5, 0));
    ground.end().await;
}
