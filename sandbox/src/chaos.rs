use std::{
    collections::BTreeMap,
    fmt, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::{
    http::Connection,
    nsl::{Launch, Nsl},
};

/// How `nsl` is killed under load.
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    pub kills: u32,
    /// Clients that store at once, each over its own connection.
    pub clients: usize,
    /// Stores that each client tries in one round.
    pub stores: u64,
}

impl Default for Chaos {
    fn default() -> Self {
        Self { kills: 3, clients: 100, stores: 10 }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub kills: u32,
    /// Stores that were answered 200.
    pub acknowledged: u64,
    /// Stores that were on their way when the process was killed: they may be there or not.
    pub unanswered: u64,
    /// Stores that were answered, but not 200.
    pub refused: u64,
    /// Acknowledged values that were not there, or older than acknowledged, after a restart.
    pub lost: u64,
    /// Values that nobody ever stored in this form.
    pub torn: u64,
    /// Restarts after which the audit chain did not verify.
    pub broken_chains: u32,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.torn == 0 && self.broken_chains == 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kills {}, acknowledged {}, lost {}, torn {}, broken chains {}, unanswered {}, refused {}",
            self.kills, self.acknowledged, self.lost, self.torn, self.broken_chains, self.unanswered, self.refused
        )
    }
}

// Per key: the last number that was sent and the last that was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    sent: u64,
    acknowledged: u64,
}

#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    unanswered: AtomicU64,
    refused: AtomicU64,
    finished: AtomicU64,
}

type Book = Arc<Mutex<BTreeMap<String, Known>>>;

impl Chaos {
    /// Kills the process that `launch` starts again and again in the middle of stores, restarts it, and asks
    /// for everything that it had acknowledged. Half of the values are sealed, half of the keys overwritten.
    pub fn run(self, launch: Launch, mut each: impl FnMut(&Outcome)) -> Result<Outcome> {
        // Limits are not what is tried here.
        let launch = launch
            .env("NSL_LIMITS__GENERAL_PER_MINUTE", "1000000000")
            .env("NSL_QUOTA__ITEMS", "1000000000")
            .env("NSL_QUOTA__BYTES", "1000000000000")
            .env("NSL_HTTP__EXEMPT_LOOPBACK", "true");
        let mut nsl = launch.start()?;
        let book: Book = Book::default();
        let mut outcome = Outcome::default();
        let mut random = Random::new()?;
        for round in 1..=u64::from(self.kills) {
            let before = snapshot(&book);
            let before_round = outcome.acknowledged;
            self.round(&nsl, round, &book, &mut random, &mut outcome)?;
            ensure!(
                outcome.acknowledged > before_round,
                "round {round}: nothing was acknowledged: {}",
                nsl.process().tail()
            );
            outcome.kills += 1;
            if nsl.cli(&["audit", "verify", "--data-dir", &nsl.directory().display().to_string()]).is_err() {
                outcome.broken_chains += 1;
            }
            nsl.start_again().with_context(|| format!("starting after kill {round}"))?;
            let touched: Vec<_> = snapshot(&book)
                .into_iter()
                .filter(|(key, known)| before.get(key).is_none_or(|old| old.sent != known.sent))
                .collect();
            ask(nsl.public(), &headers(&nsl), &touched, &mut outcome)?;
            each(&outcome);
        }
        // A later recovery may have taken what an earlier one kept.
        let everything: Vec<_> = snapshot(&book).into_iter().collect();
        ask(nsl.public(), &headers(&nsl), &everything, &mut outcome)?;
        nsl.terminate()?;
        Ok(outcome)
    }

    fn round(self, nsl: &Nsl, round: u64, book: &Book, random: &mut Random, outcome: &mut Outcome) -> Result<()> {
        let tally = Tally::default();
        let all = self.clients as u64 * self.stores;
        let kill_at = 1 + random.below(all.max(2) - 1);
        let headers = headers(nsl);
        thread::scope(|scope| {
            for client in 0..self.clients as u64 {
                let (tally, headers) = (&tally, &headers);
                let work = move || {
                    // The kill ends it early; what it has counted by then stands.
                    let _ = self.store(nsl, (round, client), headers, book, tally);
                    tally.finished.fetch_add(1, Ordering::Relaxed);
                };
                let started = thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, work);
                started.context("starting a client")?;
            }
            let until = Instant::now() + Duration::from_secs(60);
            while tally.acknowledged.load(Ordering::Relaxed) < kill_at
                && tally.finished.load(Ordering::Relaxed) < self.clients as u64
                && Instant::now() < until
            {
                thread::sleep(Duration::from_micros(200));
            }
            nsl.kill();
            Ok::<_, anyhow::Error>(())
        })?;
        outcome.acknowledged += tally.acknowledged.into_inner();
        outcome.unanswered += tally.unanswered.into_inner();
        outcome.refused += tally.refused.into_inner();
        Ok(())
    }

    // One client's stores, until the first that gets no answer.
    fn store(self, nsl: &Nsl, who: (u64, u64), headers: &[String], book: &Book, tally: &Tally) -> Result<()> {
        let (round, client) = who;
        let mut connection = Connection::open(nsl.public())?;
        for store in 0..self.stores {
            let key = match store % 2 {
                0 => format!("own:{client}"),
                _ => format!("new:{round}-{client}-{store}"),
            };
            let number = {
                let mut book = book.lock().expect("no holder panics");
                let known = book.entry(key.clone()).or_default();
                known.sent += 1;
                known.sent
            };
            let body = json!({"key": key, "value": value(&key, number), "encrypted": (client + store) % 2 == 0});
            match connection.request("POST", "/v1/storage/store/neo-n3", headers, &body.to_string()) {
                Ok(reply) if reply.status == 200 => {
                    book.lock().expect("no holder panics").entry(key).or_default().acknowledged = number;
                    tally.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {
                    tally.refused.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    tally.unanswered.fetch_add(1, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

// Asks for every key and counts what should not be.
fn ask(public: &str, headers: &[String], keys: &[(String, Known)], outcome: &mut Outcome) -> Result<()> {
    let mut connection = Connection::open(public)?;
    for (key, known) in keys {
        let reply = connection.request("GET", &format!("/v1/storage/retrieve/neo-n3/{key}"), headers, "")?;
        match reply.status {
            404 if known.acknowledged == 0 => {}
            404 => outcome.lost += 1,
            200 => {
                let found = reply.json()?["value"].clone();
                let number = found["number"].as_u64().unwrap_or_default();
                if number == 0 || number > known.sent || found != value(key, number) {
                    outcome.torn += 1;
                } else if number < known.acknowledged {
                    outcome.lost += 1;
                }
            }
            other => bail!("asking for {key}: {other} {}", reply.body),
        }
    }
    Ok(())
}

fn snapshot(book: &Book) -> BTreeMap<String, Known> {
    book.lock().expect("no holder panics").clone()
}

// Long enough to span pages, and different in each byte position from its predecessor.
fn value(key: &str, number: u64) -> serde_json::Value {
    json!({"number": number, "key": key, "filler": format!("{number:016x}").repeat(40 + (number % 7) as usize * 30)})
}

fn headers(nsl: &Nsl) -> Vec<String> {
    vec!["Content-Type: application/json".to_owned(), format!("X-API-Key: {}", nsl.api_key())]
}

// Where to kill; it need not be good, only different each time.
struct Random(u64);

impl Random {
    fn new() -> Result<Self> {
        let word = fs::read("/proc/sys/kernel/random/uuid")?;
        Ok(Self(word.iter().fold(1u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(*byte))) | 1))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
    };

    use super::*;

    // Answers each request with the next reply.
    fn server(replies: Vec<(u16, String)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut answer = stream.try_clone().unwrap();
            let mut lines = BufReader::new(stream).lines();
            for (status, body) in replies {
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                write!(answer, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        address
    }

    #[test]
    fn what_is_lost_old_or_torn_is_counted() {
        let found = |number: u64| (200, json!({"value": value("k", number)}).to_string());
        let half = (200, found(2).1.replacen("00000000000000020", "0", 1));
        let none = || (404, String::new());
        let cases = [
            (none(), Known { sent: 2, acknowledged: 0 }, (0, 0)),
            (none(), Known { sent: 2, acknowledged: 1 }, (1, 0)),
            (found(2), Known { sent: 2, acknowledged: 1 }, (0, 0)),
            (found(1), Known { sent: 2, acknowledged: 2 }, (1, 0)),
            (found(3), Known { sent: 2, acknowledged: 1 }, (0, 1)),
            (half, Known { sent: 2, acknowledged: 1 }, (0, 1)),
        ];
        for (reply, known, expected) in cases {
            let mut outcome = Outcome::default();
            let address = server(vec![reply.clone()]);
            ask(&address, &[], &[("k".to_owned(), known)], &mut outcome).unwrap();
            assert_eq!((outcome.lost, outcome.torn), expected, "{reply:?} {known:?}");
            assert_eq!(outcome.is_good(), expected == (0, 0));
        }
    }
}
