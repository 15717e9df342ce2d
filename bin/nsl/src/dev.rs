use std::{
    fs::File,
    io::{IsTerminal, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use clap::Args;
use nsl_api::{
    Revealed,
    identity::{Authenticate, CreateTenant},
};
use nsl_core::{Code, Cx, Subject, TenantId};
use nsl_kit::{Environment, Loaded, Loader};
use serde_json::{Value, json};

use crate::{
    client::DEFAULT_DATA_DIR,
    commands::{config::Configure, devnet},
    engines::{self, Schema},
    exit::Failure,
    left::Left,
    process::{Parts, Process},
    serve::run_to_the_end,
    settings::Settings,
};

#[derive(Args)]
pub(crate) struct Dev {
    #[command(flatten)]
    configure: Configure,
    /// Port of the public API, 0 for any free one; the other listeners then take free ones too
    #[arg(long)]
    port: Option<u16>,
    /// Print the API key again
    #[arg(long)]
    show_key: bool,
    /// Start real nodes of both chains as `nsl devnet up` does, or find those that run; they go on afterwards
    #[arg(long)]
    devnet: bool,
}

const BY: &str = "nsl dev";
const BUDGET: Duration = Duration::from_secs(20);

impl Dev {
    pub(crate) fn run(self, environment: Environment, as_json: bool) -> Result<(), Failure> {
        let mut loader = self.loader(&environment, as_json);
        let mut loaded: Loaded<Settings> = loader.load()?;
        let dir = loaded.value.data_dir.clone();
        engines::prepare(&dir)?;
        let _lock = lock(&dir)?;
        let Self { show_key, devnet: with_nodes, .. } = self;
        run_to_the_end(async move {
            let mut nodes = None;
            if with_nodes {
                let up = devnet::up(&dir).await?;
                loader = loader.flags(devnet::settings(&up));
                loaded = loader.load()?;
                nodes = Some(devnet::described(&up));
            }
            let process = Process::start(loader, loaded, &environment, Schema::Migrate).await?;
            let (left, fresh) = first_key(&process.parts, &dir).await?;
            announce(&process.parts, &left, &dir, fresh || show_key, as_json, nodes)?;
            drop(left);
            process.run().await.map_err(Failure::from)
        })?
    }

    /// As for `serve`, with defaults for a desk: embedded engines, loopback, secrets made when missing.
    fn loader(&self, environment: &Environment, as_json: bool) -> Loader {
        let for_people = !as_json && std::io::stderr().is_terminal();
        let ports = if self.port.is_some() { [0, 0, 0] } else { [8080, 9090, 8081] };
        let loopback = |port: u16| format!("127.0.0.1:{port}");
        self.configure
            .loader(environment.clone())
            .preset("profile", "development", BY)
            .preset("data_dir", DEFAULT_DATA_DIR, BY)
            .preset("log.format", if for_people { "text" } else { "json" }, BY)
            .preset("log.level", if as_json { "info" } else { "warn" }, BY)
            .preset("http.exempt_loopback", "true", BY)
            .preset("public.address", loopback(ports[0]), BY)
            .preset("internal.address", loopback(ports[1]), BY)
            .preset("ops.address", loopback(ports[2]), BY)
            .flags(self.port.map(|port| format!("public.address={}", loopback(port))))
    }
}

/// One `nsl dev` at a time on a directory; the lock ends with the process, however that ends.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let file = dir.join("dev.lock");
    let lock = File::create(&file).with_context(|| format!("opening {}", file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => bail!(
            "another nsl dev runs on {}: stop it first, also to see its API key by --show-key; the key is in {} as well, \
             where the command line finds it",
            dir.display(),
            Left::file(dir).display()
        ),
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", file.display())),
    }
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
        let left = Left { url, ..left };
        left.write(dir)?;
        return Ok((left, false));
    }
    let cx = Cx::system(TenantId::parse(nsl_ledger::PLATFORM)?, BUDGET);
    let request = CreateTenant { name: "development".to_owned(), subject: Subject::parse("developer")? };
    let made = identity.create_tenant(&cx, request).await?;
    let Revealed(key) = made.key.secret;
    let left = Left { url, tenant: made.tenant.to_string(), api_key: Revealed(key) };
    left.write(dir)?;
    Ok((left, true))
}

fn announce(
    parts: &Parts,
    left: &Left,
    dir: &Path,
    show_key: bool,
    as_json: bool,
    nodes: Option<Value>,
) -> anyhow::Result<()> {
    let (public, internal, ops) = (parts.public.url(), parts.internal.url(), parts.ops.url());
    let key = show_key.then_some(left.api_key.0.as_str());
    let text = if as_json {
        let mut ready =
            json!({ "public": public, "internal": internal, "ops": ops, "tenant": left.tenant, "api_key": key });
        if let Some(nodes) = nodes {
            ready["devnet"] = nodes;
        }
        ready.to_string()
    } else {
        let (shown, again) = match key {
            Some(key) => (key, ""),
            None => ("$NSL_API_KEY", "   (--show-key prints it again)"),
        };
        // Commands find this server by its directory, unless it is the one that they look into anyway.
        let at = match dir == Path::new(DEFAULT_DATA_DIR) {
            true => String::new(),
            false => format!("NSL_DATA_DIR={} ", dir.display()),
        };
        let chains = nodes.map(|nodes| devnet::line(&nodes)).unwrap_or_default();
        format!(
            "nsl is ready
  API     {public}   described at {public}/docs
  ops     {ops}   health, metrics
  tenant  {}
  key     {shown}{again}{chains}

Try it:
  curl -H \"Authorization: Bearer {shown}\" -H 'Content-Type: application/json' \\
       -d '{{\"key\":\"hello\",\"value\":{{\"n\":1}},\"encrypted\":true}}' {public}/v1/storage/store/neo-n3
  curl -H \"Authorization: Bearer {shown}\" {public}/v1/storage/retrieve/neo-n3/hello
  {at}nsl storage get hello
  {at}nsl audit verify

Ctrl-C stops it.",
            left.tenant
        )
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}
