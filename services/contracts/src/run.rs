//! Calls: asked, tried out, and handed to the relay.

use std::{pin::pin, time::Duration};

use neo::{Hash160, manifest::Manifest};
use nsl_api::{
    Chain,
    contracts::{Answer, Ask, Invoke, Told, Trial},
    relay::{Estimate, Submit, Submitted, Transaction},
};
use nsl_chain::{
    Body, Bytes, Call, Chain as _, Event, Fault, Output,
    n3::{self as vm, ContractState},
    x::{self as evm, Address},
};
use nsl_core::{Code, Cx, Error, Result};
use serde_json::Value;

use crate::{
    n3,
    place::{Place, n3_account, not_found, x_account},
    service::Service,
    store::{by_hash, last_update},
    x::{self, Faces},
};

/// How long the nodes are waited for before a manifest that is recorded will do.
const PATIENCE: Duration = Duration::from_secs(3);
/// When to come again, where nodes don't say.
const AGAIN: Duration = Duration::from_secs(1);

impl Service {
    pub(crate) async fn ask(&self, cx: &Cx, ask: Ask) -> Result<Answer> {
        match Place::read(ask.chain, &ask.hash)? {
            Place::N3(hash) => {
                let state = self.n3_state(hash).await?;
                let call = n3_call(&state, &ask.method, &ask.args)?;
                let signers = ask.account.as_deref().map(n3_account).transpose()?;
                let signers = signers.into_iter().map(|account| n3::signer(account, None)).collect();
                let script = call.script.clone();
                let call = vm::Call { signers, ..call };
                let said = self.chains.n3()?.read(&Call::N3(call), ask.at).await;
                let said = said.map_err(|error| in_words(error, |fault| n3::fault(&fault.reason, &script)))?;
                let Output::N3(stack) = said else { return Err(other_chain()) };
                Ok(Answer { stack: stack.iter().map(n3::shown).collect() })
            }
            Place::X(address) => {
                let faces = self.faces(cx, address, &ask.method).await?;
                let abi = faces.of(&ask.method)?;
                let from = ask.account.as_deref().map(x_account).transpose()?;
                let data = abi.call(&ask.method, &ask.args)?;
                let call = evm::Call { from, to: Some(address), data, ..evm::Call::default() };
                let said = self.chains.x()?.read(&Call::X(call), ask.at).await;
                let said = said.map_err(|error| in_words(error, |fault| faces.explain(fault)))?;
                let Output::X(Bytes(said)) = said else { return Err(other_chain()) };
                self.outputs(abi, address, (&ask.method, ask.args.len()), &said).await.map(|stack| Answer { stack })
            }
        }
    }

    pub(crate) async fn try_out(&self, cx: &Cx, invoke: Invoke) -> Result<Trial> {
        match Place::read(invoke.chain, &invoke.hash)? {
            Place::N3(hash) => {
                check_n3(&invoke)?;
                let state = self.n3_state(hash).await?;
                let call = n3_call(&state, &invoke.method, &invoke.args)?;
                let script = call.script.clone();
                let signers = vec![n3::signer(n3_account(&invoke.account)?, invoke.scope)];
                let trial = self.chains.n3()?.simulate(&Call::N3(vm::Call { signers, ..call })).await?;
                let events = trial.events.map(|events| events.iter().map(|event| n3_told(event, &state)).collect());
                let (stack, reason) = match trial.output {
                    Ok(Output::N3(stack)) => (Some(stack.iter().map(n3::shown).collect()), None),
                    Ok(Output::X(_)) => return Err(other_chain()),
                    Err(fault) => (None, Some(n3::fault(&fault.reason, &script))),
                };
                Ok(Trial { ok: reason.is_none(), reason, stack, gas: trial.gas.to_string(), events })
            }
            Place::X(address) => {
                check_x(&invoke)?;
                let faces = self.faces(cx, address, &invoke.method).await?;
                let abi = faces.of(&invoke.method)?;
                let data = abi.call(&invoke.method, &invoke.args)?;
                let value = invoke.value.as_deref().map(x::wei).transpose()?.unwrap_or_default();
                let from = Some(x_account(&invoke.account)?);
                let call = evm::Call { from, to: Some(address), data, value, gas: None };
                let trial = match self.chains.x()?.simulate(&Call::X(call)).await {
                    Err(error) if error.slug == "chain.insufficient_funds" => return Ok(unpaid(&error)),
                    trial => trial?,
                };
                let events = trial.events.map(|events| events.iter().map(|event| x_told(event, &faces)).collect());
                let (stack, reason) = match trial.output {
                    Ok(Output::X(Bytes(said))) => {
                        let method = (invoke.method.as_str(), invoke.args.len());
                        (Some(self.outputs(abi, address, method, &said).await?), None)
                    }
                    Ok(Output::N3(_)) => return Err(other_chain()),
                    Err(fault) => (None, Some(faces.explain(&fault))),
                };
                Ok(Trial { ok: reason.is_none(), reason, stack, gas: trial.gas.to_string(), events })
            }
        }
    }

    pub(crate) async fn guess(&self, cx: &Cx, invoke: Invoke) -> Result<Estimate> {
        let (submit, faces) = self.submission(cx, invoke).await?;
        let estimate = self.relay.estimate(cx, submit).await;
        estimate.map_err(|error| in_words(error, |fault| faces.explain(fault)))
    }

    pub(crate) async fn hand_over(&self, cx: &Cx, invoke: Invoke) -> Result<Transaction> {
        let refusal = match self.submission(cx, invoke).await {
            Ok((submit, _)) => return self.relay.submit(cx, submit).await,
            Err(refusal) => refusal,
        };
        if cx.once.is_none() {
            return Err(refusal);
        }
        // What was handed over before is told as it was then, whatever can't be written or looked up by now.
        match self.relay.submitted(cx, Submitted {}).await {
            Err(error) if &*error.slug != "idempotency.key_reused" => Err(refusal),
            told => told,
        }
    }

    /// What the relay is asked to send, and in which words its faults are told.
    async fn submission(&self, cx: &Cx, invoke: Invoke) -> Result<(Submit, Faces)> {
        let mut faces = Faces::default();
        let call = match Place::read(invoke.chain, &invoke.hash)? {
            Place::N3(hash) => {
                check_n3(&invoke)?;
                let manifest = self.manifest(cx, hash).await?;
                let method = vm::method(&manifest, &invoke.method, invoke.args.len())?;
                let call = n3::wire(&hash, &method.name, &vm::arguments(method, &invoke.args)?)?;
                let (share, scope, sponsor) = (invoke.share, invoke.scope, invoke.sponsor);
                nsl_api::relay::Call { share, scope, sponsor, ..call }
            }
            Place::X(address) => {
                check_x(&invoke)?;
                faces = self.faces(cx, address, &invoke.method).await?;
                let data = faces.of(&invoke.method)?.call(&invoke.method, &invoke.args)?;
                let value = invoke.value.as_deref().map(x::wei).transpose()?.map(|value| value.to_string());
                x::wire(Some(address), &data, value.as_deref())
            }
        };
        let Invoke { chain, account, max_fee, valid_for_ms, .. } = invoke;
        Ok((Submit { chain, account, call, max_fee, valid_for_ms }, faces))
    }

    /// The manifest by which an invocation is written. While no node tells it: that of a contract that the tenant has
    /// deployed and updated from here. The relay tries out on the chain what it sends, so one that was changed
    /// elsewhere since is as an update that comes between the request and its block.
    async fn manifest(&self, cx: &Cx, hash: Hash160) -> Result<Manifest> {
        let mut asked = pin!(self.n3_state(hash));
        let waited = match tokio::time::timeout(PATIENCE, &mut asked).await {
            Ok(Ok(state)) => return Ok(state.manifest),
            Ok(Err(error)) if !is_away(&error) => return Err(error),
            waited => waited,
        };
        if let Some(manifest) = self.recorded_manifest(cx, &hash.to_string()).await? {
            return Ok(manifest);
        }
        let told = match waited {
            Ok(told) => told,
            Err(_) => asked.await,
        };
        match told {
            Err(error) if is_away(&error) => {
                let message = "no node tells the manifest of the contract now, and none is recorded that still holds";
                let wait = error.retry_after_ms.map_or(AGAIN, Duration::from_millis);
                Err(Error::new(Code::Unavailable, "contracts.manifest_unread", message)
                    .retry_after(wait)
                    .because(error))
            }
            told => told.map(|state| state.manifest),
        }
    }

    async fn recorded_manifest(&self, cx: &Cx, hash: &str) -> Result<Option<Manifest>> {
        let chain = Chain::NeoN3.as_str();
        let known = by_hash(&self.db, &cx.tenant, chain, hash).await?;
        let Some(known) = known.filter(|known| known.state == "deployed") else { return Ok(None) };
        let update = last_update(&self.db, &cx.tenant, chain, hash).await?;
        if update.is_some_and(|update| matches!(&*update.state, "updating" | "mismatched")) {
            return Ok(None);
        }
        Manifest::from_json(known.abi.to_string().as_bytes()).map(Some).map_err(Error::internal)
    }

    pub(crate) async fn n3_state(&self, hash: Hash160) -> Result<ContractState> {
        self.chains.n3()?.contract(hash).await?.ok_or_else(not_found)
    }

    /// The ABI that the tenant has recorded, and that of the contract behind a proxy where the first does not know the
    /// method.
    pub(crate) async fn faces(&self, cx: &Cx, address: Address, method: &str) -> Result<Faces> {
        let mut faces = Faces::default();
        self.add_face(cx, address, &mut faces).await?;
        if !faces.knows(method)
            && let Some(behind) = x::behind(self.chains.x()?, address).await?
        {
            self.add_face(cx, behind, &mut faces).await?;
        }
        Ok(faces)
    }

    async fn add_face(&self, cx: &Cx, address: Address, faces: &mut Faces) -> Result<()> {
        let known = self.recorded(cx, Place::X(address)).await?;
        known.filter(|known| known.hash.is_some()).map_or(Ok(()), |known| faces.add(&known.abi))
    }

    async fn outputs(
        &self,
        abi: &evm::Abi,
        address: Address,
        (method, count): (&str, usize),
        said: &[u8],
    ) -> Result<Vec<Value>> {
        match abi.outputs(method, count, said) {
            Err(_) if said.is_empty() && self.chains.x()?.code(address).await?.is_empty() => Err(not_found()),
            outputs => outputs,
        }
    }
}

fn is_away(error: &Error) -> bool {
    matches!(error.code, Code::Unavailable | Code::Timeout | Code::Exhausted)
}

fn n3_call(state: &ContractState, method: &str, args: &[Value]) -> Result<vm::Call> {
    let method = vm::method(&state.manifest, method, args.len())?;
    let params = vm::arguments(method, args)?;
    Ok(vm::Call { script: n3::script(&state.hash, &method.name, &params)?, signers: Vec::new() })
}

fn n3_told(event: &Event, state: &ContractState) -> Told {
    match &event.body {
        Body::Notification { name, state: items } => {
            let manifest = (event.contract == state.hash.to_string()).then_some(&state.manifest);
            n3::told(&event.contract, name, items.as_deref(), manifest)
        }
        Body::Log { topics, data } => x::told(&event.contract, topics, data, &Faces::default()),
    }
}

fn x_told(event: &Event, faces: &Faces) -> Told {
    match &event.body {
        Body::Log { topics, data } => x::told(&event.contract, topics, data, faces),
        Body::Notification { name, state } => n3::told(&event.contract, name, state.as_deref(), None),
    }
}

/// An event of a contract of either chain, in its own words.
pub(crate) fn told(event: &Event, state: Option<&ContractState>, faces: &Faces) -> Told {
    match state {
        Some(state) => n3_told(event, state),
        None => x_told(event, faces),
    }
}

// A fault or revert, of a call or of what the relay has tried out, in the words of the contract; any other trouble
// stays what it is.
fn in_words(error: Error, explain: impl Fn(&Fault) -> String) -> Error {
    let slug = match &*error.slug {
        "chain.reverted" => "contracts.reverted",
        "relay.would_fail" => "relay.would_fail",
        _ => return error,
    };
    let what = if slug == "contracts.reverted" { "the call came to nothing" } else { "it would be undone" };
    let text = |name: &str| error.details.get(name).and_then(Value::as_str);
    let data = text("data").and_then(|data| hex::decode(data.trim_start_matches("0x")).ok()).map(Bytes);
    let fault = Fault { reason: text("reason").unwrap_or(&error.message).to_owned(), data };
    let reason = explain(&fault);
    let made = Error::invalid(slug, format!("{what}: {reason}")).detail("reason", reason);
    match fault.data {
        Some(data) => made.detail("data", data.to_string()),
        None => made,
    }
}

fn unpaid(error: &Error) -> Trial {
    Trial { ok: false, reason: Some(error.message.clone()), stack: None, gas: "0".to_owned(), events: Some(Vec::new()) }
}

fn check_n3(invoke: &Invoke) -> Result<()> {
    match invoke.value {
        Some(_) => Err(unfit("value", "Neo N3", "send GAS by its transfer")),
        None => Ok(()),
    }
}

fn check_x(invoke: &Invoke) -> Result<()> {
    for (name, is_there) in
        [("share", invoke.share), ("scope", invoke.scope.is_some()), ("sponsor", invoke.sponsor.is_some())]
    {
        if is_there {
            return Err(unfit(name, "Neo X", "leave it out"));
        }
    }
    Ok(())
}

fn unfit(name: &str, chain: &str, instead: &str) -> Error {
    Error::invalid("contracts.call_unfit", format!("a call on {chain} has no {name}: {instead}")).detail("field", name)
}

fn other_chain() -> Error {
    Error::internal(anyhow::anyhow!("a chain gave what only the other one gives"))
}
