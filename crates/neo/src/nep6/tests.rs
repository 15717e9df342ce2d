use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Error;

const FAST: Scrypt = Scrypt { n: 2, r: 1, p: 1 };

fn key(number: u8) -> PrivateKey {
    PrivateKey::from_bytes(&[number; 32]).unwrap()
}

/// A wallet with an account of each kind.
fn wallet() -> Wallet {
    let mut wallet = Wallet::new(Some("w".into()), FAST);
    let encrypted = wallet.add_key(&key(1), "pass", Some("one".into())).unwrap().key.clone();
    let keys = [key(1).public(), key(2).public(), key(3).public()];
    wallet.add(Account::multi(2, &keys, encrypted, None).unwrap()).unwrap();
    wallet.add(Account::deployed(crate::native::NOTARY, None)).unwrap();
    wallet.add(Account::watch_only(key(9).public().script_hash(), None)).unwrap();
    wallet.accounts[1].is_default = true;
    wallet
}

fn refusal(change: impl Fn(&mut Value)) -> String {
    let mut json: Value = serde_json::from_str(&wallet().to_json()).unwrap();
    change(&mut json);
    Wallet::from_json(json.to_string().as_bytes()).map_or_else(|error| error.to_string(), |_| "taken".into())
}

#[test]
fn every_kind_of_account_is_written_and_read_back() {
    let wallet = wallet();
    assert_eq!(Wallet::from_json(wallet.to_json().as_bytes()).unwrap(), wallet);
    assert!(matches!(wallet.accounts[0].kind(), Kind::Single(of) if of == key(1).public()));
    assert!(matches!(wallet.accounts[1].kind(), Kind::Multi { threshold: 2, keys } if keys.len() == 3));
    assert_eq!((wallet.accounts[2].kind(), wallet.accounts[3].kind()), (Kind::Deployed, Kind::WatchOnly));
    assert_eq!(wallet.default_account().unwrap().hash, wallet.accounts[1].hash);
}

#[test]
fn a_passphrase_opens_all_accounts_that_have_a_key() {
    let wallet = wallet();
    let opened = wallet.open("pass").unwrap();
    assert_eq!(opened.len(), 2);
    assert!(opened.iter().all(|one| one.key.public() == key(1).public()));
    assert!(opened.iter().all(|one| Hash160::of_script(&one.verification_script) == one.hash));
    let refusal = wallet.open("Pass").unwrap_err();
    assert_eq!((refusal.address, refusal.why), (wallet.accounts[0].hash.address(), DecryptError::WrongPassphrase));
    assert!(matches!(wallet.accounts[3].open("pass", &FAST).unwrap_err().why, DecryptError::Malformed(_)));
}

#[test]
fn a_key_that_is_not_of_its_account_opens_nothing() {
    let mut wallet = wallet();
    let other = nep2::encrypt(&key(5), "pass", &FAST).unwrap();
    wallet.accounts[0].key = Some(other.clone());
    assert!(wallet.open("pass").unwrap_err().to_string().contains("another than its script asks for"));
    wallet.accounts[0].contract = None;
    assert!(wallet.open("pass").is_err());
    wallet.accounts[0].hash = key(5).public().script_hash();
    assert_eq!(wallet.open("pass").unwrap()[0].verification_script, key(5).public().verification_script());
}

#[test]
fn accounts_come_and_go() {
    let mut wallet = wallet();
    let first = wallet.accounts[0].clone();
    assert!(wallet.add(first.clone()).is_err());
    assert_eq!(wallet.remove(&first.hash), Some(first.clone()));
    assert_eq!((wallet.remove(&first.hash), wallet.accounts.len()), (None, 3));
    assert!(wallet.add(first).is_ok());
}

#[test]
fn what_programs_leave_out_is_not_missed() {
    assert_eq!(
        refusal(|w| {
            let w = w.as_object_mut().unwrap();
            w.remove("name");
            w.remove("version");
            w.insert("extra".into(), json!({"Tokens": null}));
            for account in w["accounts"].as_array_mut().unwrap() {
                let account = account.as_object_mut().unwrap();
                account.remove("extra");
                account.remove("lock");
                account.insert("label".into(), Value::Null);
                let is = account.remove("isDefault").unwrap();
                account.insert("isdefault".into(), is);
            }
        }),
        "taken"
    );
}

#[test]
fn parameters_that_neon_js_leaves_null_are_signatures() {
    let nulls = |at: usize| {
        let mut json: Value = serde_json::from_str(&wallet().to_json()).unwrap();
        json["accounts"][at]["contract"]["parameters"] = json!([null, null]);
        Wallet::from_json(json.to_string().as_bytes())
    };
    assert_eq!(nulls(1).unwrap(), wallet(), "what is written then is what others write");
    assert!(nulls(0).unwrap_err().to_string().contains("null"), "of one key, or of a script that nobody knows");
}

#[test]
fn what_is_no_wallet_of_n3_is_told_so() {
    assert!(refusal(|w| w["accounts"][0]["address"] = json!("AKkkumHbBipZ46UMZJoFynJMXzSRnBvKcs")).contains("Legacy"));
    assert!(refusal(|w| w["accounts"][3]["address"] = w["accounts"][0]["address"].clone()).contains("twice"));
    assert!(refusal(|w| w["accounts"][0]["contract"] = w["accounts"][1]["contract"].clone()).contains("that of"));
    assert!(refusal(|w| w["accounts"][0]["key"] = json!("6PYnonsense")).contains("encrypted key"));
    assert!(refusal(|w| w["scrypt"]["n"] = json!(1 << 30)).contains("scrypt"));
    assert!(refusal(|w| w["accounts"][0]["contract"]["script"] = json!("***")).contains("base64"));
    assert!(refusal(|w| *w = json!([])).contains("not of NEP-6"));
    assert!(matches!(Wallet::from_json(&vec![b' '; MOST_BYTES + 1]), Err(Error::TooLarge { .. })));
}

#[test]
fn a_mistake_in_a_file_does_not_show_what_stands_there() {
    let told = Wallet::from_json(br#"{"scrypt": "L1aS3HBJPfc8G7vhoEtkHoHWMCoz1kD7TmiiCt3QRhxsUUv49BiB"}"#).unwrap_err();
    assert!(!told.to_string().contains("L1aS3"), "{told}");
}

proptest! {
    #[test]
    fn strangers_files_never_panic(text in "\\PC{0,200}", name in "\\PC{0,20}") {
        let _ = Wallet::from_json(text.as_bytes());
        let _ = Wallet::from_json(json!({"accounts": [{"address": name}], "scrypt": FAST}).to_string().as_bytes());
    }
}
