//! Two accounts of one tenant, in two processes where the engine allows it, and one budget.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use nsl_api::{
    Chain,
    relay::{AskBudget, Budget, Limits, Relay, SetBudget, State},
};
use nsl_chain::x::Address;
use nsl_core::Cx;
use nsl_sandbox::Database;

use crate::ground::Ground;

async fn budget(relay: &dyn Relay, cx: &Cx) -> Budget {
    relay.budget(cx, AskBudget { chain: Chain::NeoX }).await.unwrap()
}

async fn set(relay: &dyn Relay, cx: &Cx, per_transaction: Option<u128>, per_day: Option<u128>) {
    let text = |amount: Option<u128>| amount.map(|amount| amount.to_string());
    let limits = Limits { per_transaction: text(per_transaction), per_day: text(per_day) };
    let told = relay.set_budget(cx, SetBudget { chain: Chain::NeoX, limits }).await.unwrap();
    assert_eq!((told.per_transaction, told.per_day), (text(per_transaction), text(per_day)));
}

async fn together(database: Option<Database>) {
    let apart = database.is_some();
    let owned = Ground::fresh(database, Some(1)).await;
    let ground = &owned;
    let other = if apart { Some(ground.another().await) } else { None };
    let relays = [Arc::clone(&ground.relay), other.as_ref().map_or(&ground.relay, |other| &other.relay).clone()];
    let to = Address::from([0x61; 20]);
    let cost: u128 = ground.relay.estimate(&ground.cx, ground.transfer(0, to, 1)).await.unwrap().fee.parse().unwrap();
    // So much may be reserved at once; what is not used of it comes back as requests end.
    let daily = cost * 7;
    set(&*ground.relay, &ground.cx, Some(cost), Some(daily)).await;
    let all = (0..40).map(|number| {
        let (relay, submit) = (&relays[number % 2], ground.transfer(number % 2, to, 1));
        async move { relay.submit(&ground.cx, submit).await.map(|accepted| accepted.id) }
    });
    let watch = async {
        loop {
            let spent: u128 = budget(&*ground.relay, &ground.cx).await.spent_today.parse().unwrap();
            assert!(spent <= daily, "{spent} of {daily}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let work = async {
        let ids: Vec<String> = join_all(all).await.into_iter().filter_map(Result::ok).collect();
        ground.settled(&ids, Duration::from_secs(120)).await
    };
    let done = tokio::select! {
        done = work => done,
        () = watch => unreachable!(),
    };
    let (good, bad): (Vec<_>, Vec<_>) = done.iter().partition(|one| one.state == State::Final);
    assert!(good.len() >= 7 && !bad.is_empty(), "{} final, {} not", good.len(), bad.len());
    for one in &bad {
        let reason = one.reason.as_deref().unwrap_or_default();
        assert!(one.state == State::Failed && reason.starts_with("budget: it may cost"), "{one:?}");
        assert!(one.tx.is_none() && one.fee.is_none(), "nothing was signed: {one:?}");
    }
    let fees: u128 = good.iter().map(|one| one.fee.as_ref().unwrap().parse::<u128>().unwrap()).sum();
    let told = budget(&*ground.relay, &ground.cx).await;
    assert_eq!(told.spent_today, fees.to_string(), "what is done is counted as what it took");
    assert_eq!(ground.balance(to).await, nsl_chain::x::U256::from(good.len()));
    if let Some(other) = other {
        other.end().await;
    }
    ground.chain_is_whole().await;
    owned.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_accounts_of_a_tenant_do_not_overspend_together_on_sqlite() {
    together(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_of_a_tenant_do_not_overspend_together_on_postgres() {
    together(Some(Database::fresh().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_the_tenants_own_and_told_at_once_where_nothing_is_left() {
    let ground = Ground::fresh(None, None).await;
    let to = Address::from([0x62; 20]);
    assert_eq!(budget(&*ground.relay, &ground.cx).await, Budget { spent_today: "0".into(), ..none() });
    set(&*ground.relay, &ground.cx, Some(1), None).await;
    let id = ground.send(ground.transfer(0, to, 1)).await.unwrap().id;
    let done = ground.settled(std::slice::from_ref(&id), Duration::from_secs(60)).await.remove(0);
    assert_eq!((done.state, done.tx), (State::Failed, None));
    let bound = "one transaction may cost 1 wei (0.000000000000000001 GAS): raise per_transaction of the budget";
    assert!(done.reason.unwrap().ends_with(bound));
    set(&*ground.relay, &ground.cx, None, Some(0)).await;
    let refused = ground.send(ground.transfer(0, to, 1)).await.unwrap_err();
    assert_eq!(
        (&*refused.slug, &*refused.message),
        (
            "relay.budget_spent",
            "the budget of the day is spent or reserved: 0 wei (0 GAS) of 0 wei (0 GAS); raise its per_day, or wait for \
             the next day (UTC)"
        )
    );
    let mut stranger = ground.cx.clone();
    stranger.tenant = nsl_core::TenantId::fresh();
    assert_eq!(budget(&*ground.relay, &stranger).await, Budget { spent_today: "0".into(), ..none() });
    let limits = Limits { per_day: Some("1.5".into()), ..Limits::default() };
    let refused = ground.relay.set_budget(&ground.cx, SetBudget { chain: Chain::NeoX, limits }).await.unwrap_err();
    assert_eq!(refused.slug, "relay.amount_malformed");
    ground.chain_is_whole().await;
    ground.end().await;
}

fn none() -> Budget {
    Budget { per_transaction: None, per_day: None, spent_today: String::new() }
}
