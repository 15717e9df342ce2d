//! Transactions that are sent until the chain has decided.

use nsl_core::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Chain, Page, Revealed};

/// What a transaction is to do, in the terms of its chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Neo X: the account or contract that is called, `0x` and 40 hex digits; absent to deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Neo X: the data of the call. Neo N3: a script, where no contract is named. `0x` and hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Neo X: wei that go along, as a decimal string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Neo N3: the contract that is called, in place of a script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Neo N3: its method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Neo N3: the arguments of the method, each `{"type", "value"}` as nodes take it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<serde_json::Value>,
    /// Neo N3: whether it may share one transaction with other calls of its account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share: bool,
    /// Neo N3: how far the account's signature reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Neo N3: another account of the tenant, which pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<String>,
}

/// How far a signature reaches on Neo N3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The narrowest with which a test run does the same as with the widest.
    #[default]
    Minimal,
    /// To pay the fee, and for nothing else.
    None,
    CalledByEntry,
    Global,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submit {
    pub chain: Chain,
    /// The sending account, one of the tenant's.
    pub account: String,
    pub call: Call,
    /// The most it may cost, in the smallest unit of the chain.
    #[serde(default)]
    pub max_fee: Option<String>,
    /// After how many milliseconds it is given up, where no block has it by then.
    #[serde(default)]
    pub valid_for_ms: Option<u64>,
}

/// Where a transaction is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Stored, and waiting for its turn.
    Accepted,
    /// Tried out: the chain would take it as it stands now.
    Simulated,
    /// Signed and stored.
    Signed,
    /// Handed to a node.
    Sent,
    /// In a block that is not final yet.
    Seen,
    /// In a final block, and done.
    Final,
    /// It would be or was undone; `reason` says why. In a block if `height` is there.
    Failed,
    /// Another transaction took its place at the caller's wish.
    Replaced,
    /// Its time passed before a block had it, and none can have it any more.
    Expired,
}

/// A transaction as it stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Transaction {
    pub id: String,
    pub chain: Chain,
    pub account: String,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The hash under which the chain has it or, before that, was last offered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
    /// What the chain took for it, in its smallest unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindTransaction {
    pub chain: Chain,
    pub id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListTransactions {
    pub chain: Chain,
    pub limit: u32,
    pub after: Option<String>,
}

/// A state that a transaction passed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Passed {
    /// Counted from 1.
    pub number: i64,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskPassed {
    pub chain: Chain,
    pub id: String,
    /// The number of the last state that is known already.
    pub after: i64,
}

/// An account whose key is kept here, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    pub chain: Chain,
    /// `0x` and 40 hex digits, as submissions name it.
    pub account: String,
    /// As people of its chain write it: checksummed hex on Neo X, `N...` on Neo N3.
    pub address: String,
    pub label: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Makes an account, or takes one over whose key is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddAccount {
    pub chain: Chain,
    pub label: String,
    /// 32 bytes as hex on Neo X, a WIF on Neo N3.
    pub key: Option<Revealed>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListAccounts {
    pub chain: Chain,
}

nsl_rpc::service! {
    /// Sends transactions until the chain has decided.
    Relay, RelayClient, "relay" {
        /// Needs `relay:admin`.
        fn add_account(AddAccount) -> Account;
        /// Needs `relay:read`; by account.
        read fn list_accounts(ListAccounts) -> Page<Account>;
        /// Needs `relay:write`.
        fn submit(Submit) -> Transaction;
        /// Needs `relay:read`.
        read fn find(FindTransaction) -> Transaction;
        /// Needs `relay:read`; newest first.
        read fn list(ListTransactions) -> Page<Transaction>;
        /// Needs `relay:read`; oldest first.
        read fn passed(AskPassed) -> Page<Passed>;
    }
}
