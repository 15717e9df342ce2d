//! Deployments: checked, handed to the relay, recorded.

use std::time::Duration;

use nsl_api::{
    Chain,
    contracts::{Deploy, Deployed, Difference},
    relay::{Call, Submit},
};
use nsl_core::{Cx, Deadline, Entry, Error, Result, fresh};
use nsl_sql::Change;
use serde_json::{Map, Value};

use crate::{
    n3,
    service::{Service, onward},
    store::{AddDeployment, Known},
    x,
};

/// How often a record is tried whose transaction the relay has already, and how long is waited in between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);
/// How long that may take at least.
const RECORDING: Duration = Duration::from_secs(10);

struct Prepared {
    call: Call,
    predicted: Option<String>,
    name: Option<String>,
    checksum: String,
    abi: Value,
    warnings: Vec<Difference>,
}

impl Service {
    pub(crate) async fn begin_deployment(&self, cx: &Cx, deploy: Deploy) -> Result<Deployed> {
        self.chains.has(deploy.chain)?;
        let prepared = prepare(&deploy)?;
        let Deploy { chain, account, max_fee, valid_for_ms, .. } = deploy;
        let submit = Submit { chain, account, call: prepared.call, max_fee, valid_for_ms };
        let transaction = self.relay.submit(&onward(cx), submit).await?;
        let now = self.clock.now();
        let entry = Entry::new(cx, "contracts.deployment_accepted", "contracts", "deploy", now)
            .request("chain", chain.as_str())
            .request("account", transaction.account.clone())
            .request("checksum", prepared.checksum.clone())
            .response("request", transaction.id.clone());
        let entry = match &prepared.predicted {
            Some(hash) => entry.response("hash", hash.clone()),
            None => entry,
        };
        let entry = self.ledger.seal(cx, entry, Map::new()).await?;
        let known = Known {
            tenant: cx.tenant.clone(),
            chain: chain.as_str().to_owned(),
            id: fresh("con"),
            hash: None,
            predicted: prepared.predicted.clone(),
            name: prepared.name,
            account: Some(transaction.account.clone()),
            request: Some(transaction.id.clone()),
            checksum: Some(prepared.checksum),
            state: "deploying".to_owned(),
            reason: None,
            tx: None,
            height: None,
            abi: prepared.abi,
            created_by: cx.principal.subject.clone(),
            created_at: now,
            updated_at: now,
        };
        let deployed = Deployed { hash: prepared.predicted, warnings: prepared.warnings, transaction };
        let add = || AddDeployment { known: known.clone(), deployed: deployed.clone(), entry: entry.clone() };
        let done = self.record(cx, add).await?;
        self.settler.asked.notify_one();
        Ok(done)
    }

    /// Writes what the relay has taken on already: a passing trouble is no reason to lose it.
    pub(crate) async fn record<C: Change>(&self, cx: &Cx, change: impl Fn() -> C) -> Result<C::Done> {
        // The caller's time may be up by now: what is under way is recorded all the same.
        let cx = &Cx { deadline: Deadline::within(RECORDING.max(cx.deadline.remaining())), ..cx.clone() };
        let mut tries = 1;
        loop {
            match self.db.write(cx, change()).await {
                Err(error) if tries < TRIES && may_pass(&error) => {
                    tracing::warn!(%error, tries, "recording what the relay has taken on failed, trying again");
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.code, nsl_core::Code::Unavailable | nsl_core::Code::Exhausted)
}

fn prepare(deploy: &Deploy) -> Result<Prepared> {
    Ok(match deploy.chain {
        Chain::NeoN3 => {
            let made = n3::deployment(deploy)?;
            Prepared {
                call: n3::script_call(&made.script),
                predicted: Some(made.hash.to_string()),
                checksum: made.nef.checksum().to_string(),
                abi: serde_json::to_value(&made.manifest).map_err(Error::internal)?,
                warnings: n3::unkept(&made.manifest),
                name: Some(made.manifest.name),
            }
        }
        Chain::NeoX => {
            let made = x::deployment(deploy)?;
            Prepared {
                call: x::wire(None, &made.data, made.value.as_deref()),
                predicted: None,
                checksum: made.checksum,
                abi: made.abi,
                name: made.name,
                warnings: Vec::new(),
            }
        }
    })
}
