//! Balances and transfers, as the node's tracker of tokens has them.

use std::{collections::BTreeMap, ops::Range};

use neo::Hash160;
use serde_json::{Value, json};

use super::Client;
use crate::{
    error::Result,
    model::{Balances, Nep11Balance, Nep11Transfer, Nep17Balance, Nep17Transfer, Properties, Transfers},
};

impl Client {
    /// What an account has of fungible tokens.
    pub async fn nep17_balances(&self, account: Hash160) -> Result<Vec<Nep17Balance>> {
        self.call("getnep17balances", &[json!(account.address())]).await.map(|Balances { balance }| balance)
    }

    /// The transfers of fungible tokens from and to an account in a span of time (milliseconds since 1970). Without
    /// a span the node takes the last seven days; neo-go up to the last full second, so the newest may be left out.
    pub async fn nep17_transfers(
        &self,
        account: Hash160,
        span: Option<Range<u64>>,
    ) -> Result<Transfers<Nep17Transfer>> {
        self.call("getnep17transfers", &in_span(account, span)).await
    }

    /// What an account has of single tokens.
    pub async fn nep11_balances(&self, account: Hash160) -> Result<Vec<Nep11Balance>> {
        self.call("getnep11balances", &[json!(account.address())]).await.map(|Balances { balance }| balance)
    }

    /// The transfers of single tokens from and to an account in a span of time (milliseconds since 1970). Without a
    /// span the node takes the last seven days; neo-go up to the last full second, so the newest may be left out.
    pub async fn nep11_transfers(
        &self,
        account: Hash160,
        span: Option<Range<u64>>,
    ) -> Result<Transfers<Nep11Transfer>> {
        self.call("getnep11transfers", &in_span(account, span)).await
    }

    /// What a single token, by its id in hex, says of itself.
    pub async fn nep11_properties(&self, contract: Hash160, id: &str) -> Result<BTreeMap<String, Option<String>>> {
        self.call::<Properties>("getnep11properties", &[json!(contract), json!(id)]).await
    }
}

fn in_span(account: Hash160, span: Option<Range<u64>>) -> Vec<Value> {
    let mut params = vec![json!(account.address())];
    params.extend(span.into_iter().flat_map(|span| [json!(span.start), json!(span.end)]));
    params
}
