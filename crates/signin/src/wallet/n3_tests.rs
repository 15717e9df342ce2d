use neo::{PrivateKey, account::multi};
use proptest::prelude::*;

use super::*;

const MESSAGE: &str = "localhost:8080 wants you to sign in with your Neo N3 account:\n...";
const SALT_OF_WALLET: &str = "543e66d70a56506f0a69aff35f25f794";

fn key(number: u8) -> PrivateKey {
    PrivateKey::from_bytes(&[number; 32]).unwrap()
}

/// Each way to sign: what is signed, and the salt.
fn ways(message: &str) -> Vec<(Vec<u8>, Option<&'static str>)> {
    let salted = [SALT_OF_WALLET, message].concat();
    vec![
        (enveloped(message.as_bytes()), None),
        (enveloped(salted.as_bytes()), Some(SALT_OF_WALLET)),
        (executed_by_nobody(message.as_bytes()), None),
        (executed_by_nobody(salted.as_bytes()), Some(SALT_OF_WALLET)),
        (message.as_bytes().to_vec(), None),
    ]
}

fn signed(key: &PrivateKey, bytes: &[u8], salt: Option<&str>) -> Signed {
    Signed::read(&key.public().to_string(), &hex::encode(key.sign(bytes)), salt).unwrap()
}

fn slug(proved: Result<()>) -> String {
    proved.unwrap_err().slug.into_owned()
}

#[test]
fn what_neoline_signed_fits() {
    // The example that its documentation gives of `signMessageV2`, where the message is written with a small w.
    let key = "023e72b8b5a20c00dac7ac01ecd72354a2d7d64620d6615524bb18b9f5a6ca8ef4";
    let signature = "4fef4abd1ced91577c89eac7909b89ec2aa3d073178c51c3074b7bc5551093b00bf274f35f8166931dc90cbd88346729e86e0bf1c3014fa3587cc167f0cafd4c";
    let account = key.parse::<PublicKey>().unwrap().script_hash();
    let signed = |salt| Signed::read(key, signature, salt).unwrap();
    assert!(prove("Hello World", &account, &signed(Some(SALT_OF_WALLET))).is_ok());
    assert_eq!(slug(prove("Hello World", &account, &signed(None))), "wallet.signature");
    assert_eq!(slug(prove("Hello world", &account, &signed(Some(SALT_OF_WALLET)))), "wallet.signature");
}

#[test]
fn the_account_of_one_key_proves_itself_in_each_way() {
    let account = key(1).public().script_hash();
    for (bytes, salt) in ways(MESSAGE) {
        assert!(prove(MESSAGE, &account, &signed(&key(1), &bytes, salt)).is_ok());
        assert_eq!(slug(prove("other", &account, &signed(&key(1), &bytes, salt))), "wallet.signature");
        assert_eq!(slug(prove(MESSAGE, &account, &signed(&key(2), &bytes, salt))), "wallet.public_key");
        let other = salt.xor(Some("00000000000000000000000000000000"));
        assert_eq!(slug(prove(MESSAGE, &account, &signed(&key(1), &bytes, other))), "wallet.signature");
        let base64 = STANDARD.encode(key(1).sign(&bytes));
        let read = Signed::read(&key(1).public().to_string(), &base64, salt).unwrap();
        assert!(prove(MESSAGE, &account, &read).is_ok());
    }
}

#[test]
fn a_salt_is_not_a_part_of_the_message_that_somebody_else_chose() {
    for salt in [
        "0",
        "543e66d70a56506f0a69aff35f25f79g",
        "543e66d70a56506f0a69aff35f25f7941",
        "pay me\nlocalhost:8080 wants you ",
    ] {
        let read = Signed::read(&key(1).public().to_string(), &hex::encode([1; 64]), Some(salt));
        assert_eq!(&*read.unwrap_err().slug, "wallet.signature_form", "{salt}");
    }
}

#[test]
fn no_bit_of_a_signature_or_a_salt_can_be_turned() {
    let account = key(1).public().script_hash();
    for (bytes, salt) in ways(MESSAGE) {
        let signature = key(1).sign(&bytes);
        for bit in 0..512 {
            let mut turned = signature;
            turned[bit / 8] ^= 1 << (bit % 8);
            let read = Signed { key: key(1).public(), signature: turned, salt: salt.unwrap_or_default().to_owned() };
            assert!(prove(MESSAGE, &account, &read).is_err(), "{bit}");
        }
        for at in 0..salt.map_or(0, str::len) {
            let mut turned = salt.unwrap().as_bytes().to_vec();
            turned[at] ^= 1;
            let salt = String::from_utf8(turned).unwrap();
            let read = Signed { key: key(1).public(), signature, salt };
            assert!(prove(MESSAGE, &account, &read).is_err(), "{at}");
        }
    }
}

#[test]
fn an_account_of_several_keys_needs_as_many_as_it_asks_for() {
    let keys: Vec<_> = (1..=4).map(key).collect();
    let script = multi(2, &keys.iter().map(PrivateKey::public).collect::<Vec<_>>()).unwrap();
    let account = Hash160::of_script(&script);
    let (written, ways) = (STANDARD.encode(&script), ways(MESSAGE));
    // Each signer has its own wallet, and so its own way.
    let by = |who: &[u8]| -> Vec<Signed> {
        who.iter()
            .map(|who| signed(&key(*who), &ways[usize::from(*who) % 5].0, ways[usize::from(*who) % 5].1))
            .collect()
    };
    for who in [[1, 2], [2, 1], [4, 3], [1, 4]] {
        assert!(prove_several(MESSAGE, &account, &written, &by(&who)).is_ok());
        assert!(prove_several(MESSAGE, &account, &hex::encode(&script), &by(&who)).is_ok());
        assert_eq!(slug(prove_several("other", &account, &written, &by(&who))), "wallet.signature");
    }
    for who in [&[][..], &[1], &[1, 1], &[1, 2, 3], &[1, 2, 2]] {
        assert_eq!(slug(prove_several(MESSAGE, &account, &written, &by(who))), "wallet.signatures", "{who:?}");
    }
    assert_eq!(slug(prove_several(MESSAGE, &account, &written, &by(&[1, 9]))), "wallet.public_key");
    let borrowed = Signed { key: key(2).public(), ..by(&[1]).remove(0) };
    assert_eq!(slug(prove_several(MESSAGE, &account, &written, &[by(&[1]).remove(0), borrowed])), "wallet.signature");
    // One of its keys alone is another account, and so is a script that asks for less.
    let less = multi(1, &keys.iter().map(PrivateKey::public).collect::<Vec<_>>()).unwrap();
    for other in [hex::encode(less), hex::encode(key(1).public().verification_script()), String::new(), "!".to_owned()]
    {
        assert_eq!(slug(prove_several(MESSAGE, &account, &other, &by(&[1]))), "wallet.script");
    }
    assert_eq!(slug(prove(MESSAGE, &account, &by(&[1])[0])), "wallet.public_key");
    // A script that runs anything else would be taken by a node alone.
    let free = Hash160::of_script(&[0x11]);
    assert_eq!(slug(prove_several(MESSAGE, &free, "11", &[])), "wallet.script");
}

#[test]
fn a_signing_context_proves_the_message_it_was_made_for() {
    let (one, two) = (key(1), key(2));
    let script = multi(2, &[one.public(), two.public()]).unwrap();
    for (account, script, keys) in
        [(one.public().script_hash(), None, vec![&one]), (Hash160::of_script(&script), Some(&script), vec![&two, &one])]
    {
        let made = context(MESSAGE, account, 860_833_102).unwrap();
        assert_eq!(slug(prove_context(MESSAGE, account, 860_833_102, made.clone())), "wallet.signatures");
        let mut open: Context = serde_json::from_value(made).unwrap();
        script.into_iter().for_each(|script| open.add_script(script).unwrap());
        keys.iter().for_each(|key| assert_eq!(open.sign(key).unwrap(), 1));
        let done = serde_json::to_value(&open).unwrap();
        assert!(prove_context(MESSAGE, account, 860_833_102, done.clone()).is_ok());
        assert_eq!(slug(prove_context("other", account, 860_833_102, done.clone())), "wallet.context_other");
        assert_eq!(slug(prove_context(MESSAGE, account, 894_710_606, done.clone())), "wallet.context_other");
        assert_eq!(slug(prove_context(MESSAGE, Hash160::ZERO, 860_833_102, done.clone())), "wallet.context_other");
        let mut moved = done;
        moved["network"] = 894_710_606.into();
        assert_eq!(slug(prove_context(MESSAGE, account, 894_710_606, moved)), "wallet.context");
    }
    let account = one.public().script_hash();
    // A transaction that could do something is not taken for the message, whoever signed it.
    let pays = Transaction { valid_until_block: 9_999_999, ..carrier(MESSAGE.as_bytes(), account) };
    let mut open = Context::new(860_833_102, pays).unwrap();
    open.sign(&one).unwrap();
    let other = serde_json::to_value(&open).unwrap();
    assert_eq!(slug(prove_context(MESSAGE, account, 860_833_102, other)), "wallet.context_other");
    assert_eq!(slug(prove_context(MESSAGE, account, 1, serde_json::json!({"type": "x"}))), "wallet.context");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_signature_fits_no_other_message(message in "[ -~\n]{1,300}", at in any::<prop::sample::Index>(), bit in 0..7u32) {
        let account = key(1).public().script_hash();
        let mut bytes = message.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let turned = String::from_utf8(bytes).unwrap();
        for (bytes, salt) in ways(&message) {
            let made = signed(&key(1), &bytes, salt);
            prop_assert!(prove(&message, &account, &made).is_ok());
            prop_assert!(prove(&turned, &account, &made).is_err());
        }
    }

    #[test]
    fn nothing_that_strangers_send_stops_us(key in ".{0,70}", signature in ".{0,130}", salt in ".{0,40}", script in "[0-9a-f]{0,200}") {
        let _ = Signed::read(&key, &signature, Some(&salt));
        let _ = prove_several(MESSAGE, &Hash160::ZERO, &script, &[]);
        let _ = account(&key);
    }
}
