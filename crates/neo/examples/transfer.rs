//! A transfer of GAS: made, signed, ready for `sendrawtransaction`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    Hash160, PrivateKey, native,
    stack::Param,
    token::nep17,
    tx::{Signer, Transaction},
    wire::Wire as _,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let magic = 894_710_606; // The test network.
    let key = PrivateKey::from_bytes(&[7; 32])?;
    let from = key.public().script_hash();
    let to = Hash160::from_address("NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU")?;

    // One GAS is 100,000,000 of its units. With `or_fault`, a transfer that fails undoes the whole transaction.
    let script = nep17(native::GAS).transfer_or_fault(&from, &to, &100_000_000.into(), Param::Null)?;
    let mut tx = Transaction {
        nonce: 1,                  // Any number that makes it unlike your other transactions.
        system_fee: 997_775,       // What `invokescript` says it consumes.
        network_fee: 1_230_610,    // See the example `fee`.
        valid_until_block: 10_000, // At most 5,760 above the present height.
        signers: vec![Signer::called_by_entry(from)],
        script,
        ..Transaction::default()
    };
    tx.sign(magic, &key)?;
    tx.verify(magic)?;
    println!("{}", tx.hash());
    println!("{}", STANDARD.encode(tx.to_bytes()));
    Ok(())
}
