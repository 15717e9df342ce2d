use std::path::PathBuf;

use clap::{Args, Subcommand};
use nsl_kit::{Environment, Loader};
use serde_json::json;

use super::Done;
use crate::{exit::Failure, given, settings::Settings};

#[derive(Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say everything that is wrong; exits 2 if something is
    Check {
        #[command(flatten)]
        configure: Configure,
    },
    /// Print every setting with where it came from; secrets are hidden
    Print {
        #[command(flatten)]
        configure: Configure,
    },
}

/// Where a server's settings come from, beside the environment.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Configure {
    /// Configuration file (TOML); else NSL_CONFIG
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, such as log.level=debug; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where embedded engines and generated secrets live
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Configure {
    pub(crate) fn loader(&self, environment: Environment) -> Loader {
        let file =
            self.config.clone().or_else(|| environment.get("NSL_CONFIG").filter(|f| !f.is_empty()).map(PathBuf::from));
        let dir = self.data_dir.as_ref().map(|dir| format!("data_dir={}", dir.display()));
        Loader::default().file(file).environment(environment).flags(dir).flags(&self.set)
    }
}

impl Config {
    pub(crate) fn run(self, environment: Environment) -> Result<Done, Failure> {
        match self.command {
            Command::Check { configure } => {
                let loaded = given::load(&configure.loader(environment.clone()), &environment)??;
                let (count, profile) = (loaded.settings().len(), loaded.profile);
                Ok(Done {
                    json: json!({ "good": true, "settings": count, "profile": profile }).to_string(),
                    shown: format!("{count} settings are good for {profile}\n"),
                })
            }
            Command::Print { configure } => {
                let settings = configure.loader(environment).load::<Settings>()?.settings();
                let widest = settings.iter().map(|it| it.path.len() + it.shown.len()).max().unwrap_or(0).min(60);
                let line = |it: &nsl_kit::config::Setting| {
                    let setting = format!("{} = {}", it.path, it.shown);
                    format!("{setting:<width$}  # {}\n", it.origin, width = widest + 3)
                };
                let object = |it: &nsl_kit::config::Setting| json!({ "path": it.path, "value": it.shown, "origin": it.origin.to_string() });
                Ok(Done {
                    json: json!({ "settings": settings.iter().map(object).collect::<Vec<_>>() }).to_string(),
                    shown: settings.iter().map(line).collect(),
                })
            }
        }
    }
}
