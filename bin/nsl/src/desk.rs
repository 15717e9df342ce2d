//! nsl on a desk: embedded engines in one directory, a tenant and a key of its own, and the nodes that run beside.

use std::{path::Path, time::Duration};

use anyhow::bail;
use aws_lc_rs::digest;
use nsl_api::{
    Chain, Revealed,
    identity::{Authenticate, CreateTenant},
    relay::{AddAccount, ListAccounts},
};
use nsl_core::{Code, Cx, Subject, TenantId};
use nsl_devnet::N3;
use nsl_kit::{Environment, Loader};
use tokio::time::timeout;

use crate::{
    commands::devnet::{self, Found},
    engines::Schema,
    exit::Failure,
    left::Left,
    process::{Parts, Process},
    settings::Settings,
};

pub(crate) const BY: &str = "nsl dev";
/// What the account is called that a devnet gives.
const LABEL: &str = "devnet";
const REFILL: u64 = 1_000 * 100_000_000;
const BUDGET: Duration = Duration::from_secs(20);

/// A process that answers, and what a developer needs to talk to it.
pub(crate) struct Desk {
    pub(crate) process: Process,
    pub(crate) left: Left,
    /// The tenant and the key are new.
    pub(crate) fresh: bool,
    pub(crate) nodes: Found,
}

/// Whether nodes of both chains are started, or only found where they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nodes {
    Start,
    Find,
}

/// As for `serve`, with defaults for a desk: embedded engines, loopback, secrets made when missing.
pub(crate) fn loader(loader: Loader, ports: [u16; 3], log: (&str, &str)) -> Loader {
    let loopback = |port: u16| format!("127.0.0.1:{port}");
    loader
        .preset("profile", "development", BY)
        .preset("data_dir", crate::client::DEFAULT_DATA_DIR, BY)
        .preset("log.format", log.0, BY)
        .preset("log.level", log.1, BY)
        .preset("http.exempt_loopback", "true", BY)
        .preset("identity.federation.private_addresses", "true", BY)
        .preset("public.address", loopback(ports[0]), BY)
        .preset("internal.address", loopback(ports[1]), BY)
        .preset("ops.address", loopback(ports[2]), BY)
}

impl Desk {
    /// Starts a process on a directory that is locked.
    pub(crate) async fn open(
        mut loader: Loader,
        environment: &Environment,
        dir: &Path,
        nodes: Nodes,
    ) -> Result<Self, Failure> {
        let nodes = match nodes {
            Nodes::Start => devnet::up(dir).await?,
            Nodes::Find => devnet::find(dir).await?,
        };
        for (setting, value) in devnet::settings(&nodes) {
            loader = loader.preset(setting, value, "nsl devnet");
        }
        let mut loaded = loader.load::<Settings>()?;
        if let Some(issuer) = issuer(&loaded.value) {
            loader = loader.preset("identity.tokens.issuer", issuer, BY);
            loaded = loader.load::<Settings>()?;
        }
        let process = Process::start(loader, loaded, environment, Schema::Migrate).await?;
        let (left, fresh) = first_key(&process.parts, dir).await?;
        adopt(&process.parts, &left, &nodes).await?;
        Ok(Self { process, left, fresh, nodes })
    }
}

/// What tokens name as who made them where nobody said it: where the one process of a desk listens, if that is known
/// before it does. So the discovery documents tell the truth.
fn issuer(settings: &Settings) -> Option<String> {
    let (identity, address) = (&settings.identity, &settings.public.address);
    let is_told = !identity.public_url.is_empty() || !identity.tokens.issuer.is_empty();
    let scheme = if settings.public.tls.cert.is_some() { "https" } else { "http" };
    (!is_told && address.port() != 0).then(|| format!("{scheme}://{address}"))
}

/// The tenant and key of the first start, which later starts find again. The flag says that they are new.
async fn first_key(parts: &Parts, dir: &Path) -> anyhow::Result<(Left, bool)> {
    let identity = parts.identity.need()?;
    let url = parts.public.url().to_owned();
    if let Some(left) = Left::read(dir)? {
        let cx = Cx::system(TenantId::parse(&left.tenant)?, BUDGET);
        let digest = hex::encode(digest::digest(&digest::SHA256, left.api_key.0.as_bytes()));
        if let Err(error) = identity.authenticate(&cx, Authenticate { digest }).await {
            anyhow::ensure!(error.code == Code::Unauthenticated, error);
            let file = Left::file(dir);
            tracing::warn!(file = %file.display(), "the API key in this file works no longer: delete it to get a new tenant and key");
        }
        let left = Left { url: Some(url), ..left };
        left.write(dir)?;
        return Ok((left, false));
    }
    let cx = Cx::system(TenantId::parse(nsl_ledger::PLATFORM)?, BUDGET);
    let request = CreateTenant { name: "development".to_owned(), subject: Subject::parse("developer")? };
    let made = identity.create_tenant(&cx, request).await?;
    let Revealed(key) = made.key.secret;
    let left = Left { url: Some(url), tenant: made.tenant.to_string(), api_key: Revealed(key) };
    left.write(dir)?;
    Ok((left, true))
}

/// Gives the account of an earlier devnet money on the one that runs, if it has none there. What goes wrong stops
/// nobody: a node that does not answer now may do so when it is needed.
async fn refill(node: &N3, address: &str) {
    let give = async {
        if node.gas_of(address).await? == 0 {
            node.fund_gas(address, REFILL).await?;
        }
        anyhow::Ok(())
    };
    let given = timeout(BUDGET, give).await.map_err(anyhow::Error::from).flatten();
    if let Err(error) = given {
        tracing::warn!(address, error = format!("{error:#}"), "the account of an earlier devnet got no GAS");
    }
}

/// Gives the tenant an account with money on each chain where it has none: the devnet's first one.
async fn adopt(parts: &Parts, left: &Left, nodes: &Found) -> anyhow::Result<()> {
    // A process without the relay adopts nothing.
    let Some(relay) = parts.relay.get() else { return Ok(()) };
    let cx = Cx::system(TenantId::parse(&left.tenant)?, BUDGET);
    for (chain, account) in [(Chain::NeoN3, nodes.n3_account()), (Chain::NeoX, nodes.x_account())] {
        let Some(account) = account else { continue };
        let has = relay.list_accounts(&cx, ListAccounts { chain }).await?.items;
        if !has.is_empty() {
            let earlier = has.iter().find(|one| one.label == LABEL && one.address != account.address);
            if let (Some(earlier), Some(node), Chain::NeoN3) = (earlier, nodes.n3(), chain) {
                refill(node, &earlier.address).await;
            }
            continue;
        }
        let key = Some(Revealed(account.key.clone()));
        let add = AddAccount { chain, label: LABEL.to_owned(), key };
        match relay.add_account(&cx, add).await {
            Ok(_) => {}
            // Another tenant of this directory has it.
            Err(error) if error.slug == "relay.account_taken" => {}
            Err(error) => bail!(error),
        }
    }
    Ok(())
}
