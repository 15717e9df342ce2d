//! What blocks say of the parcels that are under way.

use std::collections::HashSet;

use neo::{
    Hash256,
    explain::{Cause, fault},
    script::{Outcome as Ended, read_outcomes},
    stack::StackItem,
    tx::Transaction,
    wire::Wire,
};
use nsl_chain::n3::{Head, Ran, Shown, VmState};
use nsl_core::Result;

use super::{
    as_shown,
    prepare::threw,
    runner::{News, Runner},
    scope::why,
};
use crate::{
    nonces::{Hash, Id},
    runner::told,
    store::{ALONE, Became, Revoked, wanted},
    validity::{Fate, Lane, Outcome, Parcel},
};

/// Blocks that are read in one go.
const BLOCKS: u32 = 64;
/// Who is so many blocks behind what was read was lied to, or is lying.
const FAR: u32 = 100;
/// How often it is asked what became of those in one transaction, where the answer can't be read.
const MOST_UNREAD: usize = 20;
const UNREADABLE: &str =
    "it is in a block, its outcome cannot be read: look at its transaction before it is sent again";
const UNSHOWN: &str = "it ran, and what it returned cannot be read";
/// How often a request is tried again that took more GAS on the chain than when it was tried out.
const MOST_STARVED: u128 = 3;

impl Runner {
    pub(super) async fn look(&mut self) -> Result<()> {
        let Head { height: head, hash } = self.node.desk.chain.head().await?;
        if self.lane.parcels.is_empty() && self.at != Some(hash) {
            // Nothing is under way, so no block behind has news; nor has one before, where the chain is shorter by now.
            (self.looked, self.at) = (head, Some(hash));
        }
        if head.saturating_add(FAR) < self.looked {
            self.step_back(head).await?;
        }
        while self.looked < head {
            let to = head.min(self.looked + BLOCKS);
            let tries = self.lane.parcels.values().flat_map(|parcel| &parcel.tries.0);
            let hashes: HashSet<Hash256> = tries.map(|one| Hash256::from_le(one.hash)).collect();
            let chain = &self.node.desk.chain;
            let (ran, last) = match chain.ran(&hashes, self.at, self.looked + 1, to).await {
                Ok(ran) => ran,
                Err(error) => {
                    if self.is_astray().await? {
                        self.step_back(head).await?;
                    }
                    return Err(error);
                }
            };
            if !self.settle(ran, to, last).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the block up to which all was read is not the chain's: then somebody lied.
    async fn is_astray(&self) -> Result<bool> {
        match self.at {
            Some(at) => Ok(self.node.desk.chain.hash_of(self.looked).await? != at),
            None => Ok(false),
        }
    }

    /// Goes back to where nothing of what is under way can be in a block yet: blocks may have been passed over unread.
    /// What was signed while the chain seemed to be higher is valid beyond that, so it is no higher than the head.
    async fn step_back(&mut self, head: u32) -> Result<()> {
        let most = self.node.desk.rules().await?.most_valid_blocks;
        let tries = self.lane.parcels.values().flat_map(|parcel| &parcel.tries.0);
        // No block takes what is valid for longer than that.
        let Some(first) = tries.map(|one| one.valid_until.saturating_sub(most)).min() else { return Ok(()) };
        let looked = self.looked.min(head).min(first.saturating_sub(1));
        tracing::warn!(account = %self.key.account, from = self.looked, to = looked, "blocks are read again");
        (self.looked, self.at) = (looked, None);
        self.write(self.lane.clone(), self.looked, News::default()).await.map(drop)
    }

    /// Whether all was read; otherwise nothing is changed, and the same blocks are read again in the next round.
    async fn settle(&mut self, ran: Vec<Ran>, to: u32, last: Hash256) -> Result<bool> {
        let mut lane = self.lane.clone();
        let (mut became, mut gone) = (Vec::new(), Vec::new());
        let held = ran.iter().filter_map(|one| lane.parcels.get(&lane.parcel_of(one.sent.hash.as_le())?));
        let ids: Vec<Id> = held.flat_map(|parcel| parcel.requests.iter().cloned()).collect();
        self.paid_before(&ids).await?;
        for one in ran {
            let hash = *one.sent.hash.as_le();
            let Some(count) = lane.parcel_of(&hash).map(|number| lane.parcels[&number].requests.len()) else {
                continue;
            };
            if is_unreadable(&one, count) && !lane.is_void(&hash) && self.asks_again(&hash) {
                return Ok(false);
            }
            let script = self.raws.get(&hash).and_then(|raw| Transaction::from_bytes(raw).ok());
            let ids = lane.parcel_of(&hash).map(|number| lane.parcels[&number].requests.clone()).unwrap_or_default();
            let paid: Vec<u128> = ids.iter().map(|id| self.paid.get(id).copied().unwrap_or_default()).collect();
            let (mut outcome, notes) = read(&one, count, &script.map(|tx| tx.script).unwrap_or_default());
            // What starves again and again costs its owner a fee each time.
            if let (Outcome::Starved(why), [before]) = (&outcome, &paid[..])
                && *before >= MOST_STARVED * share(one.sent.fee, 1, 0)
            {
                outcome = Outcome::Faulted(why.clone());
            }
            let Some((number, fates)) = lane.included(&hash, &outcome) else { continue };
            gone.push(number);
            for (place, (id, fate)) in fates.into_iter().enumerate() {
                let fee = share(one.sent.fee, count, place) + paid[place];
                let at = |became: Became| became.at(&as_shown(&hash), one.sent.height.into()).paid(Some(fee));
                became.push(match fate {
                    Fate::Done => at(told(id, "final", notes.get(place).cloned().flatten())),
                    Fate::Undone(why) => at(told(id, "failed", Some(why))),
                    Fate::Alone(why) => {
                        told(id, "accepted", Some(format!("{ALONE}its transaction was undone: {why}"))).paid(Some(fee))
                    }
                    Fate::Void => self.voided(id, &mut lane).paid(Some(fee)),
                });
            }
        }
        let over = lane.over(to);
        if !over.is_empty() {
            self.heed().await?;
            let ids: Vec<Id> = over.iter().flat_map(|(_, parcel)| parcel.requests.iter().cloned()).collect();
            self.paid_before(&ids).await?;
        }
        for (number, parcel) in over {
            gone.push(number);
            became.extend(self.passed_over(number, parcel, &mut lane));
        }
        self.write_at(lane, to, Some(last), News { gone, became, ..News::default() }).await?;
        Ok(true)
    }

    /// What keeps its parcel out is in a block. Those that shared with one that was taken back go on.
    fn voided(&self, id: Id, lane: &mut Lane) -> Became {
        match self.revoked.get(&id) {
            Some(Revoked::Cancelled) => told(id, "replaced", Some(Revoked::Cancelled.why().to_owned())),
            Some(Revoked::Expired) => told(id, "expired", Some(Revoked::Expired.why().to_owned())),
            None => {
                lane.take_back(std::iter::once(id.clone()));
                told(id, "accepted", Some("one that shared its transaction was taken back".to_owned()))
            }
        }
    }

    /// No block can have anything of this parcel any more.
    fn passed_over(&self, number: u64, parcel: Parcel, lane: &mut Lane) -> Vec<Became> {
        let doomed = self.doomed.get(&number);
        let is_shared = parcel.requests.len() > 1;
        let mut back = Vec::new();
        let end = |id: Id| {
            if let Some(revoked) = self.revoked.get(&id) {
                return told(id, Revoked::end_of(revoked.why()), Some(revoked.why().to_owned()));
            }
            match doomed {
                Some(why) if is_shared => {
                    back.push(id.clone());
                    told(id, "accepted", Some(format!("{ALONE}shared with others it was refused: {why}")))
                }
                Some(why) => told(id, "failed", Some(why.clone())),
                None => {
                    back.push(id.clone());
                    told(id, "accepted", Some("its last block passed before one had it".to_owned()))
                }
            }
        };
        let became = parcel.requests.into_iter().map(end).collect();
        lane.take_back(back.into_iter());
        became
    }

    /// Another endpoint may know better, or the same one later.
    fn asks_again(&mut self, hash: &Hash) -> bool {
        let unread = self.unread.entry(*hash).or_default();
        *unread += 1;
        *unread <= MOST_UNREAD
    }

    /// What the chain took already for transactions that came to nothing.
    pub(super) async fn paid_before(&mut self, ids: &[Id]) -> Result<Vec<u128>> {
        let wanted = wanted(&self.db, &self.key.tenant, ids).await?;
        let paid: Vec<u128> = ids.iter().map(|id| wanted.get(id).map_or(0, |wanted| wanted.paid)).collect();
        let known = ids.iter().cloned().zip(paid.iter().copied()).filter(|(_, paid)| *paid > 0);
        self.paid.extend(known);
        Ok(paid)
    }
}

/// How it ended for each request, and what is to be told of those that are done.
fn read(ran: &Ran, count: usize, script: &[u8]) -> (Outcome, Vec<Option<String>>) {
    let run = &ran.run;
    if run.state != VmState::Halt {
        let (text, exception) = (why(run.exception.as_deref(), script), run.exception.as_deref().unwrap_or_default());
        return match fault(exception, script, None).cause {
            Cause::OutOfGas => (Outcome::Starved(text), Vec::new()),
            _ => (Outcome::Faulted(text), Vec::new()),
        };
    }
    let unknown = || (Outcome::Halted(vec![Some(UNREADABLE.to_owned()); count]), Vec::new());
    let Shown::Known(stack) = &run.stack else {
        // Alone, it did all that it does.
        return if count == 1 { (Outcome::Halted(vec![None]), vec![Some(UNSHOWN.to_owned())]) } else { unknown() };
    };
    if count == 1 {
        let note = stack.last().filter(|_| stack.len() == 1).and_then(refused);
        return (Outcome::Halted(vec![None]), vec![note]);
    }
    match read_outcomes(stack, count) {
        Ok(ended) => {
            let note = |one: &Ended| match one {
                Ended::Returned(item) => refused(item),
                Ended::Threw(_) => None,
            };
            (Outcome::Halted(ended.iter().map(threw).collect()), ended.iter().map(note).collect())
        }
        Err(_) => unknown(),
    }
}

/// Whether it can't be said which of those in one transaction were undone.
fn is_unreadable(Ran { run, .. }: &Ran, count: usize) -> bool {
    let is_known = |stack: &Shown<Vec<StackItem>>| stack.known().is_some_and(|it| read_outcomes(it, count).is_ok());
    run.state == VmState::Halt && count > 1 && !is_known(&run.stack)
}

/// Contracts may refuse without undoing: tokens do.
fn refused(item: &StackItem) -> Option<String> {
    (*item == StackItem::Boolean(false)).then(|| "the contract returned false".to_owned())
}

fn share(fee: i64, count: usize, place: usize) -> u128 {
    let (fee, count) = (u128::try_from(fee).unwrap_or_default(), count.max(1) as u128);
    fee / count + u128::from((place as u128) < fee % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (fee, count) in [(0, 1), (7, 3), (1_000_001, 20), (5, 8)] {
            let sum: u128 = (0..count).map(|place| share(fee, count, place)).sum();
            assert_eq!(sum, fee as u128);
            assert!(share(fee, count, 0) - share(fee, count, count - 1) <= 1);
        }
    }
}
