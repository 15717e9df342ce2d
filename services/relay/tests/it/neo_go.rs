//! Neo N3, on neo-go with a block each 100 ms.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use neo::{Hash160, native, stack::Param, tx::Scopes};
use nsl_api::{
    Chain as Name,
    relay::{AddAccount, Call, Cancel, Scope, State, Submit, Transaction},
    sponsor::{PutSponsor, SponsorPolicy, SponsoredContract},
};
use nsl_devnet::{Database as Kept, N3Options};
use nsl_relay::Config;
use nsl_sandbox::Database;

use crate::{
    n3_ground::{N3Ground, config, invoke, is_end, script, shared, submit_to},
    proxy::Gate,
};

macro_rules! contract {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../../../contracts/n3/", $name, ".nef")).as_slice(),
            include_str!(concat!("../../../../contracts/n3/", $name, ".manifest.json")),
        )
    };
}

const STORE: (&[u8], &str) = contract!("store");
const TOKEN: (&[u8], &str) = contract!("token");
const FAULTY: (&[u8], &str) = contract!("faulty");

fn account(number: u8) -> Hash160 {
    Hash160::from_le([number; 20])
}

fn transfer(from: Hash160, to: Hash160, amount: i64) -> Call {
    invoke(native::GAS, "transfer", &[from.into(), to.into(), amount.into(), Param::Null])
}

fn put(store: Hash160, key: &str, value: &str) -> Call {
    invoke(store, "put", &[Param::ByteArray(key.into()), Param::ByteArray(value.into())])
}

fn states(passed: &[nsl_api::relay::Passed]) -> Vec<State> {
    let mut states: Vec<State> = passed.iter().map(|step| step.state).collect();
    states.dedup();
    states
}

fn fees(transaction: &neo::tx::Transaction) -> String {
    (transaction.system_fee + transaction.network_fee).to_string()
}

async fn many(ground: &N3Ground, count: usize, name: &str, call: impl Fn(usize) -> Call) -> Vec<String> {
    let all = (0..count).map(|number| {
        let (once, call) = (format!("{name} {number}"), call(number));
        async move { ground.submit(&once, call).await.unwrap().id }
    });
    join_all(all).await
}

fn hashes(done: &[Transaction]) -> Vec<String> {
    let mut hashes: Vec<String> = done.iter().map(|one| one.tx.clone().unwrap()).collect();
    hashes.sort();
    hashes.dedup();
    hashes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_becomes_final_and_pays_exactly() {
    let ground = N3Ground::fresh(None).await;
    let (from, to) = (ground.account(0), account(0x11));
    let before = ground.gas_of(from).await;
    let done = ground.done("one", transfer(from, to, 500)).await;
    assert_eq!((done.state, done.reason.as_deref()), (State::Final, None), "{done:?}");
    let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
    assert_eq!(done.fee, Some(fees(&sent)));
    assert_eq!(ground.gas_of(to).await, 500);
    assert_eq!(ground.gas_of(from).await, before - 500 - sent.system_fee - sent.network_fee);
    // What the node asks, to the datoshi, and what the run took.
    let mut asked = sent.clone();
    asked.network_fee = 0;
    assert_eq!(ground.chain.network_fee(&asked).await.unwrap(), sent.network_fee);
    assert_eq!(sent.signers[0].scopes, Scopes::CALLED_BY_ENTRY);
    let passed = states(&ground.passed(&done.id).await);
    assert_eq!(passed, [State::Accepted, State::Simulated, State::Signed, State::Sent, State::Final], "{passed:?}");
    // A script of one's own.
    let script = script(native::GAS, "transfer", &[from.into(), to.into(), 7.into(), Param::Null]);
    let call = Call { data: Some(format!("0x{}", hex::encode(script))), ..Call::default() };
    let done = ground.done("script", call).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    assert_eq!(ground.gas_of(to).await, 507);
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_narrowest_scope_is_found() {
    let ground = N3Ground::fresh(None).await;
    let me = ground.account(0);
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let token = ground.deploy(TOKEN.0, TOKEN.1, Param::Null).await;
    let faulty = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    let bytes = |text: &str| Param::ByteArray(text.into());
    // The inner call is not of the entry: only a scope that names the contract reaches it.
    let nested = |once: &str| {
        let args = vec![me.into(), bytes(once), bytes("value")];
        let call = invoke(faulty, "attempt", &[store.into(), "putAs".into(), Param::Array(args)]);
        Call { scope: Some(Scope::Contracts), ..call }
    };
    let own = |once: &str| invoke(store, "putAs", &[me.into(), bytes(once), bytes("value")]);
    let pay = |amount: i64| invoke(token, "transfer", &[me.into(), account(0x12).into(), amount.into(), Param::Null]);
    for round in 0..2 {
        let name = |what: &str| format!("{what} {round}");
        for (what, call, scopes, contracts) in [
            ("anybody", put(store, &name("key"), "value"), Scopes::NONE, vec![]),
            ("own", own(&name("own")), Scopes::CALLED_BY_ENTRY, vec![]),
            ("token", pay(round + 1), Scopes::CALLED_BY_ENTRY, vec![]),
            ("nested", nested(&name("nested")), Scopes::CUSTOM_CONTRACTS, vec![store]),
        ] {
            let done = ground.done(&name(what), call).await;
            assert_eq!((done.state, done.reason.as_deref()), (State::Final, None), "{what}: {done:?}");
            let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
            assert_eq!((sent.signers[0].scopes, &sent.signers[0].allowed_contracts), (scopes, &contracts), "{what}");
            assert_eq!(sent.signers.len(), 1);
            let mut asked = sent.clone();
            asked.network_fee = 0;
            assert_eq!(ground.chain.network_fee(&asked).await.unwrap(), sent.network_fee, "{what}");
        }
    }
    assert_eq!(ground.number(token, "balanceOf", &[account(0x12).into()]).await, 3);
    // What is asked for holds, also where it is wider than need be.
    for (scope, scopes) in [(Scope::Global, Scopes::GLOBAL), (Scope::CalledByEntry, Scopes::CALLED_BY_ENTRY)] {
        let call = Call { scope: Some(scope), ..put(store, "asked", "value") };
        let done = ground.done(&format!("{scope:?}"), call).await;
        let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
        assert_eq!(sent.signers[0].scopes, scopes);
    }
    let call = Call { scope: Some(Scope::None), ..own("refused") };
    let done = ground.done("too narrow", call).await;
    assert_eq!((done.state, &done.tx), (State::Failed, &None));
    assert!(done.reason.as_deref().unwrap().contains("not a witness"), "{done:?}");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_takes_more_than_it_was_called_for_gets_nothing() {
    let ground = N3Ground::fresh(None).await;
    let me = ground.account(0);
    let thief = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let all = ground.gas_of(me).await / 4;
    // The called contract calls GAS in its turn, in the name of whoever called it.
    let steal = |to: u8, share: bool, scope: Option<Scope>| {
        let args = Param::Array(vec![me.into(), account(to).into(), all.into(), Param::Null]);
        Call { share, scope, ..invoke(thief, "attempt", &[native::GAS.into(), "transfer".into(), args]) }
    };
    for (name, share, scope) in [("alone", false, None), ("shared", true, None), ("named", false, Some(Scope::Minimal))]
    {
        let before = ground.gas_of(me).await;
        let done = ground.done(name, steal(0x51, share, scope)).await;
        assert_eq!((done.state, &done.tx), (State::Failed, &None), "{name}: {done:?}");
        let reason = done.reason.unwrap();
        assert!(reason.contains(&native::GAS.to_string()) && reason.contains("scope: contracts"), "{name}: {reason}");
        assert_eq!((ground.gas_of(account(0x51)).await, ground.gas_of(me).await), (0, before), "{name}");
    }
    // It neither takes from others that share, nor stops them.
    ground.pause();
    let ids = many(&ground, 6, "among others", |number| match number {
        3 => steal(0x51, true, None),
        number => shared(put(store, &format!("key {number}"), "value")),
    })
    .await;
    ground.unpause();
    for (number, one) in ground.settled(&ids).await.into_iter().enumerate() {
        let wanted = if number == 3 { State::Failed } else { State::Final };
        assert_eq!(one.state, wanted, "{number}: {one:?}");
    }
    // Sent without the signature further in, it runs, and GAS refuses it.
    let done = ground.done("without", steal(0x51, false, Some(Scope::CalledByEntry))).await;
    assert_eq!((done.state, ground.gas_of(account(0x51)).await), (State::Final, 0), "{done:?}");
    // Who allows it gets what was asked for: the named contract and no other, and no company.
    let done = ground.done("allowed", steal(0x52, true, Some(Scope::Contracts))).await;
    assert_eq!((done.state, ground.gas_of(account(0x52)).await), (State::Final, all), "{done:?}");
    let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
    let signer = &sent.signers[0];
    assert_eq!((signer.scopes, &signer.allowed_contracts[..]), (Scopes::CUSTOM_CONTRACTS, &[native::GAS][..]));
    // That it was allowed once widens nothing later.
    let done = ground.done("again", steal(0x51, false, None)).await;
    assert_eq!((done.state, ground.gas_of(account(0x51)).await), (State::Failed, 0), "{done:?}");
    ground.end().await;
}

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
async fn what_would_fault_fails_with_the_reason_and_costs_nothing() {
    let ground = N3Ground::fresh(None).await;
    let faulty = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    let before = ground.gas_of(ground.account(0)).await;
    for (call, reason) in [
        (invoke(faulty, "throw", &["so it is".into()]), "so it is"),
        (invoke(faulty, "assertWith", &[false.into(), "it does not hold".into()]), "it does not hold"),
        (invoke(faulty, "abort", &[]), "ABORT"),
        (invoke(faulty, "noSuch", &[]), "noSuch"),
        (invoke(account(0x77), "any", &[]), "not found"),
        (shared(invoke(faulty, "throw", &["shared".into()])), "shared"),
    ] {
        let done = ground.done(reason, call).await;
        assert_eq!((done.state, &done.tx, &done.fee), (State::Failed, &None, &None), "{done:?}");
        assert!(done.reason.as_deref().unwrap().contains(reason), "{done:?}");
    }
    assert_eq!(ground.gas_of(ground.account(0)).await, before);
    ground.end().await;
}

/// What a contract throws is its own choice, and no lane stops for it.
async fn any_bytes_may_be_thrown(ground: N3Ground) {
    let faulty = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let thrown = [b"odd \0 \x1b[2J \xff ".as_slice(), &[0x61; 900]].concat();
    let throw = || invoke(faulty, "throw", &[Param::ByteArray(thrown.clone())]);
    ground.pause();
    let ids = many(&ground, 5, "shared", |number| match number {
        2 => shared(throw()),
        4 => throw(),
        number => shared(put(store, &format!("key {number}"), "value")),
    })
    .await;
    ground.unpause();
    for (number, one) in ground.settled(&ids).await.into_iter().enumerate() {
        let wanted = if [2, 4].contains(&number) { State::Failed } else { State::Final };
        assert_eq!(one.state, wanted, "{number}: {one:?}");
        let Some(reason) = one.reason else { continue };
        assert!(reason.contains("odd") && reason.chars().count() <= 400, "{reason}");
        assert!(!reason.chars().any(char::is_control), "{reason:?}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_throws_any_bytes_stops_no_lane() {
    any_bytes_may_be_thrown(N3Ground::fresh(None).await).await;
    any_bytes_may_be_thrown(N3Ground::fresh(Some(Database::fresh().unwrap())).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_on_the_chain_is_decoded_and_paid() {
    let ground = N3Ground::fresh(None).await;
    let me = ground.account(0);
    // Both are good when they are tried out; the second that a block takes overdraws the account.
    let token = ground.deploy(TOKEN.0, TOKEN.1, Param::Null).await;
    let all = ground.number(token, "balanceOf", &[me.into()]).await;
    let mut script = neo::script::Builder::new();
    let args = [me.into(), account(0x21).into(), Param::from(all), Param::Null];
    let script = script.call(&token, "transfer", neo::script::CallFlags::ALL, &args).op(neo::script::Opcode::ASSERT);
    let data = Some(format!("0x{}", hex::encode(script.finish().unwrap())));
    ground.gate.set(Gate::NoSends);
    let ids = many(&ground, 2, "overdrawn", |_| Call { data: data.clone(), ..Call::default() }).await;
    for id in &ids {
        ground.until(id, |now| now.state == State::Sent).await;
    }
    ground.gate.set(Gate::Open);
    let done = ground.settled(&ids).await;
    let (good, bad): (Vec<_>, Vec<_>) = done.iter().partition(|one| one.state == State::Final);
    assert_eq!((good.len(), bad.len()), (1, 1), "{done:?}");
    let bad = bad[0];
    assert!(bad.state == State::Failed && bad.height.is_some(), "{bad:?}");
    let reason = bad.reason.as_deref().unwrap();
    assert!(reason.contains("ASSERT") && reason.contains("at "), "{reason}");
    assert_eq!(bad.fee, Some(fees(&ground.transaction(bad.tx.as_deref().unwrap()).await)));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_a_transaction_and_those_that_throw_are_left_out() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let faulty = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    ground.pause();
    let ids = many(&ground, 20, "shared", |number| match number {
        7 => shared(invoke(faulty, "throw", &["the seventh".into()])),
        13 => shared(invoke(faulty, "abortWith", &["the thirteenth".into()])),
        number => shared(put(store, &format!("key {number}"), "value")),
    })
    .await;
    ground.unpause();
    let done = ground.settled(&ids).await;
    for (number, one) in done.iter().enumerate() {
        let wanted = if [7, 13].contains(&number) { State::Failed } else { State::Final };
        assert_eq!(one.state, wanted, "{number}: {one:?}");
    }
    assert!(done[7].reason.as_deref().unwrap().contains("the seventh"), "{:?}", done[7]);
    assert!(done[13].reason.as_deref().unwrap().contains("the thirteenth"), "{:?}", done[13]);
    let good: Vec<Transaction> = done.iter().filter(|one| one.state == State::Final).cloned().collect();
    assert_eq!(hashes(&good).len(), 1, "{:?}", hashes(&good));
    let sent = ground.transaction(&hashes(&good)[0]).await;
    let mut asked = sent.clone();
    asked.network_fee = 0;
    assert_eq!(ground.chain.network_fee(&asked).await.unwrap(), sent.network_fee);
    let paid: i64 = good.iter().map(|one| one.fee.as_deref().unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(paid.to_string(), fees(&sent), "shares add up");
    assert_eq!(sent.signers[0].scopes, Scopes::NONE);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_shared_a_transaction_that_faults_on_the_chain_goes_alone() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    // To overwrite costs less than to write: what is tried out as the one is too little for the other.
    let fill = |value: &str| put(store, "the key", value);
    assert_eq!(ground.done("before", fill(&"long ".repeat(50))).await.state, State::Final);
    ground.pause();
    let ids = many(&ground, 8, "shared", |number| match number {
        0 => shared(fill(&"long ".repeat(50))),
        number => shared(put(store, &format!("key {number}"), "value")),
    })
    .await;
    ground.gate.set(Gate::NoSends);
    ground.unpause();
    for id in &ids {
        ground.until(id, |now| now.state == State::Sent).await;
    }
    let key = neo::PrivateKey::from_wif(&ground.node.accounts[1].key).unwrap();
    let gone = script(store, "delete", &[Param::ByteArray("the key".into())]);
    ground.send_past(&key, key.public().verification_script(), gone).await;
    ground.gate.set(Gate::Open);
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    assert_eq!(hashes(&done).len(), 8, "each in one of its own");
    for id in &ids {
        let passed = ground.passed(id).await;
        let told = passed.iter().filter_map(|step| step.reason.as_deref()).any(|why| why.contains("goes alone"));
        assert!(told, "{passed:?}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_more_gas_by_then_is_tried_again_within_its_bound() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let fill = |key: &str| put(store, key, &"long ".repeat(50));
    let dear = ground.done("to write", fill("another")).await.fee.unwrap();
    for key in ["free", "held"] {
        assert_eq!(ground.done(key, fill(key)).await.state, State::Final);
    }
    let cheap = ground.done("to overwrite", fill("free")).await.fee.unwrap();
    ground.gate.set(Gate::NoSends);
    let submit = |key: &str, max_fee: Option<String>| Submit {
        chain: Name::NeoN3,
        account: ground.account(0).to_string(),
        call: fill(key),
        max_fee,
        valid_for_ms: None,
    };
    let free = ground.submit_with("free again", submit("free", None)).await.unwrap().id;
    let bound = ground.submit_with("bound again", submit("held", Some(dear.clone()))).await.unwrap().id;
    for id in [&free, &bound] {
        ground.until(id, |now| now.state == State::Sent).await;
    }
    let key = neo::PrivateKey::from_wif(&ground.node.accounts[1].key).unwrap();
    for gone in ["free", "held"] {
        let gone = script(store, "delete", &[Param::ByteArray(gone.into())]);
        ground.send_past(&key, key.public().verification_script(), gone).await;
    }
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[free, bound]).await;
    let number = |fee: &String| fee.parse::<i64>().unwrap();
    assert_eq!((done[0].state, done[1].state), (State::Final, State::Failed), "{done:?}");
    let paid = number(done[0].fee.as_ref().unwrap());
    assert!(paid > number(&dear) && paid <= number(&dear) + number(&cheap) + 100_000, "{paid} of {cheap} and {dear}");
    assert!(done[1].reason.as_deref().unwrap().contains("max_fee"), "{:?}", done[1]);
    assert_eq!(done[1].fee.as_ref(), Some(&cheap), "the chain took it although it came to nothing");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_network_forbids_fails_with_the_reason() {
    // It ends when its last block has passed.
    let config = Config { n3_valid_blocks: 20, ..config() };
    let ground = N3Ground::on(None, N3Options::default(), config).await;
    let (me, to) = (ground.account(2), account(0x35));
    let key = neo::PrivateKey::from_wif(&ground.node.committee.key).unwrap();
    let committee = neo::account::multi(1, &[key.public()]).unwrap();
    ground.send_past(&key, committee, script(native::POLICY, "blockAccount", &[me.into()])).await;
    let mut ids = Vec::new();
    for share in [false, true, true] {
        let call = Call { share, ..transfer(me, to, 1) };
        let submit = Submit { chain: Name::NeoN3, account: me.to_string(), call, max_fee: None, valid_for_ms: None };
        ids.push(ground.submit_with(&format!("{}", ids.len()), submit).await.unwrap().id);
    }
    for done in ground.settled(&ids).await {
        assert_eq!((done.state, done.height), (State::Failed, None), "{done:?}");
        let reason = done.reason.unwrap().to_lowercase();
        assert!(reason.contains("block") || reason.contains("policy"), "{reason}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_refuses_after_it_took_it_is_done_once() {
    let ground = N3Ground::fresh(None).await;
    let (me, to) = (ground.account(0), account(0x36));
    ground.gate.set(Gate::Denied);
    let ids = many(&ground, 6, "denied", |number| Call { share: number % 2 == 0, ..transfer(me, to, 1) }).await;
    let done = ground.settled(&ids).await;
    ground.gate.set(Gate::Open);
    assert!(done.iter().all(|one| one.state == State::Final && one.height.is_some()), "{done:?}");
    ground.blocks(2).await;
    assert_eq!(ground.gas_of(to).await, 6);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_those_that_share_is_known_or_called_unknown() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    // Where it can't be read at all, nobody is told that it went well.
    ground.pause();
    let ids = many(&ground, 4, "never", |number| shared(put(store, &format!("key {number}"), "value"))).await;
    ground.gate.set(Gate::Unshown);
    ground.unpause();
    let done = ground.settled(&ids).await;
    ground.gate.set(Gate::Open);
    assert_eq!(hashes(&done).len(), 1, "{done:?}");
    for one in &done {
        assert!(one.state == State::Failed && one.height.is_some() && one.fee.is_some(), "{one:?}");
        assert!(one.reason.as_deref().unwrap().contains("outcome cannot be read"), "{one:?}");
    }
    // Alone, it did what it was tried out to do.
    ground.gate.set(Gate::Unshown);
    let done = ground.done("alone", put(store, "alone", "value")).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    assert!(done.reason.as_deref().unwrap().contains("cannot be read"), "{done:?}");
    ground.gate.set(Gate::Open);
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
async fn a_try_that_ends_is_followed_by_one_that_excludes_it() {
    let config = Config { n3_valid_blocks: 60, ..config() };
    let ground = N3Ground::on(None, N3Options::default(), config).await;
    ground.gate.set(Gate::NoSends);
    let to = account(0x31);
    let id = ground.submit("one", transfer(ground.account(0), to, 3)).await.unwrap().id;
    let first = ground.until(&id, |now| now.state == State::Sent).await.tx.unwrap();
    let second = ground.until(&id, |now| now.tx.as_ref() != Some(&first)).await.tx.unwrap();
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[id]).await.remove(0);
    assert_eq!(done.state, State::Final, "{done:?}");
    let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
    // A slow machine may have made a third.
    if done.tx.as_ref() == Some(&second) {
        let wanted = [neo::tx::Attribute::Conflicts(first.parse().unwrap())];
        assert_eq!(sent.attributes, wanted, "{:?}", ground.passed(&done.id).await);
        let mut asked = sent.clone();
        asked.network_fee = 0;
        assert!(ground.chain.network_fee(&asked).await.unwrap() <= sent.network_fee);
    }
    assert_eq!(ground.gas_of(to).await, 3);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_block_has_in_time_expires() {
    let ground = N3Ground::fresh(None).await;
    ground.gate.set(Gate::NoSends);
    let (me, to) = (ground.account(0), account(0x32));
    let submit = |share: bool| Submit {
        chain: Name::NeoN3,
        account: me.to_string(),
        call: Call { share, ..transfer(me, to, 4) },
        max_fee: None,
        valid_for_ms: Some(1_500),
    };
    let mut ids = vec![ground.submit_with("alone", submit(false)).await.unwrap().id];
    for number in 0..3 {
        ids.push(ground.submit_with(&format!("shared {number}"), submit(true)).await.unwrap().id);
    }
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Expired && one.height.is_none()), "{done:?}");
    ground.gate.set(Gate::Open);
    // Another one shows that the lane goes on, and nothing of the first came late.
    assert_eq!(ground.done("after", transfer(me, to, 1)).await.state, State::Final);
    ground.blocks(5).await;
    assert_eq!(ground.gas_of(to).await, 1);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_replaced_or_was_faster() {
    let options = N3Options { block_time: Duration::from_secs(2), ..N3Options::default() };
    let ground = N3Ground::on(None, options, config()).await;
    let (me, to) = (ground.account(0), account(0x33));
    let cancel = async |id: &str| ground.relay.cancel(&ground.cx, Cancel { chain: Name::NeoN3, id: id.into() }).await;
    let (mut replaced, mut done) = (0, 0);
    // The pool has the first when the second comes to take its place, unless a block was faster.
    for attempt in 0..20 {
        let id = ground.submit(&format!("attempt {attempt}"), transfer(me, to, 1)).await.unwrap().id;
        ground.until(&id, |now| matches!(now.state, State::Sent | State::Final)).await;
        let _ = cancel(&id).await;
        let ended = ground.settled(&[id]).await.remove(0);
        match ended.state {
            State::Replaced => replaced += 1,
            State::Final => done += 1,
            _ => panic!("{ended:?}"),
        }
        assert_eq!(ground.gas_of(to).await, done, "{ended:?}");
        if replaced > 0 {
            break;
        }
    }
    assert!(replaced > 0, "the pool never took what replaces");
    // Before it was ever sent.
    ground.pause();
    let id = ground.submit("never sent", transfer(me, to, 1)).await.unwrap().id;
    cancel(&id).await.unwrap();
    ground.unpause();
    let ended = ground.settled(&[id]).await.remove(0);
    assert_eq!((ended.state, &ended.fee), (State::Replaced, &None), "{:?}", ground.passed(&ended.id).await);
    ground.blocks(1).await;
    assert_eq!(ground.gas_of(to).await, done);
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

async fn hundred_equal_requests_give_one_transaction(ground: N3Ground) {
    let to = account(0x41);
    let call = transfer(ground.account(0), to, 5);
    let same = join_all((0..100).map(|_| ground.submit("the same", call.clone()))).await;
    let ids: Vec<String> = same.into_iter().map(|answer| answer.unwrap().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(ground.settled(&ids[..1]).await[0].state, State::Final);
    assert_eq!(ground.gas_of(to).await, 5);
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_done_once_however_often_it_is_asked_for() {
    hundred_equal_requests_give_one_transaction(N3Ground::fresh(None).await).await;
    hundred_equal_requests_give_one_transaction(N3Ground::fresh(Some(Database::fresh().unwrap())).await).await;
}

/// Answers are lost, the node lies, is stopped and forgets its pool, the relay ends and is started again, all while requests come.
async fn trouble(database: Option<Database>) {
    let options = N3Options { database: Kept::LevelDb, ..N3Options::default() };
    let mut ground = N3Ground::on(database, options, Config { n3_valid_blocks: 20, ..config() }).await;
    let to = account(0x42);
    let mut ids = Vec::new();
    for wave in 0..8 {
        let me = ground.account(0);
        let call = |number: usize| Call { share: number.is_multiple_of(2), ..transfer(me, to, 1) };
        ids.extend(many(&ground, 30, &format!("wave {wave}"), call).await);
        match wave % 4 {
            0 => ground.gate.set(Gate::Flaky),
            1 => ground.node.restart().await.unwrap(),
            2 => ground.gate.set(Gate::NoSends),
            _ => ground.restart().await,
        }
    }
    ground.gate.set(Gate::Open);
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    assert_eq!(ground.gas_of(to).await, ids.len() as i64, "each once");
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_or_doubled_on_sqlite() {
    trouble(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_or_doubled_on_postgres() {
    trouble(Some(Database::fresh().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_send_each_request_once() {
    let mut ground = N3Ground::fresh(Some(Database::fresh().unwrap())).await;
    let second = ground.second().await;
    let (me, to) = (ground.account(0), account(0x43));
    let mut ids = Vec::new();
    for number in 0..60 {
        let call = Call { share: number % 3 == 0, ..transfer(me, to, 1) };
        let submit = Submit { chain: Name::NeoN3, account: me.to_string(), call, max_fee: None, valid_for_ms: None };
        let relay = if number % 2 == 0 { &ground.relay } else { &second };
        ids.push(submit_to(&**relay, &ground.cx, &format!("{number}"), submit).await.unwrap().id);
    }
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    assert_eq!(ground.gas_of(to).await, 60);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo nextest run -p nsl-relay --run-ignored only"]
async fn sustained_rate_on_neo_n3() {
    for (name, share) in [("alone", false), ("shared", true)] {
        let ground = N3Ground::fresh(None).await;
        let (me, to) = (ground.account(0), account(0x44));
        let start = Instant::now();
        let ids = many(&ground, 1_000, name, |_| Call { share, ..transfer(me, to, 1) }).await;
        let submitted = start.elapsed().as_secs_f64();
        let done = ground.settled(&ids).await;
        assert!(done.iter().all(|one| is_end(one.state)));
        let (took, transactions) = (start.elapsed().as_secs_f64(), hashes(&done).len());
        println!(
            "{name}: {:.0} requests a second in {transactions} transactions; all taken on after {submitted:.1} s",
            1_000.0 / took
        );
        assert_eq!(ground.gas_of(to).await, 1_000);
        ground.end().await;
    }
}
