use std::fs;

use nsl_sandbox::eventually;
use serde_json::{Value, json};

use crate::{
    ground::{Cut, Engines, Ground, ok, problem},
    hands::{Ether, Neon, Street, WAYS, neo_go},
    peer::{Peer, text},
};

const IDENTITY: usize = 1;

fn enter_with_each(engines: Engines) {
    let ground = Ground::start(engines, Cut::Each, &[]);
    let (street, mut peer) = (Street::of(&ground), Peer::start());
    let mut people = Vec::new();

    let ether = Ether::new(&mut peer, 1);
    for asked in [ether.address.clone(), ether.address.to_lowercase()] {
        let given = street.challenge("neo-x", &asked);
        assert_eq!(given["network"], json!(47_763));
        people.push(street.enter(&ether.proof(&mut peer, text(&given, "message"))));
    }
    assert_eq!(people[0], people[1], "one account is one user");

    let neon = Neon::new(&mut peer, 1);
    for way in 0..WAYS.len() {
        let given = street.challenge("neo-n3", &neon.address);
        people.push(street.enter(&neon.proof(&mut peer, way, text(&given, "message"))));
    }
    assert!(people[2..].iter().all(|person| *person == people[2]), "{people:?}");

    // Two of three, each with another wallet.
    let mut keys: Vec<_> = (2..5).map(|number| Neon::new(&mut peer, number)).collect();
    keys.sort_by(|one, other| one.public_key[2..].cmp(&other.public_key[2..]));
    let public: Vec<_> = keys.iter().map(|key| key.public_key.as_str()).collect();
    let several = peer.ask("multisig", json!({ "threshold": 2, "public_keys": public }));
    let given = street.challenge("neo-n3", text(&several, "address"));
    let message = text(&given, "message");
    let signatures = [keys[2].sign(&mut peer, 1, message), keys[0].sign(&mut peer, 4, message)];
    people.push(street.enter(&json!({
        "chain": "neo-n3", "address": several["address"], "message": message,
        "verification_script": several["script"], "signatures": signatures,
    })));

    // neo-go, alone and two of two.
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = neo_go(dir.path(), ["one", "two"]);
    for wallet in [&one, &two] {
        wallet.run("import-multisig", &["--min", "2", &one.public_key, &two.public_key]);
    }
    let file: Value = serde_json::from_slice(&fs::read(dir.path().join("one.json")).unwrap()).unwrap();
    let both = text(&file["accounts"][1], "address").to_owned();
    for (address, signers) in [(one.address.clone(), vec![&one]), (both, vec![&two, &one])] {
        let given = street.challenge("neo-n3", &address);
        let context = signers.iter().fold(given["context"].clone(), |context, wallet| wallet.sign(&address, &context));
        let proof = json!({ "chain": "neo-n3", "address": address, "message": given["message"], "context": context });
        people.push(street.enter(&proof));
        problem(&street.login(&proof), 401, "wallet.nonce_spent");
    }
    let mut distinct = people.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 5, "{people:?}");
    ground.assert_whole();
}

#[test]
fn wallets_sign_in_through_processes_of_one_service_each_on_sqlite() {
    enter_with_each(Engines::Embedded);
}

#[test]
fn wallets_sign_in_through_processes_of_one_service_each_on_postgresql() {
    enter_with_each(Engines::Real);
}

#[test]
fn what_was_given_and_what_was_spent_outlives_the_process() {
    for engines in [Engines::Embedded, Engines::Real] {
        let mut ground = Ground::start(engines, Cut::Each, &[]);
        let mut peer = Peer::start();
        let neon = Neon::new(&mut peer, 1);
        let spent = {
            let street = Street::of(&ground);
            let given = street.challenge("neo-n3", &neon.address);
            let proof = neon.proof(&mut peer, 1, text(&given, "message"));
            street.enter(&proof);
            proof
        };
        let waiting = Street::of(&ground).challenge("neo-n3", &neon.address);
        ground.nodes[IDENTITY].kill();
        ground.nodes[IDENTITY].start_again().unwrap();
        let street = Street::of(&ground);
        let waiting = neon.proof(&mut peer, 4, text(&waiting, "message"));
        // Other processes find it again by and by.
        let all = || Ok((0..ground.nodes.len()).all(|_| street.login(&spent).status == 401));
        eventually("identity is found again", 40, all).unwrap();
        problem(&street.login(&spent), 401, "wallet.nonce_spent");
        street.enter(&waiting);
        problem(&street.login(&waiting), 401, "wallet.nonce_spent");
    }
}

#[test]
fn one_message_lets_one_in_whoever_else_shows_it_at_once() {
    for engines in [Engines::Embedded, Engines::Real] {
        let ground = Ground::start(engines, Cut::Each, &[]);
        let (street, mut peer) = (Street::of(&ground), Peer::start());
        for number in 1..=2 {
            let ether = Ether::new(&mut peer, number);
            let given = street.challenge("neo-x", &ether.address);
            let proof = ether.proof(&mut peer, text(&given, "message"));
            let replies: Vec<_> = std::thread::scope(|scope| {
                let all: Vec<_> = (0..100).map(|_| scope.spawn(|| street.login(&proof))).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
            // A machine with much else to do turns some away before they are heard.
            let heard = replies.iter().filter(|reply| !matches!(reply.status, 200 | 503));
            heard.for_each(|reply| problem(reply, 401, "wallet.nonce_spent"));
            problem(&street.login(&proof), 401, "wallet.nonce_spent");
        }
    }
}

#[test]
fn where_sign_up_is_not_open_a_new_account_needs_an_invite() {
    let ground = Ground::start(Engines::Embedded, Cut::One, &[("NSL_IDENTITY__SIGNIN__SIGN_UP", "invited")]);
    let (street, mut peer) = (Street::of(&ground), Peer::start());
    let neon = Neon::new(&mut peer, 1);
    let given = street.challenge("neo-n3", &neon.address);
    let mut proof = neon.proof(&mut peer, 1, text(&given, "message"));
    problem(&street.login(&proof), 403, "signin.invite_needed");
    proof["invite"] = json!("made up");
    problem(&street.login(&proof), 404, "people.invite_invalid");
    let invite = ok(&ground.ask("POST", "/v1/users/invites", &json!({ "roles": ["viewer"] })));
    proof["invite"] = invite["token"].clone();
    // What was refused spent nothing.
    let tokens = ok(&street.login(&proof));
    assert_eq!(text(&tokens, "tenant"), ground.tenant);
    let given = street.challenge("neo-n3", &neon.address);
    street.enter(&neon.proof(&mut peer, 0, text(&given, "message")));
}
