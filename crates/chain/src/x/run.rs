//! Running calls without changing anything.

use alloy_primitives::{U64, U256, hex};
use futures_util::{FutureExt, StreamExt, stream};
use nsl_core::{Error, Result};
use serde_json::{Value, json};

use super::{
    Call, NeoX,
    history::event,
    node::{SERVER_ERROR, Simulated, quantity},
    revert,
    send::{self, Verdict, Why},
};
use crate::{
    chain::{Bytes, ChainKind, Fault, Output, Trial},
    error::{METHOD_NOT_FOUND, NodeError, Trouble},
    event::BlockRef,
};

/// "Invalid params": what nodes say that know a method by its name only.
const INVALID_PARAMS: i64 = -32602;
const GAS: &str = "the gas of a call";
/// Calls that are worked out in one request, and such requests at once.
const TOGETHER: usize = 16;
const SIDE_BY_SIDE: usize = 4;

impl NeoX {
    /// What a call gives back, or why it fails, as of a block or now.
    pub(super) async fn run(&self, call: &Call, at: Option<u64>) -> Result<Result<Output, Fault>> {
        let place = at.map_or_else(|| "latest".to_owned(), quantity);
        let params = json!([form(call), place]);
        let done = self
            .pool
            .run_heavy(|node| {
                let params = params.clone();
                async move { node.call::<alloy_primitives::Bytes>("eth_call", params).await }
            })
            .await;
        judge(done, "a call").map(|done| done.map(|bytes| Output::X(Bytes(bytes.to_vec()))))
    }

    /// The gas limit that a call needs now, or why it fails.
    pub async fn gas(&self, call: &Call) -> Result<Result<u64, Fault>> {
        let params = json!([form(call)]);
        let estimated = self
            .pool
            .run_heavy(|node| {
                let params = params.clone();
                async move { node.call::<U64>("eth_estimateGas", params).await }
            })
            .await;
        judge(estimated, GAS).map(|done| done.map(|gas| gas.to()))
    }

    /// As `gas`, for each of these calls of one account by itself, on the state as it is now; with one that moves more
    /// than the account holds refused, which not every node tells by the gas.
    pub async fn gas_of(&self, calls: &[Call]) -> Result<Vec<Result<Result<u64, Fault>>>> {
        let parts: Vec<_> = calls.chunks(TOGETHER).map(|part| self.gas_of_part(part).boxed()).collect();
        let mut all = stream::iter(parts).buffered(SIDE_BY_SIDE).concat().await;
        if let Some(from) = calls.iter().filter(|call| !call.value.is_zero()).find_map(|call| call.from) {
            let balance = self.balance(from).await?;
            for (call, done) in calls.iter().zip(&mut all).filter(|(call, _)| call.value > balance) {
                *done = Err(poor(call, balance));
            }
        }
        Ok(all)
    }

    // Few enough that they can be worked out in the time of one.
    async fn gas_of_part(&self, calls: &[Call]) -> Vec<Result<Result<u64, Fault>>> {
        let params: Vec<Value> = calls.iter().map(|call| json!([form(call)])).collect();
        let params = &params;
        let estimated =
            self.pool.run_heavy(|node| async move { node.many::<U64>("eth_estimateGas", params).await }).await;
        let Ok(estimated) = estimated else {
            // One of them may be what takes so long.
            return stream::iter(calls).then(|call| self.gas(call)).collect().await;
        };
        let mut all = Vec::with_capacity(calls.len());
        for (call, done) in calls.iter().zip(estimated) {
            all.push(match done {
                Err(trouble) if trouble.is_endpoints() => self.gas(call).await,
                done => judge(done, GAS).map(|done| done.map(|gas| gas.to())),
            });
        }
        all
    }

    pub(super) async fn trial(&self, call: &Call) -> Result<Trial> {
        let gas = match self.gas(call).await? {
            Ok(gas) => gas,
            Err(fault) => return Ok(Trial { output: Err(fault), gas: 0, events: Some(Vec::new()) }),
        };
        let bounded = Call { gas: Some(gas), ..call.clone() };
        if let Some(trial) = self.simulated(&bounded, gas).await? {
            return Ok(trial);
        }
        Ok(Trial { output: self.run(&bounded, None).await?, gas, events: None })
    }

    // With what it would tell; none where the node does not know how.
    async fn simulated(&self, call: &Call, gas: u64) -> Result<Option<Trial>> {
        let params = json!([{ "blockStateCalls": [{ "calls": [form(call)] }], "validation": false }, "latest"]);
        let done = self
            .pool
            .run_heavy(|node| {
                let params = params.clone();
                async move { node.call::<Vec<Simulated>>("eth_simulateV1", params).await }
            })
            .await;
        let blocks = match done {
            Ok(blocks) => blocks,
            Err(Trouble::Node(error)) if matches!(error.code, METHOD_NOT_FOUND | INVALID_PARAMS) => return Ok(None),
            Err(trouble) => return Err(refused(trouble, "a test run")),
        };
        let Some(run) = blocks.into_iter().flat_map(|block| block.calls).next() else { return Ok(None) };
        if run.status.is_zero() {
            let data = run.return_data.to_vec();
            let fault = match run.error {
                Some(error) if data.is_empty() => {
                    let error = NodeError { code: error.code, message: error.message, data: error.data };
                    revert::fault(&error).unwrap_or_else(|| revert::of_data(data))
                }
                _ => revert::of_data(data),
            };
            return Ok(Some(Trial { output: Err(fault), gas, events: Some(Vec::new()) }));
        }
        let events = run.logs.iter().map(|log| {
            let height = log.block_number.map_or(0, |number| number.to());
            let hash = log.block_hash.unwrap_or_default().to_string();
            event(log, &BlockRef { height, hash }).map(|event| crate::Event { tx: None, ..event })
        });
        let events = events.collect::<Option<Vec<_>>>();
        Ok(Some(Trial { output: Ok(Output::X(Bytes(run.return_data.to_vec()))), gas, events }))
    }
}

fn poor(call: &Call, balance: U256) -> Error {
    let message = format!("insufficient funds: the call moves {} wei, and the account holds {balance}", call.value);
    send::refusal(Why::InsufficientFunds, NodeError { code: SERVER_ERROR, message, data: None })
}

// Apart from the failure of the code, which is a result, a refusal is an error.
fn judge<T>(done: Result<T, Trouble>, what: &str) -> Result<Result<T, Fault>> {
    match done {
        Ok(found) => Ok(Ok(found)),
        Err(Trouble::Node(error)) => match revert::fault(&error) {
            Some(fault) => Ok(Err(fault)),
            None => Err(refused(Trouble::Node(error), what)),
        },
        Err(trouble) => Err(refused(trouble, what)),
    }
}

// A node says no to a call in the words that it has for transactions.
fn refused(trouble: Trouble, what: &str) -> Error {
    match trouble {
        Trouble::Node(error) => match send::verdict(&error) {
            Verdict::Refused(why) if !matches!(why, Why::NodeFailed | Why::Unclear) => send::refusal(why, error),
            _ => Trouble::Node(error).into_error(ChainKind::NeoX, what),
        },
        trouble => trouble.into_error(ChainKind::NeoX, what),
    }
}

pub(super) fn form(call: &Call) -> Value {
    let mut form = json!({ "data": hex::encode_prefixed(&call.data), "value": call.value });
    if let Some(from) = call.from {
        form["from"] = json!(from);
    }
    if let Some(to) = call.to {
        form["to"] = json!(to);
    }
    if let Some(gas) = call.gas {
        form["gas"] = json!(quantity(gas));
    }
    form
}
