//! Arguments and results: what a live node makes of a parameter is what this library says it makes of it.

use neo::{
    Hash160, Hash256, PrivateKey,
    native::STD_LIB,
    script::Builder,
    stack::{Param, StackItem},
};
use nsl_devnet::{N3, N3Options};
use num_bigint::BigInt;
use serde_json::{Value, json};

use crate::{
    node::{Node, base64},
    shapes::Dice,
};

#[tokio::test]
async fn parameters_are_on_the_stack_what_they_are_to_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let network = N3::start(dir.path(), N3Options::default()).await.unwrap();
    let node = Node::of(&network);
    let mut dice = Dice::new(13);
    let mut kept = 0;
    for number in 0..600 {
        let param = param(&mut dice, 3);
        let item = StackItem::from(&param);
        let about = || format!("{number}: {}", json!(param));

        let mut script = Builder::new();
        let ran = ran(node.call("invokescript", json!([base64(&script.push(&param).finish().unwrap())])), &about());
        assert_eq!(ran, json!(item), "pushed by a script, {}", about());
        assert_eq!(StackItem::from_json(&ran).unwrap(), item, "{}", about());

        // The node reads the same JSON, and keeps the same bytes.
        let told = ran_of(&node, "serialize", &param, &about());
        let stored = StackItem::from_json(&told).unwrap().as_bytes().unwrap();
        assert_eq!(item.to_storage().unwrap(), stored, "{}", about());
        assert_eq!(StackItem::from_storage(&stored).unwrap(), item, "{}", about());
        let again = ran_of(&node, "deserialize", &Param::ByteArray(stored), &about());
        assert_eq!(again, json!(item), "{}", about());
        kept += 1;
    }
    println!("{kept} parameters are the same to the node, pushed, passed as JSON and kept");
    assert_eq!(kept, 600);
}

fn ran(answer: Result<Value, String>, about: &str) -> Value {
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {about}"));
    assert_eq!(answer["state"], "HALT", "{answer} {about}");
    answer["stack"][0].clone()
}

fn ran_of(node: &Node, method: &str, param: &Param, about: &str) -> Value {
    ran(node.call("invokefunction", json!([STD_LIB, method, [param]])), about)
}

fn param(dice: &mut Dice, below: usize) -> Param {
    match dice.below(if below == 0 { 9 } else { 11 }) {
        0 => Param::Null,
        1 => Param::Boolean(dice.below(2) == 0),
        2 => Param::Integer(integer(dice)),
        3 => Param::ByteArray(bytes(dice)),
        4 => Param::String(["", "text", "é 漢 \u{1f600}", "line\nbreak \"quoted\" \\ </a>"][dice.below(4)].into()),
        5 => Param::Hash160(Hash160::of_script(&bytes(dice))),
        6 => Param::Hash256(Hash256::from_le(neo::hash::sha256(&bytes(dice)))),
        7 => {
            let key = PrivateKey::from_bytes(&neo::hash::sha256(&bytes(dice))).unwrap();
            Param::PublicKey(key.public())
        }
        8 => Param::Signature([dice.below(256) as u8; 64]),
        9 => {
            let size = [0, 1, 2, 5, 16, 17, 40][dice.below(7)] >> (3 - below);
            Param::Array((0..size).map(|_| param(dice, below - 1)).collect())
        }
        _ => {
            let size = dice.below(6);
            // Keys that differ, of the types that a key may have.
            let key = |number: usize| match number % 3 {
                0 => Param::Integer((number as i64 - 3).into()),
                1 => Param::String(format!("key {number}")),
                _ => Param::ByteArray(vec![number as u8; number]),
            };
            Param::Map((0..size).map(|number| (key(number), param(dice, below - 1))).collect())
        }
    }
}

/// Around each size at which an integer takes another form.
fn integer(dice: &mut Dice) -> BigInt {
    let edges = [0_u32, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 200, 255];
    let edge: BigInt = (BigInt::from(1) << edges[dice.below(edges.len())]) + (dice.below(5) as i64 - 2);
    let number: BigInt = if dice.below(2) == 0 { -edge } else { edge };
    let most = BigInt::from(1) << 255u32;
    if number >= most || number < -&most { most - 1 } else { number }
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    let size = [0, 1, 20, 32, 33, 255, 256, 300, 3000][dice.below(9)];
    (0..size).map(|_| dice.below(256) as u8).collect()
}
