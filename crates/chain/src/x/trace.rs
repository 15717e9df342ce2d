//! Where a run of the EVM failed, as nodes tell that can trace.

use alloy_primitives::{Address, Bytes};
use nsl_core::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, NeoX, node::Node, revert, run::form};
use crate::{
    chain::{ChainKind, Fault, TxId},
    error::{METHOD_NOT_FOUND, Trouble},
};

/// Where a run failed first: in the code of `contract`, which those above passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub contract: Option<Address>,
    /// What the call there was given.
    pub input: Vec<u8>,
    /// What it reverted with; none where that was nothing.
    pub fault: Option<Fault>,
    /// Where in its code, and by which operation, or why that is not known.
    pub at: Result<(u64, String), String>,
}

/// What is traced.
#[derive(Clone, Debug)]
pub enum Traced<'a> {
    /// A transaction in a block, as it went.
    Sent(&'a TxId),
    /// A call, as it would go now.
    Call(&'a Call),
}

#[derive(Deserialize)]
struct Frame {
    to: Option<Address>,
    #[serde(default)]
    input: Bytes,
    #[serde(default)]
    output: Bytes,
    error: Option<String>,
    #[serde(default)]
    calls: Vec<Frame>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logs {
    struct_logs: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    pc: u64,
    op: String,
    depth: usize,
}

/// What is read of a trace: as much as the steps of a run take whose end someone may look for.
const MOST: usize = 8 << 20;
/// Traces that are made at once, for whomever.
pub(super) const AT_ONCE: usize = 2;

impl NeoX {
    /// Where a run failed; the inner error says why no node tells.
    pub async fn trace(&self, what: Traced<'_>) -> Result<Result<Option<Failed>, String>> {
        let _turn = self.traces.acquire().await.map_err(Error::internal)?;
        let frame = match self.traced::<Frame>(&what, json!({ "tracer": "callTracer" })).await? {
            Ok(frame) => frame,
            Err(why) => return Ok(Err(why)),
        };
        let Some((frame, depth)) = origin(&frame, 1) else { return Ok(Ok(None)) };
        let plain = json!({ "disableStack": true, "disableStorage": true, "enableMemory": false,
            "enableReturnData": false });
        let logs = self.traced::<Logs>(&what, plain).await?;
        let at = logs.and_then(|logs| {
            let last = logs.struct_logs.into_iter().rev().find(|line| line.depth == depth);
            last.map(|line| (line.pc, line.op)).ok_or_else(|| "the node kept no steps of it".to_owned())
        });
        let fault = (!frame.output.is_empty()).then(|| revert::of_data(frame.output.to_vec()));
        let (contract, input) = (frame.to, frame.input.to_vec());
        Ok(Ok(Some(Failed { contract, input, fault, at })))
    }

    async fn traced<T>(&self, what: &Traced<'_>, options: Value) -> Result<Result<T, String>>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        let (method, params) = match what {
            Traced::Sent(id) => ("debug_traceTransaction", json!([id, options])),
            Traced::Call(call) => ("debug_traceCall", json!([form(call), "latest", options])),
        };
        let done = self
            .pool
            .run_heavy(|node: std::sync::Arc<Node>| {
                let params = params.clone();
                async move { node.call_within::<T>(MOST, method, params).await }
            })
            .await;
        match done {
            Ok(found) => Ok(Ok(found)),
            Err(Trouble::Node(error)) if is_missing(error.code, &error.message) => {
                Ok(Err(format!("the node can't trace: it does not offer {method}")))
            }
            Err(Trouble::Node(error)) => Ok(Err(format!("the node could not trace: {}", error.message))),
            Err(Trouble::TooLarge(_)) => Ok(Err("its trace is longer than what is read of one".to_owned())),
            Err(Trouble::Garbled(why)) => Ok(Err(format!("the trace could not be read: {why}"))),
            Err(trouble) => {
                let error = trouble.into_error(ChainKind::NeoX, "a trace");
                if error.code == Code::Internal { Ok(Err(error.message)) } else { Err(error) }
            }
        }
    }
}

fn is_missing(code: i64, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    code == METHOD_NOT_FOUND || message.contains("does not exist") || message.contains("not available")
}

// The frame that failed by itself: what its callers gave back is what it gave. Depths count from 1, as in traces.
fn origin(frame: &Frame, depth: usize) -> Option<(&Frame, usize)> {
    frame.error.as_ref()?;
    let passed = frame.calls.last().filter(|last| last.error.is_some() && last.output == frame.output);
    passed.and_then(|last| origin(last, depth + 1)).or(Some((frame, depth)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_that_failed_first_is_found() {
        let frame: Frame = serde_json::from_value(json!({
            "to": "0x00000000000000000000000000000000000000aa", "input": "0x01020304", "output": "0x0102",
            "error": "execution reverted",
            "calls": [
                { "to": "0x00000000000000000000000000000000000000bb", "output": "0x0102", "error": "execution reverted" },
                { "to": "0x00000000000000000000000000000000000000cc", "output": "0x0102", "error": "execution reverted",
                  "calls": [{ "to": "0x00000000000000000000000000000000000000dd", "output": "0x03", "error": "x" }] },
            ],
        }))
        .unwrap();
        let (found, depth) = origin(&frame, 1).unwrap();
        assert_eq!((found.to.unwrap().0[19], depth), (0xcc, 2), "its own callee gave something else");
        let whole = Frame { error: None, ..frame };
        assert!(origin(&whole, 1).is_none(), "it did what it was to do");
        assert!(
            is_missing(-32601, "") && is_missing(-32000, "the method debug_traceCall does not exist/is not available")
        );
    }
}
