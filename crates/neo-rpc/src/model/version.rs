use neo::PublicKey;
use serde::{Deserialize, Serialize};

use super::text::or_default;

/// What `getversion` tells of a node and its network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Where it takes connections of other nodes.
    #[serde(rename = "tcpport", default)]
    pub tcp_port: u16,
    /// A number of this run of the node.
    #[serde(default)]
    pub nonce: u32,
    /// Its program and version.
    #[serde(rename = "useragent")]
    pub user_agent: String,
    /// The rules of its network.
    pub protocol: Protocol,
    /// What it allows to callers.
    #[serde(default)]
    pub rpc: RpcLimits,
    /// How it keeps data (neo-go).
    #[serde(default)]
    pub application: NodeOptions,
}

/// The rules of a network. Some of them the network's policy may have changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// The version byte of addresses.
    #[serde(rename = "addressversion", default)]
    pub address_version: u8,
    /// The number that all signatures include.
    pub network: u32,
    /// How many validators make blocks.
    #[serde(rename = "validatorscount", default)]
    pub validators_count: u32,
    /// Milliseconds from block to block.
    #[serde(rename = "msperblock")]
    pub ms_per_block: u64,
    /// How many blocks a transaction's last block may lie ahead.
    #[serde(rename = "maxvaliduntilblockincrement")]
    pub max_valid_until_block_increment: u32,
    /// How many blocks back contracts may look.
    #[serde(rename = "maxtraceableblocks")]
    pub max_traceable_blocks: u32,
    /// Transactions of a block, at most.
    #[serde(rename = "maxtransactionsperblock", default)]
    pub max_transactions_per_block: u32,
    /// Transactions of the pool, at most.
    #[serde(rename = "memorypoolmaxtransactions", default)]
    pub memory_pool_max_transactions: u32,
    /// The GAS of the first block, in units of 10⁻⁸.
    #[serde(rename = "initialgasdistribution", default)]
    pub initial_gas_distribution: u64,
    /// From which block on which changes of the rules hold.
    #[serde(default, deserialize_with = "or_default")]
    pub hardforks: Vec<Hardfork>,
    /// Who governs until others are elected.
    #[serde(rename = "standbycommittee", default, deserialize_with = "or_default")]
    pub standby_committee: Vec<PublicKey>,
    /// Nodes to find others by.
    #[serde(rename = "seedlist", default, deserialize_with = "or_default")]
    pub seed_list: Vec<String>,
    /// Whether the state root is part of the header (neo-go).
    #[serde(rename = "staterootinheader", default)]
    pub state_root_in_header: bool,
    /// Whether notary requests are exchanged (neo-go).
    #[serde(rename = "p2psigextensions", default)]
    pub p2p_sig_extensions: bool,
}

/// A change of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardfork {
    /// Its name. Some nodes write `HF_` before it.
    pub name: String,
    /// From which block on it holds.
    #[serde(rename = "blockheight")]
    pub height: u32,
}

impl Protocol {
    /// From which block on a change of the rules holds.
    pub fn hardfork(&self, name: &str) -> Option<u32> {
        let same = |fork: &&Hardfork| fork.name.strip_prefix("HF_").unwrap_or(&fork.name).eq_ignore_ascii_case(name);
        self.hardforks.iter().find(same).map(|fork| fork.height)
    }
}

/// What a node allows to callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcLimits {
    /// Items of an iterator in one answer, at most.
    #[serde(rename = "maxiteratorresultitems", default)]
    pub max_iterator_result_items: u32,
    /// Whether it keeps iterators for later calls.
    #[serde(rename = "sessionenabled", default)]
    pub session_enabled: bool,
}

/// How a node keeps data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOptions {
    /// Whether application logs have the calls between contracts.
    #[serde(rename = "saveinvocations", default)]
    pub save_invocations: bool,
    /// Whether it has the newest state only: then there are no historic calls.
    #[serde(rename = "keeponlylateststate", default)]
    pub keep_only_latest_state: bool,
    /// Whether it forgets old blocks.
    #[serde(rename = "removeuntraceableblocks", default)]
    pub remove_untraceable_blocks: bool,
}
