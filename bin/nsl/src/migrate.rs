use clap::Args;
use nsl_kit::{Environment, Loaded};
use serde_json::json;

use crate::{
    commands::{Done, config::Configure},
    engines::{self, MIGRATIONS},
    exit::Failure,
    settings::AtHand,
};

#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    configure: Configure,
}

impl Migrate {
    pub(crate) async fn run(self, environment: Environment) -> Result<Done, Failure> {
        let loaded: Loaded<AtHand> = self.configure.loader(environment).load()?;
        let settings = &loaded.value.0;
        engines::prepare(&settings.data_dir)?;
        let taken = settings.sql.migrate(&settings.data_dir, &*engines::clock(), &MIGRATIONS).await?;
        let shown = match taken.is_empty() {
            true => "the schema was up to date\n".to_owned(),
            false => taken.iter().map(|step| format!("applied {step}\n")).collect(),
        };
        Ok(Done { json: json!({ "applied": taken }).to_string(), shown })
    }
}
