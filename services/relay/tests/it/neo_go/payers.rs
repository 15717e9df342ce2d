//! Who pays, and how much.

use neo::{native, stack::Param, tx::Scopes};
use nsl_api::{
    Chain as Name,
    relay::{AddAccount, Call, Cancel, State, Submit},
    sponsor::{PutSponsor, SponsorPolicy, SponsoredContract},
};

use super::{STORE, account, put, transfer};
use crate::{
    n3_ground::{N3Ground, script},
    proxy::Gate,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_account_pays_and_a_bound_holds() {
    let ground = N3Ground::fresh(None).await;
    let (me, sponsor) = (ground.account(0), ground.account(1));
    let every = SponsoredContract { contract: "*".into(), methods: vec!["*".into()] };
    let much = (10_000_000_000_i64).to_string();
    let policy = SponsorPolicy {
        contracts: vec![every],
        per_transaction: much.clone(),
        per_day: much.clone(),
        per_user_per_day: much,
    };
    let put = async |policy: SponsorPolicy| {
        ground.relay.put_sponsor(&ground.cx, PutSponsor { account: sponsor.to_string(), policy }).await.unwrap()
    };
    put(policy.clone()).await;
    let before = (ground.gas_of(me).await, ground.gas_of(sponsor).await);
    let call = Call { sponsor: Some(sponsor.to_string()), ..transfer(me, account(0x13), 9) };
    let done = ground.done("sponsored", call.clone()).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
    let signers: Vec<_> = sent.signers.iter().map(|signer| (signer.account, signer.scopes)).collect();
    assert_eq!(signers, [(sponsor, Scopes::NONE), (me, Scopes::CALLED_BY_ENTRY)]);
    let fee = sent.system_fee + sent.network_fee;
    assert_eq!((ground.gas_of(me).await, ground.gas_of(sponsor).await), (before.0 - 9, before.1 - fee));
    let mut asked = sent.clone();
    asked.network_fee = 0;
    assert_eq!(ground.chain.network_fee(&asked).await.unwrap(), sent.network_fee);
    let stranger = Call { sponsor: Some(account(0x14).to_string()), ..transfer(me, account(0x13), 9) };
    assert_eq!(ground.submit("stranger", stranger).await.unwrap_err().slug, "sponsor.unknown");
    // What was taken on is told again under its key, whatever the sponsor pays for by now.
    put(SponsorPolicy { contracts: Vec::new(), ..policy.clone() }).await;
    assert_eq!(ground.submit("sponsored", call.clone()).await.unwrap().id, done.id);
    assert_eq!(ground.submit("late", call.clone()).await.unwrap_err().slug, "sponsor.call_refused");
    put(policy).await;
    // What is asked for an estimate is what is paid.
    let submit = |call: &Call, max_fee: i64| Submit {
        chain: Name::NeoN3,
        account: me.to_string(),
        call: call.clone(),
        max_fee: Some(max_fee.to_string()),
        valid_for_ms: None,
    };
    let estimate = ground.relay.estimate(&ground.cx, submit(&call, i64::MAX)).await.unwrap();
    let told = (estimate.system_fee.as_deref(), estimate.network_fee.as_deref(), estimate.scope.as_deref());
    let paid = (sent.system_fee.to_string(), sent.network_fee.to_string());
    // The account that is paid is there by now, which makes no difference here.
    assert_eq!(told.1, Some(paid.1.as_str()));
    assert_eq!(
        (told.2, &estimate.fee),
        (
            Some("CalledByEntry"),
            &(estimate.system_fee.clone().unwrap().parse::<i64>().unwrap() + sent.network_fee).to_string()
        )
    );
    let fee: i64 = estimate.fee.parse().unwrap();
    let enough = ground.submit_with("enough", submit(&call, fee)).await.unwrap().id;
    assert_eq!(ground.settled(&[enough]).await[0].state, State::Final);
    let scarce = ground.submit_with("scarce", submit(&call, fee - 1)).await.unwrap().id;
    let scarce = ground.settled(&[scarce]).await.remove(0);
    let reason = scarce.reason.clone().unwrap();
    assert!(scarce.state == State::Failed && scarce.tx.is_none(), "{scarce:?}");
    assert!(reason.contains(&fee.to_string()) && reason.contains(&(fee - 1).to_string()), "{reason}");
    ground.end().await;
}

async fn sponsor(ground: &N3Ground, per_transaction: i64, per_day: i64) {
    let every = SponsoredContract { contract: "*".into(), methods: vec!["*".into()] };
    let per_day = per_day.to_string();
    let policy = SponsorPolicy {
        contracts: vec![every],
        per_transaction: per_transaction.to_string(),
        per_user_per_day: per_day.clone(),
        per_day,
    };
    ground.relay.put_sponsor(&ground.cx, PutSponsor { account: ground.account(1).to_string(), policy }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_starves_on_the_chain_is_within_what_its_sponsor_pays_for_one() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let payer = ground.account(1);
    let call = Call { sponsor: Some(payer.to_string()), ..put(store, "the key", &"long ".repeat(50)) };
    let number = |fee: &Option<String>| fee.as_deref().unwrap().parse::<i64>().unwrap();
    let much = 10_000_000_000;
    sponsor(&ground, much, much).await;
    let dear = number(&ground.done("to write", call.clone()).await.fee);
    let cheap = number(&ground.done("to overwrite", call.clone()).await.fee);
    assert!(cheap < dear);
    // Enough for each of them, and not for both.
    sponsor(&ground, dear + cheap / 2, much).await;
    ground.gate.set(Gate::NoSends);
    let id = ground.submit("to overwrite again", call).await.unwrap().id;
    ground.until(&id, |now| now.state == State::Sent).await;
    let key = neo::PrivateKey::from_wif(&ground.node.accounts[2].key).unwrap();
    let gone = script(store, "delete", &[Param::ByteArray("the key".into())]);
    ground.send_past(&key, key.public().verification_script(), gone).await;
    let before = ground.gas_of(payer).await;
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[id]).await.remove(0);
    assert_eq!((done.state, number(&done.fee)), (State::Failed, cheap), "{done:?}");
    assert!(done.reason.as_deref().unwrap().contains("budget of the sponsor"), "{done:?}");
    ground.blocks(2).await;
    assert_eq!(ground.gas_of(payer).await, before - cheap);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sponsor_pays_for_taking_back_no_more_than_it_agreed_to() {
    let ground = N3Ground::fresh(None).await;
    let payer = ground.account(1);
    let much = 10_000_000_000;
    sponsor(&ground, much, much).await;
    // A script that costs nothing to run: what is offered in its place has to cost more.
    let call = Call { sponsor: Some(payer.to_string()), data: Some("0x40".into()), ..Call::default() };
    let fee: i64 = ground.done("as it is", call.clone()).await.fee.unwrap().parse().unwrap();
    for (name, day, wanted) in [("refused", 2 * fee, State::Final), ("agreed", much, State::Replaced)] {
        sponsor(&ground, much, day).await;
        let before = ground.gas_of(payer).await;
        ground.gate.set(Gate::NoSends);
        let id = ground.submit(name, call.clone()).await.unwrap().id;
        ground.until(&id, |now| now.state == State::Sent).await;
        ground.relay.cancel(&ground.cx, Cancel { chain: Name::NeoN3, id: id.clone() }).await.unwrap();
        // So many blocks that what takes its place was thought of.
        ground.blocks(15).await;
        ground.gate.set(Gate::Open);
        let done = ground.settled(&[id]).await.remove(0);
        assert_eq!(done.state, wanted, "{name}: {done:?}");
        let paid: i64 = done.fee.unwrap().parse().unwrap();
        assert_eq!((ground.gas_of(payer).await, paid > fee), (before - paid, wanted == State::Replaced), "{name}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_gas_waits_until_there_is_some() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let add = AddAccount { chain: Name::NeoN3, label: "poor".into(), key: None };
    let poor = ground.relay.add_account(&ground.cx, add).await.unwrap();
    let submit = Submit {
        chain: Name::NeoN3,
        account: poor.account.clone(),
        call: put(store, "key", "value"),
        max_fee: None,
        valid_for_ms: None,
    };
    let id = ground.submit_with("poor", submit).await.unwrap().id;
    let waits = ground.until(&id, |now| now.state == State::Signed && now.reason.is_some()).await;
    assert!(waits.reason.as_deref().unwrap().to_lowercase().contains("insufficient"), "{waits:?}");
    let rich = ground.done("gift", transfer(ground.account(0), poor.account.parse().unwrap(), 100_000_000)).await;
    assert_eq!(rich.state, State::Final);
    assert_eq!(ground.settled(&[id]).await[0].state, State::Final);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_rises_meanwhile_is_paid() {
    let ground = N3Ground::fresh(None).await;
    let to = account(0x34);
    assert_eq!(ground.done("old price", transfer(ground.account(0), to, 1)).await.state, State::Final);
    ground.gate.set(Gate::NoSends);
    let id = ground.submit("new price", transfer(ground.account(0), to, 1)).await.unwrap().id;
    let first = ground.until(&id, |now| now.state == State::Sent).await.tx.unwrap();
    let key = neo::PrivateKey::from_wif(&ground.node.committee.key).unwrap();
    let committee = neo::account::multi(1, &[key.public()]).unwrap();
    ground.send_past(&key, committee, script(native::POLICY, "setFeePerByte", &[5_000.into()])).await;
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[id]).await.remove(0);
    assert_eq!(done.state, State::Final, "{done:?}");
    assert_ne!(done.tx.as_ref(), Some(&first));
    assert_eq!(ground.gas_of(to).await, 2);
    ground.end().await;
}
