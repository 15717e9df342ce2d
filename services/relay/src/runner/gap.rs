//! Nonces that were passed over, below those that were given out.

use nsl_core::Result;

use super::{News, Runner, told};
use crate::{
    node::{Node, Offer, Signed},
    store::NewTry,
};

/// So many are filled: each costs a fee, and more than that only a lie makes.
const MOST: u64 = 256;
const WHY: &str = "its nonce was passed over";

impl<N: Node> Runner<N> {
    /// What has a nonce above one that nobody spends waits for ever. Such nonces are there when somebody lied about how
    /// many are spent, or when the chain lost blocks that it had; what does nothing spends them.
    pub(super) async fn close_gap(&mut self) -> Result<()> {
        let now = self.steady.now();
        let first = self.lane.slots.keys().next().copied().filter(|nonce| !self.passing.contains(nonce));
        let Some(first) = first.filter(|_| now >= self.counted.plus(self.pace.raise)) else { return Ok(()) };
        self.counted = now;
        // As of the block up to which each spent nonce is known here; who has no such block has no say.
        let Ok(count) = self.node.count(self.looked).await else { return Ok(()) };
        let gap = first.saturating_sub(count);
        if gap == 0 {
            return Ok(());
        }
        tracing::warn!(account = %self.key.account, count, first, "nonces were passed over");
        if gap > MOST {
            let why =
                format!("its nonce is {first}, and the account has sent {count} transactions: the gap is too wide");
            if let Some(id) = Self::request_at(&self.lane, first) {
                self.tell(told(id, "signed", Some(why)));
            }
            return Ok(());
        }
        let price = self.node.price().await?;
        if price > self.most_price() {
            return Ok(());
        }
        let mut lane = self.lane.clone();
        let mut tries = Vec::new();
        for nonce in count..first {
            let Signed { hash, raw } = self.node.sign(None, nonce, Offer { most: price, first: price }).await?;
            lane.fill(nonce, WHY.to_owned(), hash, price);
            let given_up = Some(WHY.to_owned());
            tries.push(NewTry { place: nonce, number: 0, hash, request: None, given_up, price, raw });
        }
        self.write(lane, self.looked, News { tries, ..News::default() }).await?;
        let filled: Vec<u64> = (count..first).collect();
        self.send(&filled).await
    }
}
