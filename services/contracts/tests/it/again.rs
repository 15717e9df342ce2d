//! A request that is sent again under its idempotency key, since the first answer was lost: it gets that answer,
//! whatever has changed in between.

use nsl_api::{
    Chain,
    contracts::{Contract, Deploy, Deployed, Describe, Update, Updating},
    relay::{Limits, SetBudget, Transaction},
};
use nsl_core::{Code, Cx, Result};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, postgres, refused},
    n3,
    x::{self, PROXY, STORE, STORE_V2, deployed},
};

fn abi(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["abi"].clone()
}

async fn budget(ground: &Ground, per_transaction: Option<&str>) {
    let limits = Limits { per_transaction: per_transaction.map(str::to_owned), per_day: None };
    ground.relay.set_budget(&ground.cx, SetBudget { chain: ground.chain(), limits }).await.unwrap();
}

/// Everything that writes, each asked under a key of its own.
struct All<'a> {
    ground: &'a Ground,
    deploy: Deploy,
    update: Update,
    contract: String,
}

#[derive(Debug)]
struct Told {
    deployed: Deployed,
    updating: Updating,
    invoked: Transaction,
}

impl All<'_> {
    async fn ask(&self, part: &str, cx: &Cx) -> Result<Told> {
        let key = |what: &str| match &cx.once {
            Some(once) => self.ground.once(&format!("{} {what}{part}", once.key)),
            None => cx.clone(),
        };
        let contracts = &self.ground.contracts;
        let put = self.ground.invocation(&self.contract, "put", &[json!("k"), json!("v")]);
        Ok(Told {
            invoked: contracts.invoke(&key("invoke"), put).await?,
            deployed: contracts.deploy(&key("deploy"), self.deploy.clone()).await?,
            updating: contracts.update(&key("update"), self.update.clone()).await?,
        })
    }
}

fn same(one: &Told, other: &Told) {
    let ids = |told: &Told| {
        [&told.deployed.transaction, &told.updating.transaction, &told.invoked]
            .map(|transaction| transaction.id.clone())
    };
    assert_eq!(ids(one), ids(other));
    assert_eq!(one.updating.differences, other.updating.differences);
    assert_eq!(one.deployed.hash, other.deployed.hash);
    assert_eq!(one.invoked.state, other.invoked.state, "as it was told then, not as it stands now");
}

async fn on_x(ground: Ground) {
    let old = deployed(&ground, STORE, &[]).await.hash.unwrap();
    let new = deployed(&ground, STORE_V2, &[]).await.hash.unwrap();
    let proxy = deployed(&ground, PROXY, &[json!(old)]).await.hash.unwrap();
    let all = All {
        ground: &ground,
        deploy: x::deploy(&ground, STORE, &[]),
        update: x::update(&ground, &proxy, &new, STORE_V2),
        contract: proxy.clone(),
    };
    let once = ground.once("x");
    let first = all.ask("", &once).await.unwrap();
    let describe = |abi: Value| Describe { chain: Chain::NeoX, hash: old.clone(), abi, name: Some("shop".into()) };
    let described = ground.contracts.describe(&ground.once("abi"), describe(abi(STORE))).await.unwrap();
    ground.updated(&proxy).await;

    // No money may be spent any more, and nobody knows the methods.
    budget(&ground, Some("0")).await;
    for hash in [&old, &new, &proxy] {
        let forgotten = Describe { chain: Chain::NeoX, hash: hash.clone(), abi: abi(PROXY), name: None };
        ground.contracts.describe(&ground.cx, forgotten).await.unwrap();
    }
    same(&all.ask("", &once).await.unwrap(), &first);
    let told = |contract: &Contract| serde_json::to_value(contract).unwrap();
    let again = ground.contracts.describe(&ground.once("abi"), describe(abi(STORE))).await.unwrap();
    assert_eq!(told(&again), told(&described));
    assert_eq!(ground.find(&old).await.unwrap().abi, Some(abi(PROXY)), "what came later holds");
    assert_eq!(refused(all.ask("other", &once).await).0, "chain.method_unknown");
    assert_eq!(refused(ground.contracts.deploy(&ground.once("y"), all.deploy.clone()).await).0, "relay.budget_spent");

    ground.cut_off().await;
    same(&all.ask("", &once).await.unwrap(), &first);
    let again = ground.contracts.describe(&ground.once("abi"), describe(abi(STORE))).await.unwrap();
    assert_eq!(told(&again), told(&described));
    let fresh = ground.contracts.describe(&ground.once("abi2"), describe(abi(STORE))).await.unwrap_err();
    assert_eq!((fresh.code, fresh.retry_after_ms.is_some()), (Code::Unavailable, true), "{fresh}");
    // The same key with another request is no retry.
    let mut other = ground.once("abi");
    other.once.as_mut().unwrap().fingerprint = "another request".into();
    let (slug, _) = refused(ground.contracts.describe(&other, describe(abi(STORE_V2))).await);
    assert_eq!(slug, "idempotency.key_reused");
    let mut other = ground.once("x invoke");
    other.once.as_mut().unwrap().fingerprint = "another request".into();
    let gone = ground.invocation(&proxy, "gone", &[]);
    assert_eq!(refused(ground.contracts.invoke(&other, gone).await).0, "idempotency.key_reused");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_told_again_on_neo_x() {
    on_x(Ground::x(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_told_again_on_neo_x_and_postgres() {
    on_x(Ground::x(postgres()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_told_again_on_neo_n3_and_what_is_recorded_is_invoked_without_nodes() {
    let ground = Ground::n3(None).await;
    let store = n3::deployed(&ground, n3::STORE, None).await.hash.unwrap();
    let update = Update {
        chain: Chain::NeoN3,
        hash: store.clone(),
        account: ground.account(),
        artefact: n3::artefact(n3::STORE_V2),
        data: None,
        implementation: None,
        max_fee: None,
        valid_for_ms: None,
    };
    let deploy = n3::deploy(&ground, n3::ITEM, None);
    let all = All { ground: &ground, deploy, update: update.clone(), contract: store.clone() };
    let once = ground.once("n3");
    let first = all.ask("", &once).await.unwrap();
    ground.updated(&store).await;
    let gas = neo::native::GAS.to_string();
    let transfer = ground.invocation(
        &gas,
        "transfer",
        &[json!(ground.account()), json!(ground.other_account()), json!(1), Value::Null],
    );
    let moved = ground.contracts.invoke(&ground.once("gas"), transfer.clone()).await.unwrap();
    ground.sent(Ok(moved.clone())).await;

    budget(&ground, Some("0")).await;
    same(&all.ask("", &once).await.unwrap(), &first);
    assert_eq!(refused(all.ask("other", &once).await).0, "relay.budget_spent");

    ground.cut_off().await;
    same(&all.ask("", &once).await.unwrap(), &first);
    let again = ground.contracts.invoke(&ground.once("gas"), transfer.clone()).await.unwrap();
    assert_eq!((again.id, again.state), (moved.id, moved.state));
    budget(&ground, None).await;
    // `writes` is new with the update: what is recorded is the manifest of now.
    let put = ground.invocation(&store, "append", &[json!("k"), json!("w")]);
    let put = ground.contracts.invoke(&ground.cx, put).await.unwrap();
    assert_eq!(put.state, first.invoked.state);
    for (what, error) in [
        ("a contract of others", ground.contracts.invoke(&ground.cx, transfer).await.unwrap_err()),
        ("an update", ground.contracts.update(&ground.cx, update).await.unwrap_err()),
    ] {
        assert_eq!((error.code, error.retry_after_ms.is_some()), (Code::Unavailable, true), "{what}: {error}");
    }
    ground.end().await;
}
