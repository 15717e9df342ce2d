//! Who may call: people, machines, and the tenants that they belong to. Each folder is one part with a trait of its own.
//!
//! Promises:
//! - A key is shown once, when it is made. What is kept is its SHA-256, so that nobody who reads the
//!   database can use what is found there.
//! - No key can do more than the credential that made it, nor outlast it unless that one administers the tenant.
//! - No key has a scope that no service asks for.
//! - No key stands for a name of the platform itself.
//! - A revoked or expired key is refused: at once in the process that revoked it, elsewhere as soon as
//!   what an edge remembers of it fades (five seconds at most).
//! - Each change is in the audit trail; authenticating writes nothing on the way.

mod access;
mod config;
mod ground;
mod keys;
mod oauth;
mod people;
mod signin;
mod tokens;

use std::sync::Arc;

use nsl_api::{
    access::{Access, AccessClient},
    federation::{Federation, FederationClient},
    identity::{Identity, IdentityClient},
    oauth::{Oauth as OauthFace, OauthClient},
    passkey::{Passkey, PasskeyClient},
    people::{People as PeopleFace, PeopleClient},
    privacy::{Privacy, PrivacyClient},
    sessions::{Sessions, SessionsClient},
    signin::{Signin, SigninClient},
    wallet::{Wallet, WalletClient},
};
use nsl_core::Clock;
use nsl_edge::Face;
use nsl_engine::{blobs::Blobs, queue::Queue};
use nsl_keyring::Keyring;
use nsl_kit::Tasks;
use nsl_ledger::Ledger;
use nsl_sql::{Db, Migrations, Step};

pub use self::{config::Config, keys::Revoked};
use self::{
    ground::Ground,
    keys::Keys,
    people::People,
    signin::{Door, federation::Federations, passkey::Passkeys},
    tokens::Tokens,
};

/// The scopes that this service asks for.
pub const SCOPES: &[&str] = &["identity:read", "identity:write", "identity:admin", "identity:owner", "identity:act"];

/// The tables of this service.
pub static MIGRATIONS: Migrations = Migrations {
    owner: "identity",
    steps: &[
        Step {
            version: 1,
            name: "keys",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/1_keys.sql"),
            postgres: include_str!("../migrations/postgres/1_keys.sql"),
        },
        Step {
            version: 2,
            name: "people",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/2_people.sql"),
            postgres: include_str!("../migrations/postgres/2_people.sql"),
        },
        Step {
            version: 3,
            name: "tokens",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/3_tokens.sql"),
            postgres: include_str!("../migrations/postgres/3_tokens.sql"),
        },
        Step {
            version: 4,
            name: "signin",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/4_signin.sql"),
            postgres: include_str!("../migrations/postgres/4_signin.sql"),
        },
        Step {
            version: 5,
            name: "wallets",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/5_wallets.sql"),
            postgres: include_str!("../migrations/postgres/5_wallets.sql"),
        },
        Step {
            version: 6,
            name: "passkeys",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/6_passkeys.sql"),
            postgres: include_str!("../migrations/postgres/6_passkeys.sql"),
        },
        Step {
            version: 7,
            name: "oauth",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/7_oauth.sql"),
            postgres: include_str!("../migrations/postgres/7_oauth.sql"),
        },
        Step {
            version: 8,
            name: "policies",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/8_access.sql"),
            postgres: include_str!("../migrations/postgres/8_access.sql"),
        },
        Step {
            version: 9,
            name: "keys of owners",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/9_keys.sql"),
            postgres: include_str!("../migrations/postgres/9_keys.sql"),
        },
        Step {
            version: 10,
            name: "privacy",
            breaking: false,
            sqlite: include_str!("../migrations/sqlite/10_privacy.sql"),
            postgres: include_str!("../migrations/postgres/10_privacy.sql"),
        },
    ],
};

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
    /// Hears the digest of each key that is revoked here, before the caller learns that it is.
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

/// The clients of the parts, wherever they run.
#[derive(Clone)]
pub struct Clients {
    pub identity: IdentityClient,
    pub sessions: SessionsClient,
    pub oauth: OauthClient,
    pub signin: SigninClient,
    pub wallet: WalletClient,
    pub passkey: PasskeyClient,
    pub federation: FederationClient,
    pub access: AccessClient,
    pub people: PeopleClient,
    pub privacy: PrivacyClient,
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

/// The public routes of the service, wherever it runs.
pub fn faces(clients: Clients) -> Vec<Face> {
    vec![
        keys::face(clients.identity),
        tokens::face(clients.sessions),
        oauth::face(clients.oauth),
        signin::face(clients.signin),
        signin::wallet::face(clients.wallet),
        signin::passkey::face(clients.passkey),
        signin::federation::face(clients.federation),
        signin::page::face(),
        access::face(clients.access),
        people::face(clients.people),
        people::privacy::face(clients.privacy),
    ]
}
