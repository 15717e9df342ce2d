//! How fast each makes, signs and writes transactions, in one run: `scripts/bench-neo.sh`.

use std::time::Instant;

use neo::{
    Hash160, PrivateKey,
    native::GAS,
    script::{Builder, CallFlags},
    stack::Param,
    tx::{Signer, Transaction},
    wire::Wire,
};
use serde_json::json;

use crate::peer::{Peer, Peers, question};

const MAGIC: u32 = 860_833_102;
const COUNT: u32 = 3000;
const ROUNDS: usize = 3;

#[test]
#[ignore = "measures; scripts/bench-neo.sh runs it"]
fn speed() {
    let key = PrivateKey::from_bytes(&[7; 32]).unwrap();
    let account = key.public().script_hash();
    let args = [account.into(), GAS.into(), 123_456_789.into(), Param::Null];
    let script = Builder::new().call(&GAS, "transfer", CallFlags::ALL, &args).finish().unwrap();
    let asked = question(
        "speed",
        json!({
            "count": COUNT,
            "private_key": hex::encode(key.to_bytes()),
            "magic": MAGIC,
            "signer": account,
            "script": hex::encode(&script),
        }),
    );
    let theirs = |peer: &mut Peer| {
        let answer = peer.ask(std::slice::from_ref(&asked)).remove(0);
        (answer["seconds"].as_f64().unwrap(), answer["bytes"].as_u64().unwrap())
    };
    let Peers { mut neon, mut mamba } = Peers::start();

    // In turn, so that whatever else the machine does meets all alike; the best of each counts.
    let mut best = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        let rounds = [ours(&key, account, &script), theirs(&mut neon), theirs(&mut mamba)];
        for (best, (seconds, bytes)) in best.iter_mut().zip(rounds) {
            assert_eq!(bytes, rounds[0].1, "all write the same number of bytes");
            *best = best.min(seconds);
        }
    }
    if cfg!(debug_assertions) {
        println!("an unoptimised build: these numbers say nothing");
    }
    println!("{COUNT} transfers made, signed and written, one core, best of {ROUNDS} rounds:");
    for (name, seconds) in ["nsl-neo", "neon-js", "neo-mamba"].iter().zip(best) {
        let (rate, ratio) = (f64::from(COUNT) / seconds, seconds / best[0]);
        println!("{name:>10} {rate:>9.0}/s   nsl-neo is {ratio:.1} times as fast");
    }
}

/// What the peers do when they are asked for the same.
fn ours(key: &PrivateKey, signer: Hash160, script: &[u8]) -> (f64, u64) {
    let start = Instant::now();
    let mut bytes = 0;
    for nonce in 0..COUNT {
        let mut tx = Transaction {
            nonce,
            system_fee: 1_000_000,
            network_fee: 1_000_000,
            valid_until_block: 1000,
            signers: vec![Signer::called_by_entry(signer)],
            script: script.to_vec(),
            ..Transaction::default()
        };
        tx.sign(MAGIC, key).unwrap();
        bytes += tx.to_bytes().len() as u64;
    }
    (start.elapsed().as_secs_f64(), bytes)
}
