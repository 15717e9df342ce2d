//! Blocks, transactions, and the node itself.

use neo::{
    Hash160, Hash256, PublicKey,
    block::{Block, Header},
    tx::Transaction,
};
use serde_json::json;

use super::{Client, from_binary, known};
use crate::{
    error::Result,
    model::{
        ApplicationLog, At, Base64, BlockView, Candidate, Decimal, HeaderView, MempoolView, Peers, TransactionView,
        Trigger, UnclaimedGas, Validator, Version,
    },
};

impl Client {
    /// The node's version and the rules of its network.
    pub async fn version(&self) -> Result<Version> {
        self.call("getversion", &[]).await
    }

    /// How many blocks there are: the height of the newest, and one.
    pub async fn block_count(&self) -> Result<u32> {
        self.call("getblockcount", &[]).await
    }

    /// How many headers there are: more than blocks while the node is behind.
    pub async fn header_count(&self) -> Result<u32> {
        self.call("getblockheadercount", &[]).await
    }

    /// The newest block.
    pub async fn best_block_hash(&self) -> Result<Hash256> {
        self.call("getbestblockhash", &[]).await
    }

    /// The hash of the block at this height.
    pub async fn block_hash(&self, height: u32) -> Result<Hash256> {
        self.call("getblockhash", &[json!(height)]).await
    }

    /// A block, read from its binary form.
    pub async fn block(&self, at: impl Into<At>) -> Result<Block> {
        let Base64(bytes) = self.call("getblock", &[json!(at.into()), json!(0)]).await?;
        from_binary("getblock", &bytes)
    }

    /// A block, and where it stands.
    pub async fn block_view(&self, at: impl Into<At>) -> Result<BlockView> {
        self.call("getblock", &[json!(at.into()), json!(1)]).await
    }

    /// A header, read from its binary form.
    pub async fn header(&self, at: impl Into<At>) -> Result<Header> {
        let Base64(bytes) = self.call("getblockheader", &[json!(at.into()), json!(0)]).await?;
        from_binary("getblockheader", &bytes)
    }

    /// A header, and where it stands.
    pub async fn header_view(&self, at: impl Into<At>) -> Result<HeaderView> {
        self.call("getblockheader", &[json!(at.into()), json!(1)]).await
    }

    /// The system fees of a block together, in units of 10⁻⁸ GAS (neo-go).
    pub async fn block_system_fee(&self, height: u32) -> Result<i64> {
        self.call("getblocksysfee", &[json!(height)]).await.map(|Decimal(fee)| fee)
    }

    /// A transaction of the chain or of the pool, read from its binary form. None when the node has it nowhere.
    pub async fn transaction(&self, hash: Hash256) -> Result<Option<Transaction>> {
        let found: Option<Base64> = known(self.call("getrawtransaction", &[json!(hash), json!(0)]).await)?;
        found.map(|Base64(bytes)| from_binary("getrawtransaction", &bytes)).transpose()
    }

    /// A transaction of the chain or of the pool, and where it is. None when the node has it nowhere.
    pub async fn transaction_view(&self, hash: Hash256) -> Result<Option<TransactionView>> {
        known(self.call("getrawtransaction", &[json!(hash), json!(1)]).await)
    }

    /// The block that has a transaction. None while none has it.
    pub async fn transaction_height(&self, hash: Hash256) -> Result<Option<u32>> {
        known(self.call("gettransactionheight", &[json!(hash)]).await)
    }

    /// What ran for a transaction or a block. None while the node does not have it in a block.
    pub async fn application_log(&self, hash: Hash256, only: Option<Trigger>) -> Result<Option<ApplicationLog>> {
        let mut params = vec![json!(hash)];
        params.extend(only.map(|trigger| json!(trigger)));
        known(self.call("getapplicationlog", &params).await)
    }

    /// What ran for each of these transactions or blocks, in as few requests as the node takes.
    pub async fn application_logs(&self, hashes: &[Hash256]) -> Result<Vec<Option<ApplicationLog>>> {
        let params: Vec<_> = hashes.iter().map(|hash| vec![json!(hash)]).collect();
        self.batch("getapplicationlog", &params).await?.into_iter().map(known).collect()
    }

    /// The transactions in the pool that may go into the next block.
    pub async fn raw_mempool(&self) -> Result<Vec<Hash256>> {
        Ok(self.call::<Option<_>>("getrawmempool", &[]).await?.unwrap_or_default())
    }

    /// All transactions in the pool, and the height of the newest block.
    pub async fn mempool(&self) -> Result<MempoolView> {
        self.call("getrawmempool", &[json!(true)]).await
    }

    /// How many other nodes are connected to it.
    pub async fn connection_count(&self) -> Result<u32> {
        self.call("getconnectioncount", &[]).await
    }

    /// The other nodes that it knows.
    pub async fn peers(&self) -> Result<Peers> {
        self.call("getpeers", &[]).await
    }

    /// Who stands for election to the committee.
    pub async fn candidates(&self) -> Result<Vec<Candidate>> {
        Ok(self.call::<Option<_>>("getcandidates", &[]).await?.unwrap_or_default())
    }

    /// Who governs.
    pub async fn committee(&self) -> Result<Vec<PublicKey>> {
        self.call("getcommittee", &[]).await
    }

    /// Who makes the next block.
    pub async fn next_block_validators(&self) -> Result<Vec<Validator>> {
        self.call("getnextblockvalidators", &[]).await
    }

    /// GAS that an account's NEO has earned and that it has not taken.
    pub async fn unclaimed_gas(&self, account: Hash160) -> Result<UnclaimedGas> {
        self.call("getunclaimedgas", &[json!(account.address())]).await
    }

    /// Whether the node takes this text for an address.
    pub async fn validate_address(&self, address: &str) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct Answer {
            isvalid: bool,
        }
        self.call("validateaddress", &[json!(address)]).await.map(|Answer { isvalid }| isvalid)
    }
}
