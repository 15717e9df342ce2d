use std::time::Duration;

use clap::{Args, Subcommand};
use nsl_api::{
    access::{AccessClient, RemovePolicy},
    identity::{CreateTenant, IdentityClient, ListTenants},
};
use nsl_core::{Cx, Subject, TenantId};
use nsl_kit::{Environment, Loaded, Tasks};
use nsl_rpc::{Client, Via};
use serde_json::json;

use crate::{
    commands::{Done, config::Configure},
    engines::{Engines, Schema},
    exit::Failure,
    identities,
    settings::AtHand,
    show,
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
    /// List all tenants that were made so, newest first
    List {
        #[command(flatten)]
        configure: Configure,
    },
    /// Remove a policy of a tenant that keeps everybody out who could change it
    RemovePolicy {
        /// The tenant's id, `ten_...`
        tenant: String,
        /// The policy's name
        policy: String,
        #[command(flatten)]
        configure: Configure,
    },
}

const PAGE: u32 = 100;

impl Tenant {
    pub(crate) async fn run(self, environment: Environment) -> Result<Done, Failure> {
        let (Command::Create { configure, .. } | Command::List { configure } | Command::RemovePolicy { configure, .. }) =
            &self.command;
        let loaded: Loaded<AtHand> = configure.loader(environment.clone()).load()?;
        let settings = &loaded.value.0;
        let engines = Engines::open(settings, loaded.profile, &environment, Schema::Check).await?;
        let tasks = Tasks::new();
        let db = engines.db.clone();
        let parts = identities::parts(&engines, std::sync::Arc::new(|_: &str| {}));
        let built = nsl_identity::build(settings.identity.clone(), parts, &tasks)?;
        let access = AccessClient::new(Via::Local(built.access));
        let done = self.command.ask(IdentityClient::new(Via::Local(built.identity)), access).await;
        tasks.drain(Duration::from_secs(1)).await;
        db.drain().await;
        done
    }
}

impl Command {
    async fn ask(self, identity: IdentityClient, access: AccessClient) -> Result<Done, Failure> {
        let cx = Cx::system(TenantId::parse(nsl_ledger::PLATFORM)?, Duration::from_secs(30));
        match self {
            Self::Create { name, subject, .. } => {
                let subject = Subject::parse(&subject)?;
                let made = identity.create_tenant(&cx, CreateTenant { name, subject }).await?;
                let whole = serde_json::to_value(made).map_err(anyhow::Error::from)?;
                let fields = [("tenant", "tenant")];
                let of_key = [("key", "secret"), ("id", "id"), ("subject", "subject")];
                let note = "The key is shown this once: keep it now.\n";
                let shown = format!("{}{}{note}", show::pairs(&fields, &whole), show::pairs(&of_key, &whole["key"]));
                Ok(Done { json: whole.to_string(), shown })
            }
            Self::RemovePolicy { tenant, policy, .. } => {
                let cx = Cx { tenant: TenantId::parse(&tenant)?, ..cx };
                let gone = access.remove_policy(&cx, RemovePolicy { name: policy, expected_version: None }).await?;
                let whole = serde_json::to_value(gone).map_err(anyhow::Error::from)?;
                let shown = show::pairs(&[("policy", "name"), ("version", "version")], &whole);
                Ok(Done { json: whole.to_string(), shown })
            }
            Self::List { .. } => {
                let (mut items, mut after) = (Vec::new(), None);
                loop {
                    let page = identity.list_tenants(&cx, ListTenants { limit: PAGE, after }).await?;
                    for tenant in page.items {
                        items.push(serde_json::to_value(tenant).map_err(anyhow::Error::from)?);
                    }
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                let shown = show::table(&[("TENANT", "tenant"), ("NAME", "name"), ("CREATED", "created_at")], &items);
                Ok(Done { json: json!({ "items": items }).to_string(), shown })
            }
        }
    }
}
