//! What takes long is sent again, goes on in a further try, or is kept out.

use neo::{
    script::Opcode,
    tx::{Signer, Transaction},
    wire::Wire,
};
use nsl_chain::n3::{InvocationResult, Shown, VmState};
use nsl_core::{Error, Result};

use super::{
    N3Signer, as_shown,
    ask::{Ask, What},
    assemble::{Made, Terms, signed, unsigned},
    estimate::n3,
    give::{part, shares},
    prepare::{Asked, Earlier, Load, over},
    runner::{News, Runner},
    scope::Tried,
};
use crate::{
    nonces::Id,
    runner::{passes, told},
    store::{LaneKey, NewParcelTry, Revoked, wanted},
    validity::Parcel,
};

/// So long before its end a parcel gets a further try: two blocks at least, and half of its time at most.
const NEAR_MS: u64 = 3_000;

const AGAIN: &str = "again, in the place of what was signed before";

impl Runner {
    pub(super) async fn nudge(&mut self) -> Result<()> {
        let is_late = |number: &u64| self.sent.get(number).is_none_or(|at| at.elapsed() >= self.pace.resend);
        let again: Vec<u64> = self.lane.parcels.keys().filter(|number| is_late(number)).copied().collect();
        self.send(&again).await?;
        let numbers: Vec<u64> = self.lane.parcels.keys().copied().collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let rules = self.node.desk.rules().await?;
        let near = u32::try_from(NEAR_MS.div_ceil(rules.ms_per_block)).unwrap_or(u32::MAX);
        let near = near.min(self.pace.valid_blocks / 2).max(2);
        let reach = self.looked.saturating_add(rules.most_valid_blocks);
        for number in numbers {
            let Some(parcel) = self.lane.parcels.get(&number) else { continue };
            if parcel.tries.is_kept_out(reach) {
                continue;
            }
            let is_cancelled = |id: &Id| self.revoked.get(id) == Some(&Revoked::Cancelled);
            let pressed = if parcel.requests.iter().any(is_cancelled) && self.thought.get(&number) != Some(&self.looked)
            {
                self.thought.insert(number, self.looked);
                self.keep_out(number, reach).await
            } else if self.wants_another(number, parcel, near, reach) {
                self.another(number, reach).await
            } else {
                Ok(())
            };
            match pressed {
                // It ends with the tries that it has, and holds nobody up.
                Err(error) if passes(&error) => tracing::warn!("another try of a parcel failed: {error}"),
                pressed => pressed?,
            }
        }
        Ok(())
    }

    fn wants_another(&self, number: u64, parcel: &Parcel, near: u32, reach: u32) -> bool {
        let is_left = self.thought.get(&number) == Some(&self.looked)
            || self.doomed.contains_key(&number)
            || parcel.tries.is_void();
        let near = if self.too_cheap.contains(&number) { u32::MAX } else { near };
        !is_left && parcel.tries.wants_another(self.looked, near, reach)
    }

    /// Makes a further try that is valid for longer. Where that can't be, the parcel ends with those that it has.
    async fn another(&mut self, number: u64, reach: u32) -> Result<()> {
        self.thought.insert(number, self.looked);
        let Some(parcel) = self.lane.parcels.get(&number).cloned() else { return Ok(()) };
        let Some(asked) = self.asked(&parcel).await? else { return Ok(()) };
        let Parcel { requests, tries } = &parcel;
        if asked.iter().any(|(_, ask)| matches!(ask.what, What::Signed(_))) {
            return Ok(());
        }
        let bench = self.bench().await?;
        let until = asked.iter().filter_map(|(wanted, _)| wanted.expires_at).min();
        let is_cheap = self.too_cheap.contains(&number);
        let longest = tries.longest(self.looked, reach);
        if longest.is_some_and(|last| bench.valid_until(until) <= last) && !is_cheap {
            return Ok(());
        }
        // What a test run says now may come from one of its own tries, in a block that is not read yet.
        let earlier = self.earlier(&parcel);
        let Ok(Load::Loaded(made)) = bench.load(&asked, &earlier, None).await? else { return Ok(()) };
        let part = part(made.fee, asked.len());
        if asked.iter().any(|(wanted, _)| over(wanted, part).is_some()) {
            return Ok(());
        }
        self.too_cheap.remove(&number);
        let paid: Vec<u128> = asked.iter().map(|(wanted, _)| wanted.paid).collect();
        let costs = shares(requests, &paid, made.fee, false);
        self.add(number, made, costs).await
    }

    /// Makes a try that does nothing, and is offered in the place of all others.
    async fn keep_out(&mut self, number: u64, reach: u32) -> Result<()> {
        let Some(parcel) = self.lane.parcels.get(&number).cloned() else { return Ok(()) };
        let first = parcel.tries.0.first().and_then(|one| self.raws.get(&one.hash));
        let first = first.ok_or_else(|| Error::internal(anyhow::anyhow!("the bytes of a try are gone")))?;
        let payer = Transaction::from_bytes(first).map_err(Error::internal)?.sender();
        let payer = match payer == self.node.signer.account() {
            true => None,
            false => {
                let lane = LaneKey { account: payer.to_string().into(), ..self.key.clone() };
                Some(n3(self.nodes.node(&lane).await?)?)
            }
        };
        let signers: Vec<&dyn N3Signer> = payer.iter().chain([&self.node]).map(|node| &*node.signer).collect();
        let run = InvocationResult {
            script: Vec::new(),
            state: VmState::Halt,
            gas_consumed: 0,
            exception: None,
            stack: Shown::Known(Vec::new()),
            notifications: Vec::new(),
            session: None,
            diagnostics: None,
        };
        let script = vec![Opcode::RET.byte()];
        let tried =
            Tried { script, signers: signers.iter().map(|signer| Signer::none(signer.account())).collect(), run };
        let Earlier { conflicts, offered } = self.earlier(&parcel);
        // Longer than what it keeps out it need not live, and beyond their reach nodes don't take it.
        let terms = Terms { valid_until: parcel.tries.last().min(reach), conflicts, more_than: offered };
        let rules = self.node.desk.rules().await?;
        let transaction = unsigned(&tried, &signers, &terms, &rules)?;
        let fee = transaction.fees();
        if fee > self.set_aside(&parcel) && !self.pays_more(&parcel, fee, payer.is_some()).await? {
            return Ok(());
        }
        let mut made = signed(transaction, &signers, self.node.desk.chain.magic()).await?;
        made.one.is_void = true;
        let paid = self.paid_before(&parcel.requests).await?;
        let costs = shares(&parcel.requests, &paid, made.fee, true);
        self.add(number, made, costs).await
    }

    /// What was set aside for a parcel: the fee of the dearest of its tries. One of them at most is ever paid.
    fn set_aside(&self, parcel: &Parcel) -> i64 {
        let tries = parcel.tries.0.iter().filter_map(|one| self.raws.get(&one.hash));
        let fees = tries.filter_map(|raw| Transaction::from_bytes(raw).ok()).map(|tx| tx.fees());
        fees.max().unwrap_or_default()
    }

    /// Whether whoever pays for a parcel pays so much for keeping it out. Otherwise it ends with the tries that it has.
    async fn pays_more(&self, parcel: &Parcel, fee: i64, is_sponsored: bool) -> Result<bool> {
        let Some(asked) = self.asked(parcel).await? else { return Ok(false) };
        // What a user outside signed has one fee, and its sponsor agreed to no other.
        if asked.iter().any(|(_, ask)| matches!(ask.what, What::Signed(_))) {
            return Ok(false);
        }
        Ok(!is_sponsored || self.bench().await?.reserve(&asked, fee).await?.is_ok())
    }

    /// What the requests of a parcel ask for; none where one of them has come to its end.
    async fn asked(&self, parcel: &Parcel) -> Result<Option<Vec<Asked>>> {
        let mut found = wanted(&self.db, &self.key.tenant, &parcel.requests).await?;
        let mut asked = Vec::with_capacity(parcel.requests.len());
        for id in &parcel.requests {
            let Some(wanted) = found.remove(id) else { return Ok(None) };
            let ask = Ask::read(&wanted.intent)?;
            asked.push((wanted, ask));
        }
        Ok(Some(asked))
    }

    fn earlier(&self, parcel: &Parcel) -> Earlier {
        let conflicts = parcel.tries.alive(self.looked).map(|one| one.hash).collect();
        Earlier { conflicts, offered: parcel.tries.offered(self.looked) }
    }

    async fn add(&mut self, number: u64, made: Made, costs: Vec<crate::store::Cost>) -> Result<()> {
        let mut lane = self.lane.clone();
        let Some(parcel) = lane.parcels.get(&number) else { return Ok(()) };
        let (requests, place) = (parcel.requests.clone(), parcel.tries.0.len());
        lane.further(number, made.one.clone());
        let again = |id: &Id| told(id.clone(), "signed", Some(AGAIN.to_owned())).hashed(&as_shown(&made.one.hash));
        let became = if made.one.is_void { Vec::new() } else { requests.iter().map(again).collect() };
        let tries = vec![NewParcelTry { parcel: number, number: place, requests, made: made.one, raw: made.raw }];
        // Over the budget it is not sent, and ends with the tries that it has.
        if self.write(lane, self.looked, News { tries, became, costs, ..News::default() }).await?.is_empty() {
            self.send(&[number]).await?;
        }
        Ok(())
    }
}
