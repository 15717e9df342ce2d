//! `nsl n3` against what other libraries and a node made; all of it when `NSL_VECTORS` names the directory with it.

use std::{
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use nsl_sandbox::nsl_command;
use serde_json::{Value, json};

const CONTRACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/n3");

/// What was made elsewhere: the extract that is kept here, or the whole.
#[expect(clippy::disallowed_methods, reason = "where the test data lies is a setting of tests alone")]
fn data() -> Value {
    let extract: Value = serde_json::from_str(include_str!("../fixtures/n3.json")).unwrap();
    let Ok(vectors) = std::env::var("NSL_VECTORS") else {
        println!("NOT RUN on all test data, only on an extract: NSL_VECTORS does not name its directory");
        return extract;
    };
    let fresh = Path::new(&vectors).join("neo-n3/fresh");
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(fresh.join(name)).unwrap()).unwrap() };
    let (mut all, node) = (read("fresh.json"), read("node_state_proofs_blocks.json"));
    for name in ["proofs", "invalid", "blocks", "stateroot", "magic"] {
        all[name] = node[name].clone();
    }
    all
}

fn each<'a>(data: &'a Value, name: &str) -> &'a [Value] {
    let list = data[name].as_array().unwrap();
    assert!(!list.is_empty(), "{name}");
    list
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_else(|| panic!("{name} of {of}"))
}

fn run(args: &[&str], input: &str) -> Output {
    let mut command = nsl_command([&["n3"], args].concat()).unwrap();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn given(args: &[&str], input: &str) -> Value {
    let output = run(&[args, &["--json"]].concat(), input);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn done(args: &[&str]) -> Value {
    given(args, "")
}

fn code(args: &[&str], input: &str) -> i32 {
    let output = run(args, input);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
    assert!(output.stderr.starts_with(b"nsl: ") || output.stderr.starts_with(b"error: "), "{args:?}");
    output.status.code().unwrap()
}

#[test]
fn accounts_of_every_form_are_the_same_account() {
    let data = data();
    for account in each(&data, "accounts") {
        let hash = format!("0x{}", text(account, "script_hash_be"));
        for form in ["address", "script_hash_be", "public_key", "public_key_uncompressed", "verification_script"] {
            let told = done(&["address", text(account, form)]);
            assert_eq!((text(&told, "address"), text(&told, "script_hash")), (text(account, "address"), hash.as_str()));
        }
        let little = done(&["address", "--little-endian", text(account, "script_hash_be")]);
        assert_eq!(little["script_hash_le"], account["script_hash_be"]);
        for name in ["wif", "public_key", "address"] {
            assert_eq!(given(&["address", "-"], text(account, name))["address"], account["address"]);
        }
        for (flag, secret) in [("--wif-file", "wif"), ("--key-file", "private_key")] {
            let told = given(&["address", flag, "-"], text(account, secret));
            assert_eq!((&told["public_key"], &told["address"]), (&account["public_key"], &account["address"]));
            assert!(!told.to_string().contains(text(account, secret)));
            assert_eq!(code(&["address", text(account, secret)], ""), 2, "a secret as an argument");
        }
    }
    for multisig in each(&data, "multisig") {
        let threshold = multisig["threshold"].to_string();
        let keys: Vec<&str> = each(multisig, "public_keys").iter().map(|key| key.as_str().unwrap()).collect();
        let told = done(&[&["address", "--threshold", &threshold], keys.as_slice()].concat());
        for field in ["address", "verification_script", "threshold"] {
            assert_eq!(told[field], multisig[field]);
        }
        assert_eq!(done(&["address", text(multisig, "verification_script")]), told);
    }
}

#[test]
fn scripts_come_back_from_their_text() {
    for script in each(&data(), "scripts") {
        let bytes = text(script, "script");
        let shown = run(&["script", bytes], "");
        assert!(shown.status.success());
        let back = given(&["script", "--assemble", "-"], &String::from_utf8(shown.stdout).unwrap());
        assert_eq!(back["script"], script["script"]);
        let told = done(&["decode", text(&back, "base64")]);
        let call = told["explained"]["steps"].as_array().unwrap().iter().find(|step| step["call"].is_object()).unwrap();
        assert_eq!(call["call"]["method"], script["operation"]);
        assert_eq!(call["call"]["contract"], format!("0x{}", text(script, "contract_be")));
    }
    assert_eq!(code(&["script", "zz!"], ""), 2);
    assert_eq!(code(&["script", "0c05"], ""), 2, "data that ends too early");
    assert_eq!(code(&["script", "--assemble", "NOSUCH 1"], ""), 2);
}

#[test]
fn what_is_given_is_recognised_and_told() {
    let data = data();
    for tx in each(&data, "transactions") {
        let (hash, magic) = (format!("0x{}", text(tx, "hash_be")), tx["magic"].to_string());
        let signed = done(&["decode", text(tx, "signed_hex"), "--magic", &magic]);
        assert_eq!(
            (&signed["as"], &signed["hash"], &signed["signed"]),
            (&json!("transaction"), &json!(hash), &json!(true))
        );
        assert_eq!(signed["message"], tx["message_to_sign"]);
        let unsigned = done(&["decode", text(tx, "unsigned_hex")]);
        assert_eq!((&unsigned["hash"], &unsigned["signed"]), (&json!(hash), &json!(false)));
        let shown = signed["transaction"].to_string();
        assert_eq!(given(&["decode", "-", "--magic", &magic], &shown), signed, "from the node's own JSON");
        assert_eq!(
            given(&["decode", "-"], &json!({ "jsonrpc": "2.0", "result": signed["transaction"] }).to_string())["hash"],
            hash
        );
    }
    for block in each(&data, "blocks") {
        let told = given(&["decode", "-"], text(block, "block_b64"));
        assert_eq!((&told["as"], &told["hash"]), (&json!("block"), &block["json"]["hash"]));
        assert_eq!(told["content_verified"], true);
    }
    let nef = done(&["decode", &format!("{CONTRACTS}/store.nef")]);
    let manifest = done(&["decode", &format!("{CONTRACTS}/store.manifest.json")]);
    assert_eq!(
        (text(&nef, "as"), text(&manifest, "as"), text(&manifest["manifest"], "name")),
        ("nef", "manifest", "Store")
    );
    let text = String::from_utf8(run(&["decode", &format!("{CONTRACTS}/store.manifest.json")], "").stdout).unwrap();
    assert!(text.contains("method     get(key: ByteArray) -> ByteArray, changes nothing\n"), "{text}");
    let method = json!({ "name": "a", "parameters": [], "returntype": "\u{1b}[2J", "offset": 0, "safe": true });
    let abi = json!({ "methods": [method], "events": [] });
    let steering = json!({ "name": "A", "groups": [], "features": {}, "abi": abi, "trusts": [] }).to_string();
    let said = run(&["decode", "-"], &steering);
    let said = (said.status.code(), String::from_utf8(said.stderr).unwrap());
    assert!(said.0 == Some(2) && said.1.contains("[2J") && !said.1.contains('\u{1b}'), "{said:?}");
    assert_eq!(code(&["decode", "ff"], ""), 2);
    assert_eq!(code(&["decode", "{}"], ""), 2);
    assert_eq!(code(&["decode", "--as", "nef", "4e454633"], ""), 2);
}

#[test]
fn a_proof_proves_its_value_and_nothing_else() {
    let data = data();
    for proof in each(&data, "proofs") {
        let (root, base64) = (text(proof, "roothash"), text(proof, "proof_b64"));
        let told = done(&["proof", "--root", root, base64, "--contract", "GasToken"]);
        assert_eq!((&told["contract"], &told["key"]), (&proof["contract"], &proof["storage_key_hex"]));
        assert_eq!(told["item"]["type"], "Struct");
        let more = ["proof", "--root", root, base64, "--key", text(&told, "key"), "--value", text(&told, "value")];
        assert_eq!(done(&more), told);
        assert_eq!(given(&["proof", "--root", root, "-"], &json!({ "result": base64 }).to_string()), told);
        for other in [["--key", "00"], ["--value", "00"], ["--contract", "-5"], ["--contract", "NeoToken"]] {
            assert_eq!(code(&[&["proof", "--root", root, base64][..], &other].concat(), ""), 1, "{other:?}");
        }
        assert_eq!(code(&["proof", "--root", &format!("0x{}", "1".repeat(64)), base64], ""), 1);
    }
    for proof in each(&data, "invalid") {
        assert_eq!(code(&["proof", "--root", text(proof, "roothash"), text(proof, "proof_b64")], ""), 1);
    }
    let proof = &each(&data, "proofs")[0];
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("root.json");
    std::fs::write(&file, data["stateroot"].to_string()).unwrap();
    let witness = json!({ "jsonrpc": "2.0", "result": data["stateroot"]["witnesses"][0]["verification"] }).to_string();
    // The script of one of one keys: a number, the key, a number, the call.
    let script = text(&given(&["decode", "-", "--as", "script"], &witness), "script").to_owned();
    let (file, key, magic) = (file.to_str().unwrap(), &script[6..72], data["magic"].to_string());
    let signed = |key: &str, magic: &str| {
        let args = ["proof", text(proof, "proof_b64"), "--state-root", file, "--validator", key, "--magic", magic];
        run(&args, "").status.code().unwrap()
    };
    assert_eq!(signed(key, &magic), 0);
    assert_eq!(signed(text(&each(&data, "accounts")[0], "public_key"), &magic), 1, "of other validators");
    assert_eq!(signed(key, "7"), 1, "on another network");
}

#[test]
fn keys_go_under_a_passphrase_and_come_back() {
    let data = data();
    let room = tempfile::tempdir().unwrap();
    let (passphrase, out) = (room.path().join("passphrase"), room.path().join("wif"));
    let (from, to) = (passphrase.to_str().unwrap(), out.to_str().unwrap());
    for nep2 in each(&data, "nep2") {
        let number = |name: &str| nep2["scrypt"][name].to_string();
        let (n, r, p) = (number("n"), number("r"), number("p"));
        let with = |args: &[&'static str]| -> Vec<String> {
            let cost = ["--n", &n, "--r", &r, "--p", &p, "--passphrase-file", from];
            ["nep2"].iter().chain(args).chain(&cost).map(|arg| (*arg).to_owned()).collect()
        };
        let encrypted = text(nep2, "nep2").to_owned();
        std::fs::write(&passphrase, format!("{}\n", text(nep2, "passphrase"))).unwrap();
        let encrypt = with(&["encrypt", "--key-file", "-"]);
        let told = given(&encrypt.iter().map(String::as_str).collect::<Vec<_>>(), text(nep2, "private_key"));
        assert_eq!((&told["nep2"], &told["address"]), (&nep2["nep2"], &nep2["address"]));
        let mut decrypt = with(&["decrypt"]);
        decrypt.push(encrypted);
        let mut decrypt: Vec<&str> = decrypt.iter().map(String::as_str).collect();
        let wif = text(&done(&decrypt), "wif").to_owned();
        decrypt.extend(["--out", to]);
        let told = done(&decrypt);
        assert_eq!(told["address"], nep2["address"]);
        assert!(told["wif"].is_null());
        assert_eq!(std::fs::read_to_string(&out).unwrap(), format!("{wif}\n"));
        assert_eq!(code(&decrypt, ""), 1, "a file that is there is not replaced");
        std::fs::remove_file(&out).unwrap();
        std::fs::write(&passphrase, "another").unwrap();
        assert_eq!(code(&decrypt, ""), 4);
    }
    for wallet in each(&data, "wallets") {
        let file = wallet["nep6"].to_string();
        let told = given(&["wallet", "show", "-"], &file);
        let accounts = each(&wallet["nep6"], "accounts");
        assert_eq!(told["accounts"].as_array().unwrap().len(), accounts.len());
        assert!(accounts.iter().all(|account| !told.to_string().contains(text(account, "key"))));
        std::fs::write(&passphrase, text(wallet, "password")).unwrap();
        assert_eq!(given(&["wallet", "show", "-", "--passphrase-file", from], &file)["opened"], true);
        std::fs::write(&passphrase, "another").unwrap();
        assert_eq!(code(&["wallet", "show", "-", "--passphrase-file", from], &file), 4);
        assert_eq!(code(&["wallet", "show", "-", "--passphrase-file", "-"], &file), 2);
    }
}

#[test]
fn the_hash_of_a_contract_is_known_before_it_is_deployed() {
    let file = |name: &str| format!("{CONTRACTS}/{name}");
    let sender = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
    let told = done(&["hash", &file("store.nef"), &file("store.manifest.json"), "--sender", sender]);
    assert_eq!(told["hash"], "0xf10a064f0930165d72491872728638a764c118f9");
    let other = done(&["hash", &file("store.nef"), &file("store.manifest.json"), "--sender", text(&told, "address")]);
    assert_ne!(told["hash"], other["hash"]);
    assert_eq!(code(&["hash", &file("store.nef"), &file("token.manifest.json"), "--sender", sender], ""), 2);
}
