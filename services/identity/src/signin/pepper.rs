//! The key of the hashes that wrong tries and known networks are kept under: who reads the database learns neither
//! which accounts were tried nor where anybody signs in from.

use std::sync::Arc;

use aws_lc_rs::hmac;
use nsl_core::{Error, Result, Subject};
use nsl_keyring::bind;
use nsl_sql::{Scope, Statement, args};
use tokio::sync::OnceCell;

use crate::{
    ground::Ground,
    people::store::{PLATFORM, platform},
    secrets::random,
};

const ID: &str = "networks";
const BYTES: usize = 32;

static FIND: &str = "SELECT sealed, seal_key FROM signin_peppers WHERE tenant_id = $1 AND id = $2";
static ADD: &str = "INSERT INTO signin_peppers (tenant_id, id, sealed, seal_key) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant_id, id) DO NOTHING";

/// Made at first need, the same in all processes.
#[derive(Default)]
pub(crate) struct Pepper(OnceCell<hmac::Key>);

impl Pepper {
    /// The keyed hash of these words, in hex.
    pub(crate) async fn hash(&self, ground: &Ground, words: &[&str]) -> Result<String> {
        let key = self.0.get_or_try_init(|| open(ground)).await?;
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        Ok(hex::encode(&hmac::sign(key, &bind(&words)).as_ref()[..16]))
    }
}

async fn open(ground: &Ground) -> Result<hmac::Key> {
    if let Some(key) = find(ground).await? {
        return Ok(key);
    }
    let fresh = random::<BYTES>()?;
    let key = ground.keyring.current(&platform(), &holder()).await?;
    let sealed = key.seal(&place(), &fresh)?;
    let args = args![PLATFORM, ID, sealed, Arc::clone(key.id())];
    ground.db.write_platform(Statement { sql: ADD, args }).await?;
    // Another process may have been first.
    find(ground).await?.ok_or_else(|| lost("it was not kept"))
}

async fn find(ground: &Ground) -> Result<Option<hmac::Key>> {
    let mut found = ground.db.query(Scope::Platform, FIND, args![PLATFORM, ID]).await?;
    let Some(row) = found.first_mut() else { return Ok(None) };
    let (sealed, seal_key): (Vec<u8>, String) = (row.take(0)?, row.take(1)?);
    let key = ground.keyring.find(&platform(), &seal_key.into()).await?.ok_or_else(|| lost("its key is gone"))?;
    Ok(Some(hmac::Key::new(hmac::HMAC_SHA256, &key.open(&place(), &sealed)?)))
}

fn lost(why: &'static str) -> Error {
    Error::internal(anyhow::anyhow!("the pepper of sign-ins: {why}"))
}

// What the platform calls itself: no person has this name, and no erasure its key.
fn holder() -> Subject {
    Subject::parse(PLATFORM).expect("a fixed valid id")
}

fn place() -> Vec<u8> {
    bind(&[PLATFORM.as_bytes(), b"signin_peppers", ID.as_bytes()])
}
