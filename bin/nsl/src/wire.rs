//! Which services there are, and how they hang together: one stanza each, in the order of their needs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

use axum::Router;
use nsl_api::{
    audit::AuditClient, contracts::ContractsClient, identity::IdentityClient, relay::RelayClient,
    storage::StorageClient,
};
use nsl_core::Secret;
use nsl_edge::{Edge, Face, Parts};
use nsl_engine::secrets::Secrets;
use nsl_kit::{Tasks, serve::PeerIdentity};
use nsl_rpc::{Channel, Dialer, Guard, Handle, PeerKeys, PeerTls, TraceHooks, Wire};

use crate::{chains::Chains, engines::Engines, identities::Identities, settings::Settings};

/// A process that is put together and does not answer yet.
pub(crate) struct Wired {
    pub(crate) public: Router,
    pub(crate) internal: Router,
    pub(crate) edge: Edge,
    pub(crate) identity: Handle<IdentityClient>,
    pub(crate) relay: Handle<RelayClient>,
    pub(crate) paused: Arc<AtomicBool>,
    /// When it runs here.
    pub(crate) storage: Option<nsl_storage::Built>,
    /// The services that run here.
    pub(crate) here: Vec<&'static str>,
    /// The ways to those that run elsewhere.
    pub(crate) channels: Vec<Channel>,
}

/// Builds the selected services and everything around them, or says all that is wrong.
pub(crate) async fn wire(
    settings: &Settings,
    engines: &Engines,
    tasks: &Tasks,
    trace: Option<TraceHooks>,
) -> anyhow::Result<Wired> {
    let keys = peer_keys(settings, &engines.secrets).await?;
    let mut wire = Wire::new(settings.selected(), channels(settings, engines, keys.clone())?);
    let Engines { clock, db, ledger, .. } = engines.clone();
    // For what each service does about a person's data.
    let queue = || engines.queue.clone();
    let blobs = || engines.blobs.clone();
    let keyring = || engines.keyring.clone();
    // Policies are asked wherever a permission is, so there is one judge for the whole process.
    nsl_core::judge::appoint(Arc::new(nsl_policy::Court::new(Arc::clone(&clock))));
    // The edge remembers credentials, but is made after identity, which it asks.
    let edge = Arc::new(OnceLock::<Edge>::new());

    let audit: Handle<AuditClient> = wire
        .add(async || {
            let (config, key) = (settings.audit.clone(), engines.chain_key.clone());
            nsl_audit::hold(ledger.clone(), queue(), blobs(), keyring(), tasks);
            Ok(nsl_audit::build(config, db.clone(), ledger.clone(), key, engines.blobs.clone(), tasks))
        })
        .await;

    let forget = {
        let edge = Arc::clone(&edge);
        Arc::new(move |digest: &str| {
            if let Some(edge) = edge.get() {
                edge.forget(digest);
            }
        })
    };
    let people = Identities::wire(&mut wire, settings, engines, tasks, forget).await;
    let identity = people.identity.clone();

    let mut built = None;
    let storage: Handle<StorageClient> = wire
        .add(async || {
            let parts = nsl_storage::Parts {
                db: db.clone(),
                keyring: engines.keyring.clone(),
                ledger: ledger.clone(),
                cache: engines.cache.clone(),
                blobs: engines.blobs.clone(),
                secrets: engines.secrets.clone(),
                clock: Arc::clone(&clock),
            };
            let storage = nsl_storage::build(settings.storage.clone(), settings.quota, parts);
            storage.check_receipts().await?;
            let erased = storage.replay_erasures().await?;
            if erased > 0 {
                tracing::warn!(
                    persons = erased,
                    "a restored database held persons who were erased: they are erased again"
                );
            }
            storage.start(tasks);
            storage.hold(engines.queue.clone(), tasks);
            Ok(built.insert(storage).service())
        })
        .await;

    let paused = Arc::new(AtomicBool::new(settings.relay.paused));
    let relay: Handle<RelayClient> = wire
        .add(async || {
            let (keyring, Chains { n3, x }) = (engines.keyring.clone(), engines.chains.clone());
            let accounts = nsl_relay::Accounts::new(db.clone(), keyring, ledger.clone(), Arc::clone(&clock), x, n3);
            let parts = nsl_relay::Parts {
                db: db.clone(),
                ledger: ledger.clone(),
                clock: Arc::clone(&clock),
                accounts: Arc::new(accounts),
                process: engines.process.clone(),
                paused: Arc::clone(&paused),
            };
            nsl_relay::hold(db.clone(), queue(), blobs(), engines.keyring.clone(), tasks);
            Ok(nsl_relay::build(settings.relay.clone(), parts, tasks))
        })
        .await;

    let contracts: Handle<ContractsClient> = wire
        .add(async || {
            let Chains { n3, x } = engines.chains.clone();
            let (db, ledger, clock) = (db.clone(), ledger.clone(), Arc::clone(&clock));
            let parts = nsl_contracts::Parts { db, ledger, clock, relay: relay.need()?, n3, x };
            nsl_contracts::hold(engines.db.clone(), queue(), blobs(), keyring(), tasks);
            Ok(nsl_contracts::build(nsl_contracts::Pace::default(), parts, tasks))
        })
        .await;

    let faces = faces(audit.get(), people.clients(), storage.get(), relay.get(), contracts.get());
    let (here, channels) = (wire.here().to_vec(), wire.channels().cloned().collect());
    let made = make_edge(settings, engines, &people, &audit, trace);
    if let Err(error) = &made {
        wire.problem(format_args!("starting the public listener: {error:#}"));
    }
    let internal = wire.finish(guard(settings, engines, keys))?;
    let made = made?;
    let public = made.serve(faces);
    let made = edge.get_or_init(|| made).clone();
    Ok(Wired { public, internal, edge: made, identity, relay, paused, storage: built, here, channels })
}

/// Every scope that a service of this program asks for, wherever it runs: what API keys can be given.
pub(crate) fn scopes() -> Vec<&'static str> {
    [nsl_storage::SCOPES, nsl_identity::SCOPES, nsl_audit::SCOPES, nsl_relay::SCOPES, nsl_contracts::SCOPES].concat()
}

/// What this process shows to the public: each service that it has a client of.
pub(crate) fn faces(
    audit: Option<AuditClient>,
    identity: Option<nsl_identity::Clients>,
    storage: Option<StorageClient>,
    relay: Option<RelayClient>,
    contracts: Option<ContractsClient>,
) -> Vec<Face> {
    let of_identity = identity.map(nsl_identity::faces).unwrap_or_default();
    let before = [storage.map(nsl_storage::face), relay.map(nsl_relay::face), contracts.map(nsl_contracts::face)];
    let after = [audit.map(nsl_audit::face), Some(crate::chain_problems::face())];
    before.into_iter().flatten().chain(of_identity).chain(after.into_iter().flatten()).collect()
}

fn make_edge(
    settings: &Settings,
    engines: &Engines,
    people: &Identities,
    audit: &Handle<AuditClient>,
    trace: Option<TraceHooks>,
) -> anyhow::Result<Edge> {
    let (identity, audit) = match (people.identity.need(), audit.need()) {
        (Ok(identity), Ok(audit)) => (identity, audit),
        (Err(one), Err(other)) => anyhow::bail!("{one:#}; {other:#}"),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Edge::new(Parts {
        settings: settings.edge(),
        identity,
        sessions: people.sessions.get(),
        access: Some(people.access.need()?),
        audit,
        limits: engines.limits.clone(),
        clock: Arc::clone(&engines.clock),
        trace,
    })
}

/// The keys that peers prove themselves with, the newest first. A process that is alone may do without.
async fn peer_keys(settings: &Settings, secrets: &Secrets) -> anyhow::Result<Option<PeerKeys>> {
    const NAME: &str = "peer";
    const BYTES: usize = 32;
    match secrets.ensure(NAME, BYTES).await {
        Ok(_) => {}
        Err(error) if error.slug == "secrets.missing" => {
            let alone = settings.peers.is_empty() && settings.services.is_empty();
            anyhow::ensure!(
                alone || settings.peers_verify_certificates(),
                "processes that call each other need the secret {NAME}, the same for all, of at least {BYTES} bytes \
                 (or certificates: internal.tls and rpc.ca)"
            );
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    let versions = secrets.versions(NAME).await?;
    let mut keys: Vec<Secret> = Vec::with_capacity(versions.all.len());
    for version in versions.all.iter().rev() {
        keys.push(secrets.get_version(NAME, *version).await?);
    }
    Ok(Some(PeerKeys::new(&keys)?))
}

fn channels(
    settings: &Settings,
    engines: &Engines,
    keys: Option<PeerKeys>,
) -> anyhow::Result<BTreeMap<String, Channel>> {
    let files = &settings.internal.tls;
    let tls = (!settings.rpc.ca.is_empty())
        .then(|| PeerTls { ca: PathBuf::from(&settings.rpc.ca), identity: files.cert.clone().zip(files.key.clone()) });
    let dialer = Dialer::new(settings.rpc.channel.clone(), keys, tls, Arc::clone(&engines.clock))?;
    let mut channels = BTreeMap::new();
    for (name, addresses) in &settings.peers {
        channels.insert(name.clone(), dialer.channel(name, addresses)?);
    }
    Ok(channels)
}

fn guard(settings: &Settings, engines: &Engines, keys: Option<PeerKeys>) -> Guard {
    let mut guard = Guard::new(Arc::clone(&engines.clock), settings.rpc.channel.body_limit);
    if let Some(keys) = keys {
        guard = guard.with_keys(keys);
    }
    if settings.peers_verify_certificates() {
        guard = guard.with_certificate(|extensions| extensions.get::<Arc<PeerIdentity>>().is_some());
    }
    guard
}
