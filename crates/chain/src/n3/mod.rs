//! Neo N3: scripts of the NeoVM, witness scopes, and one-block finality.

mod args;
mod history;
mod iterators;
mod node;
mod receipt;
mod rules;
mod send;
mod sent;
mod signers;
mod together;

use std::{sync::Arc, time::Duration};

pub use args::{arguments, method};
use async_trait::async_trait;
use neo::{
    Hash160,
    stack::StackItem,
    tx::{Signer, Transaction},
    wire::Wire,
};
use neo_rpc::model::InvokeSigner;
pub use neo_rpc::model::{CallTree, ContractState, InvocationResult, Notification, Protocol, Shown, VmState};
pub use node::Node;
use nsl_core::{Error, Result};
pub use rules::Rules;
pub use sent::{Head, Ran, Sent};

use crate::{
    chain::{self, Chain, ChainKind, Fault, Output, Receipt, Stretch, Trial, TxId},
    config::N3Config,
    error::{Trouble, shown},
    event::{BlockRef, Event, Filter},
    fresh::Fresh,
    pool::{EndpointStatus, Pool},
};

/// A run of the NeoVM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub script: Vec<u8>,
    /// Who is taken to have signed.
    pub signers: Vec<Signer>,
}

/// The network Neo N3.
pub struct NeoN3 {
    pool: Pool<Node>,
    config: N3Config,
    blocks: receipt::Blocks,
    read: sent::Read,
    head: Fresh<Head>,
    signers: signers::Signers,
}

impl NeoN3 {
    /// Over the endpoints of the configuration. Nothing is asked of them yet.
    pub fn open(config: N3Config) -> Result<Self> {
        let nodes = config.pool.endpoints.iter().enumerate().map(|(index, url)| {
            let node = Node::open(index, url, &config.pool)?;
            Ok((node.host(), Arc::new(node)))
        });
        let pool = Pool::new(ChainKind::NeoN3, config.magic.into(), &config.pool, nodes.collect::<Result<Vec<_>>>()?);
        Ok(Self {
            pool,
            config,
            blocks: receipt::Blocks::default(),
            read: sent::Read::default(),
            head: Fresh::default(),
            signers: signers::Signers::default(),
        })
    }

    pub fn magic(&self) -> u32 {
        self.config.magic
    }

    /// The rules of the network.
    pub async fn protocol(&self) -> Result<Protocol> {
        let version = self.ask("its rules", |node| async move { node.ask("getversion", |rpc| rpc.version()).await });
        version.await.map(|version| version.protocol)
    }

    /// A contract; none when there is none.
    pub async fn contract(&self, hash: Hash160) -> Result<Option<ContractState>> {
        self.ask("a contract", move |node| async move { node.ask("getcontractstate", |rpc| rpc.contract(hash)).await })
            .await
    }

    /// What nodes ask as network fee for a transaction, in units of 10⁻⁸ GAS. Each witness needs its verification
    /// script, or is of a deployed contract.
    pub async fn network_fee(&self, transaction: &Transaction) -> Result<i64> {
        let fee = self.pool.run_heavy(|node| async move {
            node.ask("calculatenetworkfee", |rpc| rpc.calculate_network_fee(transaction)).await
        });
        fee.await.map_err(|trouble| trouble.into_error(ChainKind::NeoN3, "a network fee"))
    }

    /// A test run of a script, as the node tells it, with what its iterators give: not all where that is much, and
    /// they are marked so.
    pub async fn invoke(&self, call: &Call, at: Option<u64>) -> Result<InvocationResult> {
        let signers: Vec<InvokeSigner> = call.signers.iter().cloned().map(InvokeSigner::from).collect();
        let at = match at {
            Some(height) => Some(u32::try_from(height).map_err(|_| {
                Error::invalid("chain.height_invalid", format!("{height} is beyond any height of Neo N3"))
            })?),
            None => None,
        };
        let (script, signers) = (&call.script, &signers);
        let run = self.pool.run_heavy(|node| async move {
            let run = match at {
                None => node.ask("invokescript", |rpc| rpc.invoke_script(script, signers, false)).await,
                Some(at) => {
                    node.ask("invokescripthistoric", |rpc| rpc.invoke_script_historic(at, script, signers, false)).await
                }
            };
            iterators::read_out(&node, run?).await
        });
        run.await.map_err(|trouble| trouble.into_error(ChainKind::NeoN3, "a test run"))
    }

    // Asks the pool; what remains of the trouble is an error about `what`.
    async fn ask<T, F, A>(&self, what: &str, ask: F) -> Result<T>
    where
        F: Fn(Arc<Node>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        self.pool.run(ask).await.map_err(|trouble| trouble.into_error(ChainKind::NeoN3, what))
    }
}

/// What the library of pure data refused.
fn refused(error: neo::Error) -> Error {
    Error::invalid("chain.tx_malformed", format!("a transaction of Neo N3: {}", shown(&error.to_string())))
}

fn judge(run: &InvocationResult) -> Result<Result<Vec<StackItem>, Fault>> {
    if run.state != VmState::Halt {
        return Ok(Err(receipt::fault(run.exception.as_deref())));
    }
    match &run.stack {
        Shown::Known(items) => Ok(Ok(items.clone())),
        Shown::Unshown(words) => Err(Error::invalid(
            "chain.output_invalid",
            format!("the call on {} gave back what can't be shown: {}", ChainKind::NeoN3, shown(words)),
        )),
    }
}

#[async_trait]
impl Chain for NeoN3 {
    fn kind(&self) -> ChainKind {
        ChainKind::NeoN3
    }

    fn network(&self) -> u64 {
        self.config.magic.into()
    }

    async fn height(&self) -> Result<u64> {
        self.ask("its height", |node| async move { history::height(&node).await }).await
    }

    async fn read(&self, call: &chain::Call, at: Option<u64>) -> Result<Output> {
        let chain::Call::N3(call) = call else { return Err(chain::wrong_call(ChainKind::NeoN3)) };
        match judge(&self.invoke(call, at).await?)? {
            Ok(stack) => Ok(Output::N3(stack)),
            Err(fault) => Err(chain::reverted(ChainKind::NeoN3, &fault)),
        }
    }

    async fn simulate(&self, call: &chain::Call) -> Result<Trial> {
        let chain::Call::N3(call) = call else { return Err(chain::wrong_call(ChainKind::NeoN3)) };
        let run = self.invoke(call, None).await?;
        let output = judge(&run)?.map(Output::N3);
        // A test run is of no block.
        let block = BlockRef { height: 0, hash: neo::Hash256::ZERO.to_string() };
        let told = if output.is_ok() { run.notifications } else { Vec::new() };
        let events: Vec<Event> = history::events_of(&block, 0, None, told).map(|(event, _)| event).collect();
        Ok(Trial { output, gas: u64::try_from(run.gas_consumed).unwrap_or_default(), events: Some(events) })
    }

    async fn send(&self, signed: &[u8]) -> Result<TxId> {
        let transaction = Transaction::from_bytes(signed).map_err(refused)?;
        transaction.check().map_err(refused)?;
        let id: TxId = transaction.hash().to_string().parse()?;
        let sent = self
            .pool
            .run(|node| async move { node.ask("sendrawtransaction", |rpc| rpc.send_raw_transaction(signed)).await })
            .await;
        match sent {
            Ok(_) => Ok(id),
            Err(Trouble::Node(error)) => send::refusal(error).map_or(Ok(id), Err),
            Err(trouble) => Err(trouble.into_error(ChainKind::NeoN3, "taking a transaction")),
        }
    }

    async fn receipt(&self, id: &TxId) -> Result<Receipt> {
        self.outcome(id).await
    }

    async fn stretch(&self, from: u64, most: u32, filter: &Filter) -> Result<Option<Stretch>> {
        self.history(from, most, filter).await
    }

    fn poll(&self) -> Duration {
        Duration::from_millis(self.config.pool.poll_ms)
    }

    // Blocks of Neo N3 are never replaced; a few are remembered to notice a network that began anew.
    fn memory(&self) -> usize {
        8
    }

    fn endpoints(&self) -> Vec<EndpointStatus> {
        self.pool.status()
    }

    async fn tend(&self) {
        self.pool.tend().await;
    }
}
