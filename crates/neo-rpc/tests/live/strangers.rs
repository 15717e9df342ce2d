//! Transactions that were changed on the way: this library reads those that a live node reads, and no others, but for
//! those that the reference node refuses.

use neo::{
    script::{Opcode, Shape, check},
    tx::{Signer, Transaction},
    wire::Wire,
};
use nsl_devnet::{N3, N3Options};
use serde_json::json;

use crate::{
    node::{Node, base64},
    shapes::{Dice, shape},
};

const MOST_SIZE: usize = 102_400;
const INVALID_PARAMS: &str = "-32602";
const INVALID_SCRIPT: &str = "-506";

#[tokio::test]
async fn what_a_node_reads_is_read_and_what_it_refuses_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let network = N3::start(dir.path(), N3Options::default()).await.unwrap();
    let node = Node::of(&network);
    let contracts = node.deploy_verifiers();
    let mut dice = Dice::new(11);
    let (mut both, mut neither, mut stricter) = (0, 0, 0);
    for number in 0..3000 {
        let good = shape(&mut dice, &contracts, node.magic).transaction.to_bytes();
        let bytes = if number % 10 == 0 { good } else { spoil(&mut dice, good) };
        if bytes.len() > MOST_SIZE {
            continue;
        }
        let theirs = match node.call("calculatenetworkfee", json!([base64(&bytes)])) {
            Err(error) if error.contains(INVALID_PARAMS) => Err(error),
            _ => Ok(()),
        };
        let ours = Transaction::from_bytes(&bytes);
        match (&ours, &theirs) {
            (Ok(_), Ok(())) => both += 1,
            (Err(_), Err(_)) => neither += 1,
            // The reference node knows one byte for true, neo-go every other than zero.
            (Err(error), Ok(())) if error.to_string().contains("neither true nor false") => stricter += 1,
            _ => panic!("{number}: ours {ours:?}, the node {theirs:?}: {}", base64(&bytes)),
        }
    }
    println!("{both} read by both, {neither} by neither, {stricter} by the node alone");
    assert!(both > 500 && neither > 500);
}

/// One to three changes: mostly of the head, where counts, scopes and conditions are.
fn spoil(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..1 + dice.below(3) {
        let reach = if dice.below(3) == 0 { bytes.len() } else { bytes.len().min(200) };
        let at = dice.below(reach.max(1)).min(bytes.len().saturating_sub(1));
        const TELLING: [u8; 16] = [0, 1, 2, 3, 16, 17, 0x10, 0x18, 0x20, 0x21, 0x22, 0x28, 0x40, 0x80, 0xfd, 0xff];
        let byte = if dice.below(2) == 0 { TELLING[dice.below(16)] } else { dice.below(256) as u8 };
        match dice.below(8) {
            0..=4 => bytes[at] = byte,
            5 => bytes.insert(at, byte),
            6 => drop(bytes.remove(at)),
            _ => bytes[at] ^= 1 << dice.below(8),
        }
    }
    bytes
}

/// Scripts of random instructions, many with jumps and types that lead nowhere.
#[tokio::test]
async fn scripts_that_a_node_takes_are_taken_and_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let network = N3::start(dir.path(), N3Options::default()).await.unwrap();
    let node = Node::of(&network);
    let mut dice = Dice::new(12);
    let payer = node.payer(0);
    let (mut both, mut neither, mut stricter) = (0, 0, 0);
    for number in 0..2000_u32 {
        let script = script(&mut dice);
        let mut tx = Transaction {
            nonce: number,
            valid_until_block: node.height() + 100,
            signers: vec![Signer::none(payer.public().script_hash())],
            script: script.clone(),
            ..Transaction::default()
        };
        tx.sign(node.magic, &payer).unwrap();
        // Nobody paid for it: a script that is well-formed is refused for that.
        let theirs = node.call("sendrawtransaction", json!([base64(&tx.to_bytes())])).unwrap_err();
        let well_formed = !theirs.contains(INVALID_SCRIPT);
        assert!(!well_formed || theirs.contains("fee"), "{theirs}");
        match (check(&script), well_formed) {
            (Ok(_), true) => both += 1,
            (Err(_), false) => neither += 1,
            // To the reference node, the end is no place to jump to.
            (Err(flaw), true) if flaw.why.contains(&format!("leads to {}, ", script.len())) => stricter += 1,
            (ours, _) => panic!("{number}: ours {ours:?}, the node {theirs}: {}", base64(&script)),
        }
    }
    println!("{both} scripts taken by both, {neither} by neither, {stricter} by the node alone");
    assert!(both > 200 && neither > 200);
}

fn script(dice: &mut Dice) -> Vec<u8> {
    let mut script = Vec::new();
    for _ in 0..1 + dice.below(8) {
        let opcode = Opcode::ALL[dice.below(Opcode::ALL.len())];
        script.push(opcode.byte());
        let near = |dice: &mut Dice, size: usize| (dice.below(24) as i32 - 8).to_le_bytes()[..size].to_vec();
        match opcode.shape() {
            Shape::Data(prefix) => {
                let data = vec![0x21; dice.below(6)];
                script.extend_from_slice(&(data.len() as u32).to_le_bytes()[..prefix]);
                script.extend(data);
            }
            Shape::Jump(size) => script.extend(near(dice, size)),
            Shape::Try(size) => script.extend([near(dice, size), near(dice, size)].concat()),
            Shape::Type => {
                script.push([0, 0x10, 0x20, 0x21, 0x28, 0x30, 0x40, 0x41, 0x48, 0x60, 0x61, 7][dice.below(12)])
            }
            shape => script.extend((0..shape.fixed().unwrap_or_default()).map(|_| dice.below(256) as u8)),
        }
    }
    match dice.below(6) {
        0 => script.truncate(1 + dice.below(script.len())),
        1 => script.push(dice.below(256) as u8),
        _ => {}
    }
    script
}
