//! Waiting for one transaction.

use std::time::Duration;

use neo::Hash160;
use neo_rpc::{
    Client, Outcome,
    model::VmState,
    watch::{Options, Websocket},
};
use nsl_devnet::Database;
use tokio::time::timeout;

use crate::{
    net::{Net, send_all},
    proxy::{Mode, Proxy},
};

const LONG: Duration = Duration::from_secs(60);

fn both() -> [Options; 2] {
    let asking = Options { websocket: Websocket::None, poll: Duration::from_millis(50), ..Options::default() };
    [Options::default(), asking]
}

#[tokio::test]
async fn executed_failed_and_expired_are_told_apart() {
    let net = Net::memory().await;
    let payer = net.payer(0).await;
    for (round, options) in (0..).zip(both()) {
        let until = net.height().await + 10;
        let good = payer.transfer(Hash160::from_le([7; 20]), 5, 10 + round, until);
        // ABORT
        let bad = payer.signed(vec![0x38], 20 + round, until);
        let never = payer.transfer(Hash160::from_le([7; 20]), 5, 30 + round, until);
        send_all(&net.client, &[good.clone(), bad.clone()]).await;
        let wait = |hash| timeout(LONG, net.client.wait(hash, until, &options));
        let (good, bad, never) = tokio::join!(wait(good.hash()), wait(bad.hash()), wait(never.hash()));
        let (good, bad, never) = (good.unwrap().unwrap(), bad.unwrap().unwrap(), never.unwrap().unwrap());
        assert!(good.succeeded() && good.exception().is_none(), "{good:?}");
        assert!(!bad.succeeded() && bad.exception().is_some_and(|why| why.contains("ABORT")), "{bad:?}");
        assert!(matches!(bad, Outcome::Executed { state: VmState::Fault, .. }));
        assert_eq!(never, Outcome::Expired { height: until });
        assert!(net.height().await >= until);
    }
}

#[tokio::test]
async fn a_transaction_that_was_executed_long_ago_is_not_expired() {
    let net = Net::memory().await;
    let payer = net.payer(0).await;
    let until = net.height().await + 5;
    let transaction = payer.transfer(Hash160::from_le([7; 20]), 5, 1, until);
    send_all(&net.client, std::slice::from_ref(&transaction)).await;
    let first = net.client.wait(transaction.hash(), until, &Options::default()).await.unwrap();
    let other = net.client.wait(Default::default(), until + 3, &Options::default()).await.unwrap();
    assert_eq!(other, Outcome::Expired { height: until + 3 });
    assert_eq!(net.client.wait(transaction.hash(), until, &Options::default()).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_through_cuts_and_restarts() {
    let mut net = Net::start(Database::LevelDb).await;
    let payer = net.payer(0).await;
    let proxy = Proxy::before(&net.node.rpc).await;
    let client = Client::new(&proxy.url()).unwrap();
    let until = net.height().await + 200;
    let transaction = payer.transfer(Hash160::from_le([7; 20]), 5, 1, until);
    let hash = transaction.hash();
    let options = Options { poll: Duration::from_millis(100), ..Options::default() };
    let waiting = client.wait(hash, until, &options);
    let disturbing = async {
        for _ in 0..3 {
            proxy.set(Mode::Refused);
            net.node.restart().await.unwrap();
            proxy.set(Mode::Open);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        send_all(&net.client, std::slice::from_ref(&transaction)).await;
    };
    let (outcome, ()) = timeout(LONG, async { tokio::join!(waiting, disturbing) }).await.unwrap();
    assert!(outcome.unwrap().succeeded());
}
