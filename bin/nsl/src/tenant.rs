use std::time::Duration;

use clap::{Args, Subcommand};
use nsl_api::identity::{CreateTenant, IdentityClient};
use nsl_core::{Cx, Subject, TenantId};
use nsl_kit::{Environment, Loaded, Tasks};
use nsl_rpc::{Client, Via};

use crate::{
    commands::{Done, config::Configure},
    engines::{Engines, Schema},
    exit::Failure,
    settings::Settings,
    show, wire,
};

/// How a platform gets its tenants: with the database at hand, since no key exists yet that could ask.
#[derive(Args)]
pub(crate) struct Tenant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a tenant and its first key, which may do everything there; it is shown this once
    Create {
        /// What the tenant is called
        name: String,
        /// Whose data the first key works on
        #[arg(long, default_value = "owner")]
        subject: String,
        #[command(flatten)]
        configure: Configure,
    },
}

impl Tenant {
    pub(crate) async fn run(self, environment: Environment) -> Result<Done, Failure> {
        let Command::Create { name, subject, configure } = self.command;
        let loaded: Loaded<Settings> = configure.loader(environment.clone()).load()?;
        let subject = Subject::parse(&subject)?;
        let engines = Engines::open(&loaded.value, loaded.profile, &environment, Schema::Check).await?;
        let tasks = Tasks::new();
        let Engines { db, ledger, clock, .. } = engines;
        let (config, nobody_listens) = (loaded.value.identity.clone(), std::sync::Arc::new(|_: &str| {}));
        let service = nsl_identity::build(config, db.clone(), ledger, clock, wire::scopes(), &tasks, nobody_listens);
        let identity = IdentityClient::new(Via::Local(service));
        let cx = Cx::system(TenantId::parse(nsl_ledger::PLATFORM)?, Duration::from_secs(30));
        let made = identity.create_tenant(&cx, CreateTenant { name, subject }).await;
        tasks.drain(Duration::from_secs(1)).await;
        db.drain().await;
        let whole = serde_json::to_value(made?).map_err(anyhow::Error::from)?;
        let fields = [("tenant", "tenant")];
        let of_key = [("key", "secret"), ("id", "id"), ("subject", "subject")];
        let note = "The key is shown this once: keep it now.\n";
        let shown = format!("{}{}{note}", show::pairs(&fields, &whole), show::pairs(&of_key, &whole["key"]));
        Ok(Done { json: whole.to_string(), shown })
    }
}
