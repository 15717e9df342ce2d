use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use nsl_core::TenantId;
use nsl_engine::blobs::Blobs;
use nsl_kit::{Environment, Loaded};
use nsl_sql::{Db, EngineKind};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Done, config::Configure, page};
use crate::{
    client::{DEFAULT_DATA_DIR, Reach},
    engines,
    exit::{Exit, Failure},
    settings::AtHand,
};

#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Search the entries of your tenant, newest first
    Search {
        #[command(flatten)]
        reach: Reach,
        /// Only this kind, such as storage.value_stored
        #[arg(long)]
        event_type: Option<String>,
        /// Only deeds of this subject
        #[arg(long)]
        subject: Option<String>,
        /// Only what this request did
        #[arg(long)]
        request_id: Option<String>,
        /// Not before this time, RFC 3339
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Not after this time, RFC 3339
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[command(flatten)]
        page: page::Paging,
    },
    /// Walk all chains in the database itself, running or stopped; exits 1 unless they are whole
    Verify {
        #[command(flatten)]
        configure: Configure,
        /// Only this tenant's chains
        #[arg(long)]
        tenant: Option<String>,
    },
}

impl Audit {
    pub(crate) async fn run(self, environment: Environment) -> Result<Done, Failure> {
        match self.command {
            Command::Search { reach, event_type, subject, request_id, from, to, page } => {
                let client = reach.client(&environment)?;
                let columns = [
                    ("AT", "created_at"),
                    ("EVENT", "event_type"),
                    ("SUBJECT", "user_address"),
                    ("STATUS", "status_code"),
                    ("REQUEST", "request_id"),
                    ("FACTS", "request_data"),
                ];
                let ask = || {
                    client
                        .ask(Method::GET, &["v1", "audit", "entries"])
                        .query("event_type", event_type.as_ref())
                        .query("subject", subject.as_ref())
                        .query("request_id", request_id.as_ref())
                        .query("from", from.as_ref())
                        .query("to", to.as_ref())
                };
                page.run_showing(ask, &columns, facts, |_| crate::show::table(&columns, &[])).await
            }
            Command::Verify { configure, tenant } => verify(configure, tenant, environment).await,
        }
    }
}

/// Of a refusal, its facts are why, where and how often.
fn facts(entry: &Value) -> Value {
    let mut shown = entry.clone();
    if entry["event_type"] == "access.refused" {
        let count = &entry["response_data"]["count"];
        let (why, at) = (entry["error_message"].as_str(), entry["method_name"].as_str());
        shown["request_data"] = format!("{} {} ×{count}", why.unwrap_or("-"), at.unwrap_or("-")).into();
    }
    shown
}

async fn verify(configure: Configure, tenant: Option<String>, environment: Environment) -> Result<Done, Failure> {
    let mut loader = configure.loader(environment.clone());
    if loader.file_path().is_none() {
        loader = loader.preset("profile", "development", "nsl audit").preset("data_dir", DEFAULT_DATA_DIR, "nsl audit");
    }
    let loaded: Loaded<AtHand> = loader.load()?;
    let settings = &loaded.value.0;
    let tenant = tenant.map(|text| TenantId::parse(&text)).transpose()?;
    if settings.sql.engine() == EngineKind::Sqlite {
        // Looking must not make what is looked for.
        let file = nsl_sql::Config::sqlite_file(&settings.data_dir);
        if !file.exists() {
            return Err(Failure::new(
                Exit::NotFound,
                format!("there is no database in {}", settings.data_dir.display()),
            ));
        }
    }
    let secrets = engines::secrets(settings, nsl_kit::Profile::Production, &environment)?;
    let key = engines::chain_key(&secrets).await?;
    let db = Db::open(&settings.sql, &settings.data_dir, engines::clock(), || None).await?;
    let seen = match &tenant {
        Some(_) => None,
        None => nsl_audit::last_seen(&Blobs::build(&settings.blobs, &settings.data_dir)?).await?,
    };
    let found = showing_time(nsl_ledger::verify(&db, tenant.as_ref(), &key, seen.as_ref())).await;
    db.drain().await;
    let found = found?;
    let counts = format!("{} lanes, {} entries, {} checkpoints", found.lanes, found.entries, found.checkpoints);
    let verdict = json!({
        "whole": found.whole(),
        "lanes": found.lanes,
        "entries": found.entries,
        "checkpoints": found.checkpoints,
        "faults": found.faults,
    });
    if found.whole() {
        return Ok(Done { json: verdict.to_string(), shown: format!("whole: {counts}\n") });
    }
    let faults: String = found.faults.iter().map(|fault| format!("\n  {fault}")).collect();
    let message = format!("the audit trail is not whole ({counts}){faults}");
    Err(Failure { exit: Exit::Failed, message, problem: Some(verdict) })
}

/// Says on a terminal, once a second, that the work goes on.
async fn showing_time<T>(work: impl Future<Output = T>) -> T {
    const EVERY: Duration = Duration::from_secs(1);
    let mut out = std::io::stderr();
    if !out.is_terminal() {
        return work.await;
    }
    let (mut work, began, mut shown) = (std::pin::pin!(work), Instant::now(), false);
    loop {
        match timeout(EVERY, work.as_mut()).await {
            Ok(done) => {
                if shown {
                    let _ = write!(out, "\r\x1b[K");
                }
                return done;
            }
            Err(_) => {
                shown = true;
                let _ = write!(out, "\rwalking the chains: {} s", began.elapsed().as_secs());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_a_refusal_are_why_where_and_how_often() {
        let refused = json!({
            "event_type": "access.refused", "error_message": "auth.scope_missing",
            "method_name": "PUT /v1/storage/{chain}/items/{key}", "response_data": { "count": 3 }, "request_data": null,
        });
        let shown = facts(&refused);
        assert_eq!(shown["request_data"], "auth.scope_missing PUT /v1/storage/{chain}/items/{key} ×3");
        let stored = json!({ "event_type": "storage.value_stored", "request_data": { "key": "a" } });
        assert_eq!(facts(&stored), stored);
    }
}
