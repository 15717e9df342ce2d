//! The runner on both SQL engines against a made-up chain that fails, lies late, forgets and is used by others, while
//! the process dies again and again.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use nsl_core::{Code, Entry, ManualClock, Subject, TenantId};
use nsl_sql::{BASE, Config, Statement, args};
use parking_lot::Mutex;

use super::*;
use crate::{
    MIGRATIONS,
    node::{Offer, Refusal, Signed, Spent, Stretch, Verdict},
    nonces::{Hash, REPLACE_PERCENT},
    store::{Accept, Cancel, Kept, Take, budget, day, end_revoked, find, steps},
};

#[derive(Default)]
struct FakeChain {
    blocks: Vec<Vec<(u64, Hash)>>,
    count: u64,
    pool: BTreeMap<u64, (Hash, u128)>,
    /// Of all that was ever signed: the nonce, the price, and whose it is.
    signed: HashMap<Hash, (u64, u128, Option<String>)>,
    chance: u64,
    /// Requests whose trial fails, and by what.
    troubles: HashMap<String, &'static str>,
    /// Whether the account has no money, so that no node takes anything.
    poor: bool,
    /// Whether whatever is sent is refused in words that nobody knows, and not kept.
    grumbles: bool,
    /// Whether nobody tells what transactions took.
    feeless: bool,
    /// What a unit of gas costs above 40 wei.
    dearer: u128,
    /// So much is added when nonces are counted.
    lie: i64,
    /// When the first block was made.
    began: Option<Timestamp>,
    /// What another lane of the tenant reserves while the next transaction is signed.
    greedy: Option<(Db, TenantId, u128)>,
}

impl FakeChain {
    fn roll(&mut self, sides: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % sides
    }

    fn mine(&mut self) {
        let mut block = Vec::new();
        while let Some((hash, _)) = self.pool.remove(&self.count) {
            block.push((self.count, hash));
            self.count += 1;
        }
        self.blocks.push(block);
    }
}

#[derive(Clone)]
struct FakeNode(Arc<Mutex<FakeChain>>, bool, u64);

impl FakeNode {
    /// One call in ten fails, or none.
    fn fails(&self) -> Result<()> {
        let failed = self.1 && self.0.lock().roll(10) == 0;
        if failed { Err(Error::new(Code::Unavailable, "chain.unreachable", "no endpoint answers")) } else { Ok(()) }
    }
}

#[async_trait]
impl Node for FakeNode {
    async fn count(&self, after: u64) -> Result<u64> {
        self.fails()?;
        let chain = self.0.lock();
        match chain.blocks.get(..after as usize) {
            Some(blocks) => {
                Ok(blocks.iter().map(|block| block.len() as u64).sum::<u64>().wrapping_add_signed(chain.lie))
            }
            None if self.1 => Ok(chain.count),
            None => Err(Error::new(Code::Unavailable, "chain.behind", "no endpoint has the block")),
        }
    }

    async fn began(&self) -> Result<Option<Timestamp>> {
        Ok(self.0.lock().began)
    }

    async fn head(&self) -> Result<(u64, Hash)> {
        self.fails()?;
        let mut chain = self.0.lock();
        let head = (chain.blocks.len() as u64).saturating_sub(self.2 - 1);
        // Blocks that nobody else ever sees.
        Ok(match if self.1 { chain.roll(12) } else { 9 } {
            0 => (head + 20, [0xee; 32]),
            1 => (head + 300, [0xee; 32]),
            _ => (head, block_hash(head)),
        })
    }

    fn confirmations(&self) -> u64 {
        self.2
    }

    async fn tip(&self) -> Result<u64> {
        Ok(self.0.lock().blocks.len() as u64)
    }

    async fn spent(&self, from: u64, to: u64) -> Result<Stretch> {
        self.fails()?;
        let chain = self.0.lock();
        let of =
            |height: u64| chain.blocks[height as usize - 1].iter().map(move |(nonce, hash)| (height, *nonce, *hash));
        if to > chain.blocks.len() as u64 {
            return Err(Error::new(Code::Unavailable, "chain.behind", "no endpoint has the block"));
        }
        let all = (from..=to).flat_map(of);
        let spent = all
            .map(|(height, nonce, hash)| {
                let fee = (!chain.feeless).then_some(21_000 * 40);
                Spent { height, nonce, hash, reverted: None, fee }
            })
            .collect();
        Ok(Stretch { before: block_hash(from - 1), last: block_hash(to), spent })
    }

    async fn try_out(&self, _: &Id, intent: &Arc<serde_json::Value>) -> Result<std::result::Result<Ready, Refusal>> {
        self.fails()?;
        if let Some(slug) = self.0.lock().troubles.get(intent["id"].as_str().unwrap()) {
            return Err(Error::new(Code::Unavailable, slug, "no endpoint tries it out"));
        }
        let reverts = intent["reverts"] == serde_json::json!(true);
        Ok(if reverts {
            Err("it says no".to_owned().into())
        } else {
            Ok(Ready { gas: 21_000, intent: Arc::clone(intent) })
        })
    }

    fn tried_out(&self, intent: &Arc<serde_json::Value>, _: &[u8]) -> Result<Ready> {
        Ok(Ready { gas: 21_000, intent: Arc::clone(intent) })
    }

    async fn price(&self) -> Result<u128> {
        Ok(40 + self.0.lock().dearer)
    }

    async fn sign(&self, ready: Option<&Ready>, nonce: u64, offer: Offer) -> Result<Signed> {
        let price = offer.most;
        let greedy = self.0.lock().greedy.take();
        if let Some((db, tenant, amount)) = greedy {
            let sql = "INSERT INTO relay_spent (tenant_id, chain, day, amount) VALUES ($1, 'neo-x', $2, $3)";
            let today = day(Timestamp::parse("2026-11-21T08:00:00Z").unwrap());
            db.write_platform(Statement { sql, args: args![&tenant, today, amount.to_string()] }).await.unwrap();
        }
        let mut chain = self.0.lock();
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(chain.signed.len() as u64 + 1).to_le_bytes());
        let whose = ready.map(|ready| ready.intent["id"].as_str().unwrap().to_owned());
        chain.signed.insert(hash, (nonce, price, whose));
        Ok(Signed { hash, raw: hash.to_vec() })
    }

    async fn send(&self, raw: &[&[u8]]) -> Vec<Verdict> {
        let lies = self.1;
        raw.iter()
            .map(|raw| {
                let mut chain = self.0.lock();
                let hash: Hash = (*raw).try_into().unwrap();
                let (nonce, price, _) = chain.signed[&hash];
                if lies && chain.roll(10) == 0 {
                    return Verdict::Unknown;
                }
                if nonce < chain.count {
                    return Verdict::Spent;
                }
                if chain.grumbles {
                    return Verdict::Unclear("the sky is falling".to_owned());
                }
                if chain.poor {
                    return Verdict::NotNow("no money".to_owned());
                }
                match chain.pool.get(&nonce) {
                    Some((known, _)) if *known == hash => return Verdict::Taken,
                    Some((_, known)) if price < known + known * REPLACE_PERCENT / 100 => return Verdict::Underpriced,
                    _ => {}
                }
                chain.pool.insert(nonce, (hash, price));
                // Taken, and the answer is lost.
                if lies && chain.roll(10) == 0 { Verdict::Unknown } else { Verdict::Taken }
            })
            .collect()
    }
}

fn block_hash(height: u64) -> Hash {
    let mut hash = [1; 32];
    hash[..8].copy_from_slice(&height.to_le_bytes());
    hash
}

fn pace() -> Pace {
    Pace {
        most: 16,
        together: 4,
        resend: Duration::from_secs(2),
        raise: Duration::from_secs(10),
        most_price: 10_000,
        n3: crate::n3::N3Pace::default(),
    }
}

async fn ask(db: &Db, key: &LaneKey, number: u32, reverts: bool, now: Timestamp) -> Id {
    ask_until(db, key, number, reverts, now, None).await
}

async fn ask_until(
    db: &Db,
    key: &LaneKey,
    number: u32,
    reverts: bool,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Id {
    let id = format!("rel_{number:05}");
    let subject = Subject::parse("owner").unwrap();
    let kept = Kept {
        id: id.clone(),
        chain: key.chain.into(),
        account: key.account.to_string(),
        subject,
        intent: serde_json::json!({ "id": id, "reverts": reverts }),
        state: "accepted".into(),
        reason: None,
        hash: None,
        height: None,
        fee: None,
        max_fee: None,
        expires_at,
        cancelled_at: None,
        trouble: None,
        created_at: now,
        updated_at: now,
        settled_at: None,
    };
    let cx = Cx::system(key.tenant.clone(), Duration::from_secs(30));
    let entry = Entry::new(&cx, "relay.request_accepted", "relay", "submit", now);
    db.write(&cx, Accept { tenant: key.tenant.clone(), kept, entry }).await.unwrap();
    id.into()
}

async fn cancel(db: &Db, key: &LaneKey, id: &str, now: Timestamp) {
    let cx = Cx::system(key.tenant.clone(), Duration::from_secs(30));
    let entry = Entry::new(&cx, "relay.request_cancelled", "relay", "cancel", now);
    let (tenant, id) = (key.tenant.clone(), id.to_owned());
    // It may be at its end already.
    let _ = db.write(&cx, Cancel { tenant, chain: key.chain, id, now, entry }).await;
}

async fn hold(db: &Db, key: &LaneKey, holder: u32, now: Timestamp) -> Held {
    let take = Take {
        lane: key.clone(),
        holder: format!("process {holder}").into(),
        now,
        until: now.plus(Duration::from_secs(1)),
    };
    db.write_platform(take).await.unwrap().expect("nobody holds it any more")
}

async fn storm(config: Config, dir: &std::path::Path, confirmations: u64) {
    let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-11-21T08:00:00Z").unwrap()));
    config.migrate(dir, &*clock, &[&BASE, &MIGRATIONS]).await.unwrap();
    let db = Db::open(&config, dir, clock.clone(), || None).await.unwrap();
    let key = LaneKey { tenant: TenantId::parse("ten_a").unwrap(), chain: "neo-x", account: "0xabc".into() };
    let chain = Arc::new(Mutex::new(FakeChain { chance: 7, ..FakeChain::default() }));
    let take_up = async |holder: u32, faults: bool| {
        let held = hold(&db, &key, holder, clock.now()).await;
        let node = FakeNode(Arc::clone(&chain), faults, confirmations);
        Runner::take_up(db.clone(), clock.clone(), node, key.clone(), held, pace()).await
    };
    let (mut asked, mut deaths, mut foreign) = (Vec::new(), 0, HashSet::new());
    for life in 0..60u32 {
        clock.advance(Duration::from_secs(2));
        for _ in 0..5 {
            let number = asked.len() as u32;
            let now = clock.now();
            let expires = (number % 13 == 5).then(|| now.plus(Duration::from_secs(u64::from(number % 9))));
            asked.push(ask_until(&db, &key, number, number % 17 == 3, now, expires).await);
        }
        let back = chain.lock().roll(asked.len() as u64) as usize;
        cancel(&db, &key, &asked[back], clock.now()).await;
        // A process dies at its first error, wherever that is.
        let Ok(mut runner) = take_up(life, true).await else { continue };
        for _ in 0..6 {
            clock.advance(Duration::from_millis(700));
            if runner.round().await.is_err() {
                deaths += 1;
                break;
            }
            let mut chain = chain.lock();
            match chain.roll(12) {
                0 => chain.pool.clear(),
                1 => {
                    let (nonce, hash) = (chain.count, [0xff - life as u8; 32]);
                    chain.signed.insert(hash, (nonce, 60, None));
                    chain.pool.insert(nonce, (hash, 60));
                    foreign.insert(hash);
                }
                2..=8 => chain.mine(),
                _ => {}
            }
        }
    }
    assert!(deaths > 10 && !foreign.is_empty(), "{deaths} deaths, {} of others", foreign.len());
    clock.advance(Duration::from_secs(2));
    let mut runner = take_up(999, false).await.unwrap();
    for round in 0.. {
        assert!(round < 100, "stuck: {:?}", runner.lane);
        clock.advance(Duration::from_secs(3));
        runner.round().await.unwrap();
        chain.lock().mine();
        if runner.is_idle() {
            break;
        }
    }
    let (blocks, signed) = {
        let chain = chain.lock();
        (chain.blocks.clone(), chain.signed.clone())
    };
    let mut times: HashMap<&str, u32> = HashMap::new();
    for (_, hash) in blocks.iter().flatten() {
        if let (_, _, Some(id)) = &signed[hash] {
            *times.entry(id).or_default() += 1;
        }
    }
    let (mut ends, mut fees) = (HashMap::<String, u32>::new(), 0);
    for (number, id) in asked.iter().enumerate() {
        let kept = find(&db, &key.tenant, id).await.unwrap();
        let may = match &*kept.state {
            "failed" => number % 17 == 3,
            "replaced" => kept.cancelled_at.is_some(),
            "expired" => kept.expires_at.is_some(),
            state => state == "final" && number % 17 != 3,
        };
        assert!(may, "{kept:?}");
        let done = kept.state == "final";
        assert_eq!(times.get(&**id).copied().unwrap_or(0), u32::from(done), "{kept:?}");
        assert_eq!((kept.height.is_some(), done && kept.fee.is_none()), (done, false), "{kept:?}");
        fees += kept.fee.map_or(0, |fee| fee.parse::<u128>().unwrap());
        let passed = steps(&db, &key.tenant, id, 0).await.unwrap();
        assert_eq!((&*passed[0].state, &passed.last().unwrap().state), ("accepted", &kept.state));
        assert!(passed.iter().enumerate().all(|(at, step)| step.number == at as i64 + 1));
        *ends.entry(kept.state).or_default() += 1;
    }
    assert!(ends.len() == 4 && ends.values().all(|count| *count > 3), "{ends:?}");
    let (_, spent) = budget(&db, &key.tenant, key.chain, day(clock.now())).await.unwrap();
    assert_eq!(spent, fees, "what is settled is counted as what it took");
    db.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_leaves_nothing_stuck_and_nothing_doubled_on_sqlite() {
    storm(Config::embedded(), tempfile::tempdir().unwrap().path(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_leaves_nothing_stuck_and_nothing_doubled_on_postgres() {
    let database = nsl_sandbox::Database::fresh().unwrap();
    storm(Config::postgres(database.url()), tempfile::tempdir().unwrap().path(), 3).await;
}

#[path = "runner_trouble_tests.rs"]
mod troubles;

#[path = "runner_lies_tests.rs"]
mod lies;
