//! Hands transactions on, and reads what nodes say to them.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use nsl_core::{Error, Result};
use tokio::time::{Instant, timeout};

use super::{as_shown, runner::Runner};
use crate::{
    nonces::{Hash, Id},
    runner::told,
};

/// Transactions that go in one request.
const TOGETHER: usize = 32;
/// Requests with transactions that are under way at once.
const SIDE_BY_SIDE: usize = 4;
const LONGEST: Duration = Duration::from_secs(2);
/// A parcel that offered too little so often will never offer enough.
const MOST_RAISES: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It has it, now or before.
    Taken,
    /// Not now: the account lacks funds, the pool is full.
    NotNow(String),
    /// A block will say more: another try of its parcel is there, or its time is over.
    Look,
    TooCheap(String),
    /// Never, in this form.
    Never(String),
    /// Nobody knows whether it arrived.
    Unknown,
}

fn verdict(sent: Result<neo::Hash256>) -> Verdict {
    let Err(Error { slug, message, retry_after_ms, .. }) = sent else { return Verdict::Taken };
    match &*slug {
        "chain.insufficient_funds" | "chain.pool_full" => Verdict::NotNow(message),
        "chain.tx_conflict" | "chain.tx_expired" | "chain.tx_attribute_refused" => Verdict::Look,
        "chain.underpriced" => Verdict::TooCheap(message),
        // An endpoint of another network says nothing of this one.
        "chain.wrong_network" => Verdict::Unknown,
        _ if retry_after_ms.is_some() => Verdict::Unknown,
        _ => Verdict::Never(message),
    }
}

impl Runner {
    /// Sends the latest try of each parcel.
    pub(super) async fn send(&mut self, numbers: &[u64]) -> Result<()> {
        let latest = |number: &u64| {
            let one = self.lane.parcels.get(number)?.tries.0.last()?;
            Some((*number, one.hash, self.raws.get(&one.hash)?.as_slice()))
        };
        let latest: Vec<(u64, Hash, &[u8])> = numbers.iter().filter_map(latest).collect();
        let chain = &self.node.desk.chain;
        let mut parts: Vec<BoxFuture<'_, Vec<Verdict>>> = Vec::new();
        for part in latest.chunks(TOGETHER) {
            let raws: Vec<&[u8]> = part.iter().map(|(_, _, raw)| *raw).collect();
            // Whatever is not heard of in time is sent again later; the lane has other things to do.
            let send = async move {
                match timeout(LONGEST, chain.send_all(&raws)).await {
                    Ok(verdicts) => verdicts.into_iter().map(verdict).collect(),
                    Err(_) => vec![Verdict::Unknown; raws.len()],
                }
            };
            parts.push(send.boxed());
        }
        // Nothing orders them, and a node checks what comes in one request one after the other.
        let verdicts = stream::iter(parts).buffered(SIDE_BY_SIDE).concat().await;
        let sent: Vec<(u64, Hash)> = latest.iter().map(|(number, hash, _)| (*number, *hash)).collect();
        let now = Instant::now();
        for ((number, hash), said) in sent.into_iter().zip(verdicts) {
            self.sent.insert(number, now);
            self.heard(number, hash, said);
        }
        Ok(())
    }

    fn heard(&mut self, number: u64, hash: Hash, verdict: Verdict) {
        let Some(parcel) = self.lane.parcels.get(&number) else { return };
        let (tries, is_void) = (parcel.tries.0.len(), parcel.tries.is_void());
        let requests: Vec<Id> = if is_void { Vec::new() } else { parcel.requests.clone() };
        match verdict {
            Verdict::Taken => {
                self.doomed.remove(&number);
                requests.into_iter().for_each(|id| self.tell(told(id, "sent", None).hashed(&as_shown(&hash))));
            }
            Verdict::NotNow(why) => {
                requests
                    .into_iter()
                    .for_each(|id| self.tell(told(id, "signed", Some(why.clone())).hashed(&as_shown(&hash))));
            }
            Verdict::Look | Verdict::Unknown => {}
            Verdict::TooCheap(why) => {
                self.node.desk.forget_rules();
                if tries < MOST_RAISES {
                    self.too_cheap.insert(number);
                } else {
                    self.doomed.insert(number, why);
                }
            }
            // A node that refuses it says nothing of where it was before: it ends when no block can have it any more.
            Verdict::Never(why) => {
                let waits = format!("a node refuses it, and it ends when its last block has passed: {why}");
                let waits = |id| told(id, "signed", Some(waits.clone())).hashed(&as_shown(&hash));
                requests.into_iter().for_each(|id| self.tell(waits(id)));
                self.doomed.insert(number, why);
            }
        }
    }
}
