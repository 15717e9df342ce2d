use std::time::Duration;

use clap::Args;
use nsl_kit::Environment;
use nsl_sql::EngineKind;

use crate::{
    commands::config::Configure,
    engines::Schema,
    exit::{Exit, Failure},
    given, lock,
    process::Process,
};

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    configure: Configure,
    /// The services that this process runs, separated by commas; all when absent
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    services: Vec<String>,
    /// Bring the schema up to date first; else one that is not is refused
    #[arg(long)]
    migrate: bool,
}

impl Serve {
    pub(crate) fn run(self, environment: Environment) -> Result<(), Failure> {
        let services = (!self.services.is_empty()).then(|| format!("services={}", self.services.join(",")));
        let loader = self.configure.loader(environment.clone()).flags(services);
        let loaded = given::load(&loader, &environment)??;
        let schema = if self.migrate { Schema::Migrate } else { Schema::Check };
        let dir = (loaded.value.sql.engine() == EngineKind::Sqlite).then(|| loaded.value.data_dir.clone());
        run_to_the_end(async {
            let _lock = match &dir {
                Some(dir) => Some(lock::beside(dir).await?),
                None => None,
            };
            let process = Process::start(loader, loaded, &environment, schema).await.map_err(failure)?;
            process.run().await.map_err(Failure::from)
        })?
    }
}

fn failure(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot start\n{error:#}"))
}

/// Runs a process; what still hangs at its end is left behind, since it has had its time.
pub(crate) fn run_to_the_end<T>(process: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(process);
    runtime.shutdown_timeout(Duration::from_millis(50));
    Ok(outcome)
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
