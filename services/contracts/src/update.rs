//! Updates: compared, handed to the relay, recorded.

use nsl_api::{
    contracts::{self, Artefact, Compare, Difference, Differences, Side, Update, Updating, Weight},
    relay::{Call, Submit},
};
use nsl_chain::{
    Call as ChainCall, Chain as _,
    x::{self as evm, Address, NeoX, keccak256},
};
use nsl_core::{Code, Cx, Entry, Error, Result};
use serde_json::{Map, Value};

use crate::{
    n3,
    place::{Place, not_found, x_account},
    service::{Service, onward},
    store::{AddUpdate, KeptUpdate},
    x,
};

struct Prepared {
    call: Call,
    differences: Differences,
    checksum: Option<String>,
    implementation: Option<String>,
    abi: Option<Value>,
}

impl Service {
    pub(crate) async fn differences(&self, cx: &Cx, compare: Compare) -> Result<Differences> {
        match Place::read(compare.chain, &compare.hash)? {
            Place::N3(hash) => {
                let now = self.chains.n3()?.contract(hash).await?.ok_or_else(not_found)?;
                n3::compare(&now, &compare.artefact)
            }
            Place::X(address) => {
                let code = x::code(&compare.artefact)?;
                let chain = self.chains.x()?;
                let behind = x::behind(chain, address).await?;
                let side = side(chain, behind.unwrap_or(address), behind).await?.ok_or_else(not_found)?;
                let after = Side { code_bytes: code.runtime.as_ref().map(|code| code.len() as u64), ..Side::default() };
                self.x_differences(cx, address, behind, Some(&code.abi), (side, after)).await
            }
        }
    }

    pub(crate) async fn begin_update(&self, cx: &Cx, update: Update) -> Result<Updating> {
        let place = Place::read(update.chain, &update.hash)?;
        let prepared = match place {
            Place::N3(hash) => self.prepare_n3(hash, &update).await?,
            Place::X(address) => self.prepare_x(cx, address, &update).await?,
        };
        let Update { chain, account, max_fee, valid_for_ms, .. } = update;
        let submit = Submit { chain, account, call: prepared.call, max_fee, valid_for_ms };
        let transaction = self.relay.submit(&onward(cx), submit).await?;
        let now = self.clock.now();
        let entry = Entry::new(cx, "contracts.update_accepted", "contracts", "update", now)
            .request("chain", chain.as_str())
            .request("account", transaction.account.clone())
            .request("hash", place.kept())
            .response("request", transaction.id.clone());
        let entry = self.ledger.seal(cx, entry, Map::new()).await?;
        let kept = KeptUpdate {
            tenant: cx.tenant.clone(),
            request: transaction.id.clone(),
            chain: chain.as_str().to_owned(),
            hash: place.kept(),
            account: transaction.account.clone(),
            checksum: prepared.checksum,
            implementation: prepared.implementation,
            abi: prepared.abi,
            state: "updating".to_owned(),
            reason: None,
            tx: None,
            asked_by: cx.principal.subject.clone(),
            asked_at: now,
        };
        let updating = Updating { differences: prepared.differences, transaction };
        let add = || AddUpdate { kept: kept.clone(), updating: updating.clone(), entry: entry.clone() };
        let done = self.record(cx, add).await?;
        self.settler.asked.notify_one();
        Ok(done)
    }

    async fn prepare_n3(&self, hash: neo::Hash160, update: &Update) -> Result<Prepared> {
        if update.implementation.is_some() {
            return Err(unfit("an update on Neo N3 has no implementation: the contract updates itself"));
        }
        let now = self.chains.n3()?.contract(hash).await?.ok_or_else(not_found)?;
        let made = n3::update(&now, &update.artefact, update.data.as_ref())?;
        Ok(Prepared {
            call: n3::script_call(&made.script),
            differences: made.differences,
            checksum: Some(made.checksum.to_string()),
            implementation: None,
            abi: Some(serde_json::to_value(&made.manifest).map_err(Error::internal)?),
        })
    }

    async fn prepare_x(&self, cx: &Cx, proxy: Address, update: &Update) -> Result<Prepared> {
        let chain = self.chains.x()?;
        let account = x_account(&update.account)?;
        let wanted = update.implementation.as_deref().ok_or_else(|| {
            unfit("an update on Neo X needs the implementation: deploy the new contract, and give its address")
        })?;
        let wanted = evm::address(wanted).ok_or_else(|| {
            Error::invalid("contracts.hash_malformed", "the implementation is not 0x and 40 hex digits")
        })?;
        let code = (update.artefact != Artefact::default()).then(|| x::code(&update.artefact)).transpose()?;
        let data = update.data.as_ref().map(call_data).transpose()?;
        let behind = x::behind(chain, proxy).await?;
        let Some(before) = side(chain, behind.unwrap_or(proxy), behind).await? else { return Err(not_found()) };
        if behind.is_none() {
            let message = "the contract is no proxy of ERC-1967: its code can't be changed";
            return Err(Error::new(Code::Conflict, "contracts.not_updatable", message));
        }
        let stands = chain.code(wanted).await?;
        if stands.is_empty() {
            let message = "there is no contract at the address of the implementation";
            return Err(Error::new(Code::Conflict, "contracts.implementation_missing", message));
        }
        if let Some(compiled) = code.as_ref().and_then(|code| code.runtime.as_deref())
            && !is_of(&stands, compiled)
        {
            let message = "the contract at the address of the implementation is not the one of the artefact";
            return Err(Error::new(Code::Conflict, "contracts.implementation_unfit", message));
        }
        let after = Side {
            checksum: Some(keccak256(&stands).to_string()),
            code_bytes: Some(stands.len() as u64),
            implementation: Some(wanted.to_checksum(None)),
        };
        let recorded = self.recorded_abi(cx, wanted).await?;
        let abi = code.as_ref().map(|code| code.abi.clone()).or(recorded);
        let differences = self.x_differences(cx, proxy, behind, abi.as_ref(), (before, after)).await?;
        let upgrade = upgrade(chain, account, proxy, wanted, data.as_deref()).await?;
        Ok(Prepared {
            call: x::wire(Some(upgrade.to), &upgrade.data, None),
            differences,
            checksum: None,
            implementation: Some(format!("{wanted:#x}")),
            abi,
        })
    }

    async fn recorded_abi(&self, cx: &Cx, address: Address) -> Result<Option<Value>> {
        let known = self.recorded(cx, Place::X(address)).await?;
        Ok(known.filter(|known| known.hash.is_some()).map(|known| known.abi))
    }

    async fn x_differences(
        &self,
        cx: &Cx,
        address: Address,
        behind: Option<Address>,
        new: Option<&Value>,
        (before, after): (Side, Side),
    ) -> Result<Differences> {
        // Behind a proxy is what callers have to do with; where that was not recorded, what they call the proxy by.
        let mut old = match behind {
            Some(behind) => self.recorded_abi(cx, behind).await?,
            None => None,
        };
        if old.is_none() {
            old = self.recorded_abi(cx, address).await?;
        }
        let mut changes = match (&old, new) {
            (Some(old), Some(new)) => x::differences(old, new),
            (None, _) => {
                vec![note("the ABI of what stands there is not recorded: functions and events are not compared")]
            }
            (_, None) => {
                vec![note("no artefact was given, and none is recorded: functions and events are not compared")]
            }
        };
        if let (Some(before), Some(after)) = (before.code_bytes, after.code_bytes)
            && before != after
        {
            changes.push(note(&format!("the code changes from {before} bytes to {after}")));
        }
        if let (Some(before), Some(after)) = (&before.implementation, &after.implementation) {
            changes.push(note(&format!("the implementation changes from {before} to {after}")));
        }
        changes.push(note(
            "the layout of the storage is not compared: variables that are moved, removed or of another type read \
             what others have written",
        ));
        Ok(Differences { changes, before, after })
    }
}

/// The way to upgrade that the proxy knows: the first whose test run goes well and tells of it.
async fn upgrade(
    chain: &NeoX,
    account: Address,
    proxy: Address,
    wanted: Address,
    data: Option<&[u8]>,
) -> Result<x::Upgrade> {
    let mut reasons = Vec::new();
    for upgrade in x::upgrades(proxy, x::admin(chain, proxy).await?, wanted, data)? {
        let data = upgrade.data.clone();
        let call = evm::Call { from: Some(account), to: Some(upgrade.to), data, ..evm::Call::default() };
        let trial = chain.simulate(&ChainCall::X(call)).await?;
        match trial.output {
            // A node that can't tell events leaves it to the chain.
            Ok(_) if trial.events.as_ref().is_none_or(|told| x::Upgrade::is_seen(told, proxy, wanted)) => {
                return Ok(upgrade);
            }
            Ok(_) => reasons.push(format!("{}: nothing is upgraded by it", upgrade.method)),
            Err(fault) => reasons.push(format!("{}: {}", upgrade.method, fault.reason)),
        }
    }
    let message = format!("the proxy would not take the upgrade from this account: {}", reasons.join("; "));
    Err(Error::invalid("contracts.reverted", message).detail("reason", reasons.join("; ")))
}

/// What stands at an address; none where nothing does.
async fn side(chain: &NeoX, at: Address, behind: Option<Address>) -> Result<Option<Side>> {
    let code = chain.code(at).await?;
    Ok((!code.is_empty()).then(|| Side {
        checksum: Some(keccak256(&code).to_string()),
        code_bytes: Some(code.len() as u64),
        implementation: behind.map(|behind| behind.to_checksum(None)),
    }))
}

/// Whether code on the chain is what was compiled: immutable values are zeros until then.
fn is_of(stands: &[u8], compiled: &[u8]) -> bool {
    stands.len() == compiled.len() && stands.iter().zip(compiled).all(|(one, other)| one == other || *other == 0)
}

fn call_data(given: &Value) -> Result<Vec<u8>> {
    let refused = || Error::invalid("contracts.data_malformed", "the data of an upgrade is not 0x and hex");
    let text = given.as_str().and_then(|text| text.strip_prefix("0x")).ok_or_else(refused)?;
    hex::decode(text).map_err(|_| refused())
}

fn note(text: &str) -> Difference {
    contracts::Difference { weight: Weight::Note, text: text.to_owned() }
}

fn unfit(why: &str) -> Error {
    Error::invalid("contracts.artefact_unfit", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immutable_values_are_the_only_difference_between_what_was_compiled_and_what_stands() {
        let compiled = [0x60, 0x80, 0, 0, 0x52];
        assert!(is_of(&[0x60, 0x80, 7, 9, 0x52], &compiled) && is_of(&compiled, &compiled));
        assert!(!is_of(&[0x60, 0x81, 0, 0, 0x52], &compiled) && !is_of(&compiled[..4], &compiled));
    }
}
