//! How far signatures reach.

use neo::{native, stack::Param, tx::Scopes};
use nsl_api::relay::{Call, Scope, State};

use super::{FAULTY, STORE, TOKEN, account, many, put};
use crate::n3_ground::{N3Ground, invoke, shared};

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
async fn what_one_call_needed_another_one_does_not_get() {
    let ground = N3Ground::fresh(None).await;
    let (me, other) = (ground.account(0), ground.account(1));
    let scopes = async |once: &str, from| {
        let call = invoke(native::GAS, "transfer", &[from, account(0x13).into(), 1.into(), Param::Null]);
        let done = ground.done(once, call).await;
        assert_eq!(done.state, State::Final, "{once}: {done:?}");
        ground.transaction(done.tx.as_deref().unwrap()).await.signers[0].scopes
    };
    assert_eq!(scopes("own", me.into()).await, Scopes::CALLED_BY_ENTRY);
    // It gives false whoever signed.
    assert_eq!(scopes("of another", other.into()).await, Scopes::NONE);
    assert_eq!(scopes("own again", me.into()).await, Scopes::CALLED_BY_ENTRY);
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
