//! A transaction that takes several signatures: handed round as the JSON that neo-go and neo-cli understand too.

use neo::{
    Hash160, PrivateKey, account,
    context::Context,
    native,
    stack::Param,
    token::nep17,
    tx::{Signer, Transaction},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let magic = 894_710_606;
    let [alice, bob, carol] =
        [PrivateKey::from_bytes(&[1; 32])?, PrivateKey::from_bytes(&[2; 32])?, PrivateKey::from_bytes(&[3; 32])?];
    let script = account::multi(2, &[alice.public(), bob.public(), carol.public()])?;
    let shared = Hash160::of_script(&script);

    let transaction = Transaction {
        signers: vec![Signer::called_by_entry(shared)],
        script: nep17(native::GAS).transfer_or_fault(&shared, &carol.public().script_hash(), &1.into(), Param::Null)?,
        ..Transaction::default()
    };
    let mut context = Context::new(magic, transaction)?;
    context.add_script(&script)?;
    context.sign(&carol)?;
    let to_alice = serde_json::to_string_pretty(&context)?;
    println!("{to_alice}");

    let mut context: Context = serde_json::from_str(&to_alice)?;
    println!("still to sign: {:?}", context.missing());
    context.sign(&alice)?;
    let signed = context.complete()?;
    signed.verify(magic)?;
    println!("complete: {}", signed.hash());
    Ok(())
}
