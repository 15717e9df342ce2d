use std::collections::HashMap;

use async_trait::async_trait;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce},
    hmac, rand,
};
use nsl_core::{Error, Result, Secret};
use nsl_engine::secrets::Secrets;
use parking_lot::Mutex;

use crate::seal::{aes, fault};

/// A data key under a root key of some version.
#[derive(Clone, Debug)]
pub struct Wrapped {
    pub root_version: i64,
    pub bytes: Vec<u8>,
}

/// What wraps data keys. Small on purpose: a process that keeps the root key to itself can stand behind it.
#[async_trait]
pub trait RootKey: Send + Sync + 'static {
    /// The version that wraps now.
    async fn current(&self) -> Result<i64>;
    async fn wrap(&self, bound_to: &[u8], key: &Secret) -> Result<Wrapped>;
    async fn unwrap(&self, bound_to: &[u8], wrapped: &Wrapped) -> Result<Secret>;
}

/// Root keys from the secrets engine, under the name `root`; AES-256-GCM.
pub struct SecretsRoot {
    secrets: Secrets,
    known: Mutex<HashMap<i64, hmac::Key>>,
}

const NAME: &str = "root";
const LEAST: usize = 32;

impl SecretsRoot {
    /// Fails when there is no root key, one too short to be a key, or a version of it that cannot be used.
    pub async fn open(secrets: Secrets) -> Result<Self> {
        let root = Self { secrets, known: Mutex::default() };
        root.secrets.ensure(NAME, LEAST).await?;
        root.secrets.get_and_check_all(NAME).await?;
        root.key(root.current().await?).await?;
        Ok(root)
    }

    // The wrapping key is derived, so that a root secret of any form and any length from 32 bytes will do.
    async fn key(&self, version: i64) -> Result<hmac::Key> {
        if let Some(key) = self.known.lock().get(&version) {
            return Ok(key.clone());
        }
        let number = version.try_into().map_err(|_| fault("no such version of the root key"))?;
        let secret = self.secrets.get_version(NAME, number).await?;
        if secret.expose().len() < LEAST {
            return Err(Error::internal(anyhow::anyhow!("root key {version} is shorter than {LEAST} bytes")));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        self.known.lock().insert(version, key.clone());
        Ok(key)
    }
}

fn wrapping(root: &hmac::Key, bound_to: &[u8]) -> Result<aws_lc_rs::aead::LessSafeKey> {
    let mut context = hmac::Context::with_key(root);
    context.update(b"nsl data key wrap 1");
    context.update(bound_to);
    aes(context.sign().as_ref())
}

#[async_trait]
impl RootKey for SecretsRoot {
    async fn current(&self) -> Result<i64> {
        Ok(self.secrets.versions(NAME).await?.current.into())
    }

    async fn wrap(&self, bound_to: &[u8], key: &Secret) -> Result<Wrapped> {
        let root_version = self.current().await?;
        let root = self.key(root_version).await?;
        let mut bytes = vec![0; NONCE_LEN];
        rand::fill(&mut bytes).map_err(|_| fault("no randomness"))?;
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| fault("a nonce of the wrong length"))?;
        let mut sealed = key.expose().to_vec();
        wrapping(&root, bound_to)?
            .seal_in_place_append_tag(nonce, Aad::from(bound_to), &mut sealed)
            .map_err(|_| fault("wrapping failed"))?;
        bytes.append(&mut sealed);
        Ok(Wrapped { root_version, bytes })
    }

    async fn unwrap(&self, bound_to: &[u8], wrapped: &Wrapped) -> Result<Secret> {
        let root = self.key(wrapped.root_version).await?;
        if wrapped.bytes.len() < NONCE_LEN + AES_256_GCM.tag_len() {
            return Err(fault("not a wrapped key"));
        }
        let (nonce, sealed) = wrapped.bytes.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fault("a nonce of the wrong length"))?;
        let mut plain = zeroize::Zeroizing::new(sealed.to_vec());
        let opened = wrapping(&root, bound_to)?
            .open_in_place(nonce, Aad::from(bound_to), &mut plain)
            .map_err(|_| fault("a wrapped data key was changed, moved, or belongs to another root key"))?;
        Ok(Secret::new(&*opened))
    }
}
