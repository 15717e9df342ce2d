//! What neo-go is told.

use std::{path::Path, time::Duration};

use super::{Database, N3Options, keys::WALLET};

pub(super) const CHAIN: &str = "chain";
pub(super) const PASSWORD: &str = "development";

/// The configuration of a network with one validator that does every service there is.
///
/// The block time stands there twice, since the Policy contract holds it from its Echidna fork on. Invocations are not
/// saved: with neo-go 0.120 that silences notifications of transactions over the websocket. Every address is given,
/// since what is left out listens on all interfaces. At level info the log takes half as much room as the chain.
pub(super) fn text(dir: &Path, options: &N3Options, public: &str, genesis: &str, port: u16) -> String {
    let N3Options { magic, .. } = options;
    let block_time = go(options.block_time);
    let database = match options.database {
        Database::Memory => "inmemory",
        Database::LevelDb => "leveldb",
    };
    let (chain, wallet) = (quoted(&dir.join(CHAIN)), quoted(&dir.join(WALLET)));
    let unlock = format!("{{Path: {wallet}, Password: {PASSWORD}}}");
    format!(
        "ProtocolConfiguration:
  Magic: {magic}
  MaxTraceableBlocks: 200000
  MaxValidUntilBlockIncrement: 5760
  TimePerBlock: {block_time}
  MemPoolSize: 50000
  StandbyCommittee: [{public}]
  ValidatorsCount: 1
  VerifyTransactions: true
  P2PSigExtensions: true
  Genesis:
    TimePerBlock: {block_time}
    MaxTraceableBlocks: 200000
    MaxValidUntilBlockIncrement: 5760
    Roles:
      StateValidator: [{public}]
      Oracle: [{public}]
      P2PNotary: [{public}]
    Transaction: {{Script: \"{genesis}\", SystemFee: 10000000000}}
ApplicationConfiguration:
  LogLevel: warn
  LogTimestamp: true
  SaveInvocations: false
  KeepOnlyLatestState: false
  DBConfiguration:
    Type: {database}
    LevelDBOptions: {{DataDirectoryPath: {chain}}}
  P2P:
    Addresses: [\"127.0.0.1:0\"]
    MinPeers: 0
    MaxPeers: 10
  Relay: true
  RPC:
    Enabled: true
    Addresses: [\"127.0.0.1:{port}\"]
    MaxGasInvoke: 100
    SessionEnabled: true
    MaxWebSocketClients: 256
    MaxWebSocketFeeds: 64
    MempoolSubscriptionsEnabled: true
  Consensus: {{Enabled: true, UnlockWallet: {unlock}}}
  StateRoot: {{Enabled: true, UnlockWallet: {unlock}}}
  P2PNotary: {{Enabled: true, UnlockWallet: {unlock}}}
  Oracle:
    Enabled: true
    AllowPrivateHost: true
    AllowedContentTypes: [application/json]
    RequestTimeout: 5s
    ResponseTimeout: 4s
    RefreshInterval: 30s
    Nodes: []
    UnlockWallet: {unlock}
  Prometheus: {{Enabled: false, Addresses: [\"127.0.0.1:0\"]}}
  Pprof: {{Enabled: false, Addresses: [\"127.0.0.1:0\"]}}
"
    )
}

fn go(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

// A path as YAML reads it, whatever it has in it; JSON strings are YAML.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}
