//! The examples run, and `vectors` answers what others answer.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::vectors;

/// Where cargo puts what it builds beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build -p nsl-neo --examples`", path.display());
    path
}

fn ask(questions: &[u8]) -> Vec<Value> {
    let mut child = Command::new(example("vectors")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let questions = questions.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&questions));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Questions of one kind, each with the fields that are given and those that are expected.
fn put(op: &str, cases: &Value, given: &[&str], expected: &[&str]) -> Vec<(Value, Option<Value>)> {
    let pick = |case: &Value, names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), case[*name].clone())).collect::<serde_json::Map<_, _>>().into()
    };
    let cases = cases.as_array().unwrap().iter();
    cases
        .map(|case| {
            let mut question = pick(case, given);
            question["op"] = op.into();
            (question, Some(pick(case, expected)))
        })
        .collect()
}

#[test]
fn the_ten_examples_run() {
    let names =
        ["address", "multisig", "nep2", "wallet", "transfer", "fee", "decode", "contract_hash", "proof", "collect"];
    for name in names {
        let output = Command::new(example(name)).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty(), "{name}");
    }
}

#[test]
fn answers_are_those_of_other_implementations() {
    let Some(fresh) = vectors::json("neo-n3/fresh/fresh.json") else { return };
    let Some(node) = vectors::json("neo-n3/fresh/node_state_proofs_blocks.json") else { return };
    let account = ["private_key", "wif", "public_key", "script_hash_be", "address", "verification_script"];
    let tx = ["signed_hex", "unsigned_hex", "hash_be", "message_to_sign"];
    let mut all = Vec::new();
    all.extend(put("address", &fresh["accounts"], &["private_key"], &account));
    all.extend(put("address", &fresh["accounts"], &["wif"], &account));
    all.extend(put("address", &fresh["accounts"], &["public_key_uncompressed"], &account[2..]));
    all.extend(put("multisig", &fresh["multisig"], &["threshold", "public_keys"], &account[3..]));
    all.extend(put("nep2.encrypt", &fresh["nep2"], &["private_key", "passphrase", "scrypt"], &["nep2", "address"]));
    all.extend(put("nep2.decrypt", &fresh["nep2"], &["nep2", "passphrase", "scrypt"], &["private_key", "address"]));
    all.extend(put("tx.decode", &fresh["transactions"], &["signed_hex", "magic"], &tx));
    all.extend(put("tx.sign", &fresh["transactions"], &["signed_hex", "magic", "private_key"], &tx));
    // The witnesses of other signers stand in the JSON only.
    all.extend(put("tx.sign", &fresh["transactions"], &["unsigned_hex", "json", "magic", "private_key"], &tx));
    all.extend(put("address", &fresh["accounts"], &["verification_script"], &account[2..]));
    all.extend(put("address", &fresh["multisig"], &["verification_script"], &["threshold", "address"]));
    all.extend(put("script", &fresh["scripts"], &["contract_be", "operation", "call_flags", "args"], &["script"]));
    all.extend(put("nep6.open", &fresh["wallets"], &["nep6", "password"], &["private_keys"]));
    all.extend(put(
        "mpt.verify",
        &node["proofs"],
        &["roothash", "proof_b64"],
        &["storage_key_hex", "value_hex", "contract"],
    ));
    all.extend(put("block.decode", &node["blocks"], &["block_b64"], &["index"]));
    for bad in node["invalid"].as_array().unwrap() {
        all.push((json!({"op": "mpt.verify", "roothash": bad["roothash"], "proof_b64": bad["proof_b64"]}), None));
    }
    for case in fresh["transactions"].as_array().unwrap() {
        if let Some(bad) = case.get("must_reject_witness_count_mismatch") {
            all.push((json!({"op": "tx.decode", "signed_hex": bad}), None));
        }
    }

    let lines: String = all.iter().map(|(question, _)| format!("{question}\n")).collect();
    let answers = ask(lines.as_bytes());
    assert_eq!(answers.len(), all.len());
    for ((question, expected), answer) in all.iter().zip(&answers) {
        let Some(expected) = expected else {
            assert!(answer["error"].is_string(), "{question} {answer}");
            continue;
        };
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(answer["ok"][name], *value, "{name} of {question}: {answer}");
        }
    }
    println!("{} answers", all.len());
    assert_eq!(all.len(), 308);
}

#[test]
fn no_line_stops_the_answers() {
    let deep = "[".repeat(100_000);
    let scrypt = format!(
        r#"{{"op":"nep2.encrypt","private_key":"{}","passphrase":"p","scrypt":{{"n":4294967295,"r":8,"p":8}}}}"#,
        "01".repeat(32)
    );
    let two_keys = format!(
        r#"{{"op":"address","private_key":"{}","wif":"L1aS3HBJPfc8G7vhoEtkHoHWMCoz1kD7TmiiCt3QRhxsUUv49BiB"}}"#,
        "01".repeat(32)
    );
    let lines: [&[u8]; 14] = [
        b"{}",
        b"null",
        b"\xff\xfe",
        b"{\"op\":7}",
        b"{\"op\":\"nothing\"}",
        b"{\"op\":\"address\"}",
        b"{\"op\":\"address\",\"private_key\":\"00\"}",
        b"{\"op\":\"multisig\",\"threshold\":18446744073709551615,\"public_keys\":[]}",
        b"{\"op\":\"script\",\"script\":\"ff\"}",
        b"{\"op\":\"tx.decode\",\"json\":{\"version\":0}}",
        deep.as_bytes(),
        scrypt.as_bytes(),
        two_keys.as_bytes(),
        b"{\"op\":\"script\",\"contract_be\":\"d2a4cff31913016155e38e474a2c06d08be276cf\",\"operation\":\"x\",\"args\":{}}",
    ];
    let mut questions = lines.join(&b'\n');
    questions
        .extend_from_slice(b"\n{\"op\":\"address\",\"script_hash_be\":\"0000000000000000000000000000000000000000\"}");
    let answers = ask(&questions);
    assert_eq!(answers.len(), lines.len() + 1);
    let (last, refused) = answers.split_last().unwrap();
    assert!(refused.iter().all(|answer| answer["error"].is_string()), "{refused:?}");
    assert_eq!(last["ok"]["address"], "NKuyBkoGdZZSLyPbJEetheRhMjeznFZszf");
}
