//! Scripts: calls of contracts, and instructions of all kinds.

use neo::{
    Hash160,
    script::{Builder, CallFlags, Opcode, Shape, instructions},
    stack::Param,
};
use num_bigint::BigInt;
use serde_json::{Value, json};

use crate::{
    peer::{Peer, Peers, question},
    random::Random,
};

struct Call {
    contract: Hash160,
    method: String,
    flags: CallFlags,
    args: Vec<Param>,
}

#[test]
fn calls_of_contracts_are_the_same_everywhere() {
    let mut random = Random::new("scripts");
    let calls: Vec<Call> = (0..1000)
        .map(|_| Call {
            contract: random.hash160(),
            method: if random.chance(2) { "transfer".to_owned() } else { format!("m{}", random.text(8)) },
            flags: CallFlags::try_from(random.below(16) as u8).unwrap(),
            args: random.some(0, 6, |random| param(random, 0)),
        })
        .collect();
    let mut peers = Peers::start();

    let ours: Vec<String> = calls
        .iter()
        .map(|call| {
            let mut builder = Builder::new();
            builder.call(&call.contract, &call.method, call.flags, &call.args);
            hex::encode(builder.finish().unwrap())
        })
        .collect();
    let asked = calls.iter().map(|Call { contract, method, flags, args }| {
        question("script", json!({ "contract": contract, "method": method, "flags": flags.bits(), "args": args }))
    });
    for (peer, theirs) in peers.ask(&asked.collect::<Vec<_>>()) {
        for ((ours, theirs), call) in ours.iter().zip(&theirs).zip(&calls) {
            assert_eq!(ours, theirs, "{peer}: {:?}", call.args);
        }
    }
    assert_reads(&mut peers.neon, &ours);
    println!("{} calls equal those of neon-js and neo-mamba", calls.len());
}

#[test]
fn instructions_of_all_kinds_read_the_same() {
    let mut random = Random::new("instructions");
    let scripts: Vec<String> = (0..1000)
        .map(|_| {
            let mut builder = Builder::new();
            for opcode in random.some(1, 30, |random| *random.pick(Opcode::ALL)) {
                let size = match opcode.shape() {
                    // It takes a length of four bytes for one that is written from the other end.
                    Shape::Data(4) => continue,
                    Shape::Data(_) => random.size(255),
                    shape => shape.fixed().unwrap(),
                };
                builder.op_with(opcode, &random.bytes(size));
            }
            hex::encode(builder.finish().unwrap())
        })
        .collect();
    assert_reads(&mut Peer::neon(), &scripts);
    println!("{} scripts of random instructions read as neon-js reads them", scripts.len());
}

/// Each instruction, its number and what follows it are what neon-js finds. neo-mamba does not read scripts.
fn assert_reads(neon: &mut Peer, scripts: &[String]) {
    let asked: Vec<_> = scripts.iter().map(|script| question("instructions", json!({ "script": script }))).collect();
    for (script, theirs) in scripts.iter().zip(neon.ask(&asked)) {
        let script = hex::decode(script).unwrap();
        let read = instructions(&script).map(|one| one.unwrap());
        let ours: Vec<Value> = read.map(|one| json!([one.opcode.byte(), hex::encode(one.operand)])).collect();
        assert_eq!(json!(ours), theirs, "{}", hex::encode(script));
    }
}

/// Empty lists and maps stand only as the whole list of arguments: inside one, each client pushes them in a way of its
/// own, and the node makes the same of all.
fn param(random: &mut Random, depth: usize) -> Param {
    match random.below(if depth < 3 { 10 } else { 8 }) {
        0 => Param::Null,
        1 => Param::Boolean(random.chance(2)),
        2 => Param::Integer(integer(random)),
        3 => {
            let size = if random.chance(100) { 70_000 } else { random.size(300) };
            Param::ByteArray(random.bytes(size))
        }
        4 => Param::String(random.text(60)),
        5 => Param::Hash160(random.hash160()),
        6 => Param::Hash256(random.hash256()),
        7 => Param::PublicKey(random.public()),
        8 => Param::Array(random.some(1, 4, |random| param(random, depth + 1))),
        _ => Param::Map(entries(random, depth)),
    }
}

fn entries(random: &mut Random, depth: usize) -> Vec<(Param, Param)> {
    let numbered = random.chance(2);
    let count = 1 + random.below(4);
    (0..count)
        .map(|at| {
            let key =
                if numbered { Param::Integer(at.into()) } else { Param::String(format!("{at}{}", random.text(4))) };
            (key, param(random, depth + 1))
        })
        .collect()
}

/// Of any size up to the largest, or just at the border of a power of two.
fn integer(random: &mut Random) -> BigInt {
    let bits = random.below(256);
    let number = match random.below(3) {
        0 => BigInt::from(1) << bits.min(254),
        1 => (BigInt::from(1) << bits) - 1,
        _ => BigInt::from_bytes_le(num_bigint::Sign::Plus, &random.array::<32>()) >> (256 - bits),
    };
    if random.chance(2) { -number } else { number }
}
