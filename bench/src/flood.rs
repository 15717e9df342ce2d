//! What a flood of sign-ins does to those who only read: the latency of reads by itself, and while 200 clients sign in
//! at once and start over.
#![allow(clippy::disallowed_methods, reason = "a benchmark lives in real time")]

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nsl_sandbox::{Connection, Database};
use serde_json::json;

use crate::{
    process::Server,
    report::{Part, date},
};

const CLIENTS: usize = 200;
const READERS: usize = 4;
const EACH_READS_EVERY: Duration = Duration::from_millis(4);
const WINDOW: Duration = Duration::from_secs(10);
const PASSWORD: &str = "correct horse battery staple";

/// Measures on both SQL engines.
pub(crate) fn measure(machine: &str) -> Result<Part> {
    let mut part = Part::new(
        "## Reads during a flood of sign-ins",
        [
            "reads of a 1 KiB value, not from the cache",
            "reads/s",
            "P50 ms",
            "P99 ms",
            "slowest ms",
            "signed in/s",
            "answered 503/s",
        ],
    );
    part.say(format!(
        "Measured by `nsl-bench flood` on {} on {machine}. Four clients read at a fixed rate; {CLIENTS} others sign in \
         at once, each to an account of its own, with right passwords (Argon2id, 19 MiB, two passes), and each again as soon as it was answered, for \
         {} s. Hashing has threads of its own, half the cores at a lower priority, and 64 places to wait: who finds them \
         taken is answered 503 with `Retry-After`.",
        date()?,
        WINDOW.as_secs()
    ));
    let database = Database::fresh()?;
    for (name, server) in [("SQLite", Server::embedded(1)?), ("PostgreSQL", Server::postgres(&database, 1)?)] {
        server.put_sample()?;
        for number in 0..CLIENTS {
            let body = json!({ "email": address(number), "password": PASSWORD });
            let reply =
                Connection::open(&server.url(""))?.request("POST", "/v1/auth/register", &typed(), &body.to_string())?;
            ensure!(reply.status == 201, "making an account: {} {}", reply.status, reply.body);
        }
        let calm = run(&server, 0)?;
        part.row(calm.cells(format!("{name}, by themselves")));
        let flooded = run(&server, CLIENTS)?;
        part.row(flooded.cells(format!("{name}, during the flood")));
    }
    Ok(part)
}

fn address(number: usize) -> String {
    format!("user{number}@example.com")
}

fn typed() -> Vec<String> {
    vec!["Content-Type: application/json".to_owned()]
}

struct Seen {
    reads: Vec<Duration>,
    signed_in: usize,
    sent_away: usize,
}

impl Seen {
    fn cells(mut self, name: String) -> [String; 7] {
        self.reads.sort();
        let at = |percent: usize| {
            let place = (self.reads.len() * percent / 100).min(self.reads.len().saturating_sub(1));
            format!("{:.2}", self.reads.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3)
        };
        let rate = |count: usize| format!("{:.0}", count as f64 / WINDOW.as_secs_f64());
        [name, rate(self.reads.len()), at(50), at(99), at(100), rate(self.signed_in), rate(self.sent_away)]
    }
}

fn run(server: &Server, clients: usize) -> Result<Seen> {
    let (signed_in, sent_away, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let flood: Vec<_> = (0..clients)
            .map(|number| {
                let (signed_in, sent_away, over) = (&signed_in, &sent_away, &over);
                scope.spawn(move || sign_in(server, number, signed_in, sent_away, over))
            })
            .collect();
        // The first of them are under way.
        thread::sleep(Duration::from_secs(1));
        signed_in.store(0, Ordering::Relaxed);
        sent_away.store(0, Ordering::Relaxed);
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| read(server))).collect();
        let mut reads = Vec::new();
        for reader in readers {
            reads.extend(reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??);
        }
        let seen =
            Seen { reads, signed_in: signed_in.load(Ordering::Relaxed), sent_away: sent_away.load(Ordering::Relaxed) };
        over.store(true, Ordering::Relaxed);
        for client in flood {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(seen)
    })
}

fn sign_in(
    server: &Server,
    number: usize,
    signed_in: &AtomicUsize,
    sent_away: &AtomicUsize,
    over: &AtomicBool,
) -> Result<()> {
    let body = json!({ "email": address(number), "password": PASSWORD }).to_string();
    let mut connection = Connection::open(&server.url(""))?;
    while !over.load(Ordering::Relaxed) {
        let reply = connection.request("POST", "/v1/auth/login", &typed(), &body)?;
        match reply.status {
            200 => drop(signed_in.fetch_add(1, Ordering::Relaxed)),
            503 => {
                ensure!(reply.header("retry-after").is_some(), "a 503 without Retry-After: {}", reply.head);
                sent_away.fetch_add(1, Ordering::Relaxed);
                // Nobody waits as long as they are told; nor would they ask ten thousand times a second.
                thread::sleep(Duration::from_millis(100));
            }
            status => anyhow::bail!("a sign-in was answered {status}: {}", reply.body),
        }
    }
    Ok(())
}

fn read(server: &Server) -> Result<Vec<Duration>> {
    let key = server.keys.first().context("a server has a key")?;
    let headers = [format!("Authorization: Bearer {key}"), "Cache-Control: no-cache".to_owned()];
    let mut connection = Connection::open(&server.url(""))?;
    let mut took = Vec::new();
    let began = Instant::now();
    for number in 1.. {
        // A reader that is late sends at once: waiting for an answer must not hide the wait of the next.
        let due = EACH_READS_EVERY * number;
        if due > WINDOW {
            break;
        }
        thread::sleep(due.saturating_sub(began.elapsed()));
        let reply = connection.request("GET", "/v1/storage/retrieve/neo-n3/sample", &headers, "")?;
        ensure!(reply.status == 200, "a read was answered {}", reply.status);
        took.push(began.elapsed() - due);
    }
    Ok(took)
}
