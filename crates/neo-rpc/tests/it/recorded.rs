//! Answers that nodes of the other kind, neo-cli, have given.

use std::{fmt::Debug, path::PathBuf};

use neo_rpc::{
    Code, NodeError,
    model::{
        ApplicationLog, ContractState, InvocationResult, MempoolView, Nep17Transfer, Peers, Transfers, UnclaimedGas,
        Validator, Version, VmState,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

struct Recorded(Vec<Value>);

impl Recorded {
    fn read() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the place of the vectors is no setting of the program")]
        let Some(vectors) = std::env::var_os("NSL_VECTORS") else {
            eprintln!("NOT RUN: NSL_VECTORS does not name the directory of the recorded answers");
            return None;
        };
        let path = PathBuf::from(vectors).join("neo-n3/neo-csharp/RpcTestCases.json");
        Some(Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()))
    }

    fn all<T: DeserializeOwned + Debug>(&self, name: &str) -> Vec<T> {
        let found: Vec<_> = self.0.iter().filter(|case| case["Name"] == name).collect();
        assert!(!found.is_empty(), "{name}");
        let read = |case: &&Value| {
            let field = if case["Response"]["error"].is_null() { "result" } else { "error" };
            T::deserialize(&case["Response"][field]).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        found.iter().map(read).collect()
    }

    fn one<T: DeserializeOwned + Debug>(&self, name: &str) -> T {
        self.all(name).remove(0)
    }
}

#[test]
fn answers_of_neo_cli_are_read() {
    let Some(recorded) = Recorded::read() else { return };
    let refused: NodeError = recorded.one("sendrawtransactionasyncerror");
    assert_eq!(refused.code, Code::InsufficientFunds);
    let version: Version = recorded.one("getversionasync");
    assert_eq!((version.protocol.ms_per_block, version.protocol.hardfork("HF_Aspidochelone")), (15_000, None));
    assert_eq!(version.protocol.hardfork("Aspidochelone"), Some(0));
    let contracts: Vec<ContractState> = recorded.all("getcontractstateasync");
    assert!(contracts.iter().any(|contract| contract.id == -6 && contract.manifest.name == "GasToken"));
    let natives: Vec<ContractState> = recorded.one("getnativecontractsasync");
    assert_eq!(natives[0].manifest.name, "ContractManagement");
    let pool: MempoolView = recorded.one("getrawmempoolbothasync");
    assert_eq!((pool.height, pool.verified.len(), pool.unverified.len()), (2846, 1, 1));
    let validators: Vec<Validator> = recorded.one("getnextblockvalidatorsasync");
    assert_eq!(validators[0].votes, 0);
    let peers: Peers = recorded.one("getpeersasync");
    assert_eq!((peers.unconnected.len(), peers.connected.len()), (1, 2));
    let gas: UnclaimedGas = recorded.one("getunclaimedgasasync");
    assert_eq!(gas.unclaimed, 735_870_007_400_i64.into());
    for log in recorded.all::<ApplicationLog>("getapplicationlogasync") {
        assert!(log.block.is_some() && log.executions.iter().all(|run| run.state == VmState::Halt));
    }
    let transfers: Transfers<Nep17Transfer> = recorded.one("getnep17transfersasync_with_null_transferaddress");
    assert_eq!(transfers.sent[0].other, None);
    let transfers: Transfers<Nep17Transfer> = recorded.one("getnep17transfersasync");
    assert!(transfers.sent[0].other.is_some());
    let runs: Vec<InvocationResult> = recorded.all("invokescriptasync");
    assert!(runs.iter().all(|run| run.state == VmState::Halt && run.stack.known().is_some()));
}
