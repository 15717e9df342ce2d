//! The network fee, before anybody has signed.

use neo::{
    Hash160, PrivateKey, account,
    fee::{Prices, Verification, network_fee},
    tx::{Attribute, Signer, Transaction},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sponsor = PrivateKey::from_bytes(&[1; 32])?.public();
    let mut keys = Vec::new();
    for number in 2..=4 {
        keys.push(PrivateKey::from_bytes(&[number; 32])?.public());
    }
    let treasury = account::multi(2, &keys)?;

    let tx = Transaction {
        // The first pays; its signature counts nowhere else.
        signers: vec![Signer::none(sponsor.script_hash()), Signer::called_by_entry(Hash160::of_script(&treasury))],
        attributes: vec![Attribute::NotValidBefore(100)],
        script: vec![0x40],
        ..Transaction::default()
    };
    // The prices of the network's Policy contract; these are those that a network begins with.
    let prices = Prices::default();
    let fee = network_fee(&tx, &[Verification::key(&sponsor), Verification::Script(treasury)], &prices)?;
    println!("{fee} of 10^-8 GAS");
    Ok(())
}
