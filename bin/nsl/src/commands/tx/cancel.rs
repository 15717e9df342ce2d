//! Taking back, and what becomes of it.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::{Chain, Done, IDEMPOTENCY_KEY, sending};
use crate::{
    client::Client,
    commands::sending::Stay,
    exit::{Exit, Failure},
};

#[derive(Args)]
pub(crate) struct Cancel {
    chain: Chain,
    id: String,
    /// Stay so many seconds to tell what became of it; it goes on without anybody who stays
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u64,
}

impl Cancel {
    pub(super) async fn run(self, client: &Client) -> Result<Done, Failure> {
        let Self { chain, id, timeout } = self;
        let path = ["v1", "tx", chain.name(), &id];
        let asked = client.ask(Method::DELETE, &path).header(IDEMPOTENCY_KEY, Some(nsl_core::fresh("cli")));
        let stands = match asked.send().await {
            Ok(reply) => reply.read()?,
            Err(failure) if is_ended(&failure) => {
                let stands: Value = client.ask(Method::GET, &path).send().await?.read()?;
                return Err(Failure { message: too_late(chain, &stands), ..failure });
            }
            Err(failure) => return Err(super::wanted(&id, failure)),
        };
        let until = Instant::now() + Duration::from_secs(timeout.min(24 * 3600));
        let stands = sending::stay_with(client, chain, stands, Stay { until, is_quiet: true }).await?;
        became(chain, &stands)
    }
}

fn is_ended(failure: &Failure) -> bool {
    failure.problem.as_ref().is_some_and(|problem| problem["code"] == "relay.request_ended")
}

fn became(chain: Chain, stands: &Value) -> Result<Done, Failure> {
    let name = chain.name();
    let id = crate::show::clean(stands["id"].as_str().unwrap_or_default());
    let shown = match stands["state"].as_str() {
        Some("replaced") => format!("{id} is cancelled\n"),
        _ if sending::is_decided(&stands["state"]) => {
            let message = too_late(chain, stands);
            let problem = Some(sending::told(stands, &message));
            return Err(Failure { exit: Exit::Refused, message, problem });
        }
        _ => format!(
            "{}\nit is taken back as soon as the chain lets it; nsl tx wait {name} {id} stays with it\n",
            sending::step(stands)
        ),
    };
    Ok(Done { json: stands.to_string(), shown })
}

fn too_late(chain: Chain, stands: &Value) -> String {
    match stands["state"].as_str() {
        Some("replaced") => format!("{}: it was cancelled before", sending::step(stands)),
        Some("failed" | "expired") => format!("too late: {}", sending::step(stands)),
        _ => format!("too late: {}", sending::line(chain, stands).trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_became_of_it_is_told() {
        let stands = |state: &str| json!({ "id": "rel_1", "state": state, "height": 7, "tx": "0xab" });
        assert_eq!(became(Chain::NeoX, &stands("replaced")).unwrap().shown, "rel_1 is cancelled\n");
        let open = became(Chain::NeoX, &stands("signed")).unwrap();
        assert!(
            open.shown.contains("rel_1 signed") && open.shown.contains("nsl tx wait neo-x rel_1"),
            "{}",
            open.shown
        );
        for state in ["final", "failed", "expired"] {
            let late = became(Chain::NeoX, &stands(state)).err().unwrap();
            assert_eq!(late.exit, Exit::Refused);
            assert!(late.message.starts_with(&format!("too late: rel_1 {state}")), "{}", late.message);
        }
    }
}
