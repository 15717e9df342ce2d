//! Faults of Neo N3.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160,
    explain::{Explanation, explain, fault},
    script::instructions,
};
use nsl_api::{
    Chain,
    relay::{Fault, Instruction},
};
use nsl_chain::{Chain as _, Receipt, n3::NeoN3};
use nsl_core::{Error, Result};
use serde::Deserialize;

use crate::{n3::ask::Ask, store::Kept};

/// What a test run that failed was told by the node.
#[derive(Deserialize)]
struct Trouble {
    #[serde(default)]
    exception: Option<String>,
    script: String,
}

/// What a script did and why it faulted, as far as is known.
pub(super) struct Told {
    pub(super) steps: Option<serde_json::Value>,
    pub(super) fault: Option<Fault>,
}

pub(super) async fn tell(chain: &NeoN3, kept: &Kept) -> Result<Told> {
    if let (Some(hash), Some(_)) = (&kept.hash, kept.height) {
        let id = hash.parse()?;
        let script = chain.transaction(&id).await?.map(|transaction| transaction.script);
        let script = match script {
            Some(script) => script,
            None => Ask::read(&kept.intent)?.script()?,
        };
        let failed = match chain.receipt(&id).await? {
            Receipt::Executed(executed) => executed.fault,
            Receipt::Unknown | Receipt::Pending => None,
        };
        let fault = match failed {
            Some(failed) => Some(read(chain, &failed.reason, &script, true).await?),
            None => None,
        };
        return Ok(Told { steps: steps(&explain(&script, &[])), fault });
    }
    let Some(trouble) = &kept.trouble else {
        let script = Ask::read(&kept.intent)?.script()?;
        return Ok(Told { steps: steps(&explain(&script, &[])), fault: None });
    };
    let Trouble { exception, script } = serde_json::from_str(trouble).map_err(Error::internal)?;
    let script = BASE64.decode(script).map_err(Error::internal)?;
    let exception = exception.unwrap_or_else(|| "the node does not say why".to_owned());
    let fault = Some(read(chain, &exception, &script, false).await?);
    Ok(Told { steps: steps(&explain(&script, &[])), fault })
}

fn steps(explanation: &Explanation) -> Option<serde_json::Value> {
    serde_json::to_value(explanation).ok()?.get("steps").cloned()
}

async fn read(chain: &NeoN3, exception: &str, script: &[u8], on_chain: bool) -> Result<Fault> {
    let found = fault(exception, script, None);
    let explained = explain(script, &[]);
    let mut calls = explained.calls();
    let call = calls.next().filter(|_| calls.next().is_none());
    // A node tells the place, and not whose: what is not in the script is in the contract that it calls, or deeper.
    let at = found.offset.zip(found.opcode.map(|opcode| opcode.to_string()));
    let mut operand = found.instruction.as_deref().and_then(operand_of);
    if let (None, Some((offset, opcode)), Some(call)) = (&found.instruction, &at, call) {
        operand = in_contract(chain, call.contract, *offset, opcode).await?;
    }
    let cause = serde_json::to_value(&found.cause).map_err(Error::internal)?;
    Ok(Fault {
        chain: Chain::NeoN3,
        text: found.to_string(),
        cause: cause["kind"].as_str().unwrap_or("other").to_owned(),
        contract: call.map(|call| call.contract.to_string()),
        method: call.map(|call| call.method.clone()),
        no_instruction: at.is_none().then(|| "the node does not say where the script faulted".to_owned()),
        instruction: at.map(|(offset, opcode)| Instruction { offset: offset as u64, opcode, operand }),
        error: None,
        revert: None,
        on_chain,
    })
}

fn operand_of(text: &str) -> Option<String> {
    text.split_once(' ').map(|(_, operand)| operand.to_owned())
}

async fn in_contract(chain: &NeoN3, contract: Hash160, offset: usize, opcode: &str) -> Result<Option<String>> {
    let Some(state) = chain.contract(contract).await? else { return Ok(None) };
    let there = instructions(&state.nef.script).map_while(std::result::Result::ok).find(|one| one.offset == offset);
    let there = there.filter(|one| one.opcode.to_string() == opcode);
    Ok(there.and_then(|one| operand_of(&one.to_string())))
}
