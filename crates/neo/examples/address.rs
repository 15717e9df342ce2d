//! The account of a key: its WIF, public key, script hash and address.

use neo::{Hash160, PrivateKey};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 32 bytes from a good random source; these are known to the world.
    let key = PrivateKey::from_bytes(&[7; 32])?;
    let public = key.public();
    println!("WIF          {}", key.to_wif().as_str());
    println!("public key   {public}");
    println!("script hash  {}", public.script_hash());
    println!("address      {}", public.address());
    assert_eq!(Hash160::from_address(&public.address())?, public.script_hash());
    Ok(())
}
