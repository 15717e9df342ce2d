//! What became of deployments and updates: the relay says when a transaction is decided, the chain what it did.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use neo::{Hash160, native};
use nsl_api::{
    Chain,
    relay::{FindTransaction, RelayClient, State, Transaction},
};
use nsl_chain::{
    Body, Chain as _, Executed, Receipt, TxId,
    x::{Address, NeoX},
};
use nsl_core::{Clock, Cx, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::Db;
use tokio_util::sync::CancellationToken;

use crate::{
    Pace,
    place::shown,
    service::Chains,
    store::{KeptUpdate, Known, SettleDeployment, SettleUpdate, open_deployments, open_of, open_updates},
    x::{Upgrade, behind},
};

/// For how long a node that does not show what a final block has done is taken to be behind.
const BEHIND: Duration = Duration::from_secs(600);
/// How long one look at the relay and the chain may take.
const LOOK: Duration = Duration::from_secs(20);
/// So many are looked at side by side.
const TOGETHER: usize = 8;
/// For so long one is young: it is looked at each time. Then the pauses grow with its age, up to the longest.
const YOUNG: Duration = Duration::from_secs(60);
const PART_OF_AGE: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Of the deployments of one tenant that one question of somebody looks at, and how long it waits for that.
const ASKED_ABOUT: usize = 8;
const WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Settler {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) relay: RelayClient,
    pub(crate) chains: Chains,
    pub(crate) asked: tokio::sync::Notify,
    pub(crate) looks: Looks,
}

/// When each open one was last looked at in this process.
#[derive(Default)]
pub(crate) struct Looks(Mutex<HashMap<String, Timestamp>>);

impl Looks {
    /// Whether it is time to look at one of this age again; if so it counts as looked at.
    fn is_due(&self, id: &str, since: Timestamp, now: Timestamp) -> bool {
        let age = now.since(since);
        let pause = if age < YOUNG { Duration::ZERO } else { (age / PART_OF_AGE).min(LONGEST_PAUSE) };
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looks.get(id).is_none_or(|last| now >= last.plus(pause));
        if due {
            looks.insert(id.to_owned(), now);
        }
        due
    }

    /// Forgets what was not looked at for so long that it can't be open any more.
    fn forget(&self, now: Timestamp) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, last| now.since(*last) < 2 * LONGEST_PAUSE);
    }
}

/// What a transaction has come to.
enum Fate {
    Open,
    /// It changed nothing.
    Lost {
        reason: String,
    },
    /// In a final block, as the chain tells it.
    Done {
        tx: TxId,
        executed: Box<Executed>,
    },
}

/// What is written of it.
struct Outcome {
    state: &'static str,
    hash: Option<String>,
    reason: Option<String>,
}

/// What a transaction that went well has done to a contract.
enum Verdict {
    Done,
    /// Something else, as the transaction itself tells.
    Not(String),
    /// Something else, as the node says that was asked now.
    NotSeen(String),
}

impl Settler {
    pub(crate) async fn run(self: Arc<Self>, pace: Pace, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let young = match self.round().await {
                Ok(young) => young,
                Err(error) => {
                    tracing::warn!(%error, cause = ?error.cause(), "looking for open deployments failed, trying again later");
                    1
                }
            };
            let pause = if young > 0 { pace.busy } else { pace.idle };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.asked.notified(), if young == 0 => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at what is open and due, and says how many of those that remain so are young.
    async fn round(&self) -> Result<usize> {
        let now = self.clock.now();
        let mut young = 0;
        let mut after = String::new();
        loop {
            let mut deployments = open_deployments(&self.db, &after).await?;
            let Some(last) = deployments.last() else { break };
            after = last.id.clone();
            deployments.retain(|known| self.looks.is_due(&known.id, known.created_at, now));
            let mut looks: Vec<BoxFuture<'_, bool>> = Vec::new();
            for known in &deployments {
                let is_young = now.since(known.created_at) < YOUNG;
                looks.push(async move { !self.heed(self.deployment(known).await, &known.id) && is_young }.boxed());
            }
            young += count(looks).await;
        }
        after.clear();
        loop {
            let mut updates = open_updates(&self.db, &after).await?;
            let Some(last) = updates.last() else { break };
            after = last.request.clone();
            updates.retain(|kept| self.looks.is_due(&kept.request, kept.asked_at, now));
            let mut looks: Vec<BoxFuture<'_, bool>> = Vec::new();
            for kept in &updates {
                let is_young = now.since(kept.asked_at) < YOUNG;
                looks.push(async move { !self.heed(self.update(kept).await, &kept.request) && is_young }.boxed());
            }
            young += count(looks).await;
        }
        self.looks.forget(now);
        Ok(young)
    }

    /// Looks at the last deployments of one tenant that are on their way, and says how many are decided now.
    pub(crate) async fn tenant(&self, tenant: &TenantId) -> Result<usize> {
        let now = self.clock.now();
        let open = open_of(&self.db, tenant).await?;
        let mut looks: Vec<BoxFuture<'_, bool>> = Vec::new();
        for known in &open {
            if looks.len() < ASKED_ABOUT && self.looks.is_due(&known.id, known.created_at, now) {
                looks.push(async { self.heed(self.deployment(known).await, &known.id) }.boxed());
            }
        }
        // Who asks is told what is known by then.
        Ok(tokio::time::timeout(WAIT, count(looks)).await.unwrap_or(1))
    }

    // One that can't be looked at holds up no other.
    fn heed(&self, settled: Result<bool>, id: &str) -> bool {
        settled.unwrap_or_else(|error| {
            tracing::debug!(%error, cause = ?error.cause(), id, "what became of it can't be told yet");
            false
        })
    }

    /// Writes what became of a deployment, once that is known; says whether it is.
    pub(crate) async fn deployment(&self, known: &Known) -> Result<bool> {
        let Some(request) = &known.request else { return Ok(true) };
        let chain: Chain = known.chain.parse()?;
        let (transaction, fate) = self.fate(&known.tenant, chain, request).await?;
        let (outcome, height) = match fate {
            Fate::Open => return Ok(false),
            Fate::Lost { reason } => (Outcome { state: "failed", hash: None, reason: Some(reason) }, None),
            Fate::Done { tx, executed } => {
                let height = i64::try_from(executed.block.height).ok();
                let outcome = match chain {
                    Chain::NeoN3 => self.deployed_n3(known, &executed, transaction.updated_at).await?,
                    Chain::NeoX => self.deployed_x(&tx, &executed, transaction.updated_at).await?,
                };
                match outcome {
                    Some(outcome) => (outcome, height),
                    None => return Ok(false),
                }
            }
        };
        let cx = Cx::system(known.tenant.clone(), LOOK);
        let now = self.clock.now();
        let entry = Entry::new(&cx, "contracts.deployment_settled", "contracts", "settle", now)
            .request("chain", chain.as_str())
            .request("request", request.clone())
            .response("state", outcome.state);
        let entry = match &outcome.hash {
            Some(hash) => entry.response("hash", hash.clone()),
            None => entry,
        };
        let settle = SettleDeployment {
            tenant: known.tenant.clone(),
            id: known.id.clone(),
            state: outcome.state,
            hash: outcome.hash,
            reason: outcome.reason,
            tx: transaction.tx,
            height: height.or(transaction.height),
            now,
            entry,
        };
        self.db.write(&cx, settle).await.map(|_| true)
    }

    /// Writes what became of an update, once that is known; says whether it is.
    pub(crate) async fn update(&self, kept: &KeptUpdate) -> Result<bool> {
        let chain: Chain = kept.chain.parse()?;
        let (transaction, fate) = self.fate(&kept.tenant, chain, &kept.request).await?;
        let (state, reason) = match fate {
            Fate::Open => return Ok(false),
            Fate::Lost { reason } => ("failed", Some(reason)),
            Fate::Done { executed, .. } => {
                let verdict = match chain {
                    Chain::NeoN3 => self.updated_n3(kept, &executed).await?,
                    Chain::NeoX => updated_x(self.chains.x()?, kept, &executed).await?,
                };
                match verdict {
                    Verdict::Done => ("updated", None),
                    Verdict::NotSeen(_) if self.may_be_behind(transaction.updated_at) => return Ok(false),
                    Verdict::NotSeen(instead) | Verdict::Not(instead) => ("mismatched", Some(instead)),
                }
            }
        };
        let cx = Cx::system(kept.tenant.clone(), LOOK);
        let now = self.clock.now();
        let entry = Entry::new(&cx, "contracts.update_settled", "contracts", "settle", now)
            .request("chain", chain.as_str())
            .request("request", kept.request.clone())
            .request("hash", kept.hash.clone())
            .response("state", state);
        let settle = SettleUpdate { kept: kept.clone(), state, reason, tx: transaction.tx, now, entry };
        self.db.write(&cx, settle).await.map(|_| true)
    }

    async fn fate(&self, tenant: &TenantId, chain: Chain, request: &str) -> Result<(Transaction, Fate)> {
        let cx = Cx::system(tenant.clone(), LOOK);
        let transaction = self.relay.find(&cx, FindTransaction { chain, id: request.to_owned() }).await?;
        let lost = |why: &str| Fate::Lost { reason: transaction.reason.clone().unwrap_or_else(|| why.to_owned()) };
        let fate = match (transaction.state, &transaction.tx) {
            (State::Failed, _) => lost("the chain has refused the transaction"),
            (State::Replaced, _) => lost("another transaction took its place"),
            (State::Expired, _) => lost("its time passed before a block had it"),
            (State::Final, Some(tx)) => {
                let tx: TxId = tx.parse()?;
                let receipt = match chain {
                    Chain::NeoN3 => self.chains.n3()?.receipt(&tx).await?,
                    Chain::NeoX => self.chains.x()?.receipt(&tx).await?,
                };
                match receipt {
                    Receipt::Executed(executed) => match &executed.fault {
                        Some(fault) => Fate::Lost { reason: fault.reason.clone() },
                        None => Fate::Done { tx, executed },
                    },
                    // The node that was asked is behind the one that the relay knows.
                    Receipt::Unknown | Receipt::Pending => Fate::Open,
                }
            }
            _ => Fate::Open,
        };
        Ok((transaction, fate))
    }

    async fn deployed_n3(&self, known: &Known, executed: &Executed, decided_at: Timestamp) -> Result<Option<Outcome>> {
        let told = managed(executed, "Deploy");
        let predicted = known.predicted.as_deref().and_then(|text| text.parse::<Hash160>().ok());
        let (Some(hash), Some(first)) = (predicted, told.first()) else {
            return Ok(Some(mismatch(None, "the transaction has deployed nothing")));
        };
        if !told.contains(&hash) {
            return Ok(Some(mismatch(Some(first.to_string()), &format!("it stands at {first} instead of {hash}"))));
        }
        let Some(state) = self.chains.n3()?.contract(hash).await? else {
            // Not there, and told of: a node that is behind or, after so long, a contract that was destroyed.
            let gone =
                || mismatch(Some(hash.to_string()), "it was deployed, and is not there any more: it was destroyed");
            return Ok((!self.may_be_behind(decided_at)).then(gone));
        };
        let checksum = state.nef.checksum().to_string();
        if state.update_counter == 0 && known.checksum.as_ref().is_some_and(|sent| *sent != checksum) {
            let reason = format!("the chain has code with the checksum {checksum} instead of what was sent");
            return Ok(Some(mismatch(Some(hash.to_string()), &reason)));
        }
        Ok(Some(Outcome { state: "deployed", hash: Some(hash.to_string()), reason: None }))
    }

    async fn updated_n3(&self, kept: &KeptUpdate, executed: &Executed) -> Result<Verdict> {
        let hash: Hash160 = kept.hash.parse().map_err(Error::internal)?;
        if !managed(executed, "Update").contains(&hash) {
            return Ok(Verdict::Not("the transaction went well, and the contract has not updated itself".to_owned()));
        }
        let state = self.chains.n3()?.contract(hash).await?;
        let has = state.map_or_else(|| "none".to_owned(), |state| state.nef.checksum().to_string());
        let sent = kept.checksum.clone().unwrap_or_default();
        if has == sent {
            return Ok(Verdict::Done);
        }
        Ok(Verdict::NotSeen(format!("the contract has code with the checksum {has} instead of {sent}")))
    }

    async fn deployed_x(&self, tx: &TxId, executed: &Executed, decided_at: Timestamp) -> Result<Option<Outcome>> {
        let chain = self.chains.x()?;
        let Some(foreseen) = foreseen(chain, tx).await? else { return Ok(None) };
        let kept = format!("{foreseen:#x}");
        let Some(stands) = executed.contract.as_ref().map(|text| text.to_ascii_lowercase()) else {
            return Ok(Some(mismatch(None, "the transaction has made no contract")));
        };
        if stands != kept {
            let foreseen = foreseen.to_checksum(None);
            let reason = format!("it stands at {} instead of {foreseen}", shown(Chain::NeoX, &stands));
            return Ok(Some(mismatch(Some(stands), &reason)));
        }
        if !chain.code(foreseen).await?.is_empty() {
            return Ok(Some(Outcome { state: "deployed", hash: Some(stands), reason: None }));
        }
        let empty = || mismatch(Some(stands), "there is no code at its address");
        Ok((!self.may_be_behind(decided_at)).then(empty))
    }

    fn may_be_behind(&self, since: Timestamp) -> bool {
        self.clock.now().since(since) < BEHIND
    }
}

/// How many of these hold.
async fn count(looks: Vec<BoxFuture<'_, bool>>) -> usize {
    let told: Vec<bool> = stream::iter(looks).buffer_unordered(TOGETHER).collect().await;
    told.into_iter().filter(|holds| *holds).count()
}

/// The contracts of which a transaction of Neo N3 told this.
fn managed(executed: &Executed, what: &str) -> Vec<Hash160> {
    let manager = native::CONTRACT_MANAGEMENT.to_string();
    let told = executed.events.iter().filter(|event| event.contract == manager).filter_map(|event| match &event.body {
        Body::Notification { name, state } if name == what => state.as_ref()?.first()?.as_hash160().ok(),
        _ => None,
    });
    told.collect()
}

/// Where a transaction that is signed makes its contract; none while no node knows it.
pub(crate) async fn foreseen(chain: &NeoX, tx: &TxId) -> Result<Option<Address>> {
    Ok(chain.transaction(tx).await?.map(|found| found.from.create(found.nonce)))
}

async fn updated_x(chain: &NeoX, kept: &KeptUpdate, executed: &Executed) -> Result<Verdict> {
    let broken = || Error::internal(anyhow::anyhow!("an update is kept without its contracts"));
    let proxy: Address = kept.hash.parse().map_err(|_| broken())?;
    let wanted: Address = kept.implementation.as_deref().and_then(|text| text.parse().ok()).ok_or_else(broken)?;
    if Upgrade::is_seen(&executed.events, proxy, wanted) || behind(chain, proxy).await? == Some(wanted) {
        return Ok(Verdict::Done);
    }
    Ok(Verdict::NotSeen("the transaction went well, and the proxy has not moved".to_owned()))
}

fn mismatch(hash: Option<String>, reason: &str) -> Outcome {
    Outcome { state: "mismatched", hash, reason: Some(reason.to_owned()) }
}

#[cfg(test)]
mod tests {
    use neo::stack::StackItem;
    use nsl_chain::{BlockRef, ChainKind, Event, Position};

    use super::*;

    #[test]
    fn only_the_manager_of_contracts_is_believed() {
        let hash = Hash160::from_le([7; 20]);
        let block = BlockRef { height: 5, hash: String::new() };
        let event = |contract: Hash160, name: &str, item: StackItem| Event {
            chain: ChainKind::NeoN3,
            block: block.clone(),
            at: Position { height: 5, tx: 1, index: 0 },
            tx: None,
            contract: contract.to_string(),
            body: Body::Notification { name: name.to_owned(), state: Some(vec![item]) },
        };
        let bytes = || StackItem::ByteString(hash.as_le().to_vec());
        let mut executed = Executed {
            id: "11".repeat(32).parse().unwrap(),
            block: block.clone(),
            index: 0,
            fault: None,
            fee: 0,
            gas: 0,
            events: vec![
                event(hash, "Deploy", bytes()),
                event(native::CONTRACT_MANAGEMENT, "Update", bytes()),
                event(native::CONTRACT_MANAGEMENT, "Deploy", StackItem::Null),
            ],
            contract: None,
            output: None,
            is_final: true,
        };
        assert_eq!(managed(&executed, "Deploy"), []);
        assert_eq!(managed(&executed, "Update"), [hash]);
        executed.events.push(event(native::CONTRACT_MANAGEMENT, "Deploy", bytes()));
        assert_eq!(managed(&executed, "Deploy"), [hash]);
    }

    #[test]
    fn one_that_stays_open_is_looked_at_less_and_less_often() {
        let looks = Looks::default();
        let start = Timestamp(1_000_000_000);
        let at = |secs: u64| start.plus(Duration::from_secs(secs));
        let count = |from: u64, to: u64| (from..to).filter(|second| looks.is_due("con_1", start, at(*second))).count();
        assert_eq!(count(0, 60), 60, "each time while it is young");
        assert!((40..=50).contains(&count(60, 600)));
        assert!((45..=58).contains(&count(600, 3_600)));
        assert_eq!(count(3_600, 7_200), 60, "once a minute");
        assert!(looks.is_due("con_2", start, at(7_200)), "another one, at once");
        looks.forget(at(7_200));
        assert!(!looks.is_due("con_1", start, at(7_201)));
        looks.forget(at(7_500));
        assert!(looks.0.lock().unwrap().is_empty(), "what nobody looks at any more is forgotten");
    }
}
