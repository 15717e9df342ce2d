//! Test data of other implementations, from the directory that `NSL_VECTORS` names.

use std::path::PathBuf;

use serde_json::Value;

/// Where a file or a folder of the directory is; or none, said aloud, when the variable is not set.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
pub(crate) fn find(path: &str) -> Option<PathBuf> {
    let Ok(directory) = std::env::var("NSL_VECTORS") else {
        println!("NOT RUN: set NSL_VECTORS to the directory that holds {path}");
        return None;
    };
    Some(PathBuf::from(directory).join(path))
}

/// A file of the directory.
pub(crate) fn binary(path: &str) -> Option<Vec<u8>> {
    let path = find(path)?;
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
