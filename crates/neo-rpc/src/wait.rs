//! Waiting for one transaction.

use std::time::Duration;

use neo::Hash256;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    client::{Client, known},
    error::{Code, Error, Result},
    model::{ApplicationLog, Execution, Trigger, VmState},
    watch::{Bell, Options, Ring},
};

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in a block. Whether it did what it should, its run tells: a script that failed is in a block too, and
    /// paid for.
    Executed {
        /// The block.
        height: u32,
        /// How it ended.
        state: VmState,
        /// Its run. None when it left more on the stack than this client takes as an answer.
        execution: Option<Box<Execution>>,
    },
    /// Its last block has passed without it: it will never be in one.
    Expired {
        /// That block.
        height: u32,
    },
}

impl Outcome {
    /// Whether it is in a block and its script ran to its end.
    pub fn succeeded(&self) -> bool {
        matches!(self, Self::Executed { state: VmState::Halt, .. })
    }

    /// Why its script failed.
    pub fn exception(&self) -> Option<&str> {
        match self {
            Self::Executed { execution, .. } => execution.as_ref().and_then(|run| run.exception.as_deref()),
            Self::Expired { .. } => None,
        }
    }
}

impl Client {
    /// Waits until a transaction is in a block, or the block `until_block`, its last, has passed without it. Goes on
    /// through failures of the node, for as long as the patience of [`Options`] allows.
    pub async fn wait(&self, transaction: Hash256, until_block: u32, options: &Options) -> Result<Outcome> {
        let mut bell = Bell::new(self.clone(), options);
        loop {
            match bell.ring().await {
                Ring::Height(_) => {
                    if let Some(outcome) = self.decided(transaction, until_block, options.patience).await? {
                        return Ok(outcome);
                    }
                }
                Ring::Failing => match (options.patience, bell.failing()) {
                    (Some(patience), Some((since, error))) if since >= patience => return Err(error.clone()),
                    _ => {}
                },
            }
        }
    }

    /// The outcome of a transaction that is in a block. None while it is in none.
    pub async fn outcome(&self, transaction: Hash256) -> Result<Option<Outcome>> {
        match self.transaction_height(transaction).await? {
            Some(height) => self.executed(transaction, height).await.map(Some),
            None => Ok(None),
        }
    }

    /// What is decided about a transaction by now.
    async fn decided(
        &self,
        transaction: Hash256,
        until_block: u32,
        patience: Option<Duration>,
    ) -> Result<Option<Outcome>> {
        let (start, mut pause) = (Instant::now(), Duration::from_millis(20));
        loop {
            match self.look(transaction, until_block).await {
                Err(error) if worth_again(&error) && patience.is_none_or(|patience| start.elapsed() < patience) => {
                    tracing::debug!(%transaction, %error, "looking for a transaction");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                other => return other,
            }
        }
    }

    async fn look(&self, transaction: Hash256, until_block: u32) -> Result<Option<Outcome>> {
        // Asked in one request, both answers are of one run of the node: one that crashed and lost its last blocks
        // can't answer the first before and the second after. Asked twice, the order within a request does not matter.
        for _ in 0..2 {
            let (height, found) = self.height_and_place(transaction).await?;
            match found {
                Some(block) => return self.executed(transaction, block).await.map(Some),
                None if height < until_block => return Ok(None),
                None => {}
            }
        }
        Ok(Some(Outcome::Expired { height: until_block }))
    }

    /// The newest height, and the block that has a transaction.
    async fn height_and_place(&self, transaction: Hash256) -> Result<(u32, Option<u32>)> {
        let hash = [json!(transaction)];
        let calls = [("getblockcount", &[][..]), ("gettransactionheight", &hash[..])];
        let answers: [Result<u32>; 2] = self
            .calls(&calls)
            .await?
            .try_into()
            .map_err(|_| Error::Malformed { method: "gettransactionheight", why: "a batch lacks an answer".into() })?;
        let [count, place] = answers;
        Ok((count?.saturating_sub(1), known(place)?))
    }

    async fn executed(&self, transaction: Hash256, height: u32) -> Result<Outcome> {
        let method = "getapplicationlog";
        let malformed = |why: &str| Error::Malformed { method, why: why.into() };
        // Some nodes write the log of a block a moment after the block: then this is a refusal that passes.
        let log: ApplicationLog = match self.call(method, &[json!(transaction)]).await {
            Err(too_large @ Error::TooLarge { .. }) => {
                let view = self.transaction_view(transaction).await?;
                let state = view.and_then(|view| view.vm_state).ok_or(too_large)?;
                return Ok(Outcome::Executed { height, state, execution: None });
            }
            other => other?,
        };
        let run = log.executions.into_iter().find(|execution| execution.trigger == Trigger::Application);
        let run = run.ok_or_else(|| malformed("no run of the transaction"))?;
        Ok(Outcome::Executed { height, state: run.state, execution: Some(Box::new(run)) })
    }
}

fn worth_again(error: &Error) -> bool {
    error.is_transient() || error.code().is_some_and(Code::is_unknown)
}
