//! Sponsored transactions on a running neo-go: who has no GAS acts, and nobody gets more out of a sponsor than it says.

use std::{
    io::Write,
    path::Path,
    process::Stdio,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160, PrivateKey, account,
    context::Context,
    native,
    script::Opcode,
    stack::Param,
    tx::{Scopes, Signer, Transaction},
    wire::Wire,
};
use nsl_api::{
    Chain as Name,
    relay::{AskPassed, Call, Cancel, Explain, Scope, State, Submit},
    sponsor::{Complete, NameSponsor, Prepared, Proof, PutSponsor, SponsorPolicy, SponsoredContract},
};
use nsl_chain::{Chain, Output};
use nsl_core::{Once, TenantId};
use nsl_sandbox::Database;
use serde_json::{Value, json};

use crate::{
    proxy::Gate,
    sponsor_ground::{GAS, Ground, hash, script, signature, transfer_args, wallet},
};

fn read(prepared: &Prepared) -> Transaction {
    Transaction::from_unsigned_bytes(&BASE64.decode(&prepared.transaction).unwrap()).unwrap()
}

fn fees(prepared: &Prepared) -> i64 {
    [&prepared.system_fee, &prepared.network_fee].map(|fee| fee.parse::<i64>().unwrap()).iter().sum()
}

/// A fresh wallet without any GAS moves its tokens; the sponsor pays, to the last unit.
async fn who_has_no_gas_acts(ground: Ground) {
    let (user, to, sponsor) = (wallet(50), hash(&wallet(51)), hash(&ground.sponsor));
    ground.give(hash(&user), 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    let before = ground.gas(sponsor).await;
    let prepared = ground.prepare(ground.transfer(hash(&user), to, 300)).await.unwrap();
    let transaction = read(&prepared);
    assert_eq!(transaction.signers, [Signer::none(sponsor), Signer::called_by_entry(hash(&user))]);
    assert_eq!((prepared.scopes.as_str(), prepared.hash.clone()), ("CalledByEntry", transaction.hash().to_string()));
    let height = ground.chain.height().await.unwrap() as u32;
    let rules = ground.chain.rules().await.unwrap();
    let five_minutes = (300_000 / rules.ms_per_block).min(rules.most_valid_blocks.into()) as u32;
    assert!((1..=five_minutes).contains(&(prepared.valid_until_block - height)), "{}", prepared.valid_until_block);
    assert_eq!(ground.spent().await, fees(&prepared), "set aside");
    let kept = ground.complete(&prepared.id, signature(&user, &prepared)).await.unwrap();
    assert_eq!((kept.id.as_str(), kept.tx.as_deref()), (prepared.id.as_str(), Some(prepared.hash.as_str())));
    let done = ground.settled(&kept.id).await;
    assert_eq!((done.state, done.tx.as_deref()), (State::Final, Some(prepared.hash.as_str())), "{done:?}");
    assert_eq!(done.fee.as_deref(), Some(fees(&prepared).to_string().as_str()));
    assert_eq!((ground.tokens(to).await, ground.tokens(hash(&user)).await), (300, 700));
    assert_eq!(ground.gas(hash(&user)).await, 0);
    assert_eq!(before - ground.gas(sponsor).await, fees(&prepared), "the sponsor paid exactly that");
    assert_eq!(ground.spent().await, fees(&prepared));
    let why = Explain { chain: Name::NeoN3, id: kept.id.clone(), abi: None };
    let why = ground.relay.explain(&ground.cx, why).await.unwrap();
    assert_eq!((why.state, why.tx.as_deref(), why.fault), (State::Final, Some(prepared.hash.as_str()), None));
    let asked = AskPassed { chain: Name::NeoN3, id: kept.id, after: 0 };
    let passed = ground.relay.passed(&ground.cx, asked).await.unwrap().items;
    let states: Vec<State> = passed.iter().map(|one| one.state).collect();
    for state in [State::Accepted, State::Simulated, State::Signed, State::Final] {
        assert!(states.contains(&state), "{states:?}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_without_gas_moves_its_tokens() {
    who_has_no_gas_acts(Ground::fresh(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_without_gas_moves_its_tokens_on_postgres() {
    who_has_no_gas_acts(Ground::fresh(Some(Database::fresh().unwrap())).await).await;
}

/// What neon-js makes of what was prepared.
fn neon(question: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = root.join("../../.sandbox/peers/neon/node_modules");
    assert!(modules.exists(), "{} is missing: run scripts/peers.sh", modules.display());
    let mut wallet = std::process::Command::new("node")
        .env("NODE_PATH", modules)
        .arg(root.join("tests/peers/wallet.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wallet.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = wallet.wait_with_output().unwrap();
    assert!(answer.status.success(), "neon-js refused what was prepared");
    serde_json::from_slice(&answer.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallets_of_neon_js_sign_what_is_prepared() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(60), hash(&wallet(61)));
    ground.give(hash(&user), 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    for (number, form) in (1..).zip(["signature", "witness", "transaction"]) {
        let prepared = ground.prepare(ground.transfer(hash(&user), to, 10)).await.unwrap();
        let signed = neon(&json!({
            "prepared": prepared, "wif": *user.to_wif(), "sponsor": hash(&ground.sponsor), "contract": ground.token,
        }));
        let proof = match form {
            "signature" => json!({ "signature": signed["signature"], "public_key": signed["public_key"] }),
            form => json!({ form: signed[form] }),
        };
        let kept = ground.complete(&prepared.id, serde_json::from_value(proof).unwrap()).await.unwrap();
        assert_eq!(ground.settled(&kept.id).await.state, State::Final, "{form}");
        assert_eq!(ground.tokens(to).await, 10 * number);
    }
    assert_eq!(ground.gas(hash(&user)).await, 0);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_several_keys_are_sponsored_too() {
    let ground = Ground::fresh(None).await;
    let keys = [wallet(70), wallet(71), wallet(72)];
    let multi = account::multi(2, &keys.each_ref().map(PrivateKey::public)).unwrap();
    let user = Hash160::of_script(&multi);
    ground.give(user, 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    let to = hash(&wallet(73));
    // Without their script the fee would not cover what they sign.
    let prepared = ground.prepare(ground.transfer(user, to, 1)).await.unwrap();
    let signed = |prepared: &Prepared| {
        let mut context: Context = serde_json::from_value(prepared.context.clone()).unwrap();
        context.add_script(&multi).unwrap();
        assert_eq!(context.sign(&keys[2]).unwrap() + context.sign(&keys[0]).unwrap(), 2);
        Proof { context: Some(serde_json::to_value(&context).unwrap()), ..Proof::default() }
    };
    assert_eq!(ground.complete(&prepared.id, signed(&prepared)).await.unwrap_err(), "sponsored.witness_unpaid");
    let mut prepare = ground.transfer(user, to, 5);
    prepare.verification = Some(BASE64.encode(keys[0].public().verification_script()));
    assert_eq!(ground.prepare(prepare.clone()).await.unwrap_err(), "sponsored.verification_unfit");
    prepare.verification = Some(BASE64.encode(&multi));
    let prepared = ground.prepare(prepare).await.unwrap();
    let kept = ground.complete(&prepared.id, signed(&prepared)).await.unwrap();
    assert_eq!(ground.settled(&kept.id).await.state, State::Final);
    assert_eq!((ground.tokens(to).await, ground.gas(user).await), (5, 0));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_prepared_is_signed_and_only_once() {
    let ground = Ground::fresh(None).await;
    let (user, eve) = (wallet(80), wallet(81));
    ground.give(hash(&user), 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    let prepared = ground.prepare(ground.transfer(hash(&user), hash(&eve), 1)).await.unwrap();
    let original = read(&prepared);
    let changed = |change: &dyn Fn(&mut Transaction)| {
        let mut changed = original.clone();
        change(&mut changed);
        changed
    };
    let args = transfer_args(hash(&user), hash(&eve), 1_000);
    for (what, other) in [
        ("script", changed(&|tx| tx.script = script(&ground.token, "transfer", &args))),
        ("sponsor's scope", changed(&|tx| tx.signers[0] = Signer::new(hash(&ground.sponsor), Scopes::GLOBAL))),
        ("user's scope", changed(&|tx| tx.signers[1].scopes = Scopes::GLOBAL)),
        ("system fee", changed(&|tx| tx.system_fee *= 100)),
        ("network fee", changed(&|tx| tx.network_fee += 1)),
        ("validity", changed(&|tx| tx.valid_until_block += 1)),
    ] {
        let network = ground.chain.magic();
        let mut context = Context::new(network, other.clone()).unwrap();
        context.sign(&user).unwrap();
        let context = Proof { context: Some(serde_json::to_value(&context).unwrap()), ..Proof::default() };
        assert_eq!(ground.complete(&prepared.id, context).await.unwrap_err(), "sponsored.differs", "{what}");
        let mut whole = other.clone();
        whole.sign(network, &user).unwrap();
        let whole = Proof { transaction: Some(BASE64.encode(whole.to_bytes())), ..Proof::default() };
        assert_eq!(ground.complete(&prepared.id, whole).await.unwrap_err(), "sponsored.differs", "{what}");
        let signed = Some(hex::encode(user.sign(&other.message(network))));
        let only = Proof { signature: signed, public_key: Some(user.public().to_string()), ..Proof::default() };
        assert_eq!(ground.complete(&prepared.id, only).await.unwrap_err(), "sponsored.witness_invalid", "{what}");
    }
    // Somebody else's signature, under the own name and under the user's.
    let message = hex::decode(&prepared.message).unwrap();
    let of_eve = Some(hex::encode(eve.sign(&message)));
    for name in [&eve, &user] {
        let proof =
            Proof { signature: of_eve.clone(), public_key: Some(name.public().to_string()), ..Proof::default() };
        assert_eq!(ground.complete(&prepared.id, proof).await.unwrap_err(), "sponsored.witness_invalid");
    }
    // Another tenant knows nothing of it.
    let mut elsewhere = ground.cx.clone();
    elsewhere.tenant = TenantId::fresh();
    let complete = || Complete { id: prepared.id.clone(), proof: signature(&user, &prepared) };
    let refused = ground.relay.complete_sponsored(&elsewhere, complete()).await.unwrap_err();
    assert_eq!(refused.slug, "sponsored.not_found");
    // Nor may it use the sponsor, nor look at it.
    let transfer = ground.transfer(hash(&user), hash(&eve), 1);
    assert_eq!(ground.relay.prepare_sponsored(&elsewhere, transfer).await.unwrap_err().slug, "sponsor.unknown");
    let account = hash(&ground.sponsor).to_string();
    let named = NameSponsor { account: account.clone() };
    assert_eq!(ground.relay.find_sponsor(&elsewhere, named).await.unwrap_err().slug, "sponsor.unknown");
    let put = PutSponsor { account, policy: ground.policy(&["transfer"]) };
    assert_eq!(ground.relay.put_sponsor(&elsewhere, put).await.unwrap_err().slug, "relay.account_unknown");
    // The first completion counts; asked again under its key it is told again, and otherwise refused.
    let mut once = ground.cx.clone();
    once.once = Some(Once { key: "complete".into(), fingerprint: "the same".into() });
    let first = ground.relay.complete_sponsored(&once, complete()).await.unwrap();
    let again = ground.relay.complete_sponsored(&once, complete()).await.unwrap();
    assert_eq!((first.id.as_str(), first.created_at), (again.id.as_str(), again.created_at));
    assert_eq!(ground.complete(&prepared.id, signature(&user, &prepared)).await.unwrap_err(), "sponsored.used");
    assert_eq!(ground.settled(&first.id).await.state, State::Final);
    assert_eq!(ground.complete(&prepared.id, signature(&user, &prepared)).await.unwrap_err(), "sponsored.used");
    // Nothing is signed now, and what was taken on is told all the same.
    ground.paused.store(true, Ordering::Relaxed);
    let again = ground.relay.complete_sponsored(&once, complete()).await.unwrap();
    assert_eq!((first.id.as_str(), first.created_at), (again.id.as_str(), again.created_at));
    ground.paused.store(false, Ordering::Relaxed);
    assert_eq!((ground.tokens(hash(&eve)).await, ground.spent().await), (1, fees(&prepared)));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sponsor_pays_for_what_it_names_and_no_more_than_it_says() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(90), hash(&wallet(91)));
    ground.give(hash(&user), 1_000).await;
    let transfer = || ground.transfer(hash(&user), to, 1);
    assert_eq!(ground.prepare(transfer()).await.unwrap_err(), "sponsor.unknown");
    let nothing = SponsorPolicy { contracts: Vec::new(), ..ground.policy(&[]) };
    ground.put(nothing).await;
    assert_eq!(ground.prepare(transfer()).await.unwrap_err(), "sponsor.call_refused");
    ground.put(ground.policy(&["mint"])).await;
    assert_eq!(ground.prepare(transfer()).await.unwrap_err(), "sponsor.call_refused");
    ground.put(ground.policy(&["transfer"])).await;
    let mut other = transfer();
    other.contract = native::GAS.to_string();
    assert_eq!(ground.prepare(other).await.unwrap_err(), "sponsor.call_refused");
    // What would fail costs nothing.
    assert_eq!(ground.prepare(ground.transfer(hash(&user), to, 1_001)).await.unwrap_err(), "sponsored.would_fail");
    assert_eq!(ground.spent().await, 0);
    // A call that asks for no witness: the user's signature is good for nothing else.
    ground.put(ground.policy(&["transfer", "symbol"])).await;
    assert_eq!(ground.prepare(ground.call(hash(&user), "symbol", &[])).await.unwrap().scopes, "None");
    // Under one key they are one, and so is what is set aside.
    let before = ground.spent().await;
    let mut once = ground.cx.clone();
    once.once = Some(Once { key: "prepare".into(), fingerprint: "the same".into() });
    let first = ground.relay.prepare_sponsored(&once, transfer()).await.unwrap();
    let again = ground.relay.prepare_sponsored(&once, transfer()).await.unwrap();
    assert_eq!((first.id.as_str(), first.message.as_str()), (again.id.as_str(), again.message.as_str()));
    // Also where it would be refused by now: its answer may have been lost.
    ground.put(ground.policy(&["mint"])).await;
    let again = ground.relay.prepare_sponsored(&once, transfer()).await.unwrap();
    assert_eq!((first.id.as_str(), first.message.as_str()), (again.id.as_str(), again.message.as_str()));
    let fresh = Once { key: "prepare another".into(), fingerprint: "the same".into() };
    let fresh = nsl_core::Cx { once: Some(fresh), ..ground.cx.clone() };
    let refused = ground.relay.prepare_sponsored(&fresh, transfer()).await.unwrap_err();
    assert_eq!(refused.slug, "sponsor.call_refused");
    ground.put(ground.policy(&["transfer"])).await;
    assert_eq!(ground.spent().await, before + fees(&first));
    // Asked for by many at once: as many as there is money for.
    let one = ground.prepare(transfer()).await.unwrap();
    let fee = fees(&one);
    let before = ground.spent().await;
    ground.put(SponsorPolicy { per_day: (before + 4 * fee).to_string(), ..ground.policy(&["transfer"]) }).await;
    let all = futures_util::future::join_all((0..12).map(|_| ground.prepare(transfer()))).await;
    let given = all.iter().filter(|one| one.is_ok()).count();
    assert!(all.iter().all(|one| one.as_ref().err().is_none_or(|slug| slug == "sponsor.over_day")), "{all:?}");
    assert_eq!((given, ground.spent().await), (4, before + 4 * fee));
    ground.put(SponsorPolicy { per_transaction: (fee - 1).to_string(), ..ground.policy(&["transfer"]) }).await;
    assert_eq!(ground.prepare(transfer()).await.unwrap_err(), "sponsor.over_transaction");
    // Withdrawn: what was prepared before is not signed.
    let account = hash(&ground.sponsor).to_string();
    ground.relay.remove_sponsor(&ground.cx, NameSponsor { account }).await.unwrap();
    assert_eq!(ground.complete(&one.id, signature(&user, &one)).await.unwrap_err(), "sponsor.unknown");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_since_it_was_prepared_is_not_paid_for() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(100), hash(&wallet(101)));
    ground.give(hash(&user), 10).await;
    ground.put(ground.policy(&["transfer"])).await;
    // Two that each would take all: the second fails by now, and the sponsor keeps its GAS.
    let one = ground.prepare(ground.transfer(hash(&user), to, 10)).await.unwrap();
    let two = ground.prepare(ground.transfer(hash(&user), to, 10)).await.unwrap();
    // While all sending is stopped nothing is signed either, and nothing is lost by it.
    ground.paused.store(true, Ordering::Relaxed);
    assert_eq!(ground.complete(&one.id, signature(&user, &one)).await.unwrap_err(), "sponsored.paused");
    ground.paused.store(false, Ordering::Relaxed);
    let kept = ground.complete(&one.id, signature(&user, &one)).await.unwrap();
    assert_eq!(ground.settled(&kept.id).await.state, State::Final);
    assert_eq!(ground.complete(&two.id, signature(&user, &two)).await.unwrap_err(), "sponsored.would_fail");
    // One whose time passes is good for nothing more, and its money is free again.
    ground.give(hash(&user), 10).await;
    let mut short = ground.transfer(hash(&user), to, 1);
    short.valid_for_ms = Some(500);
    let short = ground.prepare(short).await.unwrap();
    while ground.chain.height().await.unwrap() < short.valid_until_block.into() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ground.complete(&short.id, signature(&user, &short)).await.unwrap_err(), "sponsored.expired");
    // A sponsor whose GAS is gone.
    let sponsor = hash(&ground.sponsor);
    let three = ground.prepare(ground.transfer(hash(&user), to, 1)).await.unwrap();
    // What the transfer itself costs comes from the rest.
    let left = ground.gas(sponsor).await - 3 * GAS / 10;
    let away = script(&native::GAS, "transfer", &transfer_args(sponsor, to, left as u64));
    assert_eq!(ground.alone(&ground.sponsor, away).await.fault, None);
    let rest = ground.gas(sponsor).await;
    assert!(rest < 3 * GAS / 10, "{rest}");
    let away = script(&native::GAS, "transfer", &transfer_args(sponsor, to, 1));
    while ground.gas(sponsor).await >= fees(&three) {
        assert_eq!(ground.alone(&ground.sponsor, away.clone()).await.fault, None);
    }
    assert_eq!(ground.complete(&three.id, signature(&user, &three)).await.unwrap_err(), "sponsor.out_of_gas");
    assert_eq!(ground.prepare(ground.transfer(hash(&user), to, 1)).await.unwrap_err(), "sponsor.out_of_gas");
    ground.end().await;
}

/// Completed, and never seen by a block: it can't be made anew without its user, so it ends, and costs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_block_takes_in_time_expires() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(105), hash(&wallet(106)));
    ground.give(hash(&user), 10).await;
    ground.put(ground.policy(&["transfer"])).await;
    ground.proxy.set(Gate::NoSends);
    let mut short = ground.transfer(hash(&user), to, 1);
    short.valid_for_ms = Some(3_000);
    let short = ground.prepare(short).await.unwrap();
    let kept = ground.complete(&short.id, signature(&user, &short)).await.unwrap();
    assert_eq!(ground.spent().await, fees(&short));
    let done = ground.settled(&kept.id).await;
    assert_eq!((done.state, done.height, done.fee.as_deref()), (State::Expired, None, None), "{done:?}");
    assert!(ground.chain.height().await.unwrap() >= short.valid_until_block.into(), "not before its last block");
    assert_eq!((ground.tokens(to).await, ground.spent().await), (0, 0));
    assert_eq!(ground.complete(&short.id, signature(&user, &short)).await.unwrap_err(), "sponsored.used");
    // Taken back before a block has it: what excludes it costs the sponsor its fee, and nothing of it is done.
    let back = ground.prepare(ground.transfer(hash(&user), to, 3)).await.unwrap();
    let kept = ground.complete(&back.id, signature(&user, &back)).await.unwrap();
    let before = ground.gas(hash(&ground.sponsor)).await;
    ground.relay.cancel(&ground.cx, Cancel { chain: Name::NeoN3, id: kept.id.clone() }).await.unwrap();
    blocks(&ground, 10).await;
    ground.proxy.set(Gate::Open);
    let done = ground.settled(&kept.id).await;
    let cost = before - ground.gas(hash(&ground.sponsor)).await;
    // Whichever of the two a block takes first: one of them, and counted.
    let moved = ground.tokens(to).await;
    assert!(matches!((done.state, moved), (State::Replaced, 0) | (State::Final, 3)), "{moved} {done:?}");
    assert_eq!(ground.spent().await, cost);
    // What is held back for a while only is sent again until a block has it.
    ground.proxy.set(Gate::NoSends);
    let late = ground.prepare(ground.transfer(hash(&user), to, 2)).await.unwrap();
    let kept = ground.complete(&late.id, signature(&user, &late)).await.unwrap();
    blocks(&ground, 5).await;
    ground.proxy.set(Gate::Open);
    let done = ground.settled(&kept.id).await;
    assert_eq!((done.state, done.tx), (State::Final, Some(late.hash)));
    assert_eq!(ground.tokens(to).await, moved + 2);
    ground.end().await;
}

async fn blocks(ground: &Ground, count: u64) {
    let height = ground.chain.height().await.unwrap();
    while ground.chain.height().await.unwrap() < height + count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sponsors_signature_moves_nothing_of_the_sponsor() {
    let ground = Ground::fresh(None).await;
    let (user, sponsor) = (wallet(110), hash(&ground.sponsor));
    ground.give(sponsor, 500).await;
    let all = SponsoredContract { contract: "*".into(), methods: vec!["*".into()] };
    ground.put(SponsorPolicy { contracts: vec![all], ..ground.policy(&[]) }).await;
    let gas_before = ground.gas(sponsor).await;
    for contract in [native::GAS, ground.token] {
        for scope in [Scope::Minimal, Scope::Global, Scope::CalledByEntry, Scope::None] {
            let mut steal = ground.transfer(hash(&user), hash(&user), 1);
            steal.args = transfer_args(sponsor, hash(&user), 1).iter().map(|arg| json!(arg)).collect();
            (steal.contract, steal.scope) = (contract.to_string(), scope);
            assert_eq!(ground.prepare(steal).await.unwrap_err(), "sponsored.would_fail", "{contract} {scope:?}");
        }
    }
    // A method that says no without faulting is paid for, and still moves nothing: proven past all checks of ours, with
    // the sponsor's real signature in the scope that it always has.
    for contract in [native::GAS, ground.token] {
        let steal = script(&contract, "transfer", &transfer_args(sponsor, hash(&user), 1));
        let scoped = |scope| [(&ground.sponsor, scope), (&user, Scopes::GLOBAL)];
        let tried = ground.made(&scoped(Scopes::NONE), steal.clone()).await;
        let done = ground.send(&tried).await;
        assert_eq!(done.fault, None);
        let Some(Output::N3(stack)) = &done.output else { panic!("a result") };
        assert_eq!((stack[0].as_bool().unwrap(), done.events.len()), (false, 0), "refused by the token itself");
        assert_eq!(held(&ground, contract, hash(&user)).await, 0);
        // In a wider scope it would have moved: the scope is what keeps it.
        let wide = ground.made(&scoped(Scopes::CALLED_BY_ENTRY), steal).await;
        assert_eq!(ground.send(&wide).await.fault, None);
        assert_eq!(held(&ground, contract, hash(&user)).await, 1);
    }
    assert_eq!(ground.spent().await, 0);
    assert!(ground.gas(sponsor).await < gas_before);
    ground.end().await;
}

async fn held(ground: &Ground, contract: Hash160, of: Hash160) -> i64 {
    ground.number(&contract, "balanceOf", &[Param::Hash160(of)]).await
}

/// Kept accounts: the user's key is here too, and one call does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_account_is_sponsored_in_one_call() {
    let ground = Ground::fresh(None).await;
    let (user, to, sponsor) = (wallet(120), hash(&wallet(121)), hash(&ground.sponsor));
    ground.keep(&user).await;
    ground.give(hash(&user), 1_000).await;
    let submit = |method: &str, max_fee: Option<i64>| Submit {
        chain: Name::NeoN3,
        account: user.public().address(),
        call: Call {
            contract: Some(ground.token.to_string()),
            method: Some(method.to_owned()),
            args: transfer_args(hash(&user), to, 10).iter().map(|arg| json!(arg)).collect(),
            sponsor: Some(ground.sponsor.public().address()),
            ..Call::default()
        },
        max_fee: max_fee.map(|fee| fee.to_string()),
        valid_for_ms: None,
    };
    let refused = async |submit: Submit| ground.relay.submit(&ground.cx, submit).await.unwrap_err().slug.into_owned();
    assert_eq!(refused(submit("transfer", None)).await, "sponsor.unknown");
    ground.put(ground.policy(&["transfer"])).await;
    assert_eq!(refused(submit("mint", None)).await, "sponsor.call_refused");
    let raw = Call { data: Some(format!("0x{}", hex::encode([Opcode::PUSH1 as u8]))), ..submit("", None).call };
    let raw = Call { contract: None, method: None, args: Vec::new(), ..raw };
    assert_eq!(
        refused(Submit { call: raw, ..submit("", None) }).await,
        "sponsor.call_refused",
        "a script of one's own"
    );
    let before = ground.gas(sponsor).await;
    let id = ground.relay.submit(&ground.cx, submit("transfer", None)).await.unwrap().id;
    let done = ground.settled(&id).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    let fee: i64 = done.fee.unwrap().parse().unwrap();
    assert_eq!((ground.tokens(to).await, ground.gas(hash(&user)).await), (10, 0));
    assert_eq!((before - ground.gas(sponsor).await, ground.spent().await), (fee, fee));
    // The sponsor's day is asked at each signature.
    ground.put(SponsorPolicy { per_day: (fee + 1).to_string(), ..ground.policy(&["transfer"]) }).await;
    let id = ground.relay.submit(&ground.cx, submit("transfer", None)).await.unwrap().id;
    let done = ground.settled(&id).await;
    assert_eq!(done.state, State::Failed);
    assert!(done.reason.as_deref().unwrap_or_default().starts_with("budget"), "{:?}", done.reason);
    assert_eq!((ground.tokens(to).await, ground.spent().await), (10, fee));
    ground.end().await;
}

/// Calls that share a transaction share its fee, and the sponsor pays it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_calls_are_paid_once() {
    let ground = Ground::fresh(None).await;
    let (user, to, sponsor) = (wallet(130), hash(&wallet(131)), hash(&ground.sponsor));
    ground.keep(&user).await;
    ground.give(hash(&user), 1_000).await;
    ground.put(ground.policy(&["transfer"])).await;
    let before = ground.gas(sponsor).await;
    let submit = |amount: u64| Submit {
        chain: Name::NeoN3,
        account: user.public().address(),
        call: Call {
            contract: Some(ground.token.to_string()),
            method: Some("transfer".to_owned()),
            args: transfer_args(hash(&user), to, amount).iter().map(|arg| json!(arg)).collect(),
            sponsor: Some(ground.sponsor.public().address()),
            share: true,
            ..Call::default()
        },
        max_fee: None,
        valid_for_ms: None,
    };
    let mut ids = Vec::new();
    for amount in 1..=8 {
        ids.push(ground.relay.submit(&ground.cx, submit(amount)).await.unwrap().id);
    }
    let mut fees = 0;
    for id in &ids {
        let done = ground.settled(id).await;
        assert_eq!(done.state, State::Final, "{done:?}");
        fees += done.fee.unwrap().parse::<i64>().unwrap();
    }
    assert_eq!((ground.tokens(to).await, ground.gas(hash(&user)).await), (36, 0));
    assert_eq!((before - ground.gas(sponsor).await, ground.spent().await), (fees, fees));
    ground.end().await;
}

/// The process ends right after it said yes; another one on the same database does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_completed_outlives_its_process() {
    for database in [None, Some(Database::fresh().unwrap())] {
        let mut ground = Ground::fresh(database).await;
        let (user, to) = (wallet(140), hash(&wallet(141)));
        ground.give(hash(&user), 10).await;
        ground.put(ground.policy(&["transfer"])).await;
        let one = ground.prepare(ground.transfer(hash(&user), to, 3)).await.unwrap();
        let two = ground.prepare(ground.transfer(hash(&user), to, 4)).await.unwrap();
        ground.halt().await;
        let kept = ground.complete(&one.id, signature(&user, &one)).await.unwrap();
        ground.again().await;
        assert_eq!(ground.settled(&kept.id).await.state, State::Final);
        // What was prepared at the one is completed at the other.
        let kept = ground.complete(&two.id, signature(&user, &two)).await.unwrap();
        assert_eq!(ground.settled(&kept.id).await.state, State::Final);
        assert_eq!((ground.tokens(to).await, ground.spent().await), (7, fees(&one) + fees(&two)));
        ground.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo nextest run -p nsl-relay --run-ignored only"]
async fn how_long_it_takes() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(150), hash(&wallet(151)));
    ground.give(hash(&user), 1_000_000).await;
    let much = (1_000 * GAS).to_string();
    ground.put(SponsorPolicy { per_day: much.clone(), per_user_per_day: much, ..ground.policy(&["transfer"]) }).await;
    let (mut preparing, mut completing, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let whole = Instant::now();
    for _ in 0..200 {
        let start = Instant::now();
        let prepared = ground.prepare(ground.transfer(hash(&user), to, 1)).await.unwrap();
        preparing.push(start.elapsed());
        let proof = signature(&user, &prepared);
        let start = Instant::now();
        ids.push(ground.complete(&prepared.id, proof).await.unwrap().id);
        completing.push(start.elapsed());
    }
    for id in &ids {
        assert_eq!(ground.settled(id).await.state, State::Final);
    }
    let rate = ids.len() as f64 / whole.elapsed().as_secs_f64();
    for (what, times) in [("prepare", &mut preparing), ("complete", &mut completing)] {
        times.sort();
        println!("{what}: median {:?}, P95 {:?}", times[100], times[190]);
    }
    println!("{rate:.1} a second to their end, one after the other");
    ground.end().await;
}
