//! What changes the chain, and what is on its way there.

use neo::{Hash256, tx::Transaction, wire::Wire};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, from_binary, known};
use crate::{
    error::Result,
    model::{At, Base64, BlockNotifications, Decimal, RawNotaryPool},
    watch::NotificationFilter,
};

#[derive(Deserialize)]
struct Relayed {
    hash: Hash256,
}

impl Client {
    /// The network fee that the node asks for a transaction, in units of 10⁻⁸ GAS. Each witness needs its
    /// verification script, or is of a deployed contract.
    pub async fn calculate_network_fee(&self, transaction: &Transaction) -> Result<i64> {
        #[derive(Deserialize)]
        struct Fee {
            networkfee: Decimal<i64>,
        }
        let params = [json!(Base64(transaction.to_bytes()))];
        self.call("calculatenetworkfee", &params).await.map(|Fee { networkfee: Decimal(fee) }| fee)
    }

    /// Gives a transaction to the network. [`Code::AlreadyInPool`](crate::Code::AlreadyInPool) and
    /// [`Code::AlreadyExists`](crate::Code::AlreadyExists) mean that it has been given before.
    pub async fn send_transaction(&self, transaction: &Transaction) -> Result<Hash256> {
        self.send_raw_transaction(&transaction.to_bytes()).await
    }

    /// Gives a transaction in its binary form to the network.
    pub async fn send_raw_transaction(&self, transaction: &[u8]) -> Result<Hash256> {
        self.relay("sendrawtransaction", transaction).await
    }

    /// Gives transactions in their binary form to the network one after the other, in as few requests as the node takes.
    pub async fn send_raw_transactions(&self, transactions: &[&[u8]]) -> Result<Vec<Result<Hash256>>> {
        let params: Vec<Vec<Value>> = transactions.iter().map(|bytes| vec![json!(Base64(bytes.to_vec()))]).collect();
        let relayed: Vec<Result<Relayed>> = self.batch("sendrawtransaction", &params).await?;
        Ok(relayed.into_iter().map(|one| one.map(|Relayed { hash }| hash)).collect())
    }

    /// Gives a block in its binary form to the network.
    pub async fn submit_block(&self, block: &[u8]) -> Result<Hash256> {
        self.relay("submitblock", block).await
    }

    /// Gives a notary request in its binary form to the network (neo-go).
    pub async fn submit_notary_request(&self, request: &[u8]) -> Result<Hash256> {
        self.relay("submitnotaryrequest", request).await
    }

    async fn relay(&self, method: &'static str, bytes: &[u8]) -> Result<Hash256> {
        self.call(method, &[json!(Base64(bytes.to_vec()))]).await.map(|Relayed { hash }| hash)
    }

    /// All that contracts told in a block, of scripts that did not fail; with a filter, what passes it (neo-go).
    pub async fn block_notifications(
        &self,
        at: impl Into<At>,
        filter: Option<&NotificationFilter>,
    ) -> Result<BlockNotifications> {
        let mut params: Vec<Value> = vec![json!(at.into())];
        params.extend(filter.map(|filter| json!(filter)));
        self.call("getblocknotifications", &params).await
    }

    /// The notary requests that wait (neo-go).
    pub async fn raw_notary_pool(&self) -> Result<RawNotaryPool> {
        self.call("getrawnotarypool", &[]).await
    }

    /// A transaction of a notary request that waits (neo-go).
    pub async fn raw_notary_transaction(&self, hash: Hash256) -> Result<Option<Transaction>> {
        let method = "getrawnotarytransaction";
        let found: Option<Base64> = known(self.call(method, &[json!(hash), json!(false)]).await)?;
        found.map(|Base64(bytes)| from_binary(method, &bytes)).transpose()
    }
}
