//! Test data of other implementations, from the directory that `NSL_VECTORS` names.

use serde_json::Value;

/// A file of the directory, or none, said aloud, when the variable is not set.
pub(crate) fn binary(path: &str) -> Option<Vec<u8>> {
    let Ok(directory) = std::env::var("NSL_VECTORS") else {
        println!("NOT RUN: set NSL_VECTORS to the directory that holds {path}");
        return None;
    };
    let path = std::path::Path::new(&directory).join(path);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The same, as JSON.
pub(crate) fn json(path: &str) -> Option<Value> {
    binary(path).map(|text| serde_json::from_slice(&text).unwrap())
}

/// Bytes of hex text.
pub(crate) fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap()).unwrap()
}
