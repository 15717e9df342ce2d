//! Settings together with the secrets that production wants to be given: everything that is refused is said at once.

use nsl_engine::secrets::SecretsEngine;
use nsl_kit::{Environment, Loaded, Loader, Mistakes, Profile};

use crate::{engines, settings::Settings};

const LEAST_BYTES: usize = 32;
/// Thirty-two random bytes, also written in hex, have more different ones than this but for once in an age.
const LEAST_DIFFERENT: usize = 8;

/// Reads the settings of a server and checks them, its secrets included.
pub(crate) fn load(loader: &Loader, environment: &Environment) -> anyhow::Result<Result<Loaded<Settings>, Mistakes>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(loader.load_and(|settings, profile, mistakes| {
        if profile.is_production() {
            runtime.block_on(check(settings, environment, mistakes));
        }
    }))
}

async fn check(settings: &Settings, environment: &Environment, mistakes: &mut Mistakes) {
    let secrets = match engines::secrets(settings, Profile::Production, environment) {
        Ok(secrets) => secrets,
        Err(error) => return mistakes.add("secrets", format!("{error:#}")),
    };
    for name in needed(settings) {
        let place = place(settings, name);
        let newest = match secrets.get_and_check_all(name).await {
            Ok(secret) => secret,
            Err(error) if error.slug == "secrets.missing" => {
                let say = format!(
                    "production makes no secret of its own and the secret {name} is missing: put at least {LEAST_BYTES} random \
                     bytes in {place} (openssl rand -hex 32)"
                );
                mistakes.add("secrets", say);
                continue;
            }
            Err(error) => {
                let cause = error.cause().map(|cause| format!(": {cause:#}")).unwrap_or_default();
                mistakes.add("secrets", format!("{error}{cause}"));
                continue;
            }
        };
        let different = newest.expose().iter().fold([false; 256], |mut seen, byte| {
            seen[usize::from(*byte)] = true;
            seen
        });
        let short = newest.expose().len() < LEAST_BYTES;
        if short || different.iter().filter(|seen| **seen).count() < LEAST_DIFFERENT {
            let why =
                if short { format!("of fewer than {LEAST_BYTES} bytes") } else { "that is not random".to_owned() };
            mistakes.add(
                "secrets",
                format!("production refuses a secret {name} {why}: replace it in {place} (openssl rand -hex 32)"),
            );
        }
    }
}

fn needed(settings: &Settings) -> Vec<&'static str> {
    let mut names = vec!["root", "audit"];
    let alone = settings.services.is_empty() && settings.peers.is_empty();
    if !alone && !settings.peers_verify_certificates() {
        names.push("peer");
    }
    if settings.selected().iter().any(|service| service == "storage") {
        names.push("receipts");
    }
    names
}

fn place(settings: &Settings, name: &str) -> String {
    match settings.secrets.engine {
        SecretsEngine::Environment => {
            let name = name.to_ascii_uppercase();
            format!("NSL_SECRET_{name} or the file of NSL_SECRET_{name}_FILE")
        }
        SecretsEngine::Files if settings.secrets.dir.is_empty() => {
            format!("{}, mode 0600", settings.data_dir.join("secrets").join(name).join("1").display())
        }
        SecretsEngine::Files => format!("{}/{name}/1, mode 0600", settings.secrets.dir.trim_end_matches('/')),
    }
}
