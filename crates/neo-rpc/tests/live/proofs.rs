//! State proofs of a live node, verified offline from the signed state root down to the value.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    Hash256, PublicKey,
    mpt::{Proof, StateRoot},
    native,
    wire::Wire,
};
use nsl_devnet::{N3, N3Options};
use serde_json::{Value, json};

use crate::{
    node::{Node, base64},
    shapes::Dice,
};

#[tokio::test]
async fn what_a_node_proves_is_proven_and_no_bit_of_it_can_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let network = N3::start(dir.path(), N3Options::default()).await.unwrap();
    let node = Node::of(&network);
    node.deploy_verifiers();
    let height = node.height() - 1;
    let begun = Instant::now();
    let signed: StateRoot = loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "the validators do not sign");
        let root = node.call("getstateroot", json!([height])).unwrap();
        // The validators sign a moment after the block.
        match root["witnesses"].as_array() {
            Some(witnesses) if !witnesses.is_empty() => break serde_json::from_value(root).unwrap(),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let validators: Vec<PublicKey> = serde_json::from_value(node.call("getcommittee", json!([])).unwrap()).unwrap();
    signed.verify(node.magic, &validators).unwrap();
    let root = signed.root;

    let mut proofs = Vec::new();
    for (name, contract) in native::ALL {
        let states = node.call("findstates", json!([root, contract, ""])).unwrap();
        for state in states["results"].as_array().into_iter().flatten() {
            let given = node.call("getproof", json!([root, contract, state["key"]])).unwrap();
            let proof = Proof::from_base64(given.as_str().unwrap()).unwrap();
            let proven = proof.verify(&root).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((base64(&proven.key), base64(&proven.value)), (text(&state["key"]), text(&state["value"])));
            assert_eq!(native::of_id(proven.contract_id), Some(*contract));
            assert_eq!(proof.to_bytes(), STANDARD.decode(given.as_str().unwrap()).unwrap());
            assert!(proof.verify(&Hash256::from_le([7; 32])).is_err());
            proofs.push(proof.to_bytes());
        }
    }
    assert!(proofs.len() >= 40, "{} proofs", proofs.len());

    let mut dice = Dice::new(14);
    for _ in 0..1000 {
        let mut bad = proofs[dice.below(proofs.len())].clone();
        let bit = dice.below(bad.len() * 8);
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Proof::from_bytes(&bad).and_then(|proof| proof.verify(&root)).is_err(), "bit {bit} of {bad:?}");
    }
    println!("{} proofs of a node verified, 1000 with a flipped bit refused", proofs.len());
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
