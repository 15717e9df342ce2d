use std::collections::HashSet;

use nsl_core::{Code, Error, Result, Timestamp};
use nsl_sql::{Change, Tx, Value, args};
use serde::{Deserialize, Serialize};

use super::{
    Message,
    table::{self, Taken},
};

pub(super) struct Publish {
    pub(super) messages: Vec<Message>,
    pub(super) now: Timestamp,
}

impl Change for Publish {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        for change in group {
            table::insert(tx, &change.messages.iter().collect::<Vec<_>>(), change.now).await?;
        }
        Ok(group.iter().map(|_| Ok(())).collect())
    }

    fn weight(&self) -> usize {
        self.messages.iter().map(|message| 256 + message.payload.len()).sum()
    }
}

pub(super) struct Take {
    /// `None` is the relay, which takes of all topics.
    pub(super) topic: Option<&'static str>,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    pub(super) most: u32,
}

impl Change for Take {
    type Done = Vec<Taken>;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Vec<Taken>>>> {
        let mut all = Vec::with_capacity(group.len());
        for take in group {
            all.push(Ok(table::take(tx, take.topic, take.now, take.until, take.most).await?));
        }
        Ok(all)
    }
}

/// What a delivery is proved by: which message, and which of its leases.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub(super) id: String,
    pub(super) fence: i64,
    /// Whether the message came through the broker, and the lease is a claim.
    pub(super) claim: bool,
}

impl Receipt {
    /// Marks the message as done in the transaction of its effect, so that both happen or none does. Refuses with
    /// `queue.lease_lost` when someone else has taken the message over: then the effect must not happen either.
    /// After the commit, [`super::Delivery::confirmed`] tells the broker.
    pub async fn confirm(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
        let finished = if self.claim {
            tx.many(&table::FINISH_CLAIM, vec![args![self.id.as_str(), self.fence, now]]).await?
        } else {
            tx.many(&table::FINISH, vec![args![self.id.as_str(), self.fence]]).await?
        };
        if finished.is_empty() { Err(lost(&self.id)) } else { Ok(()) }
    }
}

pub(super) struct Finish {
    pub(super) receipt: Receipt,
    pub(super) now: Timestamp,
}

impl Change for Finish {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        let (mut rows, mut claims) = (Vec::new(), Vec::new());
        for Self { receipt, now } in group {
            match receipt.claim {
                true => claims.push(args![receipt.id.as_str(), receipt.fence, *now]),
                false => rows.push(args![receipt.id.as_str(), receipt.fence]),
            }
        }
        let mut finished = tx.many(&table::FINISH, rows).await?;
        finished.append(&mut tx.many(&table::FINISH_CLAIM, claims).await?);
        let finished: HashSet<(String, i64)> =
            finished.into_iter().map(|mut row| Ok((row.take(0)?, row.take(1)?))).collect::<Result<_>>()?;
        let outcome = |change: &&Self| {
            let held = finished.contains(&(change.receipt.id.clone(), change.receipt.fence));
            if held { Ok(()) } else { Err(lost(&change.receipt.id)) }
        };
        Ok(group.iter().map(outcome).collect())
    }

    fn weight(&self) -> usize {
        128
    }
}

/// What else may happen to a message on loan.
pub(super) enum Fate {
    /// On loan until then.
    Extend(Timestamp),
    /// Due again then.
    Retry(Timestamp),
    /// Due again now, and this was no attempt.
    Release,
    Dead(String),
}

pub(super) struct Settle {
    pub(super) fence: i64,
    pub(super) fate: Fate,
    pub(super) now: Timestamp,
    /// The message itself, when it came through the broker and has to go back into the table.
    pub(super) claim: Option<Taken>,
    pub(super) id: String,
}

impl Settle {
    async fn settle(&self, tx: &mut Tx<'_>) -> Result<bool> {
        let place = |last: Value| vec![self.id.as_str().into(), self.fence.into(), last];
        let Some(message) = &self.claim else {
            let moved = match &self.fate {
                Fate::Extend(at) | Fate::Retry(at) => tx.execute(table::MOVE, place((*at).into())).await?,
                Fate::Release => tx.execute(table::RELEASE, place(self.now.into())).await?,
                Fate::Dead(reason) => tx.execute(table::BURY, place(reason.as_str().into())).await?,
            };
            return Ok(moved == 1);
        };
        let held = match &self.fate {
            Fate::Extend(until) => return Ok(tx.execute(table::MOVE_CLAIM, place((*until).into())).await? == 1),
            Fate::Retry(_) => tx.execute(table::MOVE_CLAIM, place(self.now.into())).await?,
            Fate::Release => tx.execute(table::RELEASE_CLAIM, place(self.now.into())).await?,
            Fate::Dead(_) => tx.execute(table::BURY_CLAIM, place(self.now.into())).await?,
        };
        if held == 1 {
            put_back(tx, message, &self.fate, self.now).await?;
        }
        Ok(held == 1)
    }
}

async fn put_back(tx: &mut Tx<'_>, message: &Taken, fate: &Fate, now: Timestamp) -> Result<()> {
    let (due, dead, reason) = match fate {
        Fate::Extend(at) | Fate::Retry(at) => (*at, false, None),
        Fate::Release => (now, false, None),
        Fate::Dead(reason) => (now, true, Some(reason.clone())),
    };
    let row = args![
        message.id.as_str(),
        &message.tenant,
        message.topic.as_str(),
        message.key.as_str(),
        &message.payload[..],
        message.attempt,
        due,
        message.created_at,
        dead,
        reason
    ];
    tx.execute(table::PUT_BACK, row).await.map(drop)
}

impl Change for Settle {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        let mut outcomes = Vec::with_capacity(group.len());
        for change in group {
            outcomes.push(if change.settle(tx).await? { Ok(()) } else { Err(lost(&change.id)) });
        }
        Ok(outcomes)
    }
}

/// Asks for a message that the broker delivered.
pub(super) struct Claim {
    pub(super) message: Taken,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Claimed {
    Yes {
        attempt: i64,
        fence: i64,
    },
    /// Someone else works on it. It is back in the table, due when that one's lease ends.
    Held,
    Done,
}

impl Change for Claim {
    type Done = Claimed;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Claimed>>> {
        let mut outcomes = Vec::with_capacity(group.len());
        for Self { message, now, until } in group {
            let asked = args![message.id.as_str(), &message.tenant, *until, *now];
            if let Some(row) = tx.query(table::CLAIM, asked).await?.first_mut() {
                outcomes.push(Ok(Claimed::Yes { attempt: row.take(0)?, fence: row.take(1)? }));
                continue;
            }
            let mut there = tx.query(table::CLAIMED, args![message.id.as_str()]).await?;
            let Some(row) = there.first_mut() else {
                return Err(Error::internal(anyhow::anyhow!("a claim is neither made nor there")));
            };
            let (done, held): (Option<Timestamp>, Timestamp) = (row.take(0)?, row.take(1)?);
            outcomes.push(Ok(if done.is_some() {
                Claimed::Done
            } else {
                put_back(tx, message, &Fate::Retry(held), *now).await?;
                Claimed::Held
            }));
        }
        Ok(outcomes)
    }
}

/// Gives a dead message another life.
pub(super) struct Revive {
    pub(super) id: String,
    pub(super) now: Timestamp,
}

impl Change for Revive {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        let mut outcomes = Vec::with_capacity(group.len());
        for Self { id, now } in group {
            if tx.execute(table::REVIVE, args![id.as_str(), *now]).await? == 0 {
                let why = format!("no dead message {id} in the queue");
                outcomes.push(Err(Error::new(Code::NotFound, "queue.not_dead", why)));
                continue;
            }
            tx.execute(table::REVIVE_CLAIM, args![id.as_str(), *now]).await?;
            outcomes.push(Ok(()));
        }
        Ok(outcomes)
    }
}

fn lost(id: &str) -> Error {
    Error::new(Code::Conflict, "queue.lease_lost", format!("the lease on message {id} ended and it was taken over"))
}
