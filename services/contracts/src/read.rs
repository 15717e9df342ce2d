//! What is recorded of contracts, beside what the chain says.

use std::time::Duration;

use nsl_api::{
    Chain, Page,
    contracts::{
        Contract, Describe, FindContract, FindDeployment, LastUpdate, ListContracts, Live, Standing, UpdateState,
    },
    relay::FindTransaction,
};
use nsl_chain::{TxId, x::keccak256};
use nsl_core::{Cx, Entry, Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Map;

use crate::{
    place::{Place, not_found, shown},
    service::Service,
    settle::foreseen,
    store::{Describe as Keep, KeptUpdate, Known, by_hash, by_request, last_update, list, plain},
    x,
};

const LONGEST_PAGE: u32 = 100;
const LONGEST_NAME: usize = 255;
const NEWEST: &str = "~";

impl Service {
    pub(crate) async fn page(&self, cx: &Cx, wanted: ListContracts) -> Result<Page<Contract>> {
        let limit = wanted.limit.clamp(1, LONGEST_PAGE);
        let before = wanted.after.as_deref().unwrap_or(NEWEST);
        let known = list(&self.db, &cx.tenant, wanted.chain.as_str(), before, limit).await?;
        let next = (known.len() == limit as usize).then(|| known.last().map(|last| last.id.clone())).flatten();
        let mut items = Vec::with_capacity(known.len());
        for one in &known {
            items.push(noted(wanted.chain, one)?);
        }
        Ok(Page { items, next })
    }

    pub(crate) async fn look_at(&self, cx: &Cx, wanted: FindContract) -> Result<Contract> {
        let place = Place::read(wanted.chain, &wanted.hash)?;
        let update = self.last_update(cx, wanted.chain, &place.kept()).await?;
        let known = self.recorded(cx, place).await?;
        self.whole(cx, wanted.chain, known, Some(place), update).await
    }

    /// What the tenant recorded of a contract, with what is known by now of those that are on their way.
    pub(crate) async fn recorded(&self, cx: &Cx, place: Place) -> Result<Option<Known>> {
        let (chain, kept) = (place.chain().as_str(), place.kept());
        let known = by_hash(&self.db, &cx.tenant, chain, &kept).await?;
        if known.is_some() || place.chain() == Chain::NeoN3 {
            return self.settled(cx, known).await;
        }
        // It may be one of those whose place is not known before the chain has it.
        if self.settler.tenant(&cx.tenant).await? == 0 {
            return Ok(None);
        }
        by_hash(&self.db, &cx.tenant, chain, &kept).await
    }

    pub(crate) async fn look_at_deployment(&self, cx: &Cx, wanted: FindDeployment) -> Result<Contract> {
        let known = by_request(&self.db, &cx.tenant, wanted.chain.as_str(), &wanted.request).await?;
        let known = self.settled(cx, Some(known.ok_or_else(not_found)?)).await?;
        let hash = known.as_ref().and_then(|known| known.hash.as_ref());
        let place = hash.map(|hash| Place::read(wanted.chain, hash)).transpose()?;
        let update = match place {
            Some(place) => self.last_update(cx, wanted.chain, &place.kept()).await?,
            None => None,
        };
        self.whole(cx, wanted.chain, known, place, update).await
    }

    // Who asks for one that is on its way is told what is known now.
    async fn settled(&self, cx: &Cx, known: Option<Known>) -> Result<Option<Known>> {
        let known = match known {
            Some(known) if known.state == "deploying" => known,
            other => return Ok(other),
        };
        match self.settler.deployment(&known).await {
            Ok(true) => match &known.request {
                Some(request) => by_request(&self.db, &cx.tenant, &known.chain, request).await,
                None => Ok(Some(known)),
            },
            Ok(false) => Ok(Some(known)),
            Err(error) => {
                tracing::debug!(%error, cause = ?error.cause(), "what became of a deployment can't be told now");
                Ok(Some(known))
            }
        }
    }

    async fn whole(
        &self,
        cx: &Cx,
        chain: Chain,
        known: Option<Known>,
        place: Option<Place>,
        update: Option<LastUpdate>,
    ) -> Result<Contract> {
        let mut contract = match &known {
            Some(known) => noted(chain, known)?,
            None => foreign(chain, place),
        };
        if let Some(known) = known.as_ref().filter(|known| known.state == "deploying" && chain == Chain::NeoX) {
            self.foresee(cx, known, &mut contract).await?;
        }
        if chain == Chain::NeoX {
            contract.abi = known.as_ref().map(|known| known.abi.clone());
        }
        match place {
            Some(Place::N3(hash)) => {
                if let Some(state) = self.chains.n3()?.contract(hash).await? {
                    contract.live = Some(Live {
                        code_bytes: state.nef.script.len() as u64,
                        id: Some(state.id),
                        update_counter: Some(state.update_counter),
                        checksum: Some(state.nef.checksum().to_string()),
                        compiler: Some(state.nef.compiler.clone()),
                        ..Live::default()
                    });
                    contract.name = Some(state.manifest.name.clone());
                    contract.manifest = Some(serde_json::to_value(&state.manifest).map_err(Error::internal)?);
                }
            }
            Some(Place::X(address)) => {
                let node = self.chains.x()?;
                let code = node.code(address).await?;
                if !code.is_empty() {
                    let behind = x::behind(node, address).await?;
                    contract.live = Some(Live {
                        code_bytes: code.len() as u64,
                        code_hash: Some(keccak256(&code).to_string()),
                        implementation: behind.map(|behind| behind.to_checksum(None)),
                        ..Live::default()
                    });
                }
            }
            None => {}
        }
        if known.is_none() && contract.live.is_none() {
            return Err(not_found());
        }
        contract.update = update;
        Ok(contract)
    }

    // On Neo X the place follows from the nonce, which the transaction has when it is signed.
    async fn foresee(&self, cx: &Cx, known: &Known, contract: &mut Contract) -> Result<()> {
        let Some(request) = &known.request else { return Ok(()) };
        let wanted = FindTransaction { chain: Chain::NeoX, id: request.clone() };
        let transaction = self.relay.find(&Cx::system(cx.tenant.clone(), Duration::from_secs(5)), wanted).await?;
        contract.tx = transaction.tx.clone();
        if let Some(tx) = transaction.tx {
            let tx: TxId = tx.parse()?;
            contract.hash = foreseen(self.chains.x()?, &tx).await?.map(|address| address.to_checksum(None));
        }
        Ok(())
    }

    async fn last_update(&self, cx: &Cx, chain: Chain, hash: &str) -> Result<Option<LastUpdate>> {
        let find = || last_update(&self.db, &cx.tenant, chain.as_str(), hash);
        let Some(kept) = find().await? else { return Ok(None) };
        if kept.state == "updating" {
            match self.settler.update(&kept).await {
                Ok(true) => return find().await?.map(told).transpose(),
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, cause = ?error.cause(), "what became of an update can't be told now");
                }
            }
        }
        told(kept).map(Some)
    }

    pub(crate) async fn keep_abi(&self, cx: &Cx, describe: Describe) -> Result<Contract> {
        let place = Place::read(describe.chain, &describe.hash)?;
        if place.chain() == Chain::NeoN3 {
            let message = "contracts of Neo N3 bring their manifest along: there is nothing to describe";
            return Err(Error::invalid("contracts.artefact_unfit", message));
        }
        let abi = x::abi(&describe.abi)?;
        if describe.name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return Err(Error::invalid("contracts.name_too_long", "the name has more than 255 characters"));
        }
        let now = self.clock.now();
        let kept = place.kept();
        let name = plain(describe.name);
        let known = match self.recorded(cx, place).await? {
            Some(known) => Known { name: name.or(known.name), abi, updated_at: now, ..known },
            None => {
                let at = (describe.chain.as_str(), kept.as_str());
                Known::described((&cx.tenant, &cx.principal.subject), at, (name, abi), now)
            }
        };
        let update = self.last_update(cx, describe.chain, &kept).await?;
        let told = self.whole(cx, describe.chain, Some(known.clone()), Some(place), update).await?;
        if told.live.is_none() {
            return Err(not_found());
        }
        let entry = Entry::new(cx, "contracts.contract_described", "contracts", "describe", now)
            .request("chain", describe.chain.as_str())
            .request("hash", kept);
        let entry = self.ledger.seal(cx, entry, Map::new()).await?;
        self.db.write(cx, Keep { known, told, entry }).await
    }
}

/// What is recorded.
fn noted(chain: Chain, known: &Known) -> Result<Contract> {
    let hash = known.hash.as_ref().or(known.predicted.as_ref());
    Ok(Contract {
        chain,
        hash: hash.map(|hash| shown(chain, hash)),
        name: known.name.clone(),
        state: word(&known.state)?,
        reason: known.reason.clone(),
        account: known.account.clone(),
        request: known.request.clone(),
        tx: known.tx.clone(),
        height: known.height,
        checksum: known.checksum.clone(),
        abi: None,
        manifest: None,
        update: None,
        live: None,
        created_at: Some(known.created_at),
        updated_at: Some(known.updated_at),
    })
}

fn foreign(chain: Chain, place: Option<Place>) -> Contract {
    Contract {
        chain,
        hash: place.map(|place| shown(chain, &place.kept())),
        name: None,
        state: Standing::Foreign,
        reason: None,
        account: None,
        request: None,
        tx: None,
        height: None,
        checksum: None,
        abi: None,
        manifest: None,
        update: None,
        live: None,
        created_at: None,
        updated_at: None,
    }
}

fn told(kept: KeptUpdate) -> Result<LastUpdate> {
    let state: UpdateState = word(&kept.state)?;
    Ok(LastUpdate { request: kept.request, state, reason: kept.reason, tx: kept.tx, asked_at: kept.asked_at })
}

fn word<T: DeserializeOwned>(text: &str) -> Result<T> {
    let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    T::deserialize(text).map_err(Error::internal)
}
