//! Good input, spoilt at random: a reader refuses it or takes it, never panics, and what it takes is written so that it
//! reads back the same.

use std::fmt::Debug;

use neo::{
    context::Context,
    explain::explain,
    hash::Hash256,
    manifest::{Manifest, ParameterType, differences},
    mpt::{Proof, StateRoot},
    nef::Nef,
    nep6::Wallet,
    script::{check, from_text, to_text},
    stack::{Param, StackItem},
    tx::Transaction,
    wire::Wire,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// One change to bytes.
#[derive(Clone, Debug)]
enum Spoil {
    Set(u8),
    Cut,
    Drop(u8),
    Put(Vec<u8>),
    Again(u8),
}

fn spoils() -> impl Strategy<Value = Vec<(Index, Spoil)>> {
    let one = prop_oneof![
        4 => any::<u8>().prop_map(Spoil::Set),
        1 => Just(Spoil::Cut),
        1 => any::<u8>().prop_map(Spoil::Drop),
        // Lengths that promise much.
        2 => prop_oneof![
            Just(vec![0xfd, 0xff, 0xff]), Just(vec![0xfe, 0xff, 0xff, 0xff, 0xff]), Just(vec![0xff; 9]),
            vec(any::<u8>(), 1..9),
        ].prop_map(Spoil::Put),
        1 => any::<u8>().prop_map(Spoil::Again),
    ];
    vec((any::<Index>(), one), 1..4)
}

fn spoil(bytes: &[u8], spoils: &[(Index, Spoil)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, spoil) in spoils {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        let end = |size: &u8| bytes.len().min(at + usize::from(*size));
        match spoil {
            Spoil::Set(byte) => bytes[at] = *byte,
            Spoil::Cut => bytes.truncate(at),
            Spoil::Drop(size) => drop(bytes.drain(at..end(size))),
            Spoil::Put(put) => drop(bytes.splice(at..(at + put.len()).min(bytes.len()), put.iter().copied())),
            Spoil::Again(size) => {
                let again = bytes[at..end(size)].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

/// Values that JSON may have where something else belongs.
fn odd() -> impl Strategy<Value = Value> {
    let deep =
        (0..50).fold(json!({"type": "Array", "value": []}), |inner, _| json!({"type": "Array", "value": [inner]}));
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[0-9a-f]{0,70}".prop_map(Value::from),
        Just(json!("9".repeat(5000))),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, null, null])),
        Just(deep),
    ]
}

fn changes() -> impl Strategy<Value = Vec<(Index, Option<Value>)>> {
    vec((any::<Index>(), prop::option::weighted(0.8, odd())), 1..4)
}

/// Puts something else in a place of a JSON tree, or takes the place out.
fn change(json: &Value, changes: &[(Index, Option<Value>)]) -> Value {
    let mut json = json.clone();
    for (at, put) in changes {
        let mut places = Vec::new();
        list(&json, &mut String::new(), &mut places);
        let place = &places[at.index(places.len())];
        match (put, place.rsplit_once('/')) {
            (Some(put), _) => *json.pointer_mut(place).unwrap() = put.clone(),
            (None, Some((parent, name))) => match json.pointer_mut(parent).unwrap() {
                Value::Object(fields) => drop(fields.remove(name)),
                Value::Array(items) => drop(items.remove(name.parse().unwrap())),
                _ => unreachable!("what has places is a list or an object"),
            },
            (None, None) => {}
        }
    }
    json
}

fn list(json: &Value, place: &mut String, places: &mut Vec<String>) {
    places.push(place.clone());
    let mut go = |name: &str, value: &Value| {
        let length = place.len();
        *place += &format!("/{name}");
        list(value, place, places);
        place.truncate(length);
    };
    match json {
        // No name here has what a pointer would have to escape.
        Value::Object(fields) => fields.iter().for_each(|(name, value)| go(name, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| go(&at.to_string(), value)),
        _ => {}
    }
}

fn wire<T: Wire + PartialEq + Debug>(bytes: &[u8]) -> Result<Option<T>, TestCaseError> {
    let Ok(read) = T::from_bytes(bytes) else { return Ok(None) };
    let written = read.to_bytes();
    // Lengths can be written longer than needed; nothing else has two forms.
    prop_assert!(written.len() < bytes.len() || written == bytes);
    prop_assert_eq!(&T::from_bytes(&written).unwrap(), &read);
    Ok(Some(read))
}

fn through_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &Value) -> Result<(), TestCaseError> {
    if let Ok(read) = serde_json::from_value::<T>(json.clone()) {
        let written = serde_json::to_value(&read).unwrap();
        prop_assert_eq!(&serde_json::from_value::<T>(written.clone()).unwrap(), &read);
        let text = written.to_string();
        prop_assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), &read);
    }
    Ok(())
}

fn given(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

const NEFS: [&[u8]; 3] = [
    include_bytes!("../../../../contracts/n3/token.nef"),
    include_bytes!("../../../../contracts/n3/store.nef"),
    include_bytes!("../../../../contracts/n3/faulty.nef"),
];
const MANIFESTS: [&str; 2] = [
    include_str!("../../../../contracts/n3/token.manifest.json"),
    include_str!("../../../../contracts/n3/store.manifest.json"),
];

thread_local! {
    static PROOF: Value = given(include_str!("../../examples/data/proof.json"));
    static WALLET: Value = given(include_str!("../../examples/data/wallet.json"));
    static TRANSACTIONS: Value = given(include_str!("transactions.json"));
    static BLOCKS: Value = given(include_str!("blocks.json"));
    static CONTEXT: Value = serde_json::to_value(context()).unwrap();
}

fn context() -> Context {
    use neo::{PrivateKey, account, tx::Signer};
    let keys = [1, 2, 3].map(|number| PrivateKey::from_bytes(&[number; 32]).unwrap());
    let script = account::multi(2, &keys.each_ref().map(PrivateKey::public)).unwrap();
    let signers = [keys[0].public().script_hash(), neo::Hash160::of_script(&script), neo::native::NOTARY];
    let signers = signers.map(Signer::called_by_entry).to_vec();
    let mut context = Context::new(5, Transaction { signers, script: vec![0x40], ..Transaction::default() }).unwrap();
    context.add_script(&script).unwrap();
    context.sign(&keys[0]).unwrap();
    context.add_contract(neo::native::NOTARY, vec![5.into(), "text".into()]).unwrap();
    context
}

fn refreshed(nef: &[u8]) -> Vec<u8> {
    // A checksum that fits, so that what comes behind the check is reached.
    let Some(end) = nef.len().checked_sub(4) else { return nef.to_vec() };
    [&nef[..end], &neo::hash::sha256d(&nef[..end])[..4]].concat()
}

proptest! {
    #[test]
    fn contract_files(which in 0..3_usize, spoils in spoils()) {
        let bad = spoil(NEFS[which], &spoils);
        wire::<Nef>(&bad)?;
        if let Some(nef) = wire::<Nef>(&refreshed(&bad))? {
            prop_assert!(nef.check().is_ok());
            through_json::<Nef>(&serde_json::to_value(&nef).unwrap())?;
            let _ = (check(&nef.script), explain(&nef.script, &[]));
            if let Ok(text) = to_text(&nef.script) {
                prop_assert_eq!(from_text(&text).unwrap(), nef.script);
            }
        }
    }

    #[test]
    fn manifests(which in 0..2_usize, changes in changes(), spoils in spoils()) {
        let good = Manifest::from_json(MANIFESTS[which].as_bytes()).unwrap();
        for text in [
            change(&given(MANIFESTS[which]), &changes).to_string().into_bytes(),
            spoil(MANIFESTS[which].as_bytes(), &spoils),
        ] {
            if let Ok(manifest) = Manifest::from_json(&text) {
                let again = Manifest::from_json(manifest.to_json().as_bytes()).unwrap();
                prop_assert_eq!(&again, &manifest);
                prop_assert_eq!(again.to_json(), manifest.to_json());
                let _ = (differences(&good, &manifest), manifest.check_for(&neo::native::GAS));
                for standard in &manifest.standards {
                    let _ = neo::manifest::missing(&manifest, standard);
                }
            }
        }
    }

    #[test]
    fn wallets(changes in changes(), spoils in spoils()) {
        let good = WALLET.with(Value::clone);
        for text in [change(&good, &changes).to_string().into_bytes(), spoil(good.to_string().as_bytes(), &spoils)] {
            if let Ok(wallet) = Wallet::from_json(&text) {
                prop_assert_eq!(&Wallet::from_json(wallet.to_json().as_bytes()).unwrap(), &wallet);
                for account in &wallet.accounts {
                    let _ = account.kind();
                }
            }
        }
    }

    #[test]
    fn state_proofs(spoils in spoils(), changes in changes()) {
        let good = PROOF.with(Value::clone);
        let proof = Proof::from_base64(good["proof_b64"].as_str().unwrap()).unwrap();
        let root: Hash256 = good["stateroot"]["roothash"].as_str().unwrap().parse().unwrap();
        let bad = spoil(&proof.to_bytes(), &spoils);
        if let Some(read) = wire::<Proof>(&bad)? {
            prop_assert_eq!(read.verify(&root).is_ok(), read == proof);
        }
        let signed: StateRoot = serde_json::from_value(good["stateroot"].clone()).unwrap();
        wire::<StateRoot>(&spoil(&signed.to_bytes(), &spoils))?;
        through_json::<StateRoot>(&change(&good["stateroot"], &changes))?;
    }

    #[test]
    fn transactions_and_blocks(which in any::<Index>(), changes in changes()) {
        let all = TRANSACTIONS.with(|all| all["transactions"].as_array().unwrap().clone());
        let case = which.get(&all);
        let tx = Transaction::from_bytes(&hex::decode(case["signed_hex"].as_str().unwrap()).unwrap()).unwrap();
        through_json::<Transaction>(&change(&serde_json::to_value(&tx).unwrap(), &changes))?;
        through_json::<Transaction>(&change(&case["json"], &changes))?;
        let blocks = BLOCKS.with(|all| all["blocks"].as_array().unwrap().clone());
        through_json::<neo::block::Block>(&change(&which.get(&blocks)["json"], &changes))?;
    }

    #[test]
    fn signing_contexts(changes in changes(), spoils in spoils()) {
        let good = CONTEXT.with(Value::clone);
        let mut texts = vec![change(&good, &changes)];
        texts.extend(serde_json::from_slice::<Value>(&spoil(good.to_string().as_bytes(), &spoils)));
        for json in texts {
            through_json::<Context>(&json)?;
            if let Ok(read) = serde_json::from_value::<Context>(json) {
                let _ = read.complete();
                let _ = context().merge(read);
            }
        }
    }

    #[test]
    fn values(changes in changes(), spoils in spoils()) {
        let param = json!({"type": "Array", "value": [
            {"type": "Integer", "value": "-170141183460469231731687303715884105728"},
            {"type": "ByteArray", "value": "AQI="},
            {"type": "Hash160", "value": "0xd2a4cff31913016155e38e474a2c06d08be276cf"},
            {"type": "Map", "value": [{"key": {"type": "String", "value": "k"}, "value": {"type": "Any", "value": null}}]},
            {"type": "Boolean", "value": true},
        ]});
        let changed = change(&param, &changes);
        through_json::<Param>(&changed)?;
        for kind in [ParameterType::Any, ParameterType::Array, ParameterType::Map, ParameterType::Integer] {
            let _ = Param::parse(kind, &changed.to_string());
        }
        let item = json!({"type": "Struct", "value": [
            {"type": "Integer", "value": "5"}, {"type": "Buffer", "value": ""}, {"type": "Pointer", "value": 7},
            {"type": "InteropInterface", "iterator": [{"type": "Boolean", "value": true}], "truncated": false},
            {"type": "Map", "value": [{"key": {"type": "ByteString", "value": "AQ=="}, "value": {"type": "Any"}}]},
        ]});
        through_json::<StackItem>(&change(&item, &changes))?;

        let stored = StackItem::Map(vec![
            (StackItem::ByteString(b"key".to_vec()), StackItem::Array(vec![StackItem::Integer(700.into()); 20])),
            (StackItem::Boolean(true), StackItem::Struct(vec![StackItem::Null, StackItem::Buffer(vec![7; 300])])),
        ]);
        let bad = spoil(&stored.to_storage().unwrap(), &spoils);
        if let Ok(read) = StackItem::from_storage(&bad) {
            let written = read.to_storage().unwrap();
            prop_assert!(written.len() <= bad.len());
            prop_assert_eq!(&StackItem::from_storage(&written).unwrap(), &read);
        }
    }
}
