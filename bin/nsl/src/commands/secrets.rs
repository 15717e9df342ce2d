use aws_lc_rs::rand;
use clap::{Args, Subcommand, ValueEnum};
use nsl_core::Secret;
use nsl_kit::{Environment, Loaded};
use serde_json::json;

use super::{Done, config::Configure};
use crate::{
    engines,
    exit::{Exit, Failure},
    settings::AtHand,
};

/// The secrets that lie in files, at the machine that holds them.
#[derive(Args)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new version of a secret; what it protects moves over while the platform serves
    Rotate {
        name: Rotates,
        #[command(flatten)]
        configure: Configure,
    },
}

/// Only what finds its old versions again by itself.
#[derive(Clone, Copy, ValueEnum)]
enum Rotates {
    /// Wraps all data keys; they are rewrapped within a minute
    Root,
}

impl Rotates {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
        }
    }
}

impl Secrets {
    pub(crate) async fn run(self, environment: Environment) -> Result<Done, Failure> {
        let Command::Rotate { name, configure } = self.command;
        let loaded: Loaded<AtHand> = configure.loader(environment.clone()).load()?;
        let secrets = engines::secrets(&loaded.value.0, nsl_kit::Profile::Production, &environment)?;
        // A first version is made at the first start, or given by whoever runs the platform.
        secrets.versions(name.name()).await?;
        let mut bytes = [0u8; 32];
        rand::fill(&mut bytes).map_err(|_| Failure::new(Exit::Failed, "the system gave no random bytes"))?;
        let version = secrets.put_new_version(name.name(), &Secret::new(bytes)).await?;
        Ok(Done {
            json: json!({ "secret": name.name(), "version": version }).to_string(),
            shown: format!(
                "{} is now at version {version}; the older ones must stay until nothing uses them\n",
                name.name()
            ),
        })
    }
}
