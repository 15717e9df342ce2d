mod rabbit;

use std::{collections::HashMap, sync::Arc, time::Duration};

use nsl_core::{Clock, ManualClock, Secret, SystemClock, TenantId, Timestamp};
use nsl_engine::queue::{Consumer, Delivery, Message, Queue, QueueConfig, Receipt, Topic, enqueue};
use nsl_sandbox::{Database, Postgres, Vhost};
use nsl_sql::{Change, Config, Db, Migrations, Scope, Step, Tx, args};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::node::eventually;

const ORDERS: Topic = Topic::new("orders");
const OTHERS: Topic = Topic::new("others");
const LEASE: Duration = Duration::from_secs(60);

static EFFECTS: Migrations = Migrations {
    owner: "test",
    steps: &[Step {
        version: 1,
        name: "effects",
        breaking: false,
        sqlite: "CREATE TABLE effects (tenant_id TEXT NOT NULL, id TEXT NOT NULL) STRICT",
        postgres: "CREATE TABLE effects (tenant_id text NOT NULL, id text NOT NULL); SELECT nsl_protect('effects')",
    }],
};

/// One database and maybe a broker, for as many processes as a test wants.
struct Stand {
    sql: Config,
    dir: tempfile::TempDir,
    broker: Option<String>,
    clock: Arc<ManualClock>,
}

/// What one process has.
struct Process {
    queue: Queue,
    db: Db,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Stand {
    async fn new(sql: Config, broker: Option<String>) -> Self {
        // Shown when the test fails; another test of this binary may have set it.
        let _ = tracing_subscriber::fmt().with_test_writer().with_env_filter("info").try_init();
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let all = [&nsl_sql::BASE, &nsl_engine::queue::MIGRATIONS, &EFFECTS];
        sql.migrate(dir.path(), &*clock, &all).await.unwrap();
        Self { sql, dir, broker, clock }
    }

    async fn process(&self) -> Process {
        let db = Db::open(&self.sql, self.dir.path(), self.clock.clone(), || None).await.unwrap();
        self.process_on(db)
    }

    fn process_on(&self, db: Db) -> Process {
        let config = QueueConfig {
            url: Secret::new(self.broker.clone().unwrap_or_default()),
            ca: String::new(),
            prefix: "test".into(),
            poll_ms: 5,
            prefetch: 4,
            lease_seconds: LEASE.as_secs(),
            max_attempts: 3,
            timeout_ms: 5_000,
        };
        assert_eq!(config.check(), []);
        let queue = Queue::build(&config, db.clone(), self.clock.clone()).unwrap();
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(queue.clone().run(stop.clone()));
        Process { queue, db, tasks, stop }
    }
}

impl Process {
    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.db.drain().await;
    }
}

fn message(key: &str) -> Message {
    Message::new(TenantId::parse("ten_a").unwrap(), ORDERS, key, format!("payload of {key}"))
}

async fn next(consumer: &mut Consumer) -> Delivery {
    timeout(Duration::from_secs(20), consumer.next()).await.expect("a message arrives")
}

/// Long enough for many looks.
async fn nothing(consumer: &mut Consumer) {
    if let Ok(delivery) = timeout(Duration::from_millis(200), consumer.next()).await {
        panic!("{} arrived, attempt {}", delivery.key(), delivery.attempt());
    }
}

/// A change with an effect and news of it, or without both when it is refused.
struct Order {
    news: Message,
    now: Timestamp,
    refused: bool,
}

impl Change for Order {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> nsl_core::Result<Vec<nsl_core::Result<()>>> {
        for order in group {
            enqueue(tx, &[&order.news], order.now).await?;
            tx.execute("INSERT INTO effects VALUES ($1, $2)", args![&order.news.tenant, order.news.key.as_str()])
                .await?;
            if order.refused {
                return Err(nsl_core::Error::invalid("test.refused", "refused"));
            }
        }
        Ok(group.iter().map(|_| Ok(())).collect())
    }
}

/// The effect of a message, and that it is done, in one transaction.
struct Effect {
    receipt: Receipt,
    id: String,
}

impl Change for Effect {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> nsl_core::Result<Vec<nsl_core::Result<()>>> {
        let mut outcomes = Vec::new();
        for effect in group {
            if let Err(lost) = effect.receipt.confirm(tx, SystemClock.now()).await {
                outcomes.push(Err(lost));
                continue;
            }
            tx.execute("INSERT INTO effects VALUES ('ten_a', $1)", args![effect.id.as_str()]).await?;
            outcomes.push(Ok(()));
        }
        Ok(outcomes)
    }
}

async fn effects(db: &Db) -> HashMap<String, usize> {
    let rows = db.query(Scope::Platform, "SELECT id FROM effects", vec![]).await.unwrap();
    let mut found = HashMap::new();
    for mut row in rows {
        *found.entry(row.take::<String>(0).unwrap()).or_default() += 1;
    }
    found
}

/// What every engine promises to one process.
async fn promises(stand: &Stand) {
    let process = stand.process().await;
    let (queue, db, clock) = (&process.queue, &process.db, &stand.clock);
    let mut consumer = queue.consume(ORDERS);

    // What is published arrives, whole, once.
    let sent: Vec<Message> = (0..10).map(|n| message(&format!("key {n} ä"))).collect();
    queue.publish(sent.clone()).await.unwrap();
    queue.publish(vec![Message { topic: OTHERS, ..message("other") }]).await.unwrap();
    let mut expected: HashMap<String, Message> = sent.into_iter().map(|sent| (sent.id.clone(), sent)).collect();
    while !expected.is_empty() {
        let got = next(&mut consumer).await;
        let sent = expected.remove(got.id()).expect("each once");
        assert_eq!((got.key(), got.payload(), got.tenant()), (&*sent.key, &*sent.payload, &sent.tenant));
        assert_eq!((got.attempt(), got.created_at()), (1, clock.now()));
        got.done().await.unwrap();
    }
    nothing(&mut consumer).await;

    // News go with their change.
    let tenant = TenantId::parse("ten_a").unwrap();
    let cx = nsl_core::Cx::system(tenant, Duration::from_secs(10));
    let order = |key, refused| Order { news: message(key), now: clock.now(), refused };
    let refused = db.write(&cx, order("refused", true)).await.unwrap_err();
    assert_eq!(refused.slug, "test.refused");
    nothing(&mut consumer).await;
    db.write(&cx, order("told", false)).await.unwrap();
    let told = next(&mut consumer).await;
    assert_eq!(told.key(), "told");

    // Done with the effect.
    let effect = Effect { receipt: told.receipt(), id: told.id().to_owned() };
    let id = told.id().to_owned();
    db.write_platform(effect).await.unwrap();
    let twice = db.write_platform(Effect { receipt: told.receipt(), id: id.clone() }).await.unwrap_err();
    assert_eq!(twice.slug, "queue.lease_lost");
    told.confirmed().await;
    assert_eq!(effects(db).await, HashMap::from([("told".into(), 1), (id, 1)]));

    // Not before its time.
    queue.publish(vec![message("later").after(Duration::from_secs(3_600))]).await.unwrap();
    nothing(&mut consumer).await;
    clock.advance(Duration::from_secs(3_600));
    let later = next(&mut consumer).await;
    assert_eq!(later.key(), "later");

    // Again after a pause, as the same message on another loan.
    let (id, fence) = (later.id().to_owned(), later.fence());
    later.retry(Duration::from_secs(10)).await.unwrap();
    nothing(&mut consumer).await;
    clock.advance(Duration::from_secs(10));
    let mut again = next(&mut consumer).await;
    assert_eq!((again.id(), again.attempt(), again.payload()), (&*id, 2, &b"payload of later"[..]));
    assert!(again.fence() > fence);

    // A loan can be begun anew.
    clock.advance(LEASE * 3 / 4);
    again.extend().await.unwrap();
    clock.advance(LEASE * 3 / 4);
    again.done().await.unwrap();
    nothing(&mut consumer).await;

    // What fails too often is put aside, and can be given another life.
    queue.publish(vec![message("poison")]).await.unwrap();
    let mut fence = 0;
    for attempt in 1..=3 {
        let poison = next(&mut consumer).await;
        assert_eq!(poison.attempt(), attempt);
        assert!(poison.fence() > fence);
        fence = poison.fence();
        poison.retry(Duration::ZERO).await.unwrap();
    }
    eventually("it is put aside", async || queue.dead_letters(10).await.unwrap().len() == 1).await;
    let dead = queue.dead_letters(10).await.unwrap().remove(0);
    assert_eq!((&*dead.key, &*dead.reason), ("poison", "not settled in 3 attempts"));
    nothing(&mut consumer).await;
    queue.revive(&dead.id).await.unwrap();
    assert_eq!(queue.revive(&dead.id).await.unwrap_err().slug, "queue.not_dead");
    let revived = next(&mut consumer).await;
    assert_eq!((revived.id(), revived.attempt()), (&*dead.id, 1));
    assert!(revived.fence() > fence);
    revived.dead("no such order").await.unwrap();
    assert_eq!(queue.dead_letters(10).await.unwrap()[0].reason, "no such order");
    nothing(&mut consumer).await;

    // What a consumer had taken and not given out, others have at once.
    queue.publish((0..3).map(|n| message(&n.to_string())).collect()).await.unwrap();
    next(&mut consumer).await.done().await.unwrap();
    consumer.close().await;
    let mut consumer = queue.consume(ORDERS);
    for _ in 0..2 {
        let left = next(&mut consumer).await;
        assert_eq!(left.attempt(), 1);
        left.done().await.unwrap();
    }
    nothing(&mut consumer).await;
    drop(consumer);
    process.end().await;
}

/// What every engine promises to processes beside each other.
async fn promises_to_many(stand: &Stand, processes: [Process; 2]) {
    let [one, two] = processes;

    // Whoever took over wins, however late the other comes.
    let mut first = one.queue.consume(ORDERS);
    one.queue.publish(vec![message("slow")]).await.unwrap();
    let slow = next(&mut first).await;
    let mut second = two.queue.consume(ORDERS);
    nothing(&mut second).await;
    // One hangs: it receives no more, and its connection to the broker, if any, ends.
    drop(first);
    one.stop.cancel();
    stand.clock.advance(LEASE + Duration::from_secs(1));
    let over = next(&mut second).await;
    assert_eq!((over.id(), over.attempt()), (slow.id(), 2));
    assert!(over.fence() > slow.fence());
    let late = one.db.write_platform(Effect { receipt: slow.receipt(), id: "late".into() }).await.unwrap_err();
    assert_eq!(late.slug, "queue.lease_lost");
    assert_eq!(slow.retry(Duration::ZERO).await.unwrap_err().slug, "queue.lease_lost");
    over.done().await.unwrap();
    nothing(&mut second).await;
    assert_eq!(effects(&two.db).await, HashMap::new());

    // Each message has its effect once, whoever works.
    let (one_db, three) = (one.db.clone(), stand.process_on(one.db.clone()));
    let mut third = three.queue.consume(ORDERS);
    // A broker may take a while to know of a consumer: both have to take part before it counts who worked.
    timeout(Duration::from_secs(30), async {
        loop {
            two.queue.publish(vec![message("warm")]).await.unwrap();
            tokio::select! {
                delivery = third.next() => break delivery.done().await.unwrap(),
                delivery = second.next() => delivery.done().await.unwrap(),
            }
        }
    })
    .await
    .expect("the third process takes part");
    let sent: Vec<Message> = (0..200).map(|n| message(&n.to_string())).collect();
    let mut workers = JoinSet::new();
    for (mut consumer, db) in [(second, two.db.clone()), (third, one_db)] {
        workers.spawn(async move {
            let mut worked = 0;
            while let Ok(delivery) = timeout(Duration::from_secs(3), consumer.next()).await {
                let effect = Effect { receipt: delivery.receipt(), id: delivery.id().to_owned() };
                db.write_platform(effect).await.unwrap();
                delivery.confirmed().await;
                worked += 1;
            }
            worked
        });
    }
    two.queue.publish(sent.clone()).await.unwrap();
    let mut worked = workers.join_all().await;
    worked.sort_unstable();
    assert_eq!(worked.iter().sum::<usize>(), 200, "{worked:?}");
    assert!(worked[0] > 0, "{worked:?}");
    let expected: HashMap<_, _> = sent.into_iter().map(|sent| (sent.id, 1)).collect();
    assert_eq!(effects(&two.db).await, expected);
    three.end().await;
    two.end().await;
}

/// SQLite has one process; its two here share the door.
async fn sqlite(broker: Option<String>) {
    promises(&Stand::new(Config::embedded(), broker.clone()).await).await;
    if broker.is_none() {
        let stand = Stand::new(Config::embedded(), broker).await;
        let one = stand.process().await;
        let two = stand.process_on(one.db.clone());
        promises_to_many(&stand, [one, two]).await;
    }
}

async fn postgres(broker: [Option<String>; 2]) {
    let [alone, many] = broker;
    let database = Database::fresh().unwrap();
    promises(&Stand::new(Config::postgres(database.url()), alone).await).await;
    let database = Database::fresh().unwrap();
    let stand = Stand::new(Config::postgres(database.url()), many).await;
    let processes = [stand.process().await, stand.process().await];
    promises_to_many(&stand, processes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite() {
    sqlite(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres() {
    postgres([None, None]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_rabbitmq_on_sqlite() {
    let vhost = Vhost::fresh().unwrap();
    sqlite(Some(vhost.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_rabbitmq_on_postgres() {
    let (alone, many) = (Vhost::fresh().unwrap(), Vhost::fresh().unwrap());
    postgres([Some(alone.url()), Some(many.url())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_postgres_delays_and_loses_nothing() {
    let mut server = Postgres::start().unwrap();
    let stand = Stand::new(Config::postgres(server.database().unwrap().url()), None).await;
    let process = stand.process().await;
    let mut consumer = process.queue.consume(ORDERS);
    process.queue.publish(vec![message("before")]).await.unwrap();
    let held = next(&mut consumer).await;
    server.stop().unwrap();
    let refused = process.queue.publish(vec![message("during")]).await.unwrap_err();
    assert_eq!(refused.code, nsl_core::Code::Unavailable);
    server.start_again().unwrap();
    eventually("it can be published again", async || process.queue.publish(vec![message("after")]).await.is_ok()).await;
    held.done().await.unwrap();
    let after = next(&mut consumer).await;
    assert_eq!(after.key(), "after");
    after.done().await.unwrap();
    drop(consumer);
    process.end().await;
}
