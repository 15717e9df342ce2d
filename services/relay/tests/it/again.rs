//! Requests that come again under their idempotency key, after their answer was lost.

use std::sync::Arc;

use futures_util::future::join_all;
use neo::{PrivateKey, nep2::Scrypt, nep6};
use nsl_api::{
    Chain, Revealed,
    relay::{Account, AddAccount, Call, ImportAccount, Limits, ListAccounts, Relay, SetBudget, Submit},
};
use nsl_chain::x::Address;
use nsl_core::{Cx, Once};
use nsl_sandbox::Database;

use crate::ground::Ground;

fn once(cx: &Cx, key: &str) -> Cx {
    Cx { once: Some(Once { key: key.into(), fingerprint: "the same".into() }), ..cx.clone() }
}

async fn list(relay: &dyn Relay, cx: &Cx, chain: Chain) -> Vec<Account> {
    relay.list_accounts(cx, ListAccounts { chain }).await.unwrap().items
}

/// The one account that all of these answers tell, and that is kept.
async fn only(relay: &dyn Relay, cx: &Cx, told: Vec<Account>) -> Account {
    let first = told[0].clone();
    assert!(told.iter().all(|one| *one == first), "{told:?}");
    let kept = list(relay, cx, first.chain).await;
    assert_eq!(kept.iter().filter(|one| **one == first).count(), 1, "{first:?} among {kept:?}");
    first
}

async fn accounts(database: Option<Database>) {
    let apart = database.is_some();
    let ground = Ground::fresh(database, None).await;
    let other = if apart { Some(ground.another().await) } else { None };
    let relays = [&ground.relay, other.as_ref().map_or(&ground.relay, |other| &other.relay)].map(Arc::clone);
    let n3 = PrivateKey::from_bytes(&[0x71; 32]).unwrap();
    let given =
        [None, Some((Chain::NeoX, "0x".to_owned() + &"72".repeat(32))), Some((Chain::NeoN3, n3.to_wif().to_string()))];
    for (number, given) in given.into_iter().enumerate() {
        for chain in [Chain::NeoX, Chain::NeoN3] {
            if given.as_ref().is_some_and(|(of, _)| *of != chain) {
                continue;
            }
            let key = || given.as_ref().map(|(_, text)| Revealed(text.clone()));
            let add = || AddAccount { chain, label: format!("number {number}"), key: key() };
            let before = list(&*ground.relay, &ground.cx, chain).await.len();
            let cx = once(&ground.cx, &format!("together {number} {chain:?}"));
            let all = (0..20).map(|place| relays[place % 2].add_account(&cx, add()));
            let mut told: Vec<Account> = join_all(all).await.into_iter().map(Result::unwrap).collect();
            // And later.
            for relay in &relays {
                told.push(relay.add_account(&cx, add()).await.unwrap());
            }
            let kept = only(&*ground.relay, &ground.cx, told).await;
            assert_eq!(list(&*ground.relay, &ground.cx, chain).await.len(), before + 1);
            if given.is_some() {
                let taken = ground.relay.add_account(&once(&ground.cx, "another"), add()).await.unwrap_err();
                assert_eq!(taken.slug, "relay.account_taken");
            }
            if chain == Chain::NeoX {
                // Its key is here, also for a process that did not make it.
                let call = Call { to: Some(format!("{:#x}", Address::from([1; 20]))), ..Call::default() };
                let submit = Submit { chain, account: kept.account, call, max_fee: None, valid_for_ms: None };
                relays[1].submit(&ground.cx, submit).await.unwrap();
            }
        }
    }
    let mut wallet = nep6::Wallet::new(None, Scrypt { n: 4, r: 1, p: 1 });
    wallet.add_key(&PrivateKey::from_bytes(&[0x73; 32]).unwrap(), "a passphrase", None).unwrap();
    let wallet: serde_json::Value = serde_json::from_str(&wallet.to_json()).unwrap();
    let import = || ImportAccount {
        chain: Chain::NeoN3,
        label: "out of a wallet".into(),
        wallet: wallet.clone(),
        passphrase: Revealed("a passphrase".into()),
        address: None,
    };
    let cx = once(&ground.cx, "import");
    let all = (0..20).map(|place| relays[place % 2].import_account(&cx, import()));
    let mut told: Vec<Account> = join_all(all).await.into_iter().map(Result::unwrap).collect();
    told.push(relays[1].import_account(&cx, import()).await.unwrap());
    only(&*ground.relay, &ground.cx, told).await;
    if let Some(other) = other {
        other.end().await;
    }
    ground.chain_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_asked_for_again_is_the_one_that_is_kept() {
    accounts(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_two_processes_are_asked_for_is_one_on_postgres() {
    accounts(Some(Database::fresh().unwrap())).await;
}

async fn requests(database: Option<Database>) {
    let ground = Ground::fresh(database, None).await;
    let to = Address::from([0x74; 20]);
    let first = ground.submit("lost", to, 1, "0x").await.unwrap();
    let limits = Limits { per_day: Some("0".into()), ..Limits::default() };
    ground.relay.set_budget(&ground.cx, SetBudget { chain: Chain::NeoX, limits }).await.unwrap();
    for _ in 0..2 {
        let again = ground.submit("lost", to, 1, "0x").await.unwrap();
        assert_eq!(
            (&again.id, again.created_at),
            (&first.id, first.created_at),
            "nothing is left, and it was taken on"
        );
        // What was refused is refused again, and is no outcome.
        assert_eq!(ground.submit("late", to, 1, "0x").await.unwrap_err().slug, "relay.budget_spent");
    }
    assert_eq!(ground.submit("lost", to, 2, "0x").await.unwrap_err().slug, "idempotency.key_reused");
    ground.relay.set_budget(&ground.cx, SetBudget { chain: Chain::NeoX, limits: Limits::default() }).await.unwrap();
    let late = ground.submit("late", to, 1, "0x").await.unwrap();
    assert_ne!(late.id, first.id);
    ground.chain_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_taken_on_is_told_again_though_the_budget_is_spent() {
    requests(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_taken_on_is_told_again_on_postgres() {
    requests(Some(Database::fresh().unwrap())).await;
}
