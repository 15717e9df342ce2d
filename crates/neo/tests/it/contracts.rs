//! NEF files and manifests of several compilers.

use neo::{
    manifest::{Manifest, missing},
    nef::Nef,
    wire::Wire as _,
};

use crate::vectors::{binary, json};

const MANIFESTS: [&str; 13] = [
    "neo-csharp/SampleContract.manifest.json",
    "neo-csharp/SampleContractCall.manifest.json",
    "neo-csharp/SampleEvent.manifest.json",
    "neo-csharp/SampleException.manifest.json",
    "neo-csharp/SampleHelloWorld.manifest.json",
    "neo-csharp/SampleNep17Token.manifest.json",
    "neo-csharp/SampleOracle.manifest.json",
    "neo-go/cli_smartcontract_nameservice_nns.manifest.json",
    "neo-go/cli_smartcontract_nex_nex.manifest.json",
    "neo-go/cli_smartcontract_verify.manifest.json",
    "neo-mamba/runtimelog_contract.manifest.json",
    "neon-js/djnicholson.NeoPetShopContract.manifest.json",
    "neo-csharp/SampleNep17Token.manifest.json",
];

#[test]
fn manifests_of_several_compilers_read_and_write_back() {
    for file in MANIFESTS {
        let Some(text) = binary(&format!("neo-n3/{file}")) else { return };
        let manifest = Manifest::from_json(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let written: serde_json::Value = serde_json::from_str(&manifest.to_json()).unwrap();
        assert_eq!(written, json(&format!("neo-n3/{file}")).unwrap(), "{file}");
        let lacks: Vec<_> =
            manifest.standards.iter().flat_map(|standard| missing(&manifest, standard).unwrap()).collect();
        assert_eq!(lacks, Vec::<String>::new(), "{file}");
    }
}

#[test]
fn files_of_several_compilers_are_the_same_bytes_and_go_with_their_manifests() {
    for (file, tokens) in [("neo-mamba/runtimelog_contract", 0), ("neon-js/djnicholson.NeoPetShopContract", 5)] {
        let Some(bytes) = binary(&format!("neo-n3/{file}.nef")) else { return };
        let nef = Nef::from_bytes(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(nef.to_bytes(), bytes, "{file}");
        assert_eq!(nef.tokens.len(), tokens, "{file}");
        let manifest = Manifest::from_json(&binary(&format!("neo-n3/{file}.manifest.json")).unwrap()).unwrap();
        manifest.check_with(&nef).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let Some(old) = binary("neo-n3/neo-go/cli_smartcontract_verify.nef") else { return };
    assert!(Nef::from_bytes(&old).unwrap_err().to_string().contains("something follows its end"));
}
