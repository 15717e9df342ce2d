//! The network fee that is computed offline is to the datoshi what a live node asks.

use neo::{
    fee::{Prices, network_fee},
    hash::{Hash256, sha256},
    tx::{Attribute, Signer, Transaction, Witness},
    wire::Wire,
};
use nsl_devnet::{N3, N3Options};
use serde_json::json;

use crate::{
    node::{Node, base64},
    shapes::{self, Dice, Verifier, shape},
};

/// The fee that the node asks for a transaction of these witnesses.
fn asked(node: &Node, tx: &Transaction) -> Result<i64, String> {
    let reply = node.call("calculatenetworkfee", json!([base64(&tx.to_bytes())]))?;
    Ok(reply["networkfee"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn fees_of_500_shapes_are_what_the_node_asks() {
    let dir = tempfile::tempdir().unwrap();
    let network = N3::start(dir.path(), N3Options::default()).await.unwrap();
    let node = Node::of(&network);
    let mut contracts = node.deploy_verifiers();

    assert_eq!(node.prices(), Prices::default(), "what a network begins with");
    let (mut equal, mut refused) = compare(&node, &mut contracts, 1, 270);

    // A fraction of a datoshi, so that the rounding of each witness shows.
    node.set_prices(&[("setExecFeeFactor", &[123_457]), ("setFeePerByte", &[777])]);
    let fees = [(0x01, 11), (0x11, 22), (0x20, 33), (0x21, 4_444), (0x22, 55_555)];
    let fees: Vec<_> = fees.iter().map(|fee| ("setAttributeFee", [fee.0, fee.1])).collect();
    node.set_prices(&fees.iter().map(|(method, fee)| (*method, &fee[..])).collect::<Vec<_>>());
    assert_eq!(node.prices().exec_pico_fee_factor, 123_457);
    assert_eq!(node.prices().notary_assisted, 55_555);
    let more = compare(&node, &mut contracts, 2, 270);
    (equal, refused) = (equal + more.0, refused + more.1);
    println!("{equal} fees equal to the node's, {refused} shapes too costly for both");
    assert!(equal >= 500 && refused > 0);
}

/// Compares so many shapes at the prices of now, and says how many fees were equal and how many shapes refused.
fn compare(node: &Node, contracts: &mut [Verifier], seed: u64, count: usize) -> (usize, usize) {
    node.measure(contracts);
    let prices = node.prices();
    let mut dice = Dice::new(seed);
    let (mut equal, mut refused) = (0, 0);
    for number in 0..count {
        let shape = shape(&mut dice, contracts, node.magic);
        let ours = network_fee(&shape.transaction, &shape.ways, &prices);
        match (ours, asked(node, &shape.transaction)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours, theirs, "shape {number} of seed {seed}: {:?}", shape.transaction);
                equal += 1;
            }
            (Err(ours), Err(theirs)) => {
                println!("shape {number}: {ours}; the node: {theirs}");
                refused += 1;
            }
            (ours, theirs) => panic!("shape {number} of seed {seed}: {ours:?}, the node {theirs:?}"),
        }
    }
    (equal, refused)
}

#[tokio::test]
async fn a_transaction_is_taken_for_its_fee_and_refused_for_one_datoshi_less() {
    let dir = tempfile::tempdir().unwrap();
    let network = N3::start(dir.path(), N3Options::default()).await.unwrap();
    let node = Node::of(&network);
    let mut contracts = node.deploy_verifiers();
    node.set_prices(&[("setExecFeeFactor", &[314_159]), ("setAttributeFee", &[0x21, 1_000])]);
    node.measure(&mut contracts);
    let prices = node.prices();
    let mut dice = Dice::new(3);
    let mut taken = 0;
    for number in 0..40_u32 {
        let payer = node.payer(number as usize);
        let (mut signers, mut parties) = (vec![Signer::none(payer.public().script_hash())], Vec::new());
        for _ in 0..dice.below(3) {
            let party = shapes::party(&mut dice, &contracts);
            if signers.iter().all(|signer| signer.account != party.account()) {
                signers.push(shapes::signer(&mut dice, party.account()));
                parties.push(party);
            }
        }
        let conflict = |at: usize| Attribute::Conflicts(Hash256::from_le(sha256(&[number as u8, at as u8])));
        let mut attributes: Vec<_> = (0..dice.below(3)).map(conflict).collect();
        attributes.extend((dice.below(2) == 0).then_some(Attribute::NotValidBefore(node.height())));
        let mut tx = Transaction {
            nonce: number,
            system_fee: 1_000_000,
            valid_until_block: node.height() + 1000,
            signers,
            attributes,
            script: vec![0x11, 0x40],
            ..Transaction::default()
        };
        let payers = neo::fee::Verification::key(&payer.public());
        let ways: Vec<_> = std::iter::once(payers).chain(parties.iter().map(shapes::Party::way)).collect();
        let fee = network_fee(&tx, &ways, &prices).unwrap();
        for (fee, enough) in [(fee - 1, false), (fee, true)] {
            tx.network_fee = fee;
            let message = tx.message(node.magic);
            let witnesses = parties.iter().map(|party| party.sign(&mut dice, &message));
            tx.witnesses = std::iter::once(Witness::single(&payer, &message)).chain(witnesses).collect();
            let sent = node.call("sendrawtransaction", json!([base64(&tx.to_bytes())]));
            assert_eq!(sent.is_ok(), enough, "{number}: {sent:?} {tx:?}");
        }
        let mut shown = node.call("getrawtransaction", json!([tx.hash(), true])).unwrap();
        for of_chain in ["blockhash", "confirmations", "blocktime", "vmstate"] {
            shown.as_object_mut().unwrap().remove(of_chain);
        }
        assert_eq!(serde_json::to_value(&tx).unwrap(), shown);
        assert_eq!(serde_json::from_value::<Transaction>(shown).unwrap(), tx);
        taken += 1;
    }
    println!("{taken} taken for the exact fee and shown in the same JSON, and refused for one datoshi less");
}
