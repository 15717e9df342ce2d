//! What nodes answer, typed. What is pure data of the chain (transactions, stack items, manifests) is of crate `neo`.

mod block;
mod contract;
mod invoke;
mod log;
mod notary;
mod state;
mod text;
mod token;
mod version;

pub(crate) use self::token::{Balances, Properties};
pub use self::{
    block::{At, BlockView, Candidate, HeaderView, MempoolView, Peer, Peers, TransactionView, UnclaimedGas, Validator},
    contract::{ContractState, FoundStorage, StorageItem},
    invoke::{CallTree, Diagnostics, InvocationResult, InvokeSigner, StorageChange},
    log::{ApplicationLog, Contained, Execution, Notification, Shown, Trigger, VmState},
    notary::{BlockNotifications, RawNotaryPool},
    state::{FoundStates, StateHeight, StateRoot},
    token::{Nep11Balance, Nep11Token, Nep11Transfer, Nep17Balance, Nep17Transfer, Transfers},
    version::{Hardfork, NodeOptions, Protocol, RpcLimits, Version},
};
pub(crate) use text::{Base64, Decimal};
