use serde_json::{Value, json};

use super::*;
use crate::{account, tx::Signer};

const NETWORK: u32 = 1230;

fn key(number: u8) -> PrivateKey {
    PrivateKey::from_bytes(&[number; 32]).unwrap()
}

fn two_of_three() -> Vec<u8> {
    account::multi(2, &[key(1).public(), key(2).public(), key(3).public()]).unwrap()
}

/// Signed by a sponsor alone, by two of three, and by a contract.
fn context() -> Context {
    let accounts = [key(9).public().script_hash(), Hash160::of_script(&two_of_three()), crate::native::NOTARY];
    let signers = accounts.map(Signer::called_by_entry).to_vec();
    let transaction = Transaction { signers, script: vec![0x40], ..Transaction::default() };
    Context::new(NETWORK, transaction).unwrap()
}

fn again(context: &Context) -> Context {
    let read: Context = serde_json::from_value(serde_json::to_value(context).unwrap()).unwrap();
    assert_eq!(read, *context);
    read
}

#[test]
fn a_transaction_goes_round_until_all_signed() {
    let mut context = context();
    assert_eq!(context.sign(&key(1)).unwrap(), 0, "the script of several keys is not known yet");
    context.add_script(&two_of_three()).unwrap();
    assert_eq!(again(&context).missing().len(), 3);
    assert_eq!(context.sign(&key(9)).unwrap(), 1);
    assert_eq!(context.sign(&key(3)).unwrap(), 1);
    assert_eq!(context.sign(&key(3)).unwrap(), 1, "twice is once");
    let mut context = again(&context);
    assert_eq!(context.missing(), [Hash160::of_script(&two_of_three()), crate::native::NOTARY]);
    assert!(context.complete().is_err());
    context.add_contract(crate::native::NOTARY, vec![Param::Signature([7; 64])]).unwrap();
    context.sign(&key(1)).unwrap();
    let context = again(&context);
    let signed = context.complete().unwrap();
    let message = context.message();
    for (signer, witness) in signed.signers.iter().zip(&signed.witnesses).take(2) {
        witness.verify(&signer.account, &message).unwrap();
    }
    assert_eq!(signed.witnesses[2].signatures(), Some(vec![[7; 64]]));
    assert!(signed.witnesses[2].verification.is_empty());
}

#[test]
fn parts_that_were_signed_apart_come_together() {
    let mut whole = context();
    whole.add_contract(crate::native::NOTARY, vec![]).unwrap();
    for number in [9, 2, 3] {
        let mut part = context();
        part.add_script(&two_of_three()).unwrap();
        part.sign(&key(number)).unwrap();
        whole.merge(again(&part)).unwrap();
    }
    assert!(whole.is_complete());
    let mut other = context();
    other.transaction.nonce += 1;
    assert!(whole.merge(other).is_err());
}

#[test]
fn nothing_may_be_written_as_null() {
    let mut context = context();
    context.add_script(&two_of_three()).unwrap();
    context.add_contract(crate::native::NOTARY, vec![]).unwrap();
    let mut json = serde_json::to_value(&context).unwrap();
    for item in json["items"].as_object_mut().unwrap().values_mut() {
        item["signatures"] = Value::Null;
        item["parameters"] = Value::Null;
    }
    assert_eq!(serde_json::from_value::<Context>(json).unwrap(), context);
}

#[test]
fn what_does_not_belong_is_refused() {
    let mut context = context();
    let (script, message) = (two_of_three(), context.message());
    let sign = |number| key(number).sign(&message);
    assert!(context.add_signature(&script, &key(1).public(), sign(1)).is_ok());
    assert!(context.add_signature(&script, &key(2).public(), sign(1)).is_err(), "another's signature");
    assert!(context.add_signature(&script, &key(9).public(), sign(9)).is_err(), "not a key of the account");
    let stranger = key(8).public();
    assert!(context.add_signature(&account::single(&stranger), &stranger, sign(8)).is_err(), "not a signer");
    assert!(context.add_contract(crate::native::GAS, vec![]).is_err(), "not a signer");
    assert!(context.add_contract(crate::native::NOTARY, vec![Param::Null]).is_err());

    let good = serde_json::to_value(&context).unwrap();
    let account = Hash160::of_script(&script).to_string();
    type Spoil = fn(&mut Value, &str);
    let wrong: [(&str, Spoil); 8] = [
        ("more signatures than keys", |json, account| {
            json["items"][account]["parameters"] = json!(vec![json!({"type": "Signature"}); 4]);
        }),
        ("type", |json, _| json["type"] = "Neo.Network.P2P.Payloads.Header".into()),
        ("hash", |json, _| json["hash"] = json!(crate::Hash256::ZERO)),
        ("data", |json, _| json["data"] = "AAAA".into()),
        ("network", |json, _| json["network"] = 1.into()),
        ("script", |json, account| json["items"][account]["script"] = "EQ==".into()),
        ("signer", |json, account| json["items"][crate::native::GAS.to_string()] = json["items"][account].clone()),
        ("signature", |json, account| {
            let signatures = json["items"][account]["signatures"].as_object_mut().unwrap();
            signatures.values_mut().for_each(|signature| *signature = "AAAA".into());
        }),
    ];
    assert!(serde_json::from_value::<Context>(good.clone()).is_ok());
    for (name, spoil) in wrong {
        let mut bad = good.clone();
        spoil(&mut bad, &account);
        assert!(serde_json::from_value::<Context>(bad).is_err(), "{name}");
    }
}
