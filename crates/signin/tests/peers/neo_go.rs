//! A wallet of neo-go signs nothing but transactions: it gets the message as a signing context.

use std::fs;

use nsl_devnet::{Cache, NEO_GO};
use nsl_signin::wallet::{
    Kind,
    n3::{account, context, prove_context},
};
use serde_json::Value;

use crate::{message, neo_go_wallet::Wallet};

const NETWORK: u32 = 860_833_102;

fn slug(proved: nsl_core::Result<()>) -> String {
    proved.unwrap_err().slug.into_owned()
}

#[tokio::test]
async fn wallets_of_neo_go_prove_accounts_of_one_key_and_of_several() {
    let program = Cache::of_user().unwrap().program(&NEO_GO).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let [one, two, three] = ["one", "two", "three"].map(|name| Wallet::fresh(&program, dir.path(), name));

    let text = message(Kind::NeoN3, &one.address, "0123456789abcdef");
    let hash = account(&one.address).unwrap();
    let given = context(&text, hash, NETWORK).unwrap();
    let signed = one.sign(&one.address, &given);
    assert!(prove_context(&text, hash, NETWORK, signed.clone()).is_ok());
    let other = message(Kind::NeoN3, &one.address, "0123456789abcdee");
    assert_eq!(slug(prove_context(&other, hash, NETWORK, signed.clone())), "wallet.context_other");
    assert_eq!(slug(prove_context(&text, hash, 894_710_606, signed.clone())), "wallet.context_other");
    assert_eq!(slug(prove_context(&text, account(&two.address).unwrap(), NETWORK, signed)), "wallet.context_other");
    assert_eq!(slug(prove_context(&text, hash, NETWORK, given)), "wallet.signatures");

    // Two of three.
    let keys = [&one, &two, &three].map(|wallet| wallet.public_key.as_str());
    let args = ["--min", "2", keys[0], keys[1], keys[2]];
    for wallet in [&one, &two, &three] {
        wallet.run("import-multisig", &args);
    }
    let listed: Value = serde_json::from_slice(&fs::read(dir.path().join("one.json")).unwrap()).unwrap();
    let address = listed["accounts"][1]["address"].as_str().unwrap();
    let text = message(Kind::NeoN3, address, "0123456789abcdef");
    let hash = account(address).unwrap();
    let first = three.sign(address, &context(&text, hash, NETWORK).unwrap());
    assert_eq!(slug(prove_context(&text, hash, NETWORK, first.clone())), "wallet.signatures");
    let both = one.sign(address, &first);
    assert!(prove_context(&text, hash, NETWORK, both).is_ok());
}
