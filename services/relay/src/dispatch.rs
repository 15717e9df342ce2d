//! Which lanes this process works at: those with open requests that no other process holds.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nsl_core::{Clock, Result, Timestamp};
use nsl_kit::Tasks;
use nsl_sql::{Db, EngineKind};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    n3,
    node::Node,
    nonces::Id,
    runner::{Pace, Runner, passes},
    store::{Held, LaneKey, Take, end_revoked, open_lanes, waiting},
};

/// The chain as an account sees it, with the account's key behind it.
#[derive(Clone)]
pub enum View {
    X(Arc<dyn Node>),
    N3(Arc<n3::N3Node>),
}

/// Gives the chain as an account sees it.
#[async_trait::async_trait]
pub trait Nodes: Send + Sync {
    /// The chains that are set up.
    fn chains(&self) -> Vec<&'static str>;
    async fn node(&self, lane: &LaneKey) -> Result<View>;
}

/// Whoever works at a lane that this process holds.
#[async_trait::async_trait]
trait Work: Send {
    async fn round(&mut self) -> Result<()>;
    /// Whether there is nothing left to do.
    fn is_idle(&self) -> bool;
    /// Whether it has use for further requests.
    fn wants_more(&self) -> bool {
        true
    }
    /// Whether a round left requests for the next only because there were too many for one.
    fn has_more(&self) -> bool {
        false
    }
    /// Takes on what is not known yet of these.
    fn accept(&mut self, waiting: Vec<Id>);
}

#[async_trait::async_trait]
impl<N: Node> Work for Runner<N> {
    async fn round(&mut self) -> Result<()> {
        self.round().await
    }

    fn is_idle(&self) -> bool {
        self.is_idle()
    }

    fn accept(&mut self, waiting: Vec<Id>) {
        self.accept(waiting);
    }
}

#[async_trait::async_trait]
impl Work for n3::Runner {
    async fn round(&mut self) -> Result<()> {
        self.round().await
    }

    fn is_idle(&self) -> bool {
        self.is_idle()
    }

    fn wants_more(&self) -> bool {
        self.wants_more()
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn accept(&mut self, waiting: Vec<Id>) {
        self.accept(waiting);
    }
}

/// A lane is held for so long past its last sign of life.
const LEASE: Duration = Duration::from_secs(5);
const RENEW: Duration = Duration::from_secs(1);
/// How often other processes' requests are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How often blocks are looked for while something is under way.
const ROUND: Duration = Duration::from_millis(50);
/// After so long without work a lane is let go of.
const REST: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Dispatcher {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) process: Arc<str>,
    pub(crate) pace: Pace,
    paused: Arc<AtomicBool>,
    pub(crate) tasks: Tasks,
    lanes: Mutex<HashMap<LaneKey, Arc<Notify>>>,
    fresh: Notify,
}

impl Dispatcher {
    pub(crate) fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        nodes: Arc<dyn Nodes>,
        process: Arc<str>,
        pace: Pace,
        paused: Arc<AtomicBool>,
        tasks: Tasks,
    ) -> Arc<Self> {
        let (lanes, fresh) = (Mutex::default(), Notify::new());
        Arc::new(Self { db, clock, nodes, process, pace, paused, tasks, lanes, fresh })
    }

    /// A request was stored for this lane.
    pub(crate) fn wake(self: &Arc<Self>, key: LaneKey) {
        match self.lanes.lock().get(&key) {
            Some(lane) => lane.notify_one(),
            None => self.fresh.notify_one(),
        }
    }

    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            let chains = if self.is_paused() { Vec::new() } else { self.nodes.chains() };
            for chain in chains {
                match open_lanes(&self.db, chain).await {
                    Ok(open) => open.into_iter().for_each(|key| self.start(key)),
                    Err(error) => tracing::warn!("looking for open requests failed: {error}"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.fresh.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    fn start(self: &Arc<Self>, key: LaneKey) {
        let wake = Arc::new(Notify::new());
        {
            let mut lanes = self.lanes.lock();
            if lanes.contains_key(&key) {
                return;
            }
            lanes.insert(key.clone(), Arc::clone(&wake));
        }
        let (place, stop) = (Place(Arc::clone(self), key), self.tasks.stopping());
        self.tasks.once("relay.lane", async move {
            let Place(dispatcher, key) = &place;
            if let Err(error) = dispatcher.hold(key, &wake, &stop).await {
                tracing::warn!(error.code = %error.slug, chain = key.chain, "a lane stopped and is taken up again: {error}");
                sleep(PAUSE).await;
            }
        });
    }

    /// Works at one lane until it rests, another process has it, or something fails: then it is taken up anew from
    /// what is stored.
    async fn hold(&self, key: &LaneKey, wake: &Notify, stop: &CancellationToken) -> Result<()> {
        let take = |over: Option<Timestamp>| {
            let now = self.clock.now();
            let (lane, holder) = (key.clone(), Arc::clone(&self.process));
            self.db.write_platform(Take { lane, holder, now: over.unwrap_or(now), until: now.plus(LEASE) })
        };
        // SQLite serves one process alone: whoever else held the lane was killed, and its time need not run out.
        let over = (self.db.kind() == EngineKind::Sqlite).then_some(Timestamp(i64::MAX));
        let Some(held) = take(over).await? else { return Ok(()) };
        let fence = held.fence;
        // However long a round takes, the lane is kept beside it.
        let lost = async {
            loop {
                sleep(RENEW).await;
                match take(None).await {
                    Ok(Some(held)) if held.fence == fence => {}
                    Ok(_) => return,
                    // Whoever took it meanwhile is told from by the fence.
                    Err(error) => tracing::warn!(chain = key.chain, "holding a lane for longer failed: {error}"),
                }
            }
        };
        tokio::select! {
            done = self.work(key, held, wake, stop) => done,
            () = lost => Ok(()),
        }
    }

    async fn work(&self, key: &LaneKey, held: Held, wake: &Notify, stop: &CancellationToken) -> Result<()> {
        end_revoked(&self.db, key, &held, self.clock.now()).await?;
        let view = self.nodes.node(key).await?;
        let (db, clock) = (self.db.clone(), Arc::clone(&self.clock));
        let mut work: Box<dyn Work> = match view {
            View::X(node) => Box::new(Runner::take_up(db, clock, node, key.clone(), held, self.pace.clone()).await?),
            View::N3(node) => {
                let (nodes, pace, together) = (Arc::clone(&self.nodes), self.pace.n3.clone(), self.pace.together);
                let ground = n3::Ground { db, clock, nodes, node, key: key.clone(), pace, together };
                Box::new(n3::Runner::take_up(ground, held).await?)
            }
        };
        let began = Instant::now();
        let (mut looked, mut busy) = (began, began);
        while !stop.is_cancelled() && !self.is_paused() {
            match work.round().await {
                Ok(()) => {}
                Err(error) if !passes(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
            let now = Instant::now();
            if !work.is_idle() {
                busy = now;
            } else if now >= busy + REST {
                return Ok(());
            }
            let pause = match work.is_idle() {
                true => LOOK,
                false if work.has_more() => Duration::ZERO,
                false => ROUND,
            };
            let woken = tokio::time::timeout(pause, wake.notified()).await.is_ok();
            if work.wants_more() && (woken || now >= looked + LOOK) {
                looked = now;
                work.accept(waiting(&self.db, key).await?);
            }
        }
        Ok(())
    }
}

/// A lane's place in the map, given up however its work ends.
struct Place(Arc<Dispatcher>, LaneKey);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lanes.lock().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use nsl_sql::{Scope, args};

    use super::*;
    use crate::store::ground::Ground;

    /// Whoever asks for a node waits for ever.
    struct Stuck;

    #[async_trait::async_trait]
    impl Nodes for Stuck {
        fn chains(&self) -> Vec<&'static str> {
            vec!["neo-x"]
        }

        async fn node(&self, _: &LaneKey) -> Result<View> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_lane_is_kept_however_long_its_work_takes_and_left_when_it_is_lost() {
        let Ground { db, clock, cx, dir: _dir, .. } = Ground::fresh(None).await;
        let key = LaneKey { tenant: cx.tenant, chain: "neo-x", account: "0xabc".into() };
        let (nodes, pace) = (Arc::new(Stuck), crate::Config::default().pace());
        let tasks = Tasks::new();
        let dispatcher =
            Dispatcher::new(db.clone(), clock.clone(), nodes, "process 1".into(), pace, Arc::default(), tasks);
        let until = async || {
            let sql = "SELECT held_until FROM relay_lanes WHERE account = $1";
            let row = db.query(Scope::Tenant(&key.tenant), sql, args!["0xabc"]).await.unwrap().pop();
            row.map(|mut row| row.take::<Timestamp>(0).unwrap())
        };
        let (wake, stop) = (Notify::new(), CancellationToken::new());
        let test = async {
            for _ in 0..3 {
                while until().await.is_none_or(|until| until < clock.now().plus(LEASE)) {
                    sleep(Duration::from_millis(10)).await;
                }
                clock.advance(LEASE - Duration::from_secs(1));
            }
            // Another process takes it when its time has run out all the same.
            let now = Timestamp(i64::MAX);
            let take = Take { lane: key.clone(), holder: "process 2".into(), now, until: now };
            assert!(db.write_platform(take).await.unwrap().is_some());
            std::future::pending::<()>().await;
        };
        tokio::select! {
            held = dispatcher.hold(&key, &wake, &stop) => held.unwrap(),
            () = test => unreachable!("it never ends"),
        }
        assert_eq!(until().await, Some(Timestamp(i64::MAX)), "it was lost before it was left");
        db.drain().await;
    }
}
