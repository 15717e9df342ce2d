//! Transactions: their bytes, their JSON, their hashes and signatures.

use std::thread;

use neo::{
    Hash160, PrivateKey, account,
    tx::{Action, Attribute, Condition, OracleCode, Scopes, Signer, Transaction, Witness, WitnessRule},
    wire::Wire,
};
use serde_json::{Value, json};

use crate::{
    peer::{Peer, Peers, question},
    random::Random,
};

/// A transaction whose first signer is this key.
struct Made {
    key: PrivateKey,
    magic: u32,
    tx: Transaction,
}

#[test]
fn transactions_are_the_same_everywhere() {
    let mut random = Random::new("transactions");
    // So many that a thousand are left for the peer that reads the fewest.
    let all: Vec<Made> = (0..1250).map(|_| make(&mut random)).collect();
    let Peers { mut neon, mut mamba } = Peers::start();

    let plain = |made: &&Made| !made.tx.attributes.iter().any(|one| matches!(one, Attribute::OracleResponse { .. }));
    let every: Vec<&Made> = all.iter().collect();
    let plain: Vec<&Made> = all.iter().filter(plain).collect();
    let simple: Vec<&Made> = plain.iter().copied().filter(has_simple_rules).collect();
    // neon-js reads the number of an oracle's request from the wrong end. neo-mamba has no JSON for such answers, and
    // does not read the JSON of two of the conditions.
    let (of_neon, of_mamba) = thread::scope(|scope| {
        let of_neon = scope.spawn(|| all_same(&mut neon, &plain, &every));
        let of_mamba = all_same(&mut mamba, &every, &simple);
        (of_neon.join().unwrap(), of_mamba)
    });
    assert!(plain.len() >= 1000 && simple.len() > 300, "{} and {} are too few", plain.len(), simple.len());
    println!("{} transactions equal those of the peers:\n{of_neon}\n{of_mamba}", all.len());
}

/// Some by their bytes and signatures, some by their JSON.
fn all_same(peer: &mut Peer, bytes: &[&Made], json: &[&Made]) -> String {
    same_bytes(peer, bytes);
    same_json(peer, json);
    same_signatures(peer, bytes);
    let (name, bytes, json) = (peer.name, bytes.len(), json.len());
    format!("  {name}: bytes, hash, size and signatures both ways of {bytes}, JSON of {json}")
}

/// No condition is of type `Group` or `ScriptHash`.
fn has_simple_rules(made: &&Made) -> bool {
    let rules = json!(made.tx.signers).to_string();
    !rules.contains(r#""type":"Group""#) && !rules.contains(r#""type":"ScriptHash""#)
}

/// They read our bytes, and show what we show; we read what they show.
fn same_bytes(peer: &mut Peer, made: &[&Made]) {
    let asked = made.iter().map(|made| question("decode", json!({ "hex": hex::encode(made.tx.to_bytes()) })));
    let answers = peer.ask(&asked.collect::<Vec<_>>());
    made.iter().zip(&answers).for_each(|(made, theirs)| assert_same(peer.name, &made.tx, theirs));
}

/// They make the same of our JSON.
fn same_json(peer: &mut Peer, made: &[&Made]) {
    let asked = made.iter().map(|made| question("encode", json!({ "json": made.tx })));
    let answers = peer.ask(&asked.collect::<Vec<_>>());
    made.iter().zip(&answers).for_each(|(made, theirs)| assert_same(peer.name, &made.tx, theirs));
}

/// They sign the same message, we accept their signatures, and they accept ours.
fn same_signatures(peer: &mut Peer, made: &[&Made]) {
    let asked = made.iter().map(|Made { key, magic, tx }| {
        let key = hex::encode(key.to_bytes());
        question("sign", json!({ "hex": hex::encode(tx.to_bytes()), "private_key": key, "magic": magic }))
    });
    let theirs = peer.ask(&asked.collect::<Vec<_>>());
    let mut asked = Vec::new();
    for (Made { key, magic, tx }, theirs) in made.iter().zip(&theirs) {
        let message = tx.message(*magic);
        assert_eq!(theirs["message"], hex::encode(&message), "{}", peer.name);
        let signature = hex::decode(theirs["signature"].as_str().unwrap()).unwrap();
        assert!(key.public().verify(&message, &signature.try_into().unwrap()), "a signature of {}", peer.name);
        // Ours as it stands in the witness, behind the operation that pushes it.
        let ours = hex::encode(&tx.witnesses[0].invocation[2..]);
        let message = hex::encode(message);
        asked.push(question("verify", json!({ "message": message, "signature": ours, "public_key": key.public() })));
    }
    assert!(peer.ask(&asked).iter().all(|fits| *fits == true), "{} refuses a signature of ours", peer.name);
}

fn assert_same(peer: &str, ours: &Transaction, theirs: &Value) {
    let bytes = same_bytes_as(peer, &ours.to_bytes(), &theirs["signed"]);
    same_bytes_as(peer, &ours.unsigned_bytes(), &theirs["unsigned"]);
    assert_eq!(theirs["hash"], ours.hash().to_string(), "{peer}");
    assert_eq!(theirs["size"], ours.size(), "{peer}");
    if !theirs["json"].is_null() {
        let read: Transaction = serde_json::from_value(theirs["json"].clone())
            .unwrap_or_else(|error| panic!("{error} in the JSON of {peer}: {}", theirs["json"]));
        assert_eq!(read, *ours, "{peer}");
    }
    assert_eq!(Transaction::from_bytes(&bytes).unwrap(), *ours);
}

/// Tells where they part: a transaction may fill pages.
fn same_bytes_as(peer: &str, ours: &[u8], theirs: &Value) -> Vec<u8> {
    let theirs = hex::decode(theirs.as_str().unwrap()).unwrap();
    let part = ours.iter().zip(&theirs).position(|(one, other)| one != other);
    if let Some(at) = part.or((ours.len() != theirs.len()).then_some(ours.len().min(theirs.len()))) {
        let shown = |bytes: &[u8]| hex::encode(&bytes[..bytes.len().min(at + 40)]);
        panic!("{peer} parts from us at byte {at}: {} and theirs {}", shown(ours), shown(&theirs));
    }
    theirs
}

fn make(random: &mut Random) -> Made {
    let key = random.key();
    let magic = random.bits(32) as u32;
    let mut signers = vec![signer(random, key.public().script_hash())];
    let mut others: Vec<(Hash160, Witness)> = random.some(0, 4, witness);
    others.sort_by_key(|(account, _)| *account);
    others.dedup_by_key(|(account, _)| *account);
    signers.extend(others.iter().map(|(account, _)| signer(random, *account)));
    let size = if random.chance(50) { 65_535 } else { 1 + random.size(600) };
    let mut tx = Transaction {
        nonce: random.bits(32) as u32,
        system_fee: random.bits(62) as i64,
        network_fee: random.bits(62) as i64,
        valid_until_block: random.bits(32) as u32,
        signers,
        attributes: attributes(random),
        script: random.bytes(size),
        ..Transaction::default()
    };
    tx.sign(magic, &key).unwrap();
    for (account, witness) in others {
        tx.set_witness(&account, witness).unwrap();
    }
    tx.check().unwrap();
    Made { key, magic, tx }
}

fn signer(random: &mut Random, account: Hash160) -> Signer {
    let scopes = match random.below(6) {
        0 => Scopes::NONE,
        1 => Scopes::GLOBAL,
        _ => {
            let [entry, contracts, groups, rules] =
                [Scopes::CALLED_BY_ENTRY, Scopes::CUSTOM_CONTRACTS, Scopes::CUSTOM_GROUPS, Scopes::WITNESS_RULES];
            let all = [entry, contracts, groups, rules];
            all.into_iter().filter(|_| random.chance(2)).fold(Scopes::NONE, |some, one| some | one)
        }
    };
    let mut signer = Signer::new(account, scopes);
    // A list may be empty and may be full.
    let most = if random.chance(8) { 16 } else { 3 };
    if scopes.contains(Scopes::CUSTOM_CONTRACTS) {
        signer.allowed_contracts = random.some(0, most, Random::hash160);
    }
    if scopes.contains(Scopes::CUSTOM_GROUPS) {
        signer.allowed_groups = random.some(0, most.min(4), Random::public);
    }
    if scopes.contains(Scopes::WITNESS_RULES) {
        signer.rules = random.some(1, most, |random| WitnessRule {
            action: if random.chance(2) { Action::Allow } else { Action::Deny },
            condition: condition(random, 3),
        });
    }
    signer
}

fn condition(random: &mut Random, levels: usize) -> Condition {
    let below = levels - 1;
    match random.below(if below == 0 { 6 } else { 9 }) {
        0 => Condition::Boolean { expression: random.chance(2) },
        1 => Condition::ScriptHash { hash: random.hash160() },
        2 => Condition::Group { group: random.public() },
        3 => Condition::CalledByEntry,
        4 => Condition::CalledByContract { hash: random.hash160() },
        5 => Condition::CalledByGroup { group: random.public() },
        6 => Condition::Not { expression: Box::new(condition(random, below)) },
        7 => Condition::And { expressions: random.some(1, 3, |random| condition(random, below)) },
        _ => Condition::Or { expressions: random.some(1, 3, |random| condition(random, below)) },
    }
}

/// Those that both peers know.
fn attributes(random: &mut Random) -> Vec<Attribute> {
    let mut some = Vec::new();
    if random.chance(3) {
        some.push(Attribute::HighPriority);
    }
    if random.chance(10) {
        let good = random.chance(2);
        let size = if good { random.size(400) } else { 0 };
        let code = if good { OracleCode::Success } else { *random.pick(&FAILURES) };
        // JavaScript has no larger numbers.
        some.push(Attribute::OracleResponse { id: random.bits(53), code, result: random.bytes(size) });
    }
    some
}

const FAILURES: [OracleCode; 9] = [
    OracleCode::ProtocolNotSupported,
    OracleCode::ConsensusUnreachable,
    OracleCode::NotFound,
    OracleCode::Timeout,
    OracleCode::Forbidden,
    OracleCode::ResponseTooLarge,
    OracleCode::InsufficientFunds,
    OracleCode::ContentTypeNotSupported,
    OracleCode::Error,
];

/// Of one key, of several, or of any script.
fn witness(random: &mut Random) -> (Hash160, Witness) {
    let message = random.bytes(36);
    match random.below(3) {
        0 => {
            let key = random.key();
            (key.public().script_hash(), Witness::single(&key, &message))
        }
        1 => {
            let keys = random.some(1, 5, Random::key);
            let publics: Vec<_> = keys.iter().map(PrivateKey::public).collect();
            let script = account::multi(1 + random.below(keys.len() as u64) as usize, &publics).unwrap();
            let signatures: Vec<_> = keys.iter().map(|key| (key.public(), key.sign(&message))).collect();
            (Hash160::of_script(&script), Witness::multi(&script, &signatures).unwrap())
        }
        _ => {
            let (invocation, verification) = (random.size(1024), 1 + random.size(1000));
            let witness = Witness { invocation: random.bytes(invocation), verification: random.bytes(verification) };
            (Hash160::of_script(&witness.verification), witness)
        }
    }
}
