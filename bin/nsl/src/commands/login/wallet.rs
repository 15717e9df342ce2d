use std::path::PathBuf;

use neo::{PrivateKey, nep2, nep6};
use nsl_chain::x;
use nsl_core::Secret;
use reqwest::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::password::{self, Second};
use crate::{
    client::Client,
    commands::{chain::Chain, input},
    exit::{Exit, Failure},
    show,
};

/// An account whose key is at hand.
pub(super) struct Held<'a> {
    pub(super) chain: Chain,
    pub(super) file: &'a PathBuf,
    pub(super) passphrase: Option<&'a PathBuf>,
    pub(super) address: Option<String>,
}

enum Key {
    N3(PrivateKey),
    X(x::Key),
}

/// The reply with the tokens. The key signs the server's message here and goes nowhere.
pub(super) async fn sign_in(client: &Client, held: Held<'_>, tenant: Option<&str>) -> Result<String, Failure> {
    input::one_stdin([Some(held.file), held.passphrase])?;
    let key = held.key()?;
    let asked = json!({ "chain": held.chain.name(), "address": key.address() });
    let challenge: Value =
        client.ask(Method::POST, &["v1", "auth", "wallet", "challenge"]).body(&asked).send().await?.read()?;
    let message = challenge["message"].as_str().unwrap_or_default();
    check(message, client)?;
    let mut proof = key.proof(message);
    proof["chain"] = held.chain.name().into();
    proof["address"] = key.address().into();
    proof["message"] = message.into();
    if let Some(tenant) = tenant {
        proof["tenant"] = tenant.into();
    }
    let reply = client.ask(Method::POST, &["v1", "auth", "wallet", "login"]).body(&proof).send().await?;
    password::finish(client, reply, Second { from_stdin: false }).await
}

/// Whoever asks for a signature names itself in it: another server's message, which this one might be passing on to
/// sign in there, is not signed.
fn check(message: &str, client: &Client) -> Result<(), Failure> {
    const ASKS: &str = " wants you to sign in with your ";
    let domain = message.split_once(ASKS).map(|(domain, _)| domain.rsplit("://").next().unwrap_or(domain));
    let host = domain.map(|domain| domain.rsplit_once(':').map_or(domain, |(host, _)| host));
    let own = client.base().host_str();
    let is_here = |host: Option<&str>| matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"));
    if host.is_some() && (host == own || (is_here(host) && is_here(own))) {
        return Ok(());
    }
    let named = show::short(domain.unwrap_or("nobody"));
    let message = format!(
        "the server asks to sign a message of {named}, which is not the name that it was asked by: nothing was signed; if that is its name, use it in --url"
    );
    Err(Failure::new(Exit::Refused, message))
}

impl Held<'_> {
    fn key(&self) -> Result<Key, Failure> {
        let content = input::secret(self.file, "an account")?;
        let text = content.trim();
        match self.chain {
            Chain::NeoX => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let bytes = hex::decode(digits).ok().filter(|bytes| bytes.len() == 32);
                let bytes = bytes.ok_or_else(|| self.wrong("64 hex digits"))?;
                x::Key::from_secret(&Secret::new(bytes)).map(Key::X).map_err(|_| self.wrong("a key of secp256k1"))
            }
            Chain::NeoN3 if text.starts_with('{') => self.of_wallet(text).map(Key::N3),
            Chain::NeoN3 if text.starts_with("6P") => {
                let opened = nep2::decrypt(text, &self.secret()?, &nep2::Scrypt::default());
                opened.map(Key::N3).map_err(|error| Failure::new(Exit::Refused, error.to_string()))
            }
            Chain::NeoN3 => {
                let of_hex = || {
                    let mut bytes = Zeroizing::new([0; 32]);
                    hex::decode_to_slice(text, bytes.as_mut_slice()).ok()?;
                    PrivateKey::from_bytes(&bytes).ok()
                };
                let key = PrivateKey::from_wif(text).ok().or_else(of_hex);
                key.map(Key::N3).ok_or_else(|| self.wrong("a WIF, 64 hex digits, a NEP-2 key or a wallet"))
            }
        }
    }

    fn of_wallet(&self, text: &str) -> Result<PrivateKey, Failure> {
        let wallet = nep6::Wallet::from_json(text.as_bytes()).map_err(|error| Failure::usage(error.to_string()))?;
        let account = match &self.address {
            None => wallet.default_account().or(wallet.accounts.first()),
            Some(address) => wallet.accounts.iter().find(|account| account.hash.address() == *address),
        };
        let account = account.ok_or_else(|| Failure::new(Exit::NotFound, "the wallet has no such account"))?;
        let opened = account.open(&self.secret()?, &wallet.scrypt);
        let opened = opened.map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
        Ok(opened.key)
    }

    fn secret(&self) -> Result<Zeroizing<String>, Failure> {
        match self.passphrase {
            Some(file) => input::secret(file, "the passphrase"),
            None => crate::commands::hidden::ask("Passphrase of the wallet", "use --passphrase-file"),
        }
    }

    fn wrong(&self, wanted: &str) -> Failure {
        Failure::usage(format!("{} holds no account of {}: {wanted}", self.file.display(), self.chain.name()))
    }
}

impl Key {
    fn address(&self) -> String {
        match self {
            Self::N3(key) => key.public().address(),
            Self::X(key) => key.address().to_checksum(None),
        }
    }

    fn proof(&self, message: &str) -> Value {
        match self {
            Self::N3(key) => json!({
                "signature": hex::encode(key.sign(message.as_bytes())),
                "public_key": hex::encode(key.public().to_bytes()),
            }),
            Self::X(key) => {
                let whole = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
                let mut signature = key.sign_hash(&x::keccak256(whole).0);
                signature[64] += 27;
                json!({ "signature": format!("0x{}", hex::encode(signature)) })
            }
        }
    }
}
