//! Keys, addresses and accounts of several keys.

use neo::{Hash160, PrivateKey, PublicKey, account};
use serde_json::{Value, json};

use crate::{
    peer::{Peers, question},
    random::Random,
};

#[test]
fn keys_have_the_same_names_everywhere() {
    let mut random = Random::new("keys");
    let keys: Vec<PrivateKey> = (0..1000).map(|_| random.key()).collect();
    let mut peers = Peers::start();

    let ours: Vec<Value> = keys.iter().map(named).collect();
    let secret = |ours: &Value| question("account", json!({ "private_key": ours["private_key"] }));
    for (peer, theirs) in peers.ask(&ours.iter().map(secret).collect::<Vec<_>>()) {
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_same(peer, ours, theirs);
            let address = theirs["address"].as_str().unwrap();
            assert_eq!(Hash160::from_address(address).unwrap().to_string(), ours["script_hash"]);
            let key: PublicKey = theirs["public_key"].as_str().unwrap().parse().unwrap();
            assert_eq!(key.script_hash().to_string(), theirs["script_hash"]);
            if let Some(wif) = theirs["wif"].as_str() {
                assert_eq!(named(&PrivateKey::from_wif(wif).unwrap()), *ours, "{peer}");
            }
        }
    }

    let wif = |ours: &Value| question("account", json!({ "wif": ours["wif"] }));
    for (peer, theirs) in peers.ask(&ours.iter().map(wif).collect::<Vec<_>>()) {
        ours.iter().zip(&theirs).for_each(|(ours, theirs)| assert_same(peer, ours, theirs));
    }
    let address = |ours: &Value| question("account", json!({ "address": ours["address"] }));
    for (peer, theirs) in peers.ask(&ours.iter().map(address).collect::<Vec<_>>()) {
        ours.iter().zip(&theirs).for_each(|(ours, theirs)| assert_same(peer, ours, theirs));
    }
    println!("{} keys: WIF, public key, script, hash and address equal those of neon-js and neo-mamba", keys.len());
}

#[test]
fn accounts_of_several_keys_are_the_same_everywhere() {
    let mut random = Random::new("multi-signature accounts");
    let mut peers = Peers::start();

    let (mut ours, mut unsorted, mut sorted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..1000 {
        let most = if random.chance(20) { 140 } else { 24 };
        let mut keys: Vec<PublicKey> = random.some(1, most, Random::public);
        keys.sort_by_key(PublicKey::to_bytes);
        keys.dedup();
        // In some order that is not theirs.
        let turn = random.below(keys.len() as u64) as usize;
        keys.rotate_left(turn);
        let threshold = 1 + random.below(keys.len() as u64) as usize;
        let script = account::multi(threshold, &keys).unwrap();
        let hash = Hash160::of_script(&script);
        unsorted.push(question("multisig", json!({ "threshold": threshold, "public_keys": keys })));
        keys.sort_unstable();
        sorted.push(question("multisig", json!({ "threshold": threshold, "public_keys": keys })));
        ours.push(json!({
            "threshold": threshold,
            "public_keys": keys,
            "verification_script": hex::encode(&script),
            "script_hash": hash,
            "address": hash.address(),
        }));
    }
    for (ours, theirs) in ours.iter().zip(peers.neon.ask(&sorted)) {
        assert_eq!(*ours, theirs, "neon-js");
        let script = hex::decode(theirs["verification_script"].as_str().unwrap()).unwrap();
        let (threshold, keys) = account::read_multi(&script).unwrap();
        assert_eq!((json!(threshold), json!(keys)), (ours["threshold"].clone(), ours["public_keys"].clone()));
    }
    for (ours, theirs) in ours.iter().zip(peers.mamba.ask(&unsorted)) {
        assert_eq!(*ours, theirs, "neo-mamba");
    }
    let script = |ours: &Value| question("multisig", json!({ "script": ours["verification_script"] }));
    for (peer, theirs) in peers.ask(&ours.iter().map(script).collect::<Vec<_>>()) {
        assert_eq!(ours, theirs, "{peer}");
    }
    println!("{} multi-signature accounts equal those of neon-js and neo-mamba", ours.len());
}

fn named(key: &PrivateKey) -> Value {
    let public = key.public();
    json!({
        "private_key": hex::encode(key.to_bytes()),
        "wif": key.to_wif().as_str(),
        "public_key": public,
        "verification_script": hex::encode(public.verification_script()),
        "script_hash": public.script_hash(),
        "address": public.address(),
    })
}

/// All that they say is what we say.
fn assert_same(peer: &str, ours: &Value, theirs: &Value) {
    let said = theirs.as_object().unwrap();
    assert!(said.contains_key("script_hash") && said.contains_key("address"), "{peer} says too little: {theirs}");
    for (name, value) in said {
        assert_eq!(*value, ours[name], "{name} of {peer}");
    }
}
