//! What a transaction does, read from its bytes alone: before it is signed, that is what counts.

use neo::{
    PrivateKey,
    explain::explain,
    native,
    script::to_text,
    stack::Param,
    token::nep17,
    tx::{Signer, Transaction},
    wire::Wire as _,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tx = Transaction::from_bytes(&somebodys()?)?;
    println!("{} for {} of 10^-8 GAS", tx.hash(), tx.system_fee + tx.network_fee);
    for signer in &tx.signers {
        println!("signed by {} with scope {}", signer.account.address(), signer.scopes);
    }
    let accounts: Vec<_> = tx.signers.iter().map(|signer| signer.account).collect();
    let explained = explain(&tx.script, &accounts);
    println!("{}", serde_json::to_string_pretty(&explained)?);
    println!("instruction by instruction:\n{}", to_text(&tx.script)?);
    assert!(explained.straight && explained.complete);
    Ok(())
}

fn somebodys() -> neo::Result<Vec<u8>> {
    let key = PrivateKey::from_bytes(&[7; 32])?;
    let from = key.public().script_hash();
    let mut tx = Transaction {
        signers: vec![Signer::called_by_entry(from)],
        script: nep17(native::NEO).transfer(&from, &native::NOTARY, &3.into(), Param::Null)?,
        ..Transaction::default()
    };
    tx.sign(894_710_606, &key)?;
    Ok(tx.to_bytes())
}
