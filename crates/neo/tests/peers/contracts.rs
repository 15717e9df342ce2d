//! Contract files: NEF, manifest, and the hash that a deployment will give.

use std::{fs, path::Path};

use neo::{
    Hash160,
    manifest::Manifest,
    nef::{MethodToken, Nef, contract_hash},
    script::CallFlags,
    wire::Wire,
};
use serde_json::{Value, json};

use crate::{
    peer::{Peer, Peers, question},
    random::Random,
};

struct Deployment {
    nef: Nef,
    sender: Hash160,
    name: String,
}

#[test]
fn contract_files_and_hashes_are_the_same_everywhere() {
    let mut random = Random::new("contract files");
    let ready = artefacts();
    let mut all: Vec<Deployment> = ready
        .iter()
        .map(|(nef, manifest)| Deployment {
            nef: nef.clone(),
            sender: random.hash160(),
            name: manifest["name"].as_str().unwrap().to_owned(),
        })
        .collect();
    all.extend((0..500).map(|_| make(&mut random)));
    let mut peers = Peers::start();

    let asked = all.iter().map(|Deployment { nef, sender, name }| {
        question("nef", json!({ "hex": hex::encode(nef.to_bytes()), "sender": sender, "name": name }))
    });
    for (peer, theirs) in peers.ask(&asked.collect::<Vec<_>>()) {
        for (theirs, Deployment { nef, sender, name }) in theirs.iter().zip(&all) {
            let ours = json!({
                "bytes": hex::encode(nef.to_bytes()),
                "checksum": nef.checksum(),
                "hash": contract_hash(*sender, nef.checksum(), name),
            });
            assert_eq!(ours, *theirs, "{peer}: {nef:?}");
            let bytes = hex::decode(theirs["bytes"].as_str().unwrap()).unwrap();
            assert_eq!(Nef::from_bytes(&bytes).unwrap(), *nef);
        }
    }
    manifests(&mut peers.mamba, &ready);
    println!(
        "{} NEF files and contract hashes equal those of neon-js and neo-mamba; {} manifests read both ways",
        all.len(),
        ready.len()
    );
}

/// neo-mamba reads what we wrote, and we read what it wrote of that. neon-js drops much of a manifest.
fn manifests(mamba: &mut Peer, ready: &[(Nef, Value)]) {
    let ours: Vec<Manifest> =
        ready.iter().map(|(_, manifest)| serde_json::from_value(manifest.clone()).unwrap()).collect();
    let asked: Vec<_> = ours.iter().map(|manifest| question("manifest", json!({ "json": manifest }))).collect();
    for (ours, theirs) in ours.iter().zip(mamba.ask(&asked)) {
        assert_eq!(serde_json::from_value::<Manifest>(theirs).unwrap(), *ours);
    }
}

/// The contracts of this repository.
fn artefacts() -> Vec<(Nef, Value)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/n3");
    let mut found = Vec::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "nef") {
            let manifest = fs::read(path.with_extension("manifest.json")).unwrap();
            let nef = fs::read(path).unwrap();
            let read = Nef::from_bytes(&nef).unwrap();
            assert_eq!(read.to_bytes(), nef);
            found.push((read, serde_json::from_slice(&manifest).unwrap()));
        }
    }
    assert!(found.len() > 3, "only {} contracts", found.len());
    found
}

fn make(random: &mut Random) -> Deployment {
    // neon-js counts letters where the others count bytes, so these are of one byte each.
    let ascii = |random: &mut Random, least: usize, most: usize| -> String {
        random.some(least, most, |random| char::from(b'a' + random.below(26) as u8)).into_iter().collect()
    };
    let (size, most) = (1 + random.size(600), 300);
    let tokens = random.some(0, 5, |random| MethodToken {
        hash: random.hash160(),
        method: ascii(random, 1, 32),
        parameters: random.bits(16) as u16,
        has_return_value: random.chance(2),
        call_flags: CallFlags::try_from(random.below(16) as u8).unwrap(),
    });
    let nef = Nef {
        compiler: ascii(random, 0, 64),
        source: ascii(random, 0, 256),
        tokens,
        script: random.bytes(size.min(most)),
    };
    nef.check().unwrap();
    Deployment { nef, sender: random.hash160(), name: random.text(40) }
}
