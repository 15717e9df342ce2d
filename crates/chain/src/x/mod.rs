//! Neo X: an EVM chain with a fixed base fee, a least tip and one-block finality.

mod abi;
mod abi_bounds;
mod fee;
mod history;
mod key;
mod node;
mod receipt;
mod revert;
mod run;
mod send;
mod sent;
mod trace;
mod tx;
mod value;

use std::{sync::Arc, time::Duration};

pub use abi::{Abi, Artefact, Named};
use alloy_primitives::U64;
pub use alloy_primitives::{Address, B256, U256, keccak256};
use async_trait::async_trait;
pub use fee::{FeePolicy, Fees};
pub use key::Key;
pub use node::Node;
use nsl_core::{Error, Result, Timestamp};
pub use receipt::Found;
pub use sent::{Blocks, Head, Sent};
use serde_json::json;
use tokio::sync::Semaphore;
pub use trace::{Failed, Traced};
pub use tx::{Draft, Read, Signed, read as read_transaction};
pub use value::address;

use crate::{
    chain::{self, Chain, ChainKind, Output, Receipt, Stretch, Trial, TxId},
    config::XConfig,
    error::Trouble,
    event::Filter,
    fresh::Fresh,
    line::Line,
    pool::{EndpointStatus, Pool},
};

/// A call of the EVM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Who calls; the zero address when it does not matter.
    pub from: Option<Address>,
    /// None makes a contract of `data`.
    pub to: Option<Address>,
    pub data: Vec<u8>,
    pub value: U256,
    /// The most gas it may use; the node's own bound when none.
    pub gas: Option<u64>,
}

/// As of when an account is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// After the last block.
    Latest,
    /// After what the node's pool holds too.
    Pending,
}

const SEND: &str = "eth_sendRawTransaction";

/// The network Neo X.
pub struct NeoX {
    pool: Pool<Node>,
    config: XConfig,
    fees: FeePolicy,
    head: Fresh<Head>,
    traces: Semaphore,
}

impl NeoX {
    /// Over the endpoints of the configuration. Nothing is asked of them yet.
    pub fn open(config: XConfig) -> Result<Self> {
        let lines = config.pool.endpoints.iter().enumerate().map(|(index, url)| {
            let line = Line::open(ChainKind::NeoX, index, url, &config.pool)?;
            Ok((line.host().to_owned(), Arc::new(Node(line))))
        });
        let clients = lines.collect::<Result<Vec<_>>>()?;
        let pool = Pool::new(ChainKind::NeoX, config.chain_id, &config.pool, clients);
        let (fees, traces) = (FeePolicy::of(&config), Semaphore::new(trace::AT_ONCE));
        Ok(Self { pool, fees, config, head: Fresh::default(), traces })
    }

    pub fn chain_id(&self) -> u64 {
        self.config.chain_id
    }

    /// The rules for fees, as configured.
    pub fn fee_policy(&self) -> FeePolicy {
        self.fees
    }

    /// What to offer now.
    pub async fn quote(&self) -> Result<Fees> {
        self.fees.quote(self.base_fee().await?)
    }

    /// The base fee of the last block, in wei.
    pub async fn base_fee(&self) -> Result<u128> {
        let header = self.ask("the base fee", |node| async move { node.latest().await }).await?;
        Ok(header.base_fee_per_gas.map_or(0, |fee| fee.saturating_to()))
    }

    /// The nonce of the next transaction of an account.
    pub async fn nonce(&self, account: Address, as_of: As) -> Result<u64> {
        let nonce: U64 = self
            .ask("a nonce", move |node| async move {
                node.call("eth_getTransactionCount", json!([account, as_of.tag()])).await
            })
            .await?;
        Ok(nonce.to())
    }

    /// What an account holds after the last block, in wei.
    pub async fn balance(&self, account: Address) -> Result<U256> {
        self.ask("a balance", move |node| async move {
            node.call("eth_getBalance", json!([account, As::Latest.tag()])).await
        })
        .await
    }

    /// The code of a contract; empty where there is none.
    pub async fn code(&self, contract: Address) -> Result<Vec<u8>> {
        let code: alloy_primitives::Bytes = self
            .ask("the code of a contract", move |node| async move {
                node.call("eth_getCode", json!([contract, As::Latest.tag()])).await
            })
            .await?;
        Ok(code.to_vec())
    }

    /// What a contract holds in a slot of its storage after the last block.
    pub async fn storage(&self, contract: Address, slot: B256) -> Result<B256> {
        let held: U256 = self
            .ask("the storage of a contract", move |node| async move {
                node.call("eth_getStorageAt", json!([contract, slot, As::Latest.tag()])).await
            })
            .await?;
        Ok(held.into())
    }

    /// The nonce of the next transaction of an account after this block, from a node that has the block.
    pub async fn nonce_after(&self, account: Address, height: u64) -> Result<u64> {
        let place = node::quantity(height);
        let place = &place;
        let nonce: U64 = self
            .ask("a nonce", |node| async move { node.call("eth_getTransactionCount", json!([account, place])).await })
            .await?;
        Ok(nonce.to())
    }

    /// As `nonce_after`, from each endpoint that is well and has the block.
    pub async fn nonces_after(&self, account: Address, height: u64) -> Result<Vec<u64>> {
        let place = node::quantity(height);
        let place = &place;
        let ask =
            |node: Arc<Node>| async move { node.call::<U64>("eth_getTransactionCount", json!([account, place])).await };
        let mut told = Vec::new();
        let mut last = None;
        for one in self.pool.everywhere(ask).await {
            match one {
                Ok(nonce) => told.push(nonce.to()),
                Err(trouble) => last = Some(trouble),
            }
        }
        if told.is_empty() {
            let trouble = last.unwrap_or_else(|| Trouble::Unreachable("no endpoint is well".to_owned()));
            return Err(trouble.into_error(ChainKind::NeoX, "a nonce"));
        }
        Ok(told)
    }

    /// When the first block was made; none where no node has it any more.
    pub async fn began(&self) -> Result<Option<Timestamp>> {
        #[derive(serde::Deserialize)]
        struct First {
            timestamp: U64,
        }
        let place = node::quantity(0);
        let place = &place;
        let ask = |node: Arc<Node>| async move {
            node.call::<Option<First>>("eth_getBlockByNumber", json!([place, false])).await
        };
        let first = self.ask("its first block", ask).await?;
        let micros = first.and_then(|first| i64::try_from(first.timestamp.to::<u64>()).ok()?.checked_mul(1_000_000));
        Ok(micros.map(Timestamp))
    }

    // Asks the pool; what remains of the trouble is an error about `what`.
    async fn ask<T, F, A>(&self, what: &str, ask: F) -> Result<T>
    where
        F: Fn(Arc<Node>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        self.pool.run(ask).await.map_err(|trouble| trouble.into_error(ChainKind::NeoX, what))
    }

    /// Sends many signed transactions in one request, in order; each has an outcome of its own, as by `send`. What they
    /// offer is not looked at: they may have been sent before, when rules were others, and one that is given up then is
    /// no less under way.
    pub async fn send_all(&self, signed: &[&[u8]]) -> Vec<Result<TxId>> {
        let ids: Vec<Result<TxId>> = signed.iter().map(|signed| self.is_ours(&tx::read(signed)?)).collect();
        let fit = signed.iter().zip(&ids).filter(|(_, id)| id.is_ok());
        let params: Vec<_> = fit.map(|(signed, _)| json!([alloy_primitives::hex::encode_prefixed(signed)])).collect();
        let params = &params;
        let sent = self.pool.run(|node| async move { node.many::<B256>(SEND, params).await }).await;
        let mut sent = match sent {
            Ok(sent) => sent.into_iter(),
            Err(trouble) => vec![Err(trouble); params.len()].into_iter(),
        };
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            all.push(match id {
                Ok(id) => {
                    let missing = || Err(Trouble::Garbled("fewer answers than questions".to_owned()));
                    self.sent(id, sent.next().unwrap_or_else(missing)).await
                }
                Err(error) => Err(error),
            });
        }
        all
    }

    // The hash follows from the bytes; what a node says of it changes nothing.
    fn sendable(&self, signed: &[u8]) -> Result<TxId> {
        let read = tx::read(signed)?;
        self.fees.check(read.draft.fees)?;
        self.is_ours(&read)
    }

    async fn sent(&self, id: TxId, done: Result<B256, Trouble>) -> Result<TxId> {
        let error = match done {
            Ok(_) => return Ok(id),
            Err(Trouble::Node(error)) => error,
            Err(trouble) => return Err(trouble.into_error(ChainKind::NeoX, "taking a transaction")),
        };
        match send::verdict(&error) {
            send::Verdict::Known => Ok(id),
            send::Verdict::NonceUsed if self.is_in_a_block(&id).await? => Ok(id),
            send::Verdict::NonceUsed => Err(send::refusal(send::Why::NonceUsed, error)),
            send::Verdict::Refused(why) => Err(send::refusal(why, error)),
        }
    }

    // The id of a transaction for this network.
    fn is_ours(&self, read: &Read) -> Result<TxId> {
        if read.draft.chain_id != self.config.chain_id {
            return Err(Error::invalid(
                "chain.wrong_network",
                format!(
                    "the transaction is for chain id {}, and this is {}",
                    read.draft.chain_id, self.config.chain_id
                ),
            ));
        }
        Ok(read.id.clone())
    }
}

impl As {
    fn tag(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Pending => "pending",
        }
    }
}

#[async_trait]
impl Chain for NeoX {
    fn kind(&self) -> ChainKind {
        ChainKind::NeoX
    }

    fn network(&self) -> u64 {
        self.config.chain_id
    }

    fn finality(&self) -> u64 {
        self.config.finality_blocks.max(1).into()
    }

    async fn height(&self) -> Result<u64> {
        self.ask("its height", |node| async move { node.height().await }).await
    }

    async fn read(&self, call: &chain::Call, at: Option<u64>) -> Result<Output> {
        let chain::Call::X(call) = call else { return Err(chain::wrong_call(ChainKind::NeoX)) };
        match self.run(call, at).await? {
            Ok(output) => Ok(output),
            Err(fault) => Err(chain::reverted(ChainKind::NeoX, &fault)),
        }
    }

    async fn simulate(&self, call: &chain::Call) -> Result<Trial> {
        let chain::Call::X(call) = call else { return Err(chain::wrong_call(ChainKind::NeoX)) };
        self.trial(call).await
    }

    async fn send(&self, signed: &[u8]) -> Result<TxId> {
        let id = self.sendable(signed)?;
        let params = json!([alloy_primitives::hex::encode_prefixed(signed)]);
        let sent = self.pool.run(|node| {
            let params = params.clone();
            async move { node.call::<B256>(SEND, params).await }
        });
        self.sent(id, sent.await).await
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

    fn memory(&self) -> usize {
        self.config.reorg_blocks as usize
    }

    fn endpoints(&self) -> Vec<EndpointStatus> {
        self.pool.status()
    }

    async fn tend(&self) {
        self.pool.tend().await;
    }
}
