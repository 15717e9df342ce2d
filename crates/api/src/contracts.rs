//! Contracts: deployed, compared, updated, called and listened to, by their manifest or ABI.

use nsl_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    Chain, Page,
    relay::{Estimate, Scope, Transaction},
};

/// A compiled contract, in the terms of its chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Artefact {
    /// Neo N3: the NEF file in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nef: Option<String>,
    /// Neo N3: the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Value>,
    /// Neo X: what Hardhat, Foundry or solc put out for one contract: an object with `abi` and `bytecode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artefact: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deploy {
    pub chain: Chain,
    /// The deploying account, one of the tenant's.
    pub account: String,
    pub artefact: Artefact,
    /// Neo X: the arguments of the constructor.
    #[serde(default)]
    pub args: Vec<Value>,
    /// Neo N3: what `_deploy` is given.
    #[serde(default)]
    pub data: Option<Value>,
    /// Neo X: wei that go along, as a decimal string.
    #[serde(default)]
    pub value: Option<String>,
    #[serde(default)]
    pub max_fee: Option<String>,
    #[serde(default)]
    pub valid_for_ms: Option<u64>,
}

/// A deployment on its way.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Deployed {
    /// Where it will stand: known at once on Neo N3, and on Neo X when the transaction has its nonce.
    pub hash: Option<String>,
    /// What the chain takes, and others may stumble over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Difference>,
    pub transaction: Transaction,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListContracts {
    pub chain: Chain,
    pub limit: u32,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindContract {
    pub chain: Chain,
    /// Its hash or address.
    pub hash: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindDeployment {
    pub chain: Chain,
    /// The id of the transaction that deploys it, as the relay tells it.
    pub request: String,
}

/// What is known of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its transaction is on its way.
    Deploying,
    /// It stands where it was to stand, and is what was sent.
    Deployed,
    /// The chain has not taken it; `reason` says why.
    Failed,
    /// The chain has taken something else than what was expected; `reason` says what.
    Mismatched,
    /// Others deployed it, and the tenant gave its ABI.
    Described,
    /// Others deployed it: what the chain says of it is all that is known.
    Foreign,
}

/// A contract: what is recorded, and what the chain says.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Contract {
    pub chain: Chain,
    /// None while nobody can know it.
    pub hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub state: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who deployed it, where that was done here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The id of the transaction that deploys it, as the relay tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Its hash on the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    /// The block that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
    /// Of what was deployed: the checksum of the NEF on Neo N3, keccak-256 of the creation code on Neo X.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Neo X: as it was deployed or given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub abi: Option<Value>,
    /// Neo N3: as the chain has it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub manifest: Option<Value>,
    /// The last update that was sent from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<LastUpdate>,
    /// What the chain says now; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

/// What a chain says of a contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Live {
    /// How many bytes its code has.
    pub code_bytes: u64,
    /// Neo N3: its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// Neo N3: how often it was updated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_counter: Option<u16>,
    /// Neo N3: the checksum of its NEF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Neo N3: what compiled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// Neo X: keccak-256 of its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_hash: Option<String>,
    /// Neo X: the contract behind it, where it is a proxy (ERC-1967).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implementation: Option<String>,
}

/// An update, as far as it has come.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LastUpdate {
    /// The id of its transaction, as the relay tells it.
    pub request: String,
    pub state: UpdateState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub asked_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// Its transaction is on its way.
    Updating,
    /// The chain has what was sent.
    Updated,
    /// The chain has not taken it.
    Failed,
    /// The chain has taken the transaction, and has something else than what was sent.
    Mismatched,
}

/// Makes the ABI of a contract of Neo X known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Describe {
    pub chain: Chain,
    pub hash: String,
    pub abi: Value,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compare {
    pub chain: Chain,
    pub hash: String,
    pub artefact: Artefact,
}

/// How much a difference asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Nobody who uses the contract has to know.
    Note,
    /// Who calls the contract or listens to it may fail from then on.
    Breaks,
    /// The contract may do more than before, or others are trusted more.
    Widens,
    /// The chain refuses the update.
    Refused,
}

/// One thing that an update changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    pub weight: Weight,
    pub text: String,
}

/// One side of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Side {
    /// Of the code: the checksum of the NEF on Neo N3, keccak-256 of the code that stands on the chain on Neo X.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_bytes: Option<u64>,
    /// Neo X: the contract behind the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implementation: Option<String>,
}

/// What an update changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Differences {
    /// The weightiest first.
    pub changes: Vec<Difference>,
    pub before: Side,
    pub after: Side,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Update {
    pub chain: Chain,
    pub hash: String,
    /// The account that signs, one of the tenant's.
    pub account: String,
    pub artefact: Artefact,
    /// Neo N3: what `update` is given as its third argument. Neo X: the call that follows the upgrade, `0x` and hex.
    #[serde(default)]
    pub data: Option<Value>,
    /// Neo X: the contract that the proxy shall hand its calls to.
    #[serde(default)]
    pub implementation: Option<String>,
    #[serde(default)]
    pub max_fee: Option<String>,
    #[serde(default)]
    pub valid_for_ms: Option<u64>,
}

/// An update on its way.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Updating {
    pub differences: Differences,
    pub transaction: Transaction,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    pub chain: Chain,
    pub hash: String,
    /// A name; on Neo X a signature such as `f(uint256)` where names are shared.
    pub method: String,
    #[serde(default)]
    pub args: Vec<Value>,
    /// The block as of whose end it is asked; the last one when absent.
    #[serde(default)]
    pub at: Option<u64>,
    /// Who is taken to call.
    #[serde(default)]
    pub account: Option<String>,
}

/// What a call gave back: stack items as nodes show them on Neo N3, the decoded outputs on Neo X. An iterator of Neo N3
/// comes with its items, at most 1,000 and 1 MiB of them in all; it is `truncated` where there are more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    pub stack: Vec<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoke {
    pub chain: Chain,
    pub hash: String,
    /// The account that signs; one of the tenant's, but to simulate.
    pub account: String,
    pub method: String,
    #[serde(default)]
    pub args: Vec<Value>,
    /// Neo X: wei that go along, as a decimal string.
    #[serde(default)]
    pub value: Option<String>,
    /// Neo N3: whether it may share one transaction with other calls of its account.
    #[serde(default)]
    pub share: bool,
    /// Neo N3: how far the account's signature reaches.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// Neo N3: another account of the tenant, which pays.
    #[serde(default)]
    pub sponsor: Option<String>,
    #[serde(default)]
    pub max_fee: Option<String>,
    #[serde(default)]
    pub valid_for_ms: Option<u64>,
}

/// What a call would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    pub ok: bool,
    /// Why it would come to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Vec<Value>>,
    /// Neo N3: the system fee in units of 10⁻⁸ GAS. Neo X: the gas that it needs.
    pub gas: String,
    /// What contracts would tell; null when the node can't say.
    pub events: Option<Vec<Told>>,
}

/// An event in the words of the contract that told it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Told {
    pub contract: String,
    /// None when the ABI does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// By the names of the manifest or ABI.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub values: Option<Map<String, Value>>,
    /// Neo N3, where the manifest does not fit: the stack items as nodes show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Vec<Value>>,
    /// Neo X, where the ABI does not fit: the topics and the data as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// An event in a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Where it stands: height, transaction, number. `after` takes it.
    pub cursor: String,
    pub height: u64,
    pub block: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    #[serde(flatten)]
    pub told: Told,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskEvents {
    pub chain: Chain,
    pub hash: String,
    /// The first block; that of the deployment when absent and known, else 1,000 blocks back.
    #[serde(default)]
    pub from: Option<u64>,
    /// The last block; the last there is when absent.
    #[serde(default)]
    pub to: Option<u64>,
    /// Only those of this name; on Neo X a signature too.
    #[serde(default)]
    pub name: Option<String>,
    pub limit: u32,
    #[serde(default)]
    pub after: Option<String>,
}

/// Part of what a contract told, and of which blocks. `next` goes back as `after` to get what follows; it is absent on
/// the last page.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Events {
    pub items: Vec<Event>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The first block that was read for this page; absent where there was none to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The last block that was read for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

nsl_rpc::service! {
    /// Deploys, updates, calls and reads contracts.
    Contracts, ContractsClient, "contracts" {
        /// Needs `contracts:write` and `relay:write`.
        fn deploy(Deploy) -> Deployed;
        /// Needs `contracts:read`; newest first.
        read fn list(ListContracts) -> Page<Contract>;
        /// Needs `contracts:read`.
        read fn find(FindContract) -> Contract;
        /// Needs `contracts:read`.
        read fn find_deployment(FindDeployment) -> Contract;
        /// Needs `contracts:write`.
        fn describe(Describe) -> Contract;
        /// Needs `contracts:read`.
        read fn compare(Compare) -> Differences;
        /// Needs `contracts:write` and `relay:write`.
        fn update(Update) -> Updating;
        /// Needs `contracts:read`.
        read fn call(Ask) -> Answer;
        /// Needs `contracts:read`.
        read fn simulate(Invoke) -> Trial;
        /// Needs `contracts:read` and `relay:read`.
        read fn estimate(Invoke) -> Estimate;
        /// Needs `contracts:write` and `relay:write`.
        fn invoke(Invoke) -> Transaction;
        /// Needs `contracts:read`; oldest first. A page may be short, or empty, where many blocks had to be read.
        read fn events(AskEvents) -> Events;
    }
}
