//! Hands transactions on, and reads what nodes say to them.

use std::time::Duration;

use nsl_chain::Chain;
use nsl_core::{Error, Result};
use tokio::time::timeout;

use super::{
    as_shown,
    look::ALONE,
    runner::{News, Runner},
};
use crate::{
    nonces::{Hash, Id},
    runner::told,
};

/// Transactions that go in one request.
const TOGETHER: usize = 50;
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
        _ if retry_after_ms.is_some() => Verdict::Unknown,
        _ => Verdict::Never(message),
    }
}

impl Runner {
    /// Sends the latest try of each parcel.
    pub(super) async fn send(&mut self, numbers: &[u64]) -> Result<()> {
        for numbers in numbers.chunks(TOGETHER) {
            let latest = |number: &u64| {
                let one = self.lane.parcels.get(number)?.tries.0.last()?;
                Some((*number, one.hash, self.raws.get(&one.hash)?.as_slice()))
            };
            let latest: Vec<(u64, Hash, &[u8])> = numbers.iter().filter_map(latest).collect();
            let raws: Vec<&[u8]> = latest.iter().map(|(_, _, raw)| *raw).collect();
            // Whatever is not heard of in time is sent again later; the lane has other things to do.
            let verdicts = match timeout(LONGEST, self.node.desk.chain.send_all(&raws)).await {
                Ok(verdicts) => verdicts.into_iter().map(verdict).collect(),
                Err(_) => vec![Verdict::Unknown; raws.len()],
            };
            let sent: Vec<(u64, Hash)> = latest.iter().map(|(number, hash, _)| (*number, *hash)).collect();
            let now = self.clock.now();
            let mut refused = Vec::new();
            for ((number, hash), said) in sent.into_iter().zip(verdicts) {
                self.sent.insert(number, now);
                self.heard(number, hash, said, &mut refused);
            }
            self.refuse(refused).await?;
        }
        Ok(())
    }

    fn heard(&mut self, number: u64, hash: Hash, verdict: Verdict, refused: &mut Vec<(u64, String)>) {
        let Some(parcel) = self.lane.parcels.get(&number) else { return };
        let (tries, is_void) = (parcel.tries.0.len(), parcel.tries.is_void());
        let requests: Vec<Id> = if is_void { Vec::new() } else { parcel.requests.clone() };
        match verdict {
            Verdict::Taken => {
                self.unseen.remove(&number);
                requests.into_iter().for_each(|id| self.tell(told(id, "sent", None).hashed(&as_shown(&hash))));
            }
            Verdict::NotNow(why) => {
                requests
                    .into_iter()
                    .for_each(|id| self.tell(told(id, "signed", Some(why.clone())).hashed(&as_shown(&hash))));
            }
            Verdict::Look | Verdict::Unknown => drop(self.unseen.remove(&number)),
            Verdict::TooCheap(why) => {
                self.node.desk.forget_rules();
                if tries < MOST_RAISES {
                    self.too_cheap.insert(number);
                } else {
                    self.doomed.insert(number, why);
                }
            }
            // Where there are several endpoints, another one may have been given it before.
            Verdict::Never(why) if self.unseen.contains(&number) && self.node.desk.chain.endpoints().len() == 1 => {
                refused.push((number, why));
            }
            Verdict::Never(why) => drop(self.doomed.insert(number, why)),
        }
    }

    /// Ends parcels that no node has and none will take.
    async fn refuse(&mut self, refused: Vec<(u64, String)>) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let mut lane = self.lane.clone();
        let (mut gone, mut became) = (Vec::new(), Vec::new());
        for (number, why) in refused {
            let Some(parcel) = lane.parcels.remove(&number) else { continue };
            gone.push(number);
            if let [id] = &parcel.requests[..] {
                became.push(told(id.clone(), "failed", Some(why)));
                continue;
            }
            let alone = format!("{ALONE}shared with others it was refused: {why}");
            became.extend(parcel.requests.iter().map(|id| told(id.clone(), "accepted", Some(alone.clone()))));
            lane.take_back(parcel.requests.into_iter());
        }
        self.write(lane, self.looked, News { gone, became, ..News::default() }).await.map(drop)
    }
}
