//! A key under a passphrase (NEP-2).

use neo::{
    PrivateKey,
    nep2::{self, DecryptError, Scrypt},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = PrivateKey::from_bytes(&[7; 32])?;
    // Real keys take `Scrypt::STANDARD`; this is as quick as the example should be.
    let scrypt = Scrypt { n: 256, ..Scrypt::STANDARD };
    let encrypted = nep2::encrypt(&key, "correct horse", &scrypt)?;
    println!("{encrypted}");

    assert_eq!(nep2::decrypt(&encrypted, "correct horse", &scrypt)?.public(), key.public());
    match nep2::decrypt(&encrypted, "battery staple", &scrypt) {
        Err(DecryptError::WrongPassphrase) => println!("another passphrase does not open it"),
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}
