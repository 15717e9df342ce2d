use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    task::{JoinSet, block_in_place},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{ground::Ground, n3::NeoGo, proxy::Proxy, tally::Tally, x::Anvil};
use crate::{
    home::Room,
    nsl::{Launch, Nsl},
};

/// The chain under the relayer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    NeoX,
    NeoN3,
}

impl FromStr for Chain {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "neo-x" => Ok(Self::NeoX),
            "neo-n3" => Ok(Self::NeoN3),
            _ => bail!("{text:?} is neither neo-x nor neo-n3"),
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    pub chain: Chain,
    /// Transactions that are submitted, all from one account.
    pub requests: u64,
    /// How many are submitted a second.
    pub per_second: u64,
    /// How long each process of `nsl` lives.
    pub life: Duration,
    /// How many of a hundred calls to the node fail.
    pub percent: u32,
}

impl Default for Storm {
    fn default() -> Self {
        Self { chain: Chain::NeoX, requests: 5_000, per_second: 30, life: Duration::from_secs(3), percent: 10 }
    }
}

/// Clients that submit at once.
const CLIENTS: u64 = 16;
/// One transaction of the other client for so many of ours.
const FOREIGN_ONE_IN: u64 = 50;
const UPSET_EVERY: Duration = Duration::from_millis(3_700);
/// What is not done by then is stuck.
const PATIENCE: Duration = Duration::from_secs(180);

// What all parts of a run know.
struct Board {
    http: reqwest::Client,
    /// Where `nsl` listens, which changes with each start.
    public: Mutex<String>,
    key: String,
    chain: &'static str,
    acknowledged: AtomicU64,
    /// The identity that each number was given.
    ids: Mutex<BTreeMap<u64, String>>,
    surplus: AtomicU64,
}

impl Storm {
    /// Runs it over the `nsl` that `launch` starts on a directory that stays.
    pub async fn run(self, launch: Launch, mut tell: impl FnMut(&str)) -> Result<Tally> {
        let room = Room::new("storm")?;
        match self.chain {
            Chain::NeoX => self.over(Anvil::start(room.path()).await?, launch, &mut tell).await,
            Chain::NeoN3 => self.over(NeoGo::start(room.path()).await?, launch, &mut tell).await,
        }
    }

    async fn over<G: Ground>(self, mut ground: G, launch: Launch, tell: &mut impl FnMut(&str)) -> Result<Tally> {
        let proxy = Proxy::before(&ground.rpc()).await?;
        let mut launch = launch
            .env("NSL_LIMITS__GENERAL_PER_MINUTE", "1000000000")
            .env("NSL_HTTP__EXEMPT_LOOPBACK", "true")
            .env("NSL_LOG__LEVEL", "warn");
        for (name, value) in ground.settings(&proxy.url) {
            launch = launch.env(name, value);
        }
        let mut nsl = block_in_place(|| launch.start())?;
        let board = Arc::new(Board::new(&nsl, G::CHAIN)?);
        let (account, key) = ground.account();
        board.add_account(&account, &key).await?;
        let bodies: Arc<Vec<String>> = Arc::new((0..self.requests).map(|one| ground.body(one).to_string()).collect());
        tell(&format!("{} transactions from {account} on {}", self.requests, G::CHAIN));

        let mut tally = Tally { submitted: self.requests, ..Tally::default() };
        proxy.weather.turn(self.percent);
        let began = Instant::now();
        let is_over = Cell::new(false);
        let submitting = async {
            let done = self.submit(&board, &bodies, began).await;
            is_over.set(true);
            done
        };
        let (submitted, kills, upsets) =
            tokio::join!(submitting, self.kill(&mut nsl, &board, &is_over, tell), upset(&mut ground, &board, &is_over));
        submitted?;
        (tally.kills, tally.upsets) = (kills?, upsets?);
        tally.storm = began.elapsed();
        proxy.weather.turn(0);
        ground.calm().await?;
        tally.befallen = proxy.weather.befallen();

        let calm = Instant::now();
        let states = board.settle(calm + PATIENCE, &nsl, tell).await?;
        tally.drained = calm.elapsed();
        tally.acknowledged = board.ids.lock().expect("no holder panics").len() as u64;
        tally.surplus = board.surplus.load(Ordering::Relaxed) + board.unasked().await?;
        let seen = match ground.seen(self.requests).await {
            Ok(seen) => seen,
            Err(error) => {
                tell(&format!("--- the end of what nsl printed ---\n{}", nsl.process().tail()));
                return Err(error);
            }
        };
        tally.foreign = seen.foreign;
        for (number, state) in &states {
            let times = seen.requests.get(number).copied().unwrap_or_default();
            match state["state"].as_str() {
                Some("final") => tally.finals += 1,
                Some("failed" | "expired" | "replaced") => {
                    tally.failed += 1;
                    tally.denied += times.min(1);
                    *tally.reasons.entry(state["reason"].to_string()).or_default() += 1;
                }
                _ => tally.stuck += 1,
            }
            tally.lost += u64::from(state["state"] == "final" && times == 0);
            tally.doubled += u64::from(times > 1);
        }
        tally.is_whole = block_in_place(|| is_whole(&nsl, nsl.directory()));
        block_in_place(|| nsl.terminate())?;
        if !tally.is_good() {
            tell(&format!("--- the end of what nsl printed ---\n{}", nsl.process().tail()));
        }
        ground.end().await;
        Ok(tally)
    }

    // All of them, again and again under the same keys until each was acknowledged.
    async fn submit(&self, board: &Arc<Board>, bodies: &Arc<Vec<String>>, began: Instant) -> Result<()> {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (board, bodies, per_second) = (Arc::clone(board), Arc::clone(bodies), self.per_second.max(1));
            clients.spawn(async move {
                for number in (client..bodies.len() as u64).step_by(CLIENTS as usize) {
                    sleep_until(began + Duration::from_millis(number * 1_000 / per_second)).await;
                    board.submit(number, &bodies[number as usize]).await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(client) = clients.join_next().await {
            client??;
        }
        Ok(())
    }

    async fn kill(
        &self,
        nsl: &mut Nsl,
        board: &Board,
        is_over: &Cell<bool>,
        tell: &mut impl FnMut(&str),
    ) -> Result<u64> {
        let mut kills = 0;
        loop {
            let until = Instant::now() + self.life;
            while Instant::now() < until {
                if is_over.get() {
                    return Ok(kills);
                }
                sleep(Duration::from_millis(50)).await;
            }
            block_in_place(|| nsl.kill());
            kills += 1;
            block_in_place(|| nsl.start_again()).with_context(|| format!("starting after kill {kills}"))?;
            nsl.public().clone_into(&mut board.public.lock().expect("no holder panics"));
            if kills % 10 == 0 {
                tell(&format!("{kills} kills, {} acknowledged", board.acknowledged.load(Ordering::Relaxed)));
            }
        }
    }
}

// The node in trouble, and somebody else at the same key.
async fn upset<G: Ground>(ground: &mut G, board: &Board, is_over: &Cell<bool>) -> Result<u64> {
    let (mut turns, mut foreign) = (0, 0);
    let mut next = Instant::now() + UPSET_EVERY;
    while !is_over.get() {
        while foreign < board.acknowledged.load(Ordering::Relaxed) / FOREIGN_ONE_IN {
            // It may come too late or offer too little; then it simply is not there.
            let _ = ground.foreign(foreign).await;
            foreign += 1;
        }
        if Instant::now() >= next {
            ground.upset(turns).await.with_context(|| format!("trouble {turns} of the node"))?;
            turns += 1;
            next = Instant::now() + UPSET_EVERY;
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(turns)
}

fn is_whole(nsl: &Nsl, directory: &Path) -> bool {
    nsl.cli(&["audit", "verify", "--data-dir", &directory.display().to_string()]).is_ok()
}

impl Board {
    fn new(nsl: &Nsl, chain: &'static str) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build()?,
            public: Mutex::new(nsl.public().to_owned()),
            key: nsl.api_key().to_owned(),
            chain,
            acknowledged: AtomicU64::new(0),
            ids: Mutex::default(),
            surplus: AtomicU64::new(0),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.public.lock().expect("no holder panics"))
    }

    async fn add_account(&self, account: &str, key: &str) -> Result<()> {
        let body = json!({ "label": "storm", "key": key }).to_string();
        let path = format!("accounts/{}", self.chain);
        let (status, answer) = self.post(&path, "account", &body).await?;
        ensure!(status == 201, "taking account {account} over: {status} {answer}");
        Ok(())
    }

    async fn post(&self, path: &str, once: &str, body: &str) -> Result<(u16, Value)> {
        let request = self
            .http
            .post(self.url(path))
            .bearer_auth(&self.key)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", once)
            .body(body.to_owned());
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    async fn submit(&self, number: u64, body: &str) -> Result<()> {
        let path = format!("tx/{}", self.chain);
        loop {
            match self.post(&path, &format!("storm-{number}"), body).await {
                Ok((202, answer)) => {
                    let id = answer["id"].as_str().context("an answer without an id")?.to_owned();
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    self.ids.lock().expect("no holder panics").insert(number, id);
                    return Ok(());
                }
                Ok((status, answer)) if status < 500 && status != 429 && status != 409 => {
                    bail!("submitting {number}: {status} {answer}");
                }
                // Killed, starting, or busy with the same request.
                Ok(_) | Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(self.url(path)).bearer_auth(&self.key).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        ensure!(status.is_success(), "GET {path}: {status} {body}");
        Ok(body)
    }

    // Waits for the end of all; gives each as it then stands.
    async fn settle(&self, until: Instant, nsl: &Nsl, tell: &mut impl FnMut(&str)) -> Result<BTreeMap<u64, Value>> {
        let mut open = self.ids.lock().expect("no holder panics").clone();
        let mut states = BTreeMap::new();
        let mut told = Instant::now();
        loop {
            let mut first = None;
            for (number, id) in open.clone() {
                ensure!(nsl.process().ended().is_none(), "nsl ended by itself: {}", nsl.process().tail());
                let state = timeout(Duration::from_secs(30), self.get(&format!("tx/{}/{id}", self.chain))).await??;
                let is_done = matches!(state["state"].as_str(), Some("final" | "failed" | "replaced" | "expired"));
                if is_done {
                    open.remove(&number);
                } else {
                    first.get_or_insert_with(|| state.clone());
                }
                states.insert(number, state);
                // The oldest come first: a few that wait are enough to know that there is more to wait for.
                if states.len() > self.settled(&open) + 20 {
                    break;
                }
            }
            if open.is_empty() || Instant::now() > until {
                return Ok(states);
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                tell(&format!("{} not done yet; the first: {}", open.len(), first.unwrap_or_default()));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn settled(&self, open: &BTreeMap<u64, String>) -> usize {
        self.ids.lock().expect("no holder panics").len() - open.len()
    }

    // Requests that are kept and that nobody knows of: a second one for a key, say.
    async fn unasked(&self) -> Result<u64> {
        let asked: BTreeSet<String> = self.ids.lock().expect("no holder panics").values().cloned().collect();
        let (mut after, mut unasked) = (String::new(), 0);
        loop {
            let page = self.get(&format!("tx/{}?limit=100{after}", self.chain)).await?;
            let ids = page["items"].as_array().context("a page of transactions")?.iter();
            unasked += ids.filter(|one| !one["id"].as_str().is_some_and(|id| asked.contains(id))).count() as u64;
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(unasked),
            }
        }
    }
}
