//! Transactions that are sent until the chain has decided.

use nsl_core::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Chain, Page, Revealed,
    sponsor::{Complete, NameSponsor, Prepare, Prepared, PutSponsor, SponsorInfo},
};

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

/// How far a signature reaches on Neo N3. `minimal` is `none` or `called_by_entry`, and refuses what needs more;
/// `contracts` may name contracts that are called further, as few as the call needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// None or called by entry: the narrower with which a test run does the same as with the widest. Where neither
    /// does, it is refused.
    #[default]
    Minimal,
    /// To pay the fee, and for nothing else.
    None,
    CalledByEntry,
    /// As minimal; where that refuses, the fewest contracts by name with which a test run does the same.
    Contracts,
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

/// Waits for the next state of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchPassed {
    pub chain: Chain,
    pub id: String,
    /// The number of the last state that is known already.
    pub after: i64,
    /// For how long at most, in milliseconds; what comes later is not in the answer.
    pub wait_ms: u64,
}

/// Takes a transaction back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cancel {
    pub chain: Chain,
    pub id: String,
}

/// What sending a call would take: exactly what would be signed now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Estimate {
    /// The most that it may cost, in the smallest unit of the chain: 10^-8 GAS, or wei.
    pub fee: String,
    /// Neo N3: what running it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fee: Option<String>,
    /// Neo N3: what its size and its witnesses take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_fee: Option<String>,
    /// Neo N3: how far the account's signature would reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Neo X: the most gas that it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_limit: Option<u64>,
    /// Neo X: the most wei for a unit of gas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fee_per_gas: Option<String>,
}

/// Asks why a transaction is where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explain {
    pub chain: Chain,
    pub id: String,
    /// Neo X: the ABI of the called contract, to read errors of its own by their names.
    #[serde(default)]
    pub abi: Option<serde_json::Value>,
}

/// Why a transaction is where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What its code came to nothing by, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Neo N3: what its script does, step by step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<serde_json::Value>,
}

/// A fault of the VM on Neo N3, or a revert on Neo X.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    pub chain: Chain,
    /// In words, decoded as far as possible.
    pub text: String,
    /// Its kind: `thrown`, `aborted`, `assertion_failed`, `out_of_gas`, `no_contract`, `no_method`, `missing_flags`,
    /// `not_permitted` on Neo N3; `revert`, `panic`, `error`, `out_of_gas` on Neo X; `other`.
    pub cause: String,
    /// The contract that was called, or that reverted where the node tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<Instruction>,
    /// Why no instruction is told, where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_instruction: Option<String>,
    /// Neo X: an error of the contract's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CustomError>,
    /// Neo X: what a contract reverted with as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<String>,
    /// Whether the chain did so, or only a test run.
    pub on_chain: bool,
}

/// An instruction of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instruction {
    /// Where in its script or code it begins.
    pub offset: u64,
    pub opcode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operand: Option<String>,
}

/// An error that a contract of Neo X declares itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CustomError {
    /// The first four bytes of the data: `0x` and eight hex digits.
    pub selector: String,
    /// Absent without an ABI that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<serde_json::Value>,
    /// All of what was given, `0x` and hex.
    pub data: String,
}

/// What a tenant's transactions of one chain may cost, in its smallest unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// One transaction; no bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_transaction: Option<String>,
    /// All of one day (UTC); no bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetBudget {
    pub chain: Chain,
    pub limits: Limits,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskBudget {
    pub chain: Chain,
}

/// A budget and what is gone of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_transaction: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<String>,
    /// What today's transactions took, and the most that those under way may still take.
    pub spent_today: String,
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

/// Takes an account over from a wallet file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportAccount {
    pub chain: Chain,
    pub label: String,
    /// A NEP-6 wallet on Neo N3, a Web3 keystore of version 3 on Neo X.
    pub wallet: serde_json::Value,
    pub passphrase: Revealed,
    /// Which of its accounts, where it has several.
    #[serde(default)]
    pub address: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListAccounts {
    pub chain: Chain,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskBalance {
    pub chain: Chain,
    /// Any account of the chain: what it holds is no secret.
    pub account: String,
}

/// What an account holds after the last block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    pub chain: Chain,
    /// `0x` and 40 hex digits.
    pub account: String,
    pub address: String,
    /// In 10^-8 GAS on Neo N3, in wei on Neo X.
    pub gas: String,
    /// Neo N3: whole NEO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neo: Option<String>,
}

/// Asks for what `submit` gave under the idempotency key that comes along.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Submitted {}

nsl_rpc::service! {
    /// Sends transactions until the chain has decided.
    Relay, RelayClient, "relay" {
        /// Needs `relay:admin`.
        fn add_account(AddAccount) -> Account;
        /// Needs `relay:admin`.
        fn import_account(ImportAccount) -> Account;
        /// Needs `relay:read`; by account.
        read fn list_accounts(ListAccounts) -> Page<Account>;
        /// Needs `relay:read`.
        read fn balance(AskBalance) -> Balance;
        /// Needs `relay:write`.
        fn submit(Submit) -> Transaction;
        /// Needs `relay:write`. Takes nothing on; refused where `submit` was not asked so before.
        fn submitted(Submitted) -> Transaction;
        /// Needs `relay:read`.
        read fn find(FindTransaction) -> Transaction;
        /// Needs `relay:read`; newest first.
        read fn list(ListTransactions) -> Page<Transaction>;
        /// Needs `relay:read`; oldest first.
        read fn passed(AskPassed) -> Page<Passed>;
        /// Needs `relay:read`; as `passed`, and where there is nothing new it waits for it.
        fn watch(WatchPassed) -> Page<Passed>;
        /// Needs `relay:write`. It ends as replaced, or as what the chain has taken already.
        fn cancel(Cancel) -> Transaction;
        /// Needs `relay:write`. Sends nothing.
        read fn estimate(Submit) -> Estimate;
        /// Needs `relay:read`.
        read fn explain(Explain) -> Explanation;
        /// Needs `relay:read`.
        read fn budget(AskBudget) -> Budget;
        /// Needs `relay:admin`.
        fn set_budget(SetBudget) -> Budget;
        /// Needs `relay:admin`.
        fn put_sponsor(PutSponsor) -> SponsorInfo;
        /// Needs `relay:read`.
        read fn find_sponsor(NameSponsor) -> SponsorInfo;
        /// Needs `relay:admin`.
        fn remove_sponsor(NameSponsor) -> ();
        /// Needs `relay:write`.
        fn prepare_sponsored(Prepare) -> Prepared;
        /// Needs `relay:write`.
        fn complete_sponsored(Complete) -> Transaction;
    }
}
