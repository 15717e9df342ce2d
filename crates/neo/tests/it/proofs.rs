//! State proofs that a node gave.

use neo::{Hash256, mpt::Proof, native, wire::Wire as _};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::vectors::json;

#[test]
fn proofs_of_a_node_are_verified_and_what_it_refuses_is_refused() {
    let Some(all) = json("neo-n3/fresh/node_state_proofs_blocks.json") else { return };
    let root = |case: &serde_json::Value| case["roothash"].as_str().unwrap().parse::<Hash256>().unwrap();
    let mut good = Vec::new();
    for case in all["proofs"].as_array().unwrap() {
        let proof = Proof::from_base64(case["proof_b64"].as_str().unwrap()).unwrap();
        let proven = proof.verify(&root(case)).unwrap();
        assert_eq!(hex::encode(proven.key), case["storage_key_hex"].as_str().unwrap());
        assert_eq!(hex::encode(proven.value), case["value_hex"].as_str().unwrap());
        assert_eq!(native::of_id(proven.contract_id).unwrap().to_string(), case["contract"].as_str().unwrap());
        good.push((proof.to_bytes(), root(case)));
    }
    let invalid = all["invalid"].as_array().unwrap();
    for case in invalid {
        let read = Proof::from_base64(case["proof_b64"].as_str().unwrap());
        assert!(read.and_then(|proof| proof.verify(&root(case))).is_err(), "{}", case["note"]);
    }

    let flips = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    let bit = (0..good.len(), any::<prop::sample::Index>());
    let refused = TestRunner::new(flips).run(&bit, |(proof, bit)| {
        let (bytes, root) = &good[proof];
        let bit = bit.index(bytes.len() * 8);
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Proof::from_bytes(&bad).and_then(|proof| proof.verify(root)).is_err(), "bit {}", bit);
        Ok(())
    });
    refused.unwrap();
    println!("{} proofs verified, {} and 1000 with a flipped bit refused", good.len(), invalid.len());
    assert_eq!((good.len(), invalid.len()), (4, 8));
}
