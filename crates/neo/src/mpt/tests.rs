use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::account;

/// What a private network of neo-go gave for an account's GAS.
fn given() -> (Value, StateRoot, Proof) {
    let all: Value = serde_json::from_str(include_str!("../../examples/data/proof.json")).unwrap();
    let root = serde_json::from_value(all["stateroot"].clone()).unwrap();
    let proof = Proof::from_base64(all["proof_b64"].as_str().unwrap()).unwrap();
    (all, root, proof)
}

#[test]
fn a_proof_proves_a_value_under_its_root_only() {
    let (all, root, proof) = given();
    let proven = proof.verify(&root.root).unwrap();
    assert_eq!(proven.contract_id, -6);
    assert_eq!(hex::encode(&proven.key), all["storage_key_hex"].as_str().unwrap());
    assert_eq!(hex::encode(&proven.value), all["value_hex"].as_str().unwrap());
    assert_eq!(Proof::from_bytes(&proof.to_bytes()).unwrap(), proof);
    assert!(proof.verify(&Hash256::ZERO).is_err());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (_, root, proof) = given();
    let bytes = proof.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let refused = Proof::from_bytes(&bad).and_then(|proof| proof.verify(&root.root));
        assert!(refused.is_err(), "bit {bit}");
    }
}

#[test]
fn nodes_may_come_in_any_order_but_none_may_lack_or_be_idle() {
    let (_, root, proof) = given();
    let mut turned = proof.clone();
    turned.nodes.reverse();
    assert!(turned.verify(&root.root).is_ok());
    for at in 0..proof.nodes.len() {
        let mut less = proof.clone();
        less.nodes.remove(at);
        assert!(less.verify(&root.root).is_err(), "without node {at}");
    }
    let mut more = proof.clone();
    more.nodes.push(vec![LEAF, 1, 1]);
    assert!(more.verify(&root.root).is_err());
    more.nodes.pop();
    more.nodes.push(more.nodes[0].clone());
    assert!(more.verify(&root.root).is_err());
}

#[test]
fn a_value_within_a_branch_is_the_one_of_the_key_that_ends_there() {
    let leaf = |value: u8| vec![LEAF, 1, value];
    let child = |node: &[u8]| [&[HASH], sha256d(node).as_slice()].concat();
    // Keys 00000000 and 0000000012: an extension to a branch, which holds the first and leads on to the second.
    let tail = [vec![EXTENSION, 1, 2], child(&leaf(8))].concat();
    let mut branch = vec![BRANCH, EMPTY];
    branch.extend(child(&tail));
    branch.extend([EMPTY; 14]);
    branch.extend(child(&leaf(7)));
    let top = [vec![EXTENSION, 8], vec![0; 8], child(&branch)].concat();
    let root = Hash256::from_le(sha256d(&top));
    let short = Proof { key: vec![0; 4], nodes: vec![top.clone(), branch.clone(), leaf(7)] };
    assert_eq!(short.verify(&root).unwrap().value, [7]);
    let long = Proof { key: vec![0, 0, 0, 0, 0x12], nodes: vec![top, branch, tail, leaf(8)] };
    assert_eq!(long.verify(&root).unwrap().value, [8]);
    for key in [vec![0, 0, 0, 0, 0x13], vec![0, 0, 0, 0, 0x22], vec![0, 0, 0, 1], vec![0, 0, 0, 0, 0x12, 0], vec![0]] {
        assert!(Proof { key, ..long.clone() }.verify(&root).is_err());
    }
}

#[test]
fn a_state_root_is_signed_by_its_validators_for_its_network() {
    let (all, root, _) = given();
    let magic = all["magic"].as_u64().unwrap() as u32;
    let (_, validators) = account::read_multi(&root.witnesses[0].verification).unwrap();
    assert_eq!(root.verify(magic, &validators), Ok(()));
    assert!(root.verify(magic + 1, &validators).is_err());
    assert!(root.verify(magic, &[crate::PrivateKey::from_bytes(&[7; 32]).unwrap().public()]).is_err());
    assert!(root.verify(magic, &[]).is_err());
    for change in [
        |root: &mut StateRoot| root.index += 1,
        |root: &mut StateRoot| root.root = Hash256::ZERO,
        |root: &mut StateRoot| root.version = 1,
        |root: &mut StateRoot| root.witnesses.clear(),
    ] {
        let mut bad = root.clone();
        change(&mut bad);
        assert!(bad.verify(magic, &validators).is_err());
    }
    assert_eq!(StateRoot::from_bytes(&root.to_bytes()).unwrap(), root);
}

proptest! {
    #[test]
    fn strangers_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Proof::from_bytes(&bytes).and_then(|proof| proof.verify(&Hash256::ZERO));
        let _ = Node::from_bytes(&bytes);
    }
}
