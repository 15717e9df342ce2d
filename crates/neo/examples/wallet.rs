//! A wallet file (NEP-6) of another program: opened, and an account added.

use neo::{
    PrivateKey,
    nep6::{Account, Wallet},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut wallet = Wallet::from_json(include_bytes!("data/wallet.json"))?;
    for account in wallet.open("pass2")? {
        println!("{}  {}", account.hash.address(), account.key.public());
    }

    let key = PrivateKey::from_bytes(&[7; 32])?;
    wallet.add_key(&key, "pass2", Some("new".to_owned()))?;
    wallet.add(Account::watch_only(neo::native::NOTARY, None))?;
    let again = Wallet::from_json(wallet.to_json().as_bytes())?;
    println!("{} accounts, {} of them open", again.accounts.len(), again.open("pass2")?.len());
    Ok(())
}
