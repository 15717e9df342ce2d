//! What a sponsor pays for, and what its signature is good for.

use std::sync::atomic::Ordering;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160,
    context::Context,
    native,
    stack::Param,
    tx::{Scopes, Signer, Transaction},
    wire::Wire,
};
use nsl_api::{
    relay::{Scope, State},
    sponsor::{Complete, NameSponsor, Proof, PutSponsor, SponsorPolicy, SponsoredContract},
};
use nsl_chain::Output;
use nsl_core::{Once, TenantId};
use serde_json::json;

use super::{fees, read};
use crate::sponsor_ground::{Ground, hash, script, signature, transfer_args, wallet};

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
