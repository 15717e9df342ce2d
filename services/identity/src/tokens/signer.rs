//! The keys that sign access tokens: one at a time, the next one shown a good while before it signs.

use std::{sync::Arc, time::Duration};

use nsl_core::{Cx, Entry, Error, Result, Secret, Subject, Timestamp};
use nsl_keyring::bind;
use nsl_sql::{Db, EngineKind, Row, Scope, Single, Tx, args};
use nsl_token::SigningKey;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::revoked::LONGEST_ACCESS;
use crate::{
    ground::Ground,
    people::store::{PLATFORM, platform},
};

/// How long the keys at hand are good for signing: the next one is shown much earlier than it signs.
const HELD: Duration = Duration::from_secs(30);
/// A key stays in the set for so long after its last token has ended.
const SLACK: Duration = Duration::from_secs(600);
const BUDGET: Duration = Duration::from_secs(30);

static TAKE_TURN: &str = "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.signing_keys', 0))";
static LIST: &str = "SELECT id, jwk, sealed, seal_key, signs_from FROM signing_keys WHERE tenant_id = $1
    ORDER BY signs_from DESC, id DESC";
static NEWEST: &str = "SELECT coalesce(max(signs_from), $2) FROM signing_keys WHERE tenant_id = $1";
static INSERT: &str = "INSERT INTO signing_keys (tenant_id, id, jwk, sealed, seal_key, created_at, signs_from)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
static REMOVE: &str = "DELETE FROM signing_keys WHERE tenant_id = $1 AND id = $2";

struct Stored {
    id: String,
    jwk: Value,
    sealed: Vec<u8>,
    seal_key: String,
    signs_from: Timestamp,
}

/// The keys as they were when they were read.
struct Held {
    read_at: Timestamp,
    /// Newest first.
    keys: Vec<Stored>,
    signer: Option<Arc<SigningKey>>,
}

pub(super) struct Signer {
    held: Mutex<Option<Arc<Held>>>,
    /// Only one at a time looks and makes.
    turn: tokio::sync::Mutex<()>,
}

impl Signer {
    pub(super) fn new() -> Self {
        Self { held: Mutex::new(None), turn: tokio::sync::Mutex::new(()) }
    }

    /// The key that signs now; made at first need.
    pub(super) async fn current(&self, ground: &Ground) -> Result<Arc<SigningKey>> {
        let held = self.read(ground, HELD).await?;
        held.signer.clone().ok_or_else(|| fault("there is no key to sign with"))
    }

    /// The public halves of all keys whose tokens may still be about, newest first.
    pub(super) async fn published(&self, ground: &Ground) -> Result<Vec<Value>> {
        let held = self.read(ground, Duration::from_secs(1)).await?;
        let now = ground.clock.now();
        Ok(live(&held.keys, now).iter().map(|key| key.jwk.clone()).collect())
    }

    /// Makes the next key in time and removes those whose last token has ended.
    pub(super) async fn tend(&self, ground: &Ground) -> Result<()> {
        let held = self.read(ground, Duration::ZERO).await?;
        let gone = &held.keys[live(&held.keys, ground.clock.now()).len()..];
        for key in gone {
            let cx = system();
            let entry = Entry::new(&cx, "tokens.key_removed", "identity", "tend", ground.clock.now());
            let entry = entry.request("key", key.id.as_str());
            ground.db.write_platform(Remove { id: key.id.clone(), entry }).await?;
        }
        Ok(())
    }

    async fn read(&self, ground: &Ground, most: Duration) -> Result<Arc<Held>> {
        let fresh = |held: &Held| {
            let now = ground.clock.now();
            now >= held.read_at && now.since(held.read_at) < most
        };
        if let Some(held) = self.held.lock().clone().filter(|held| fresh(held)) {
            return Ok(held);
        }
        let _turn = self.turn.lock().await;
        let before = self.held.lock().clone();
        if let Some(held) = before.clone().filter(|held| fresh(held)) {
            return Ok(held);
        }
        let now = ground.clock.now();
        let mut keys = list(&ground.db).await?;
        if let Some(signs_from) = due(&keys, ground, now) {
            make(ground, signs_from, now).await?;
            keys = list(&ground.db).await?;
        }
        let signer = match keys.iter().find(|key| key.signs_from <= now) {
            None => None,
            Some(key) => {
                let known = before.and_then(|before| before.signer.clone()).filter(|signer| signer.id() == key.id);
                Some(match known {
                    Some(signer) => signer,
                    None => Arc::new(open(ground, key).await?),
                })
            }
        };
        let held = Arc::new(Held { read_at: now, keys, signer });
        *self.held.lock() = Some(Arc::clone(&held));
        Ok(held)
    }
}

/// When the next key is to sign, if it is time to make it.
fn due(keys: &[Stored], ground: &Ground, now: Timestamp) -> Option<Timestamp> {
    let config = &ground.config.tokens;
    let Some(newest) = keys.first() else { return Some(now) };
    // Before the clock was set back there may have been keys: what signs next must sign now.
    if keys.iter().all(|key| key.signs_from > now.plus(config.publish)) {
        return Some(now);
    }
    let next = newest.signs_from.plus(config.rotate);
    (newest.signs_from <= now && next.minus(config.publish) <= now).then(|| next.max(now.plus(config.publish)))
}

/// Those whose tokens may still be about: a key, and each older one until the last token before the next key has
/// ended.
fn live(keys: &[Stored], now: Timestamp) -> &[Stored] {
    let is_over = |next: &Stored| next.signs_from.plus(LONGEST_ACCESS + HELD + SLACK) < now;
    // Newest first: what comes before one is what took over from it.
    let count = keys.iter().position(is_over).map_or(keys.len(), |at| at + 1);
    &keys[..count]
}

async fn list(db: &Db) -> Result<Vec<Stored>> {
    let read = |mut row: Row| {
        Ok(Stored {
            id: row.take(0)?,
            jwk: row.take(1)?,
            sealed: row.take(2)?,
            seal_key: row.take(3)?,
            signs_from: row.take(4)?,
        })
    };
    db.query(Scope::Platform, LIST, args![PLATFORM]).await?.into_iter().map(read).collect()
}

async fn make(ground: &Ground, signs_from: Timestamp, now: Timestamp) -> Result<()> {
    let key = tokio::task::spawn_blocking(SigningKey::generate).await.map_err(Error::internal)??;
    let data_key = ground.keyring.current(&platform(), &owner()).await?;
    let sealed = data_key.seal(&place(key.id()), key.to_pkcs8()?.expose())?;
    let cx = system();
    let entry = Entry::new(&cx, "tokens.key_made", "identity", "tend", now)
        .request("key", key.id())
        .request("signs_from", signs_from.rfc3339());
    let evidence = ground.ledger.seal(&cx, entry, Map::new()).await?;
    let stored =
        Stored { id: key.id().to_owned(), jwk: key.jwk(), sealed, seal_key: data_key.id().to_string(), signs_from };
    ground.db.write_platform(Make { key: stored, now, evidence }).await
}

async fn open(ground: &Ground, key: &Stored) -> Result<SigningKey> {
    let id = key.seal_key.as_str().into();
    let data_key = ground.keyring.find(&platform(), &id).await?;
    let data_key = data_key.ok_or_else(|| fault("what seals the signing keys is gone"))?;
    let opened = SigningKey::from_pkcs8(&Secret::new(data_key.open(&place(&key.id), &key.sealed)?))?;
    if opened.id() != key.id || json!(opened.jwk()) != key.jwk {
        return Err(fault("a signing key lies beside the public half of another"));
    }
    Ok(opened)
}

struct Make {
    key: Stored,
    now: Timestamp,
    evidence: Entry,
}

impl Single for Make {
    type Done = ();

    /// Does nothing when another process was first.
    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        if tx.engine() == EngineKind::Postgres {
            tx.query(TAKE_TURN, args![]).await?;
        }
        let mut rows = tx.query(NEWEST, args![PLATFORM, Timestamp(0)]).await?;
        let newest = rows.first_mut().map_or(Ok(Timestamp(0)), |row| row.take(0))?;
        let key = &self.key;
        // Who came first made one that signs at about the same time; a clock set back is another matter.
        let is_first = newest < key.signs_from.minus(HELD) || newest > key.signs_from.plus(2 * LONGEST_ACCESS);
        if is_first {
            let (id, seal_key) = (key.id.as_str(), key.seal_key.as_str());
            let args = args![PLATFORM, id, &key.jwk, key.sealed.clone(), seal_key, self.now, key.signs_from];
            tx.execute(INSERT, args).await?;
            tx.note(self.evidence.clone());
        }
        Ok(Ok(()))
    }
}

struct Remove {
    id: String,
    entry: Entry,
}

impl Single for Remove {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        if tx.execute(REMOVE, args![PLATFORM, self.id.as_str()]).await? == 1 {
            tx.note(self.entry.clone());
        }
        Ok(Ok(()))
    }
}

fn system() -> Cx {
    Cx::system(platform(), BUDGET)
}

fn owner() -> Subject {
    Subject::parse("signing-keys").expect("a fixed valid id")
}

fn place(id: &str) -> Vec<u8> {
    bind(&[PLATFORM.as_bytes(), b"signing_keys", id.as_bytes()])
}

fn fault(what: &'static str) -> Error {
    Error::internal(anyhow::anyhow!(what))
}
