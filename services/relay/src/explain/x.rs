//! Reverts of Neo X.

use nsl_api::{
    Chain,
    relay::{Call, CustomError, Fault, Instruction},
};
use nsl_chain::{
    self as chain, Chain as _, Receipt,
    x::{Abi, Failed, NeoX, Traced},
};
use nsl_core::{Error, Result};
use serde::Deserialize;

use crate::{store::Kept, x::of_intent};

const ERROR: &str = "08c379a0";
const PANIC: &str = "4e487b71";

/// What the code of a request came to nothing by; none for one whose code did not.
pub(super) async fn fault(chain: &NeoX, kept: &Kept, abi: Option<&serde_json::Value>) -> Result<Option<Fault>> {
    if kept.state != "failed" {
        return Ok(None);
    }
    let abi = abi.map(Abi::read).transpose()?;
    let call = Call::deserialize(&kept.intent).map_err(Error::internal)?;
    let from = kept.account.parse().map_err(Error::internal)?;
    if let (Some(hash), Some(_)) = (&kept.hash, kept.height) {
        let id = hash.parse()?;
        let Receipt::Executed(executed) = chain.receipt(&id).await? else { return Ok(None) };
        let Some(fault) = executed.fault else { return Ok(None) };
        let mut traced = chain.trace(Traced::Sent(&id)).await?;
        if let Ok(Some(failed)) = &mut traced
            && failed.at.is_err()
            && let Ok(Some(again)) = chain.trace(Traced::Call(&of_intent(&call, from)?)).await?
            && (again.contract, &again.input, &again.fault) == (failed.contract, &failed.input, &failed.fault)
        {
            // The node kept no steps of it, and what fails alike now fails at the same place.
            failed.at = again.at;
        }
        return Ok(Some(read(fault, traced, &call, abi.as_ref(), true)));
    }
    let Some(trouble) = &kept.trouble else { return Ok(None) };
    let fault = serde_json::from_str(trouble).map_err(Error::internal)?;
    let traced = chain.trace(Traced::Call(&of_intent(&call, from)?)).await?;
    // The state has moved on since: what runs through now has no instruction to tell.
    let traced = match traced {
        Ok(None) => Err("the same call would do what it is to do by now".to_owned()),
        other => other,
    };
    Ok(Some(read(fault, traced, &call, abi.as_ref(), false)))
}

fn read(
    fault: chain::Fault,
    traced: Result<Option<Failed>, String>,
    call: &Call,
    abi: Option<&Abi>,
    on_chain: bool,
) -> Fault {
    // What it met in its block, a node that traces knows better than one that runs it again.
    let met = traced.as_ref().ok().and_then(|failed| failed.as_ref()?.fault.clone());
    let fault = met.filter(|_| on_chain).unwrap_or(fault);
    let data = fault.data.as_ref().map(|data| hex::encode(&data.0)).unwrap_or_default();
    let known = abi.and_then(|abi| fault.data.as_ref().and_then(|data| abi.named_error(&data.0)));
    let cause = match &data {
        data if data.starts_with(ERROR) => "revert",
        data if data.starts_with(PANIC) => "panic",
        data if data.len() >= 8 => "error",
        _ if fault.reason == "out of gas" => "out_of_gas",
        _ if fault.reason.starts_with("reverted") => "revert",
        _ => "other",
    };
    let error = (cause == "error").then(|| {
        let (name, args) = known.clone().map(|named| (named.name, named.values)).unzip();
        CustomError {
            selector: format!("0x{}", &data[..8]),
            name,
            args: args.map(serde_json::Value::Object),
            data: format!("0x{data}"),
        }
    });
    let (failed, at) = match traced {
        Ok(Some(failed)) => (Some(failed.clone()), failed.at),
        Ok(None) => (None, Err("by its trace it did not fail".to_owned())),
        Err(why) => (None, Err(why)),
    };
    let contract = failed.as_ref().and_then(|failed| failed.contract).map(|contract| contract.to_checksum(None));
    let input = match &failed {
        Some(failed) => failed.input.clone(),
        None => hex::decode(call.data.as_deref().unwrap_or_default().trim_start_matches("0x")).unwrap_or_default(),
    };
    let selector = || input.get(..4).map(|selector| format!("0x{}", hex::encode(selector)));
    Fault {
        chain: Chain::NeoX,
        text: abi.map_or_else(|| fault.reason.clone(), |abi| abi.explain(&fault)),
        cause: cause.to_owned(),
        contract: contract.or_else(|| call.to.clone()),
        method: abi.and_then(|abi| abi.method_of(&input)).or_else(selector),
        no_instruction: at.as_ref().err().cloned(),
        instruction: at.ok().map(|(offset, opcode)| Instruction { offset, opcode, operand: None }),
        revert: (cause == "revert" && data.starts_with(ERROR)).then_some(fault.reason),
        error,
        on_chain,
    }
}
