use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::error::NodeError;

const NETWORK: u64 = 7;

/// A client that does as it is told, and counts.
struct Fake {
    network: AtomicU64,
    height: AtomicU64,
    mood: Mutex<Mood>,
    asked: AtomicU64,
    probed: AtomicU64,
}

#[derive(Clone, Debug)]
enum Mood {
    Well,
    Hangs,
    Says(Trouble),
}

impl Fake {
    fn at(height: u64) -> Arc<Self> {
        Arc::new(Self {
            network: NETWORK.into(),
            height: height.into(),
            mood: Mutex::new(Mood::Well),
            asked: 0.into(),
            probed: 0.into(),
        })
    }

    fn feel(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    async fn answer(&self) -> Result<(), Trouble> {
        let mood = self.mood.lock().clone();
        match mood {
            Mood::Well => Ok(()),
            Mood::Hangs => std::future::pending().await,
            Mood::Says(trouble) => Err(trouble),
        }
    }

    async fn height(self: Arc<Self>) -> Result<u64, Trouble> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answer().await?;
        Ok(self.height.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Client for Fake {
    async fn probe(&self) -> Result<Probe, Trouble> {
        self.probed.fetch_add(1, Ordering::SeqCst);
        self.answer().await?;
        Ok(Probe { network: self.network.load(Ordering::SeqCst), height: self.height.load(Ordering::SeqCst) })
    }
}

fn pool(fakes: &[&Arc<Fake>]) -> Pool<Fake> {
    let clients = fakes.iter().enumerate().map(|(place, fake)| (format!("host{place}"), Arc::clone(fake))).collect();
    Pool::new(ChainKind::NeoX, NETWORK, &PoolConfig::of(&[]), clients)
}

fn standings<C: Client>(pool: &Pool<C>) -> Vec<&'static str> {
    pool.status().iter().map(|status| status.standing).collect()
}

fn broken() -> Mood {
    Mood::Says(Trouble::Unreachable("refused".into()))
}

#[tokio::test(start_paused = true)]
async fn calls_go_to_the_first_and_move_on_when_it_fails() {
    let (one, two) = (Fake::at(10), Fake::at(11));
    let pool = pool(&[&one, &two]);
    assert_eq!(pool.run(Fake::height).await, Ok(10));
    assert_eq!(two.probed.load(Ordering::SeqCst), 0, "not needed, not asked");
    one.feel(broken());
    for _ in 0..10 {
        assert_eq!(pool.run(Fake::height).await, Ok(11));
    }
    assert_eq!(one.asked(), 4, "after three failures in a row it is left alone");
    assert_eq!(standings(&pool), ["down", "up"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_says_no_is_not_asked_elsewhere() {
    let (one, two) = (Fake::at(10), Fake::at(10));
    let pool = pool(&[&one, &two]);
    pool.probe_all().await;
    let no = Trouble::Node(NodeError { code: -32000, message: "no".into(), data: None });
    one.feel(Mood::Says(no.clone()));
    for _ in 0..10 {
        assert_eq!(pool.run(Fake::height).await, Err(no.clone()));
    }
    assert_eq!((two.asked(), standings(&pool)[0]), (0, "up"));
    one.feel(Mood::Says(Trouble::Node(NodeError { code: -32603, message: "sick".into(), data: None })));
    assert_eq!(pool.run(Fake::height).await, Ok(10), "its own fault: another may do better");
}

#[tokio::test(start_paused = true)]
async fn another_network_is_refused_for_good() {
    let (one, two) = (Fake::at(10), Fake::at(10));
    one.network.store(8, Ordering::SeqCst);
    let pool = pool(&[&one, &two]);
    for _ in 0..5 {
        assert_eq!(pool.run(Fake::height).await, Ok(10));
    }
    assert_eq!((one.asked(), standings(&pool)), (0, vec!["foreign", "up"]));
    let status = &pool.status()[0];
    assert_eq!((status.host.as_str(), status.trouble.as_deref()), ("host0", Some("of network 8 instead of 7")));
    one.network.store(NETWORK, Ordering::SeqCst);
    pool.probe_all().await;
    assert_eq!((one.probed.load(Ordering::SeqCst), standings(&pool)[0]), (1, "foreign"));

    // One that changes its network while it is used is found out by the next look.
    two.network.store(9, Ordering::SeqCst);
    pool.probe_all().await;
    let began = Instant::now();
    assert_eq!(pool.run(Fake::height).await, Err(Trouble::Foreign { said: 8, want: NETWORK }));
    assert_eq!(began.elapsed(), Duration::ZERO, "there is nothing to wait for");
}

#[tokio::test(start_paused = true)]
async fn one_that_lags_is_left_alone_until_it_has_caught_up() {
    let (one, two) = (Fake::at(10), Fake::at(13));
    let pool = pool(&[&one, &two]);
    pool.probe_all().await;
    assert_eq!(standings(&pool), ["up", "up"], "three behind is allowed");
    two.height.store(14, Ordering::SeqCst);
    pool.probe_all().await;
    assert_eq!(standings(&pool), ["lagging", "up"]);
    assert_eq!(pool.run(Fake::height).await, Ok(14));
    two.feel(broken());
    assert_eq!(pool.run(Fake::height).await, Ok(10), "better than nothing");
    two.feel(Mood::Well);
    one.height.store(14, Ordering::SeqCst);
    pool.probe_all().await;
    assert_eq!(standings(&pool), ["up", "up"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_boasts_of_its_height_sends_no_other_away() {
    let (one, two, liar) = (Fake::at(10), Fake::at(11), Fake::at(1_000_000));
    let pool = pool(&[&one, &two, &liar]);
    pool.probe_all().await;
    assert_eq!(standings(&pool), ["up", "up", "up"]);
}

#[tokio::test(start_paused = true)]
async fn spells_double_and_the_way_back_is_half_open() {
    let (one, two) = (Fake::at(10), Fake::at(10));
    let pool = Arc::new(pool(&[&one, &two]));
    pool.probe_all().await;
    one.feel(broken());
    for _ in 0..3 {
        pool.run(Fake::height).await.unwrap();
    }
    assert_eq!(standings(&pool)[0], "down");
    let probes = || one.probed.load(Ordering::SeqCst);
    let before = probes();
    for (spell, probed) in [(2, 1), (4, 2), (8, 3), (16, 4), (32, 5), (60, 6), (60, 7)] {
        tokio::time::advance(Duration::from_millis(spell * 1_000 - 1)).await;
        pool.probe_all().await;
        assert_eq!(probes() - before, probed - 1, "a spell of {spell} s is not over");
        tokio::time::advance(Duration::from_millis(1)).await;
        pool.probe_all().await;
        assert_eq!(probes() - before, probed, "one question after {spell} s");
    }
    let asked = one.asked();
    one.feel(Mood::Well);
    tokio::time::advance(Duration::from_secs(60)).await;
    pool.run(Fake::height).await.unwrap();
    assert_eq!(one.asked(), asked, "nothing but the question after network and height brings it back");
    pool.probe_all().await;
    assert_eq!(standings(&pool)[0], "up");
    pool.run(Fake::height).await.unwrap();
    assert_eq!(one.asked(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_left_alone_the_first_that_is_back_answers() {
    let (one, two) = (Fake::at(10), Fake::at(10));
    let pool = Arc::new(pool(&[&one, &two]));
    one.feel(broken());
    two.feel(broken());
    let began = Instant::now();
    assert!(matches!(pool.run(Fake::height).await, Err(Trouble::Unreachable(_))));
    assert!(began.elapsed() > Duration::from_secs(11) && began.elapsed() < Duration::from_secs(13));
    assert_eq!(standings(&pool), ["down", "down"]);
    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.run(Fake::height).await }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    two.feel(Mood::Well);
    assert_eq!(waiting.await.unwrap(), Ok(10));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_costs_no_more_than_the_deadline() {
    let one = Fake::at(10);
    let pool = pool(&[&one]);
    pool.probe_all().await;
    one.feel(Mood::Hangs);
    let began = Instant::now();
    assert!(matches!(pool.run(Fake::height).await, Err(Trouble::Unreachable(_))));
    assert_eq!(began.elapsed(), Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn work_that_is_too_much_is_nobodys_fault_unless_another_one_does_it() {
    let (one, two, three) = (Fake::at(10), Fake::at(10), Fake::at(10));
    let pool = pool(&[&one, &two, &three]);
    pool.probe_all().await;
    let slow = Trouble::Slow("5 s".into());
    for fake in [&one, &two, &three] {
        fake.feel(Mood::Says(slow.clone()));
    }
    for _ in 0..10 {
        assert_eq!(pool.run_heavy(Fake::height).await, Err(slow.clone()));
    }
    assert_eq!([one.asked(), two.asked(), three.asked()], [10, 10, 0]);
    assert_eq!(standings(&pool), ["up", "up", "up"]);
    two.feel(Mood::Well);
    for _ in 0..10 {
        assert_eq!(pool.run_heavy(Fake::height).await, Ok(10));
    }
    assert_eq!(standings(&pool), ["down", "up", "up"], "what it could not do in time another one did");
    two.feel(Mood::Says(slow));
    assert_eq!(pool.run(Fake::height).await, Err(Trouble::Unreachable("5 s".into())));
    assert_eq!(standings(&pool), ["down", "down", "down"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_read_is_nobodys_fault_unless_it_is_a_light_one() {
    let declined = Trouble::Declined("HTTP status 413".into());
    let first = Fake::at(9);
    let pool = pool(&[&first]);
    pool.run(Fake::height).await.unwrap();
    first.feel(Mood::Says(declined.clone()));
    for _ in 0..20 {
        assert_eq!(pool.run_heavy(Fake::height).await, Err(declined.clone()));
    }
    assert_eq!(pool.status()[0].standing, "up");
    assert_eq!(pool.run(Fake::height).await, Err(declined));
    assert_eq!(pool.status()[0].standing, "down", "whoever declines the least question is not well");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_asked_for_once_and_is_nobodys_fault() {
    let (one, two) = (Fake::at(10), Fake::at(10));
    let pool = pool(&[&one, &two]);
    pool.probe_all().await;
    let large = Trouble::TooLarge("the answer has more than 8 bytes".into());
    one.feel(Mood::Says(large.clone()));
    two.feel(Mood::Says(large.clone()));
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(pool.run_heavy(Fake::height).await, Err(large.clone()));
    }
    assert_eq!((one.asked(), two.asked(), began.elapsed()), (10, 0, Duration::ZERO));
    assert_eq!(standings(&pool), ["up", "up"]);
    assert!(matches!(pool.run(Fake::height).await, Err(Trouble::Garbled(_))));
    assert_eq!(standings(&pool), ["down", "down"], "who answers the least question so is not well");
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_or_behind_is_passed_over_without_blame() {
    let (one, two) = (Fake::at(10), Fake::at(10));
    let pool = pool(&[&one, &two]);
    pool.probe_all().await;
    for trouble in [Trouble::Busy { wait: Duration::from_secs(1) }, Trouble::Behind("block 11".into())] {
        one.feel(Mood::Says(trouble.clone()));
        for _ in 0..10 {
            assert_eq!(pool.run(Fake::height).await, Ok(10));
        }
        assert_eq!(standings(&pool), ["up", "up"]);
    }
    two.feel(Mood::Says(Trouble::Behind("block 11".into())));
    assert_eq!(pool.run(Fake::height).await, Err(Trouble::Behind("block 11".into())));
    one.feel(Mood::Says(Trouble::Busy { wait: Duration::from_secs(2) }));
    two.feel(Mood::Says(Trouble::Busy { wait: Duration::from_secs(3) }));
    let began = Instant::now();
    assert_eq!(pool.run(Fake::height).await, Err(Trouble::Busy { wait: Duration::from_secs(2) }));
    assert!(began.elapsed() <= Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn everywhere_asks_all_that_are_well() {
    let (one, two, three) = (Fake::at(10), Fake::at(11), Fake::at(12));
    let pool = pool(&[&one, &two, &three]);
    pool.probe_all().await;
    two.feel(broken());
    let all = pool.everywhere(Fake::height).await;
    assert_eq!(all.iter().filter_map(|found| found.as_ref().ok()).copied().collect::<Vec<_>>(), [10, 12]);
}

#[tokio::test(start_paused = true)]
async fn without_endpoints_the_answer_comes_at_once() {
    let pool = pool(&[]);
    assert!(matches!(pool.run(Fake::height).await, Err(Trouble::Unreachable(_))));
}
