use std::sync::Arc;

use async_trait::async_trait;
use nsl_api::{
    Chain, Page,
    contracts::{
        Answer, Ask, AskEvents, Compare, Contract, Contracts, Deploy, Deployed, Describe, Differences, Events,
        FindContract, FindDeployment, Invoke, ListContracts, Trial, Update, Updating,
    },
    relay::{Estimate, RelayClient, Transaction},
};
use nsl_chain::{n3::NeoN3, x::NeoX};
use nsl_core::{Clock, Code, Cx, Error, Facts, Once, Result};
use nsl_ledger::Ledger;
use nsl_sql::Db;

use crate::{place::Place, settle::Settler};

/// The chains that are set up.
#[derive(Clone)]
pub(crate) struct Chains {
    pub(crate) n3: Option<Arc<NeoN3>>,
    pub(crate) x: Option<Arc<NeoX>>,
}

impl Chains {
    pub(crate) fn n3(&self) -> Result<&NeoN3> {
        self.n3.as_deref().ok_or_else(|| missing(Chain::NeoN3))
    }

    pub(crate) fn x(&self) -> Result<&NeoX> {
        self.x.as_deref().ok_or_else(|| missing(Chain::NeoX))
    }

    pub(crate) fn has(&self, chain: Chain) -> Result<()> {
        match chain {
            Chain::NeoN3 => self.n3().map(drop),
            Chain::NeoX => self.x().map(drop),
        }
    }
}

fn missing(chain: Chain) -> Error {
    Error::new(Code::NotFound, "contracts.chain_missing", format!("{} is not set up here", chain.as_str()))
}

pub(crate) struct Service {
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) relay: RelayClient,
    pub(crate) chains: Chains,
    pub(crate) settler: Arc<Settler>,
}

/// The context in which the relay is asked: under an idempotency key of its own, that follows from the caller's. Who
/// asks again after a failure between the two writes thus gets the transaction of then. The blank keeps it apart from
/// all keys that callers can send.
pub(crate) fn onward(cx: &Cx) -> Cx {
    let once = cx
        .once
        .as_ref()
        .map(|once| Once { key: format!("contracts {}", once.key).into(), fingerprint: Arc::clone(&once.fingerprint) });
    Cx { once, ..cx.clone() }
}

const READ: &str = "contracts:read";
const WRITE: &str = "contracts:write";

/// Asks with the contract in the one form in which it is stored: a policy names it once, however callers write it.
fn permit(cx: &Cx, permission: &str, chain: Chain, hash: Option<&str>, method: Option<&str>) -> Result<()> {
    if cx.rules.is_none() {
        return cx.permit_on(permission, &Facts::default());
    }
    let contract = hash.map(|hash| Place::read(chain, hash)).transpose()?.map(|place| place.kept());
    let (chain, contract) = (Some(chain.as_str()), contract.as_deref());
    cx.permit_on(permission, &Facts { chain, contract, method, ..Facts::of("contract", contract.unwrap_or_default()) })
}

#[async_trait]
impl Contracts for Service {
    async fn deploy(&self, cx: &Cx, deploy: Deploy) -> Result<Deployed> {
        permit(cx, WRITE, deploy.chain, None, None)?;
        match self.begin_deployment(cx, deploy).await {
            Err(refusal) => self.db.recall(cx, refusal).await,
            done => done,
        }
    }

    async fn list(&self, cx: &Cx, wanted: ListContracts) -> Result<Page<Contract>> {
        permit(cx, READ, wanted.chain, None, None)?;
        self.page(cx, wanted).await
    }

    async fn find(&self, cx: &Cx, wanted: FindContract) -> Result<Contract> {
        permit(cx, READ, wanted.chain, Some(&wanted.hash), None)?;
        self.look_at(cx, wanted).await
    }

    async fn find_deployment(&self, cx: &Cx, wanted: FindDeployment) -> Result<Contract> {
        permit(cx, READ, wanted.chain, None, None)?;
        self.look_at_deployment(cx, wanted).await
    }

    async fn describe(&self, cx: &Cx, describe: Describe) -> Result<Contract> {
        permit(cx, WRITE, describe.chain, Some(&describe.hash), None)?;
        match self.keep_abi(cx, describe).await {
            Err(refusal) => self.db.recall(cx, refusal).await,
            done => done,
        }
    }

    async fn compare(&self, cx: &Cx, compare: Compare) -> Result<Differences> {
        permit(cx, READ, compare.chain, Some(&compare.hash), None)?;
        self.differences(cx, compare).await
    }

    async fn update(&self, cx: &Cx, update: Update) -> Result<Updating> {
        permit(cx, WRITE, update.chain, Some(&update.hash), None)?;
        match self.begin_update(cx, update).await {
            Err(refusal) => self.db.recall(cx, refusal).await,
            done => done,
        }
    }

    async fn call(&self, cx: &Cx, ask: Ask) -> Result<Answer> {
        permit(cx, READ, ask.chain, Some(&ask.hash), Some(&ask.method))?;
        self.ask(cx, ask).await
    }

    async fn simulate(&self, cx: &Cx, invoke: Invoke) -> Result<Trial> {
        permit(cx, READ, invoke.chain, Some(&invoke.hash), Some(&invoke.method))?;
        self.try_out(cx, invoke).await
    }

    async fn estimate(&self, cx: &Cx, invoke: Invoke) -> Result<Estimate> {
        permit(cx, READ, invoke.chain, Some(&invoke.hash), Some(&invoke.method))?;
        self.guess(cx, invoke).await
    }

    async fn invoke(&self, cx: &Cx, invoke: Invoke) -> Result<Transaction> {
        permit(cx, WRITE, invoke.chain, Some(&invoke.hash), Some(&invoke.method))?;
        self.hand_over(cx, invoke).await
    }

    async fn events(&self, cx: &Cx, ask: AskEvents) -> Result<Events> {
        permit(cx, READ, ask.chain, Some(&ask.hash), None)?;
        self.told(cx, ask).await
    }
}
