//! Running calls without changing anything.

use alloy_primitives::{U64, hex};
use nsl_core::Result;
use serde_json::{Value, json};

use super::{
    Call, NeoX,
    history::event,
    node::{Simulated, quantity},
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

    pub(super) async fn trial(&self, call: &Call) -> Result<Trial> {
        let params = json!([form(call)]);
        let estimated = self
            .pool
            .run_heavy(|node| {
                let params = params.clone();
                async move { node.call::<U64>("eth_estimateGas", params).await }
            })
            .await;
        let gas: u64 = match judge(estimated, "the gas of a call")? {
            Ok(gas) => gas.to(),
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
            Err(trouble) => return Err(trouble.into_error(ChainKind::NeoX, "a test run")),
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

// Apart from the failure of the code, which is a result, a refusal is an error.
fn judge<T>(done: Result<T, Trouble>, what: &str) -> Result<Result<T, Fault>> {
    match done {
        Ok(found) => Ok(Ok(found)),
        Err(Trouble::Node(error)) => match (revert::fault(&error), send::verdict(&error)) {
            (Some(fault), _) => Ok(Err(fault)),
            (None, Verdict::Refused(why)) if !matches!(why, Why::NodeFailed | Why::Unclear) => {
                Err(send::refusal(why, error))
            }
            (None, _) => Err(Trouble::Node(error).into_error(ChainKind::NeoX, what)),
        },
        Err(trouble) => Err(trouble.into_error(ChainKind::NeoX, what)),
    }
}

fn form(call: &Call) -> Value {
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
