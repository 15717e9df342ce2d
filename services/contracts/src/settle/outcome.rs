//! What became of a deployment or update: the relay says when its transaction is decided, the chain what that did.

use std::time::Duration;

use neo::{Hash160, native};
use nsl_api::{
    Chain,
    relay::{FindTransaction, State, Transaction},
};
use nsl_chain::{
    Body, Chain as _, Executed, Receipt, TxId,
    x::{Address, NeoX},
};
use nsl_core::{Cx, Entry, Error, Result, TenantId, Timestamp};

use super::Settler;
use crate::{
    place::shown,
    store::{KeptUpdate, Known, SettleDeployment, SettleUpdate},
    x::{Upgrade, behind},
};

/// For how long a node that does not show what a final block has done is taken to be behind.
const BEHIND: Duration = Duration::from_secs(600);
/// How long one look at the relay and the chain may take.
const LOOK: Duration = Duration::from_secs(20);

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
}
