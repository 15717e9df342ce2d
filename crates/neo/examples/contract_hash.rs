//! A contract before it is deployed: its file, its manifest, the hash that it will have, and what an update changes.

use neo::{
    PrivateKey,
    manifest::{Manifest, differences, missing},
    nef::{Nef, contract_hash},
    wire::Wire as _,
};

const MANIFEST: &str = r#"{
    "name": "Answer", "groups": [], "features": {}, "supportedstandards": [],
    "abi": {
        "methods": [{"name": "answer", "parameters": [], "returntype": "Integer", "offset": 0, "safe": true}],
        "events": []
    },
    "permissions": [], "trusts": [], "extra": null
}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // PUSHINT8 42, RET.
    let script = vec![0x00, 42, 0x40];
    let nef = Nef { compiler: "by hand".to_owned(), source: String::new(), tokens: Vec::new(), script };
    let manifest = Manifest::from_json(MANIFEST.as_bytes())?;
    manifest.check_with(&Nef::from_bytes(&nef.to_bytes())?)?;

    let sender = PrivateKey::from_bytes(&[7; 32])?.public().script_hash();
    println!("checksum  {:#010x}", nef.checksum());
    println!("hash      {}", contract_hash(sender, nef.checksum(), &manifest.name));

    let update = MANIFEST.replace("\"permissions\": []", r#""permissions": [{"contract": "*", "methods": "*"}]"#);
    for change in differences(&manifest, &Manifest::from_json(update.as_bytes())?) {
        println!("update    {:?}: {}", change.weight, change.text);
    }
    for lack in missing(&manifest, "NEP-17").unwrap_or_default() {
        println!("NEP-17    {lack}");
    }
    Ok(())
}
