use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use nsl_kit::{Environment, Loader, config::Setting};
use serde_json::json;

use super::Done;
use crate::{
    exit::{Exit, Failure},
    given,
    settings::Settings,
};

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
    /// Print every setting with where it came from, secrets hidden, and then what is wrong; exits 1 if something is
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
    pub(crate) fn run(self, environment: Environment, as_json: bool) -> ExitCode {
        match self.command {
            Command::Check { configure } => match check(&configure, &environment) {
                Ok(done) => done.print(as_json),
                Err(failure) => failure.report(as_json),
            },
            Command::Print { configure } => {
                let (settings, mistakes) = configure.loader(environment).look::<Settings>();
                let printed = print(&settings).print(as_json);
                if mistakes.is_empty() {
                    return printed;
                }
                // What is wrong is said last, where it is seen.
                Failure::new(Exit::Failed, mistakes.to_string()).report(as_json)
            }
        }
    }
}

fn check(configure: &Configure, environment: &Environment) -> Result<Done, Failure> {
    let loaded = given::load(&configure.loader(environment.clone()), environment)??;
    let (count, profile) = (loaded.settings().len(), loaded.profile);
    Ok(Done {
        json: json!({ "good": true, "settings": count, "profile": profile }).to_string(),
        shown: format!("{count} settings are good for {profile}\n"),
    })
}

fn print(settings: &[Setting]) -> Done {
    let widest = settings.iter().map(|it| it.path.len() + it.shown.len()).max().unwrap_or(0).min(60);
    let line = |it: &Setting| {
        let setting = format!("{} = {}", it.path, it.shown);
        format!("{setting:<width$}  # {}\n", it.origin, width = widest + 3)
    };
    let object = |it: &Setting| json!({ "path": it.path, "value": it.shown, "origin": it.origin.to_string() });
    Done {
        json: json!({ "settings": settings.iter().map(object).collect::<Vec<_>>() }).to_string(),
        shown: settings.iter().map(line).collect(),
    }
}
