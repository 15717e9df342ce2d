//! Budgets on both SQL engines: set aside, spent exactly, given back, and never spent twice.

use futures_util::future::join_all;
use nsl_api::sponsor::SponsoredContract;
use nsl_core::Clock;

use super::*;
use crate::store::{
    Accept, Kept, LaneKey,
    ground::Ground,
    sponsored::{Use, forget, prepared},
};

const SPONSOR: &str = "0xa755f41b43031e7c45b7ca534a5f3759ac665214";
const TOKEN: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";

impl Ground {
    async fn put(&self, per_transaction: i64, per_day: i64, per_user_per_day: i64) {
        let contract = SponsoredContract { contract: TOKEN.into(), methods: vec!["transfer".into()] };
        let policy = SponsorPolicy {
            contracts: vec![contract],
            per_transaction: per_transaction.to_string(),
            per_day: per_day.to_string(),
            per_user_per_day: per_user_per_day.to_string(),
        };
        let (tenant, by, now) = (self.cx.tenant.clone(), self.cx.principal.subject.clone(), self.clock.now());
        let put = PutPolicy { tenant, account: SPONSOR.into(), policy, by, now, entry: self.entry() };
        self.db.write(&self.cx, put).await.unwrap();
    }

    fn reserving(&self, id: &str, payee: &str, amount: i64) -> Reserve {
        Reserve {
            tenant: self.cx.tenant.clone(),
            id: id.into(),
            account: SPONSOR.into(),
            payee: payee.into(),
            entry: policy::Entry::call(TOKEN, "transfer").unwrap(),
            fee: amount,
            amount,
            now: self.clock.now(),
            prepared: None,
        }
    }

    fn preparing(&self, id: &str, payee: &str, amount: i64) -> Reserve {
        let shown = Prepared {
            id: id.into(),
            transaction: String::new(),
            hash: String::new(),
            message: String::new(),
            network: 1,
            context: serde_json::json!({}),
            system_fee: "0".into(),
            network_fee: amount.to_string(),
            scopes: "None".into(),
            valid_until_block: 7,
            expires_at: self.clock.now().plus(Duration::from_secs(300)),
        };
        let intent = serde_json::json!({ "contract": TOKEN, "method": "transfer" });
        let prepared = NewPrepared { intent, unsigned: vec![1, 2], verification: None, shown, entry: self.entry() };
        Reserve { prepared: Some(prepared), ..self.reserving(id, payee, amount) }
    }

    async fn reserve(&self, id: &str, payee: &str, amount: i64) -> Result<(), String> {
        self.write(self.reserving(id, payee, amount)).await
    }

    async fn prepare(&self, id: &str, payee: &str, amount: i64) -> Result<(), String> {
        self.write(self.preparing(id, payee, amount)).await
    }

    async fn write(&self, reserve: Reserve) -> Result<(), String> {
        self.db.write(&self.cx, reserve).await.map(drop).map_err(|error| error.slug.into_owned())
    }

    async fn complete(&self, id: &str) -> Result<(), String> {
        let lane = LaneKey { tenant: self.cx.tenant.clone(), chain: "neo-n3", account: SPONSOR.into() };
        let (by, now) = (self.cx.principal.subject.clone(), self.clock.now());
        let kept = Kept::fresh(id.to_owned(), &lane, by, serde_json::json!({ "signed": "x" }), now);
        let accept = Accept { tenant: self.cx.tenant.clone(), kept, entry: self.entry() };
        let allowed = policy::Entry::call(TOKEN, "transfer").unwrap();
        let done = self.db.write(&self.cx, Use { accept, allowed, now }).await;
        done.map(drop).map_err(|error| error.slug.into_owned())
    }

    async fn settle(&self, id: &str, fee: impl Into<Option<u128>>) {
        let fee = fee.into();
        let settle = Settle { tenant: self.cx.tenant.clone(), id: id.into(), fee };
        self.db.write(&self.cx, settle).await.unwrap();
    }

    async fn spent(&self) -> i64 {
        sponsor(&self.db, &self.cx.tenant, SPONSOR, self.clock.now()).await.unwrap().unwrap().spent_today
    }
}

struct Settle {
    tenant: TenantId,
    id: String,
    fee: Option<u128>,
}

impl Single for Settle {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        settle(tx, &self.tenant, &[("rel_of_nobody", Some(7)), (&self.id, self.fee)]).await.map(Ok)
    }
}

fn slug<T>(slug: &str) -> Result<T, String> {
    Err(slug.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_aside_is_spent_exactly_or_given_back() {
    for ground in Ground::both().await {
        assert_eq!(ground.reserve("rel_0", "bob", 1).await, slug("sponsor.unknown"));
        ground.put(100, 250, 150).await;
        assert_eq!(ground.reserve("rel_1", "bob", 101).await, slug("sponsor.over_transaction"));
        ground.reserve("rel_1", "bob", 60).await.unwrap();
        // More for the same request: only what is missing is counted.
        ground.reserve("rel_1", "bob", 90).await.unwrap();
        ground.reserve("rel_1", "bob", 70).await.unwrap();
        assert_eq!(ground.spent().await, 90);
        assert_eq!(ground.reserve("rel_2", "bob", 61).await, slug("sponsor.over_day"), "the user's day");
        ground.reserve("rel_2", "eve", 100).await.unwrap();
        assert_eq!(ground.reserve("rel_3", "dan", 61).await, slug("sponsor.over_day"), "the sponsor's day");
        ground.settle("rel_1", 80).await;
        assert_eq!(ground.spent().await, 180);
        ground.settle("rel_2", 0).await;
        assert_eq!(ground.spent().await, 80);
        // What ended does not end again, and what nobody sponsors is no matter.
        ground.settle("rel_1", 5).await;
        ground.settle("rel_9", 5).await;
        assert_eq!(ground.spent().await, 80);
        // Bob has 70 left of his 150.
        assert_eq!(ground.reserve("rel_4", "bob", 71).await, slug("sponsor.over_day"));
        ground.reserve("rel_4", "bob", 70).await.unwrap();
        // A second transaction for one request: each within its bound, both counted.
        ground.write(Reserve { amount: 15, ..ground.reserving("rel_6", "dan", 10) }).await.unwrap();
        ground.settle("rel_6", 15).await;
        assert_eq!(ground.spent().await, 165);
        // The next day counts anew; what was set aside the day before stays there.
        ground.clock.advance(Duration::from_secs(86_400));
        assert_eq!(ground.spent().await, 0);
        ground.reserve("rel_5", "bob", 100).await.unwrap();
        ground.settle("rel_4", 10).await;
        assert_eq!(ground.spent().await, 100);
        // In a block, and nobody knows what it took: all that was set aside stays counted.
        ground.settle("rel_5", None).await;
        ground.settle("rel_5", 1).await;
        assert_eq!(ground.spent().await, 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_aside_for_a_request_at_its_end_is_given_back_once() {
    for ground in Ground::both().await {
        ground.put(100, 1_000, 1_000).await;
        for id in ["rel_1", "rel_2"] {
            ground.prepare(id, "bob", 60).await.unwrap();
            ground.complete(id).await.unwrap();
        }
        ground.settle("rel_1", 40).await;
        let at_end = "UPDATE relay_requests SET state = 'final', settled_at = $1 WHERE id = $2";
        let args = nsl_sql::args![ground.clock.now(), "rel_1"];
        ground.db.write_platform(nsl_sql::Statement { sql: at_end, args }).await.unwrap();
        assert_eq!(ground.spent().await, 100);
        // Who held the lane before knows nothing of that end.
        ground.reserve("rel_1", "bob", 70).await.unwrap();
        ground.reserve("rel_3", "eve", 5).await.unwrap();
        assert_eq!(ground.spent().await, 175);
        // Another process does the same at the same time.
        let (one, other) = tokio::join!(forget(&ground.db, ground.clock.now()), forget(&ground.db, ground.clock.now()));
        assert_eq!(one.unwrap() + other.unwrap(), 1);
        assert_eq!(ground.spent().await, 105, "what it took, and what is under way");
        ground.settle("rel_2", 60).await;
        ground.settle("rel_3", 5).await;
        assert_eq!(ground.spent().await, 105);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_one_is_good_for_one_time() {
    for ground in Ground::both().await {
        ground.put(100, 100, 100).await;
        ground.prepare("rel_1", "bob", 60).await.unwrap();
        assert_eq!(ground.prepare("rel_2", "bob", 60).await, slug("sponsor.over_day"));
        assert_eq!(ground.complete("rel_2").await, slug("sponsored.not_found"));
        ground.complete("rel_1").await.unwrap();
        assert_eq!(ground.complete("rel_1").await, slug("sponsored.used"));
        assert!(prepared(&ground.db, &ground.cx.tenant, "rel_1").await.unwrap().is_used);
        // Its time passes while it is under way: the money stays set aside until its end.
        ground.clock.advance(Duration::from_secs(301));
        assert_eq!(ground.spent().await, 60);
        assert_eq!(ground.prepare("rel_2", "bob", 60).await, slug("sponsor.over_day"));
        assert_eq!(ground.complete("rel_1").await, slug("sponsored.used"));
        ground.settle("rel_1", 60).await;
        assert_eq!(ground.spent().await, 60);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_completes_in_time_is_given_back() {
    for ground in Ground::both().await {
        ground.put(100, 100, 100).await;
        ground.prepare("rel_1", "bob", 100).await.unwrap();
        assert_eq!(ground.spent().await, 100);
        ground.clock.advance(Duration::from_secs(300));
        assert_eq!(ground.spent().await, 0, "as it is shown");
        assert_eq!(ground.complete("rel_1").await, slug("sponsored.expired"));
        ground.prepare("rel_2", "bob", 100).await.unwrap();
        assert_eq!(ground.spent().await, 100);
        assert_eq!(ground.complete("rel_1").await, slug("sponsored.expired"), "its money is another's by now");
        ground.complete("rel_2").await.unwrap();
        let other = TenantId::parse("ten_b").unwrap();
        assert_eq!(prepared(&ground.db, &other, "rel_2").await.err().unwrap().slug, "sponsored.not_found");
        ground.clock.advance(Duration::from_secs(40 * 86_400));
        assert!(forget(&ground.db, ground.clock.now()).await.unwrap() >= 2);
        assert!(prepared(&ground.db, &ground.cx.tenant, "rel_2").await.is_err());
        // Under way for long, and still counted right when it ends.
        ground.settle("rel_2", 40).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_changed_holds_for_what_was_prepared() {
    for ground in Ground::both().await {
        ground.put(100, 1_000, 1_000).await;
        ground.prepare("rel_1", "bob", 60).await.unwrap();
        let other = Reserve { entry: policy::Entry::Script, ..ground.reserving("rel_2", "bob", 1) };
        assert_eq!(ground.write(other).await, slug("sponsor.call_refused"));
        let remove =
            || RemovePolicy { tenant: ground.cx.tenant.clone(), account: SPONSOR.into(), entry: ground.entry() };
        ground.db.write(&ground.cx, remove()).await.unwrap();
        assert_eq!(ground.db.write(&ground.cx, remove()).await.unwrap_err().slug, "sponsor.unknown");
        assert_eq!(ground.complete("rel_1").await, slug("sponsor.unknown"));
        assert_eq!(ground.prepare("rel_3", "bob", 1).await, slug("sponsor.unknown"));
        ground.put(100, 1_000, 1_000).await;
        ground.complete("rel_1").await.unwrap();
    }
}

/// Two processes with connections of their own ask for more than there is, at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_do_not_overspend_together() {
    for ground in Ground::both().await {
        let mut processes = vec![ground.db.clone()];
        // An embedded database has one process.
        if ground.database.is_some() {
            processes.push(Db::open(&ground.config, ground.dir.path(), ground.clock.clone(), || None).await.unwrap());
        }
        ground.put(10, 500, 200).await;
        let mut asked = Vec::new();
        for number in 0..200_usize {
            let (db, cx) = (processes[number % processes.len()].clone(), ground.cx.clone());
            let id = format!("rel_{number}");
            let payee = ["bob", "eve", "dan", "zoe"][number / 2 % 4];
            let reserve =
                if number % 3 == 0 { ground.preparing(&id, payee, 10) } else { ground.reserving(&id, payee, 10) };
            asked.push(async move { (payee, db.write(&cx, reserve).await) });
        }
        let mut given = BTreeMap::<&str, i64>::new();
        for one in join_all(asked).await {
            match one {
                (payee, Ok(_)) => *given.entry(payee).or_default() += 10,
                (_, Err(error)) => assert_eq!(error.slug, "sponsor.over_day"),
            }
        }
        assert_eq!(given.values().sum::<i64>(), 500, "all of it, and no more: {given:?}");
        assert!(given.values().all(|sum| *sum <= 200), "{given:?}");
        assert_eq!(ground.spent().await, 500);
        // All that was prepared ends unused, and is given back once, whoever notices.
        ground.clock.advance(Duration::from_secs(600));
        let (open, more) = (ground.spent().await, 30_usize);
        let mut asked = Vec::new();
        for number in 0..more {
            let (db, cx) = (processes[number % processes.len()].clone(), ground.cx.clone());
            let reserve = ground.reserving(&format!("rel_more_{number}"), &format!("user {number}"), 10);
            asked.push(async move { db.write(&cx, reserve).await.is_ok() });
        }
        let mut granted = 0;
        for one in join_all(asked).await {
            granted += i64::from(one);
        }
        assert_eq!(granted * 10, (500 - open).min(10 * more as i64));
        assert_eq!(ground.spent().await, open + granted * 10);
    }
}
