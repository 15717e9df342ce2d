//! Who may call: people, machines, and the tenants that they belong to. Each folder is one part with a trait of its own.
//!
//! Promises:
//! - A key is shown once, when it is made. What is kept is its SHA-256, so that nobody who reads the
//!   database can use what is found there.
//! - No key can do more than the credential that made it, nor outlast it unless that one administers the tenant or is
//!   a person's own sign-in; and none ever does more than its owner may at that moment.
//! - No key has a scope that no service asks for.
//! - No key stands for a name of the platform itself.
//! - What is revoked or changed is refused or looked up anew: at once in the process that did it, elsewhere within
//!   a second.
//! - Each change is in the audit trail; authenticating writes nothing on the way.

mod access;
mod config;
mod ground;
mod http;
mod keys;
mod migrations;
mod names;
mod oauth;
mod page;
mod people;
mod secrets;
mod signin;
mod tokens;

use std::sync::Arc;

use nsl_api::{
    access::Access, federation::Federation, identity::Identity, oauth::Oauth as OauthFace, passkey::Passkey,
    people::People as PeopleFace, privacy::Privacy, sessions::Sessions, signin::Signin, wallet::Wallet,
};
use nsl_core::Clock;
use nsl_engine::{blobs::Blobs, queue::Queue};
use nsl_keyring::Keyring;
use nsl_kit::Tasks;
use nsl_ledger::Ledger;
use nsl_sql::Db;

pub use self::{
    config::Config,
    http::{Clients, faces},
    keys::Revoked,
    migrations::MIGRATIONS,
};
use self::{
    ground::Ground,
    keys::Keys,
    people::People,
    signin::{Door, federation::Federations, passkey::Passkeys},
    tokens::Tokens,
};

/// The scopes that this service asks for.
pub const SCOPES: &[&str] = &["identity:read", "identity:write", "identity:admin", "identity:owner", "identity:act"];

/// What the service stands on.
pub struct Parts {
    pub db: Db,
    pub ledger: Ledger,
    pub keyring: Keyring,
    pub clock: Arc<dyn Clock>,
    pub queue: Queue,
    pub blobs: Blobs,
    /// Those that the services of the platform ask for: nothing else can be granted.
    pub scopes: Vec<&'static str>,
    /// Hears the digest of each key that is revoked or changed here, before the caller learns that it is.
    pub revoked: Revoked,
}

/// The parts of the service, each behind its trait.
pub struct Built {
    pub identity: Arc<dyn Identity>,
    pub sessions: Arc<dyn Sessions>,
    pub oauth: Arc<dyn OauthFace>,
    pub signin: Arc<dyn Signin>,
    pub wallet: Arc<dyn Wallet>,
    pub passkey: Arc<dyn Passkey>,
    pub federation: Arc<dyn Federation>,
    pub access: Arc<dyn Access>,
    pub people: Arc<dyn PeopleFace>,
    pub privacy: Arc<dyn Privacy>,
    pub duties: Duties,
}

/// What is done about persons' data beside requests. Cheap to clone.
#[derive(Clone)]
pub struct Duties(Arc<People>);

impl Duties {
    /// Erases again whom a restored backup brought back, and says how many. At start, before the first request.
    pub async fn replay_erasures(&self) -> nsl_core::Result<usize> {
        self.0.replay_erasures().await
    }

    /// One round of the worker, now: reminds who is silent, closes tenants and drops copies whose time is over.
    pub async fn tend(&self) -> nsl_core::Result<()> {
        self.0.tend().await
    }
}

/// Starts the service and its workers, or says what in the configuration keeps it from starting.
pub fn build(config: Config, parts: Parts, tasks: &Tasks) -> anyhow::Result<Built> {
    let Parts { db, ledger, keyring, clock, queue, blobs, scopes, revoked } = parts;
    let ground = Ground { config: Arc::new(config), db, ledger, keyring, clock, queue, blobs, scopes: scopes.into() };
    let tokens = Arc::new(Tokens::new(ground.clone()));
    tokens::start(Arc::clone(&tokens), tasks);
    let oauth = Arc::new(oauth::Oauth::new(Arc::clone(&tokens)));
    oauth::start(Arc::clone(&oauth), tasks);
    let door = Arc::new(Door::open_up(ground.clone(), Arc::clone(&tokens), tasks)?);
    let passkey = Arc::new(Passkeys::new(ground.clone(), (*door).clone(), Arc::clone(&tokens)));
    let federation = Arc::new(Federations::new(ground.clone(), (*door).clone())?);
    let wallet = Arc::new(signin::wallet::Wallets::new(ground.clone(), (*door).clone()));
    let access = Arc::new(access::Access::new(ground.clone()));
    let people = Arc::new(People::new(ground.clone(), Arc::clone(&revoked), (*door).clone()));
    people::privacy::start(&people, tasks);
    let keys = Arc::new(Keys::new(ground, revoked));
    keys::start(Arc::clone(&keys), tasks);
    Ok(Built {
        identity: keys,
        sessions: tokens,
        oauth,
        signin: door,
        wallet,
        passkey,
        federation,
        access,
        people: people.clone(),
        privacy: people.clone(),
        duties: Duties(people),
    })
}
