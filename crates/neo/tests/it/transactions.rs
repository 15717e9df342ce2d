//! Transactions that neon-js and nodes made.

use neo::{
    PrivateKey,
    tx::{Scopes, Transaction, Witness},
    wire::Wire,
};
use serde_json::Value;

use crate::vectors::{bytes, json};

#[test]
fn five_transactions_of_neon_js_are_the_same_bytes_both_ways() {
    compare(&serde_json::from_str(include_str!("transactions.json")).unwrap(), 5);
}

#[test]
fn transactions_of_neon_js_are_the_same_bytes_both_ways() {
    if let Some(all) = json("neo-n3/fresh/fresh.json") {
        compare(&all, 25);
    }
}

fn compare(all: &Value, count: usize) {
    let all = all["transactions"].as_array().unwrap();
    assert_eq!(all.len(), count);
    let (mut resigned, mut refused, mut without_rules) = (0, 0, 0);
    for case in all {
        let signed = bytes(&case["signed_hex"]);
        let tx = Transaction::from_bytes(&signed).unwrap();
        assert_eq!(tx.to_bytes(), signed);
        assert_eq!(tx.size(), signed.len());
        assert_eq!(tx.unsigned_bytes(), bytes(&case["unsigned_hex"]));
        assert_eq!(tx.hash().to_string()[2..], *case["hash_be"].as_str().unwrap());

        let of_json = serde_json::from_value::<Transaction>(case["json"].clone());
        if tx.signers.iter().any(|signer| signer.scopes.contains(Scopes::WITNESS_RULES)) {
            assert!(of_json.is_err(), "neon-js leaves the rules out of its JSON");
            without_rules += 1;
        } else {
            assert_eq!(of_json.unwrap(), tx);
        }
        let shown = serde_json::to_value(&tx).unwrap();
        assert_eq!(serde_json::from_value::<Transaction>(shown).unwrap(), tx);
        let mut unsigned = Transaction::from_unsigned_bytes(&bytes(&case["unsigned_hex"])).unwrap();

        let magic = case["magic"].as_u64().unwrap() as u32;
        let key = PrivateKey::from_bytes(&bytes(&case["private_key"]).try_into().unwrap()).unwrap();
        let message = tx.message(magic);
        assert_eq!(message, bytes(&case["message_to_sign"]));
        let witness = Witness::single(&key, &message);
        assert!(tx.witnesses.contains(&witness), "signed by its key, byte for byte");
        if unsigned.sign(magic, &key).is_ok() {
            assert!(unsigned.witnesses.contains(&witness));
            resigned += 1;
        }

        if let Some(bad) = case.get("must_reject_witness_count_mismatch") {
            assert!(Transaction::from_bytes(&bytes(bad)).is_err());
            refused += 1;
        }
    }
    println!(
        "{} transactions, {resigned} signed again, {refused} with a missing witness and the JSON of {without_rules} \
         without its rules refused",
        all.len()
    );
    assert!(refused > 0 && without_rules < all.len());
}

#[test]
fn transactions_of_nodes_are_shown_as_nodes_show_them() {
    let Some(all) = json("neo-n3/neon-js/Transaction.json") else { return };
    let all = all.as_object().unwrap();
    for (name, case) in all {
        let serialized = bytes(&case["serialized"]);
        let tx = Transaction::from_bytes(&serialized).unwrap();
        assert_eq!(tx.to_bytes(), serialized, "{name}");
        assert_eq!(tx.hash().to_string()[2..], *case["txid"].as_str().unwrap(), "{name}");
        let mut shown = serde_json::to_value(&tx).unwrap();
        let hash = shown.as_object_mut().unwrap().remove("hash");
        assert_eq!(hash, Some(tx.hash().to_string().into()));
        assert_eq!(shown, case["deserialized"], "{name}");
        assert_eq!(serde_json::from_value::<Transaction>(shown).unwrap(), tx, "{name}");
    }
    println!("{} transactions", all.len());
}
