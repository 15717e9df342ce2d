//! Reads what happened in one block.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use neo::{Hash256, block::Block};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Event, Happened, Interest,
    cursor::{Cursor, Place, Step},
};
use crate::{
    client::Client,
    error::{Code, Error, NodeError, Result},
    model::{ApplicationLog, Contained, Execution, Notification, Trigger, VmState},
};

/// Application logs in one request. One that has much to tell is large.
const LOGS_AT_ONCE: usize = 50;

/// How often nonsense is asked for again before the caller is told.
const MOST_NONSENSE: u32 = 4;

/// Reads blocks for one subscription.
pub(crate) struct Source {
    pub(crate) client: Client,
    pub(crate) interest: Interest,
    pub(crate) patience: Option<Duration>,
    /// Set once the node said that it does not know `getblocknotifications`.
    lacks_notifications: AtomicBool,
}

/// What a caller wants of one block.
pub(crate) struct ReadBlock {
    pub(crate) height: u32,
    pub(crate) hash: Hash256,
    pub(crate) previous: Hash256,
    pub(crate) happened: Vec<Happened>,
}

impl Source {
    pub(crate) fn new(client: Client, interest: Interest, patience: Option<Duration>) -> Self {
        Self { client, interest, patience, lacks_notifications: AtomicBool::new(false) }
    }

    /// Reads a block, and tries again while the node can't be reached or does not have it (yet, or any more: after a
    /// crash it may have to fetch its last blocks anew).
    pub(crate) async fn read(self: Arc<Self>, height: u32) -> Result<ReadBlock> {
        let (start, mut pause, mut nonsense) = (Instant::now(), Duration::from_millis(20), 0);
        loop {
            let error = match self.try_read(height).await {
                Ok(read) => return Ok(read),
                Err(error) => error,
            };
            let is_nonsense = matches!(error, Error::Malformed { .. });
            nonsense += u32::from(is_nonsense);
            let again = is_nonsense || error.is_transient() || error.code().is_some_and(Code::is_unknown);
            let patient = self.patience.is_none_or(|patience| start.elapsed() < patience);
            if !again || !patient || nonsense >= MOST_NONSENSE {
                return Err(error);
            }
            tracing::debug!(height, %error, ?pause, "reading a block");
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    async fn try_read(&self, height: u32) -> Result<ReadBlock> {
        let malformed = |why: String| Error::Malformed { method: "getblock", why };
        let block = self.client.block(height).await?;
        if block.header.index != height {
            return Err(malformed(format!("block {} in place of {height}", block.header.index)));
        }
        block.verify_content().map_err(|error| malformed(error.to_string()))?;
        let runs = self.runs(&block).await?;
        Ok(self.told(block, &runs))
    }

    /// What is wanted of the runs of a block, under the hash of their container.
    async fn runs(&self, block: &Block) -> Result<Runs> {
        let wanted = &self.interest;
        if wanted.executions.is_empty() && wanted.notifications.is_empty() {
            return Ok(Runs::default());
        }
        if wanted.executions.is_empty() && !self.lacks_notifications.load(Ordering::Relaxed) {
            match self.notifications(block.hash()).await {
                Err(Error::Node(NodeError { code: Code::MethodNotFound, .. })) => {
                    self.lacks_notifications.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.logs(block).await
    }

    async fn notifications(&self, block: Hash256) -> Result<Runs> {
        let mut runs = Runs::default();
        // What passes a filter comes without its number among the others: it only tells whether to look.
        if let [filter] = &self.interest.notifications[..]
            && !filter.is_open()
        {
            let found = self.client.block_notifications(block, Some(filter)).await?;
            if found.on_persist.is_empty() && found.application.is_empty() && found.post_persist.is_empty() {
                return Ok(runs);
            }
        }
        let found = self.client.block_notifications(block, None).await?;
        let all = [
            (Trigger::OnPersist, found.on_persist),
            (Trigger::Application, found.application),
            (Trigger::PostPersist, found.post_persist),
        ];
        for (trigger, told) in all {
            for Contained { container, notification } in told {
                runs.of.entry((container, trigger)).or_default().notifications.push(notification);
            }
        }
        Ok(runs)
    }

    async fn logs(&self, block: &Block) -> Result<Runs> {
        let hash = block.hash();
        let hashes: Vec<_> = std::iter::once(hash).chain(block.transactions.iter().map(|tx| tx.hash())).collect();
        let (mut runs, mut rest, mut size) = (Runs::default(), &hashes[..], LOGS_AT_ONCE);
        let mut oversized = false;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(size.min(rest.len()));
            let params: Vec<_> = part.iter().map(|hash| vec![json!(hash)]).collect();
            let logs = match self.client.batch::<ApplicationLog>("getapplicationlog", &params).await {
                Err(Error::TooLarge { .. }) if part.len() > 1 => {
                    size = part.len() / 2;
                    continue;
                }
                // The network's own runs are small.
                Err(Error::TooLarge { .. }) if part != [hash] => {
                    runs.of.insert((part[0], Trigger::Application), Run { oversized: true, ..Run::default() });
                    oversized = true;
                    rest = after;
                    continue;
                }
                other => other?,
            };
            for (container, log) in part.iter().zip(logs) {
                runs.add(*container, log?)?;
            }
            rest = after;
        }
        if oversized && !self.interest.notifications.is_empty() {
            let told = self.client.block_notifications(hash, None).await?;
            for Contained { container, notification } in told.application {
                let run = runs.of.entry((container, Trigger::Application)).or_default();
                if run.oversized {
                    run.notifications.push(notification);
                }
            }
        }
        Ok(runs)
    }

    /// Puts all that is wanted in its order.
    fn told(&self, block: Block, runs: &Runs) -> ReadBlock {
        let (height, hash, previous) = (block.header.index, block.hash(), block.header.previous);
        let mut list = List { interest: &self.interest, height, hash, happened: Vec::new() };
        list.run(runs.of.get(&(hash, Trigger::OnPersist)), hash, Place::OnPersist);
        for (number, transaction) in (0..).zip(&block.transactions) {
            let of = transaction.hash();
            list.run(runs.of.get(&(of, Trigger::Application)), of, |step| Place::Transaction(number, step));
            if self.interest.transactions.iter().any(|filter| filter.passes(transaction)) {
                let whole = Place::Transaction(number, Step::Whole);
                list.add(whole, Event::Transaction(Box::new(transaction.clone())));
            }
        }
        list.run(runs.of.get(&(hash, Trigger::PostPersist)), hash, Place::PostPersist);
        if self.interest.headers.iter().any(|filter| filter.passes(&block.header)) {
            list.add(Place::Header, Event::Header(Box::new(block.header.clone())));
        }
        let happened = if self.interest.blocks.iter().any(|filter| filter.passes(&block.header)) {
            list.add(Place::Block, Event::Block(Box::new(block)));
            list.happened
        } else {
            list.happened
        };
        ReadBlock { height, hash, previous, happened }
    }
}

/// The runs of a block, by container and occasion.
#[derive(Default)]
struct Runs {
    of: HashMap<(Hash256, Trigger), Run>,
}

/// A run, and what was told in it.
#[derive(Default)]
struct Run {
    execution: Option<Execution>,
    /// Its log is larger than the client takes.
    oversized: bool,
    notifications: Vec<Notification>,
}

impl Runs {
    fn add(&mut self, container: Hash256, log: ApplicationLog) -> Result<()> {
        let method = "getapplicationlog";
        if log.transaction.or(log.block) != Some(container) {
            return Err(Error::Malformed { method, why: "the log of another container".into() });
        }
        for execution in log.executions {
            // What a failed script told did not happen.
            let halted = execution.state == VmState::Halt;
            let notifications = if halted { execution.notifications.clone() } else { Vec::new() };
            let key = (container, execution.trigger);
            if self.of.insert(key, Run { execution: Some(execution), oversized: false, notifications }).is_some() {
                return Err(Error::Malformed { method, why: "two runs on one occasion".into() });
            }
        }
        Ok(())
    }
}

/// What happened, as it is put in order.
struct List<'a> {
    interest: &'a Interest,
    height: u32,
    hash: Hash256,
    happened: Vec<Happened>,
}

impl List<'_> {
    fn run(&mut self, run: Option<&Run>, container: Hash256, place: impl Fn(Step) -> Place) {
        let Some(run) = run else { return };
        let interest = self.interest;
        if let Some(execution) = &run.execution
            && interest.executions.iter().any(|filter| filter.passes(container, execution))
        {
            let execution = Box::new(execution.clone());
            self.add(place(Step::Execution), Event::Execution { container, execution });
        }
        // Whether it would pass a filter is not known: better told than left out.
        let unknown = |wanted: Option<Hash256>| wanted.is_none_or(|wanted| wanted == container);
        if run.oversized && interest.executions.iter().any(|filter| unknown(filter.container)) {
            self.add(place(Step::Execution), Event::Oversized { container });
        }
        for (number, notification) in (0..).zip(&run.notifications) {
            if interest.notifications.iter().any(|filter| filter.passes(notification)) {
                let notification = notification.clone();
                self.add(place(Step::Notification(number)), Event::Notification { container, notification });
            }
        }
    }

    fn add(&mut self, place: Place, event: Event) {
        let cursor = Cursor { height: self.height, place, block: Some(self.hash) };
        self.happened.push(Happened { cursor, event });
    }
}
