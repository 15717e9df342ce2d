use std::time::Duration;

use futures_util::future::join_all;
use nsl_core::Code;
use nsl_rpc::{Circuit, Settings};

use crate::{
    echo::{Parrot, Server, Then, ask, channel_with, client, cx, eventually, guard, long, nobody, plain},
    proxy::{Fault, Proxy},
};

fn without_hedges() -> Settings {
    Settings { hedge: false, ..Settings::default() }
}

#[tokio::test]
async fn a_refused_connection_is_tried_at_the_second_address_even_for_a_write() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let channel = channel_with(Settings::default(), &[nobody().await, server.address]);
    for _ in 0..40 {
        client(&channel).write(&long(), plain()).await.unwrap();
    }
    assert_eq!(parrot.writes(), 40);
    assert_eq!(
        channel.state().iter().map(|address| address.circuit).collect::<Vec<_>>(),
        [Circuit::Open, Circuit::Closed]
    );
}

#[tokio::test]
async fn what_may_have_been_run_is_not_sent_again_unless_it_is_a_read() {
    let (cut, whole) = (Parrot::named("cut"), Parrot::named("whole"));
    let (cut_server, whole_server) = (Server::start(&cut).await, Server::start(&whole).await);
    let proxy = Proxy::before(cut_server.address).await;
    proxy.set(Fault::CutReply);
    let channel = channel_with(without_hedges(), &[proxy.address, whole_server.address]);
    let (mut failed, calls) = (0, 40);
    for _ in 0..calls {
        match client(&channel).write(&long(), plain()).await {
            Ok(told) => assert_eq!(told.by, "whole"),
            Err(error) => {
                assert_eq!((error.code, error.slug.as_ref()), (Code::Unavailable, "peer.unreachable"));
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 5, "until the address is ejected");
    assert_eq!((cut.writes(), whole.writes()), (5, calls - 5));

    let channel = channel_with(without_hedges(), &[proxy.address, whole_server.address]);
    for _ in 0..calls {
        assert_eq!(client(&channel).read(&long(), plain()).await.unwrap().by, "whole");
    }
    assert_eq!((cut.reads(), whole.reads()), (5, calls));
}

#[tokio::test]
async fn an_ejected_address_is_probed_and_taken_back() {
    let (one, two) = (Parrot::named("one"), Parrot::named("two"));
    let (first, second) = (Server::start(&one).await, Server::start(&two).await);
    let address = first.address;
    let settings = Settings { eject_ms: 100, ..without_hedges() };
    let channel = channel_with(settings, &[address, second.address]);
    let client = client(&channel);
    drop(first);
    eventually("the dead address is ejected", async || {
        client.write(&long(), plain()).await.unwrap();
        channel.state()[0].circuit == Circuit::Open
    })
    .await;
    let (ran_before, first) = (one.writes(), Server::at(address, &one, guard()).await);
    eventually("it is taken back", async || {
        client.write(&long(), plain()).await.unwrap();
        channel.state()[0].circuit == Circuit::Closed && one.writes() > ran_before
    })
    .await;
    drop(first);
}

#[tokio::test]
async fn the_only_address_heals_soon_after_it_is_back() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let address = server.address;
    let channel = channel_with(Settings::default(), &[address]);
    drop(server);
    let mut last = String::new();
    for _ in 0..6 {
        let error = client(&channel).write(&long(), plain()).await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.retry_after_ms.is_some());
        last = error.slug.into_owned();
    }
    assert_eq!(last, "peer.circuit_open", "after five failures callers are told at once");
    let _server = Server::at(address, &parrot, guard()).await;
    let back = async {
        eventually("it heals", async || client(&channel).write(&long(), plain()).await.is_ok()).await;
    };
    tokio::time::timeout(Duration::from_secs(3), back).await.expect("not the whole rest of 30 s");
}

#[tokio::test]
async fn an_address_that_hangs_is_ejected() {
    let server = Server::start(&Parrot::named("mute")).await;
    let proxy = Proxy::before(server.address).await;
    proxy.set(Fault::Swallow);
    let channel = channel_with(Settings { hung_ms: 20, ..without_hedges() }, &[proxy.address]);
    for _ in 0..5 {
        let error = client(&channel).write(&cx(Duration::from_millis(60)), plain()).await.unwrap_err();
        assert_eq!(error.code, Code::Timeout);
    }
    assert_eq!(channel.state()[0].circuit, Circuit::Open);
    let error = client(&channel).write(&long(), plain()).await.unwrap_err();
    assert_eq!(error.slug, "peer.circuit_open", "callers no longer wait for it");
}

#[tokio::test]
async fn callers_of_little_patience_eject_nobody() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let channel = channel_with(without_hedges(), &[server.address]);
    for _ in 0..10 {
        let error = client(&channel).write(&cx(Duration::from_millis(20)), ask("x", Then::Hang)).await.unwrap_err();
        assert_eq!(error.code, Code::Timeout);
    }
    assert_eq!(channel.state()[0].circuit, Circuit::Closed);
    client(&channel).write(&long(), plain()).await.unwrap();
}

#[tokio::test]
async fn a_read_that_takes_long_is_asked_elsewhere_too() {
    let (slow, fast) = (Parrot::named("slow"), Parrot::named("fast"));
    let (slow_server, fast_server) = (Server::start(&slow).await, Server::start(&fast).await);
    let proxy = Proxy::before(slow_server.address).await;
    let channel = channel_with(Settings::default(), &[proxy.address, fast_server.address]);
    for _ in 0..200 {
        client(&channel).read(&long(), plain()).await.unwrap();
    }
    let asked = slow.reads();
    proxy.set(Fault::Delay(Duration::from_secs(8)));
    let started = std::time::Instant::now();
    let calls = (0..8).map(|_| {
        let client = client(&channel);
        async move { client.read(&long(), plain()).await.unwrap().by }
    });
    let by = join_all(calls).await;
    assert!(started.elapsed() < Duration::from_secs(4), "nobody waited for the slow one");
    assert!(slow.reads() > asked, "some calls went to it first");
    assert!(by.iter().all(|by| by == "fast"));
}

#[tokio::test]
async fn beyond_its_limit_a_few_wait_and_the_rest_is_told_at_once() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    for (wait_ms, answered) in [(5_000, 12), (50, 8)] {
        let settings = Settings { in_flight: 8, waiting: 4, wait_ms, ..Settings::default() };
        let channel = channel_with(settings, &[server.address]);
        let calls = (0..20).map(|_| {
            let client = client(&channel);
            async move { client.write(&long(), ask("x", Then::Linger(400))).await }
        });
        let ended = join_all(calls).await;
        let refused: Vec<_> = ended.iter().filter_map(|ended| ended.as_ref().err()).collect();
        assert_eq!(ended.len() - refused.len(), answered, "waiting {wait_ms} ms");
        for error in refused {
            assert_eq!((error.code, error.slug.as_ref()), (Code::Unavailable, "peer.overloaded"));
            assert!(error.retry_after_ms.is_some());
        }
        assert_eq!(channel.state()[0].in_flight, 0);
    }
}

#[tokio::test]
async fn repeats_stay_within_their_budget_when_everything_fails() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let (one, two) = (Proxy::before(server.address).await, Proxy::before(server.address).await);
    one.set(Fault::CutReply);
    two.set(Fault::CutReply);
    // Never ejected, so that each call is really sent.
    let settings = Settings { eject_after: u32::MAX, ..Settings::default() };
    let channel = channel_with(settings, &[one.address, two.address]);
    for _ in 0..300 {
        client(&channel).read(&long(), plain()).await.unwrap_err();
    }
    let extra = parrot.reads() - 300;
    assert!((30..=40).contains(&extra), "{extra} repeats of 300 calls");
}
