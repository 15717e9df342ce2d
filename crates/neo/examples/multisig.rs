//! An account that takes two of three signatures.

use neo::{Hash160, PrivateKey, account};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut keys = Vec::new();
    for number in 1..=3 {
        keys.push(PrivateKey::from_bytes(&[number; 32])?.public());
    }
    let script = account::multi(2, &keys)?;
    println!("address              {}", Hash160::of_script(&script).address());
    println!("verification script  {}", hex::encode(&script));

    // The script tells who signs, in the order in which it has them.
    let (threshold, sorted) = account::read_multi(&script).ok_or("not a script of several keys")?;
    println!("{threshold} of:");
    sorted.iter().for_each(|key| println!("  {key}"));
    Ok(())
}
