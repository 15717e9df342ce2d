//! What an account held at a height, proven against a state root that the state validators signed. No node is trusted.

use neo::{
    account,
    mpt::{Proof, StateRoot},
    native,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: serde_json::Value = serde_json::from_str(include_str!("data/proof.json"))?;
    let root: StateRoot = serde_json::from_value(given["stateroot"].clone())?;

    // Take the validators from a source that you trust (`getDesignatedByRole` of a node of your own); here they are
    // those of the private network that the data came from.
    let (_, validators) = account::read_multi(&root.witnesses[0].verification).ok_or("no validators")?;
    root.verify(1230, &validators)?;

    let proof = Proof::from_base64(given["proof_b64"].as_str().ok_or("no proof")?)?;
    let proven = proof.verify(&root.root)?;
    println!("at height {} under root {}", root.index, root.root);
    println!(
        "contract  {} ({:?})",
        proven.contract_id,
        native::of_id(proven.contract_id).as_ref().and_then(native::name)
    );
    println!("key       {}", hex::encode(&proven.key));
    println!("value     {}", hex::encode(&proven.value));
    Ok(())
}
