//! Where a lane goes on in which nothing is under way.

use std::time::Duration;

use nsl_core::{Result, Timestamp};
use nsl_sql::Db;

use crate::{
    node::Node,
    nonces::Hash,
    store::{Held, LaneKey, last_settled},
};

/// How far clocks of nodes may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(60);

/// The next nonce, and the last block that is looked at.
pub(super) struct Beginning {
    pub(super) next: u64,
    pub(super) looked: u64,
    pub(super) at: Option<Hash>,
}

/// What was sent is counted as of the very block from which on the others are looked at: a node that lags behind would
/// count too little for ever. No block before that one has news.
pub(super) async fn begin<N: Node>(node: &N, db: &Db, key: &LaneKey, held: &Held, now: Timestamp) -> Result<Beginning> {
    let (next, looked) = (held.next as u64, held.looked as u64);
    let (head, hash) = node.head().await?;
    let here = |next| Beginning { next, looked: head, at: Some(hash) };
    if head >= looked {
        let count = node.count(head).await?;
        if count == next {
            return Ok(here(next));
        }
        let mut told = node.counts(head).await?;
        told.push(count);
        return Ok(here(borne_out(&told, next)));
    }
    if is_another_chain(node, db, key, now).await? {
        tracing::warn!(account = %key.account, height = head, "the chain began anew, and the account with it");
        return Ok(here(borne_out(&node.counts(head).await?, 0)));
    }
    // The node is behind, or was ahead of the truth. What is stored holds until blocks say more.
    Ok(Beginning { next, looked, at: held.at })
}

/// The lowest that is not below what is stored; where all are below that, somebody lied when it was stored, and it is the
/// highest of them. A nonce too low is noticed as soon as it is sent, one too high by nobody.
fn borne_out(told: &[u64], next: u64) -> u64 {
    let fit = told.iter().filter(|count| **count >= next).min();
    fit.or(told.iter().max()).copied().unwrap_or(next)
}

/// Whether the chain began after it had settled something of this account: a development chain that was lost.
async fn is_another_chain<N: Node>(node: &N, db: &Db, key: &LaneKey, now: Timestamp) -> Result<bool> {
    let Some(settled) = last_settled(db, key).await? else { return Ok(false) };
    Ok(node.began().await?.is_some_and(|began| settled < began && began <= now.plus(AHEAD)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_lies_alone_moves_nothing() {
        for (told, next, want) in [
            (&[7, 7][..], 5, 7),
            (&[7, 5, 7], 5, 5),
            (&[9, 7], 5, 7),
            (&[3, 9], 9, 9),
            (&[3, 3], 9, 3),
            (&[3, 4], 9, 4),
            (&[1_000, 0], 0, 0),
            (&[], 5, 5),
        ] {
            assert_eq!(borne_out(told, next), want, "{told:?} after {next}");
        }
    }
}
