use std::{
    io::{IsTerminal, Write},
    path::Path,
};

use clap::Args;
use nsl_kit::{Environment, Loader};
use serde_json::json;

use crate::{
    client::DEFAULT_DATA_DIR,
    commands::{config::Configure, devnet::Found},
    desk::{self, Desk, Nodes},
    exit::Failure,
    left::Left,
    lock,
    process::Parts,
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

impl Dev {
    pub(crate) fn run(self, environment: Environment, as_json: bool) -> Result<(), Failure> {
        let loader = self.loader(&environment, as_json);
        let dir = loader.load::<Settings>()?.value.data_dir;
        let nodes = if self.devnet { Nodes::Start } else { Nodes::Find };
        run_to_the_end(async move {
            let _lock = lock::alone_soon(&dir).await?.ok_or_else(|| lock::refused(&dir))?;
            let Desk { process, left, fresh, nodes } = Desk::open(loader, &environment, &dir, nodes).await?;
            announce(&process.parts, &left, &dir, fresh || self.show_key, as_json, &nodes)?;
            drop(left);
            process.run().await.map_err(Failure::from)
        })?
    }

    fn loader(&self, environment: &Environment, as_json: bool) -> Loader {
        let for_people = !as_json && std::io::stderr().is_terminal();
        let ports = if self.port.is_some() { [0, 0, 0] } else { [8080, 9090, 8081] };
        let log = (if for_people { "text" } else { "json" }, if as_json { "info" } else { "warn" });
        let port = self.port.map(|port| format!("public.address=127.0.0.1:{port}"));
        desk::loader(self.configure.loader(environment.clone()), ports, log).flags(port)
    }
}

fn announce(
    parts: &Parts,
    left: &Left,
    dir: &Path,
    show_key: bool,
    as_json: bool,
    nodes: &Found,
) -> anyhow::Result<()> {
    let (public, internal, ops) = (parts.public.url(), parts.internal.url(), parts.ops.url());
    let key = show_key.then_some(left.api_key.0.as_str());
    let text = if as_json {
        let mut ready =
            json!({ "public": public, "internal": internal, "ops": ops, "tenant": left.tenant, "api_key": key });
        if let Some(nodes) = nodes.described() {
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
        let chains = nodes.lines();
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
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // Whoever has read enough, such as `head`, does not end the server.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
