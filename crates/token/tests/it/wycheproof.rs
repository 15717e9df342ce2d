//! The JOSE vectors of Wycheproof, from the directory that `NSL_VECTORS` names.

use std::path::PathBuf;

use nsl_token::{KeySet, Presented};
use serde_json::{Value, json};

/// Whether it is of an algorithm that is taken here, and its key is no shared one: nothing else may pass.
fn is_taken(jws: &str, group: &Value) -> bool {
    let header = jws.split('.').next().unwrap_or_default();
    let taken = ["RS256", "ES256", "EdDSA"]
        .iter()
        .any(|name| base64_text(header).is_some_and(|text| text.contains(&format!("\"alg\":\"{name}\""))));
    taken && !group["public"].is_null()
}

fn base64_text(text: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn passes(jws: &str, group: &Value) -> bool {
    let published = if group["public"].is_null() { &group["private"] } else { &group["public"] };
    let set = match published.get("keys") {
        Some(_) => published.clone(),
        None => json!({ "keys": [published] }),
    };
    let Ok(keys) = KeySet::parse(set.to_string().as_bytes()) else { return false };
    Presented::parse(jws, &["jwt"]).is_ok_and(|presented| presented.verify(&keys).is_ok())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn every_jws_is_judged_as_the_vectors_say() {
    let Ok(directory) = std::env::var("NSL_VECTORS") else {
        println!("NOT RUN: set NSL_VECTORS to the directory that holds wycheproof");
        return;
    };
    let (mut judged, mut valid, mut foreign) = (0, 0, 0);
    for name in ["json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"] {
        let path = PathBuf::from(&directory).join("wycheproof").join(name);
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file: Value = serde_json::from_slice(&text).unwrap();
        for group in file["testGroups"].as_array().unwrap() {
            for test in group["tests"].as_array().unwrap() {
                let Some(jws) = test["jws"].as_str() else { continue };
                let what = format!("{name} {}: {}", test["tcId"], test["comment"]);
                if is_taken(jws, group) {
                    let expected = test["result"] == "valid";
                    assert_eq!(passes(jws, group), expected, "{what}");
                    judged += 1;
                    valid += usize::from(expected);
                } else {
                    assert!(!passes(jws, group), "{what}: it has no algorithm of ours");
                    foreign += 1;
                }
            }
        }
    }
    println!("{judged} vectors judged as they say, {valid} of them valid; {foreign} of other algorithms refused");
    assert!(judged >= 150 && valid >= 6 && foreign >= 80, "{judged} {valid} {foreign}");
}
