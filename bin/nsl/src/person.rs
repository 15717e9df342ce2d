use std::time::Duration;

use clap::{Args, Subcommand};
use nsl_api::{
    people::{NameUser, PeopleClient},
    privacy::{AskDataReport, PrivacyClient},
};
use nsl_core::{Cx, TenantId};
use nsl_identity::Built;
use nsl_kit::{Environment, Loaded, Tasks};
use nsl_rpc::{Client, Via};
use serde::Serialize;

use crate::{
    commands::{Done, config::Configure},
    engines::{Engines, Schema},
    exit::Failure,
    identities,
    settings::AtHand,
    show,
};

/// What operators do about persons on the whole platform, with the database at hand.
#[derive(Args)]
pub(crate) struct Person {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Whom {
    /// The user's id, usr_...
    id: String,
    #[command(flatten)]
    configure: Configure,
}

#[derive(Subcommand)]
enum Command {
    /// Keep a person out of all tenants
    Suspend(Whom),
    /// Undo suspend
    Resume(Whom),
    /// Delete an account for good, and what is stored of its person
    Delete(Whom),
    /// How requests for copies and erasures stand, in all tenants
    Report {
        #[command(flatten)]
        configure: Configure,
    },
}

impl Person {
    pub(crate) async fn run(self, environment: Environment) -> Result<Done, Failure> {
        let configure = match &self.command {
            Command::Suspend(whom) | Command::Resume(whom) | Command::Delete(whom) => &whom.configure,
            Command::Report { configure } => configure,
        };
        let loaded: Loaded<AtHand> = configure.loader(environment.clone()).load()?;
        let settings = &loaded.value.0;
        let engines = Engines::open(settings, loaded.profile, &environment, Schema::Check).await?;
        let tasks = Tasks::new();
        let db = engines.db.clone();
        let parts = identities::parts(&engines, std::sync::Arc::new(|_: &str| {}));
        let built = nsl_identity::build(settings.identity.clone(), parts, &tasks)?;
        let done = self.command.ask(built).await;
        tasks.drain(Duration::from_secs(1)).await;
        db.drain().await;
        done
    }
}

impl Command {
    async fn ask(self, built: Built) -> Result<Done, Failure> {
        let cx = Cx::system(TenantId::parse(nsl_ledger::PLATFORM)?, Duration::from_secs(30));
        let people = PeopleClient::new(Via::Local(built.people));
        let user = [("user", "id"), ("status", "status")];
        match self {
            Self::Suspend(Whom { id, .. }) => shown(&people.suspend_user(&cx, NameUser { id }).await?, &user),
            Self::Resume(Whom { id, .. }) => shown(&people.resume_user(&cx, NameUser { id }).await?, &user),
            Self::Delete(Whom { id, .. }) => {
                let fields = [("deleted", "id"), ("privacy request", "privacy_request")];
                shown(&people.delete_user(&cx, NameUser { id }).await?, &fields)
            }
            Self::Report { .. } => {
                let privacy = PrivacyClient::new(Via::Local(built.privacy));
                let fields = ["open", "overdue", "due_soon", "done", "failed", "next_due_at"].map(|name| (name, name));
                shown(&privacy.data_report(&cx, AskDataReport {}).await?, &fields)
            }
        }
    }
}

fn shown(reply: &impl Serialize, fields: &[(&str, &str)]) -> Result<Done, Failure> {
    let whole = serde_json::to_value(reply).map_err(anyhow::Error::from)?;
    Ok(Done { json: whole.to_string(), shown: show::pairs(fields, &whole) })
}
