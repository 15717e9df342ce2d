use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nsl_rpc::Settings;

use crate::{
    echo::{Parrot, Server, channel_with, client, cx, plain},
    proxy::{Fault, Proxy},
};

const CALLERS: u32 = 16;
const ROUNDS: u32 = 250;

/// Callers in a closed loop, one call in ten a write, while one of two addresses has `fault`.
async fn drill(fault: Fault) {
    let (sick, well) = (Parrot::named("sick"), Parrot::named("well"));
    let (sick_server, well_server) = (Server::start(&sick).await, Server::start(&well).await);
    let proxy = Proxy::before(sick_server.address).await;
    let channel = channel_with(Settings::default(), &[proxy.address, well_server.address]);
    for _ in 0..100 {
        client(&channel).read(&cx(Duration::from_secs(5)), plain()).await.unwrap();
    }
    let (warm, warm_sick) = (sick.reads() + well.reads(), sick.reads());
    proxy.set(fault);
    let callers = (0..CALLERS).map(|caller| {
        let client = Arc::new(client(&channel));
        tokio::spawn(async move {
            let mut times = Vec::new();
            for round in 0..ROUNDS {
                let (started, cx) = (Instant::now(), cx(Duration::from_secs(5)));
                let ended = if (caller + round) % 10 == 0 {
                    client.write(&cx, plain()).await
                } else {
                    client.read(&cx, plain()).await
                };
                times.push((started.elapsed(), ended.is_err()));
            }
            times
        })
    });
    let mut ended: Vec<_> = join_all(callers).await.into_iter().flat_map(|times| times.unwrap()).collect();
    ended.sort();
    let calls = CALLERS * ROUNDS;
    let at = |share: usize| ended[ended.len() * share / 1_000].0;
    let failed = ended.iter().filter(|(_, failed)| *failed).count();
    let sent = sick.reads() + well.reads() - warm + sick.writes() + well.writes();
    println!(
        "{fault:?}: p50 {:?} p99 {:?} p99.9 {:?}, {failed} of {calls} failed, {sent} sent",
        at(500),
        at(990),
        at(999)
    );
    assert!(at(990) < Duration::from_millis(500), "p99 is {:?}", at(990));
    assert!(failed * 100 < ended.len(), "{failed} of {calls} calls failed");
    assert!(sent <= calls + calls / 10 + 10, "{sent} sent for {calls} calls");
    assert!(fault == Fault::Swallow || sick.reads() > warm_sick, "the drill did reach the sick address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slow_address_of_two_keeps_p99_under_half_a_second() {
    drill(Fault::Delay(Duration::from_secs(1))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_silent_address_of_two_keeps_p99_under_half_a_second() {
    drill(Fault::Swallow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_cutting_address_of_two_keeps_p99_under_half_a_second() {
    drill(Fault::CutReply).await;
}
