use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    hash::{Memory, Params, Verdict},
    rules::Password,
};

/// How much the threads give way to others: with 10, a thread that answers requests gets nine times their share where
/// both want the same core.
const NICE: i32 = 10;

/// How the pool works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub params: Params,
    /// How many hashes are made at once.
    pub threads: usize,
    /// How many may wait.
    pub waiting: usize,
}

/// The line is full; in this time it will have moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    pub retry_after: Duration,
}

/// Threads that hash, and the line before them. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    settings: Settings,
    places: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
    // What one hash took lately.
    micros: Arc<AtomicU64>,
}

enum Work {
    Make(Password),
    Check(Password, String),
    Waste(Password),
}

enum Done {
    Made(String),
    Told(Verdict),
}

struct Job {
    work: Work,
    reply: oneshot::Sender<Option<Done>>,
}

/// A place in the line: what is worth a hash is found out while it is held, and the hash is sure to be made.
pub struct Place {
    pool: Pool,
    _held: OwnedSemaphorePermit,
}

impl Pool {
    pub fn start(settings: Settings) -> io::Result<Self> {
        let (jobs, taken) = mpsc::channel();
        let taken = Arc::new(Mutex::new(taken));
        let micros = Arc::new(AtomicU64::new(25_000));
        for number in 0..settings.threads.max(1) {
            let (taken, micros) = (Arc::clone(&taken), Arc::clone(&micros));
            let work = move || serve(settings.params, &taken, &micros);
            thread::Builder::new().name(format!("nsl-hash-{number}")).spawn(work)?;
        }
        let places = Arc::new(Semaphore::new(settings.threads.max(1) + settings.waiting));
        Ok(Self(Arc::new(Inner { settings, places, jobs, micros })))
    }

    /// A place in the line, or none when it is full.
    pub fn place(&self) -> Result<Place, Busy> {
        match Arc::clone(&self.0.places).try_acquire_owned() {
            Ok(held) => Ok(Place { pool: self.clone(), _held: held }),
            Err(_) => Err(Busy { retry_after: self.0.drains_in() }),
        }
    }
}

impl Inner {
    // When half of those that wait are through: who comes back then finds room.
    fn drains_in(&self) -> Duration {
        let hashes = (self.settings.waiting / 2 / self.settings.threads.max(1)).max(1) as u64;
        Duration::from_micros(self.micros.load(Ordering::Relaxed).saturating_mul(hashes)).max(Duration::from_secs(1))
    }
}

impl Place {
    /// What is kept of a new password.
    pub async fn make(self, password: Password) -> nsl_core::Result<String> {
        match self.wait(Work::Make(password)).await? {
            Done::Made(kept) => Ok(kept),
            Done::Told(_) => Err(failed()),
        }
    }

    /// Compares with what is kept. As much work where nothing is: then it is always wrong.
    pub async fn check(self, password: Password, kept: Option<String>) -> nsl_core::Result<Verdict> {
        let work = match kept {
            Some(kept) => Work::Check(password, kept),
            None => Work::Waste(password),
        };
        match self.wait(work).await? {
            Done::Told(verdict) => Ok(verdict),
            Done::Made(_) => Err(failed()),
        }
    }

    async fn wait(self, work: Work) -> nsl_core::Result<Done> {
        let (reply, done) = oneshot::channel();
        self.pool.0.jobs.send(Job { work, reply }).map_err(|_| failed())?;
        done.await.ok().flatten().ok_or_else(failed)
    }
}

fn failed() -> nsl_core::Error {
    nsl_core::Error::internal(anyhow::anyhow!("a password could not be hashed"))
}

fn serve(params: Params, taken: &Mutex<mpsc::Receiver<Job>>, micros: &AtomicU64) {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "hashing goes at the priority of requests");
    }
    let mut memory = Memory::default();
    loop {
        let next = taken.lock().recv();
        let Ok(Job { work, reply }) = next else { return };
        if reply.is_closed() {
            continue;
        }
        #[allow(clippy::disallowed_methods, reason = "measures how long work takes")]
        let began = Instant::now();
        // A thread that panicked would be missed by all that come after.
        let done = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Make(password) => memory.make(params, &password).map(Done::Made),
            Work::Check(password, kept) => memory.check(params, &password, &kept).map(Done::Told),
            Work::Waste(password) => memory.waste(params, &password).map(Done::Told),
        }));
        let took = began.elapsed().as_micros() as u64;
        metrics::histogram!("password_hash_duration_seconds").record(took as f64 / 1e6);
        micros.store((micros.load(Ordering::Relaxed) * 7 + took) / 8, Ordering::Relaxed);
        let _ = reply.send(done.ok().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Params = Params { memory_kib: 64, passes: 1, lanes: 1 };

    fn typed(text: &str) -> Password {
        Password::typed(text).unwrap()
    }

    #[tokio::test]
    async fn makes_and_checks() {
        let pool = Pool::start(Settings { params: QUICK, threads: 2, waiting: 8 }).unwrap();
        let kept = pool.place().unwrap().make(typed("correct horse")).await.unwrap();
        let right = pool.place().unwrap().check(typed("correct horse"), Some(kept.clone())).await.unwrap();
        assert_eq!(right, Verdict::Right { rehashed: None });
        assert_eq!(pool.place().unwrap().check(typed("correct"), Some(kept)).await.unwrap(), Verdict::Wrong);
        assert_eq!(pool.place().unwrap().check(typed("correct horse"), None).await.unwrap(), Verdict::Wrong);
        assert!(pool.place().unwrap().check(typed("x"), Some("nonsense".to_owned())).await.is_err());
    }

    #[tokio::test]
    async fn the_line_is_bounded_and_whoever_stands_in_it_is_served() {
        let pool = Pool::start(Settings { params: QUICK, threads: 1, waiting: 3 }).unwrap();
        let held: Vec<Place> = (0..4).map(|_| pool.place().unwrap()).collect();
        let busy = pool.place().err().unwrap();
        assert!(busy.retry_after >= Duration::from_secs(1));
        for place in held {
            place.make(typed("correct horse")).await.unwrap();
        }
        assert!(pool.place().is_ok());
    }

    #[tokio::test]
    async fn who_goes_away_gives_the_place_back() {
        let pool = Pool::start(Settings { params: QUICK, threads: 1, waiting: 0 }).unwrap();
        drop(pool.place().unwrap());
        let place = pool.place().unwrap();
        let mut waiting = Box::pin(place.make(typed("correct horse")));
        let _ = futures_util::poll!(&mut waiting);
        drop(waiting);
        assert!(pool.place().unwrap().make(typed("correct horse")).await.is_ok());
    }

    #[tokio::test]
    async fn work_is_as_much_for_an_account_that_is_not_there() {
        let params = Params { memory_kib: 4_096, passes: 3, lanes: 1 };
        let pool = Pool::start(Settings { params, threads: 1, waiting: 0 }).unwrap();
        let kept = pool.place().unwrap().make(typed("correct horse")).await.unwrap();
        // The quickest of each: what a busy machine takes away is no part of the work.
        let mut took = [Duration::MAX; 2];
        for round in 0..30 {
            let kept = (round % 2 == 0).then(|| kept.clone());
            let began = Instant::now();
            pool.place().unwrap().check(typed("wrong horse"), kept).await.unwrap();
            took[round % 2] = took[round % 2].min(began.elapsed());
        }
        let ratio = took[0].as_secs_f64() / took[1].as_secs_f64();
        assert!((0.5..2.0).contains(&ratio), "{took:?}");
    }
}
