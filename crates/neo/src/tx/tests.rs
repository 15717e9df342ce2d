use super::*;

fn transaction() -> Transaction {
    Transaction {
        nonce: 7,
        system_fee: 100,
        network_fee: 200,
        valid_until_block: 300,
        signers: vec![Signer::called_by_entry(PrivateKey::from_bytes(&[1; 32]).unwrap().public().script_hash())],
        script: vec![0x40],
        ..Transaction::default()
    }
}

#[test]
fn a_signed_transaction_verifies_on_its_own_network_only() {
    let mut tx = transaction();
    assert!(tx.check().is_err(), "no witness yet");
    tx.sign(1230, &PrivateKey::from_bytes(&[1; 32]).unwrap()).unwrap();
    assert!(tx.verify(1230).is_ok());
    assert!(tx.verify(860833102).is_err());
    tx.nonce += 1;
    assert!(tx.verify(1230).is_err());
    assert!(tx.sign(1230, &PrivateKey::from_bytes(&[2; 32]).unwrap()).is_err(), "not a signer");
}

#[test]
fn what_nodes_refuse_is_refused() {
    let other = Signer::none(Hash160::ZERO);
    type Spoil = fn(&mut Transaction, Signer);
    let cases: [(&str, Spoil); 12] = [
        ("version", |tx, _| tx.version = 1),
        ("negative system fee", |tx, _| tx.system_fee = -1),
        ("negative network fee", |tx, _| tx.network_fee = -1),
        ("fees beyond 63 bits", |tx, _| tx.system_fee = i64::MAX),
        ("no signer", |tx, _| tx.signers.clear()),
        ("a signer twice", |tx, _| tx.signers.push(tx.signers[0].clone())),
        ("signers and attributes", |tx, _| tx.attributes = vec![Attribute::Conflicts(Hash256::ZERO); 16]),
        ("an attribute twice", |tx, _| tx.attributes = vec![Attribute::HighPriority; 2]),
        ("no script", |tx, _| tx.script.clear()),
        ("a long script", |tx, _| tx.script = vec![0x40; 0x1_0000]),
        ("scopes", |tx, _| tx.signers[0].scopes = Scopes::GLOBAL | Scopes::CALLED_BY_ENTRY),
        ("witnesses", |tx, other| tx.signers.push(other)),
    ];
    let mut good = transaction();
    good.witnesses = vec![Witness::default()];
    assert_eq!(Transaction::from_bytes(&good.to_bytes()).unwrap(), good);
    for (name, spoil) in cases {
        let mut tx = good.clone();
        spoil(&mut tx, other.clone());
        assert!(tx.check().is_err(), "{name}");
        assert!(Transaction::from_bytes(&tx.to_bytes()).is_err(), "{name}");
    }
    good.attributes = vec![Attribute::Conflicts(Hash256::ZERO); 15];
    assert!(good.check().is_ok() && Transaction::from_bytes(&good.to_bytes()).is_ok());
}

#[test]
fn a_transaction_larger_than_allowed_is_refused() {
    let mut tx = transaction();
    tx.witnesses = vec![Witness::default()];
    tx.script = vec![0x40; 0xffff];
    let answer = |size| Attribute::OracleResponse { id: 0, code: OracleCode::Success, result: vec![0; size] };
    tx.attributes = vec![answer(0x8000)];
    let left = MOST_SIZE - tx.size();
    for (size, fits) in [(0x8000 + left, true), (0x8001 + left, false)] {
        tx.attributes = vec![answer(size)];
        assert_eq!(tx.check().is_ok(), fits);
        assert_eq!(Transaction::from_bytes(&tx.to_bytes()).is_ok(), fits);
    }
}

#[test]
fn json_that_contradicts_itself_is_refused() {
    let mut tx = transaction();
    tx.sign(1230, &PrivateKey::from_bytes(&[1; 32]).unwrap()).unwrap();
    let json = serde_json::to_value(&tx).unwrap();
    assert_eq!(serde_json::from_value::<Transaction>(json.clone()).unwrap(), tx);
    for (field, value) in [
        ("nonce", 8.into()),
        ("size", 1.into()),
        ("sysfee", "1x".into()),
        ("sysfee", (-1).into()),
        ("script", "?".into()),
        ("witnesses", serde_json::json!([{"invocation": ""}])),
        ("signers", serde_json::json!([])),
    ] {
        let mut bad = json.clone();
        bad[field] = value;
        assert!(serde_json::from_value::<Transaction>(bad).is_err(), "{field}");
    }
}

#[test]
fn fees_that_can_not_be_add_up_to_the_most() {
    let mut tx = Transaction { system_fee: 3, network_fee: 4, ..transaction() };
    assert_eq!(tx.fees(), 7);
    tx.system_fee = i64::MAX;
    assert_eq!(tx.fees(), i64::MAX);
}
