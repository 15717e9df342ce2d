//! Each event exactly once and in order, whatever happens to connection, node and caller.

use std::time::Duration;

use neo::{Hash160, Hash256, native::GAS, stack::Param};
use neo_rpc::{
    Client, Endpoint, Error, Outcome, Settings,
    model::{Trigger, VmState},
    watch::{Cursor, Event, Happened, Interest, NotificationFilter, Options, Place, Step, Subscription, Websocket},
};
use nsl_devnet::Database;
use tokio::time::{sleep, timeout};

use crate::{
    net::{self, Net, send_all, transfers_to},
    proxy::{Mode, Proxy},
};

const RECEIVER: Hash160 = Hash160::from_le([77; 20]);
const LONG: Duration = Duration::from_secs(90);

fn to_receiver() -> Interest {
    let filter = NotificationFilter {
        contract: Some(GAS),
        name: Some("Transfer".into()),
        parameters: vec![None, Some(Param::Hash160(RECEIVER))],
    };
    Interest { notifications: vec![filter], ..Interest::default() }
}

fn options() -> Options {
    Options { poll: Duration::from_millis(100), quiet: Duration::from_millis(400), ..Options::default() }
}

/// A client that gives up on a frozen connection soon.
fn hasty(url: &str) -> Client {
    let settings = Settings {
        connect_timeout: Duration::from_millis(500),
        timeout: Duration::from_millis(700),
        ..Settings::default()
    };
    Client::with(Endpoint::http(url).unwrap(), &settings).unwrap()
}

fn place(happened: &Happened) -> net::Place {
    let Place::Transaction(number, Step::Notification(at)) = happened.cursor.place else { panic!("{happened:?}") };
    let Event::Notification { container, .. } = &happened.event else { panic!("{happened:?}") };
    (happened.cursor.height, number, at, *container)
}

/// Compares what was given with what the chain has, told by calls that went straight to the node.
async fn compare(net: &Net, from: u32, given: &[net::Place], sent: usize) {
    let till = given.last().unwrap().0;
    let truth = transfers_to(net, RECEIVER, from, till).await;
    let lost = truth.iter().filter(|place| !given.contains(place)).count();
    let doubled = given.len() - given.iter().collect::<std::collections::HashSet<_>>().len();
    let unordered = given.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    println!("{} sent, {} given: {lost} lost, {doubled} doubled, {unordered} out of order", sent, given.len());
    assert_eq!((lost, doubled, unordered, given.len()), (0, 0, 0, sent));
    assert_eq!(given, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_lose_and_double_nothing() {
    const SENT: u32 = 2000;
    let net = Net::memory().await;
    let payer = net.payer(0).await;
    let proxy = Proxy::before(&net.node.rpc).await;
    let from = net.height().await;
    let until = from + 5000;
    let transactions: Vec<_> = (0..SENT).map(|nonce| payer.transfer(RECEIVER, 1, nonce, until)).collect();

    let mut watching =
        Subscription::start(hasty(&proxy.url()), to_receiver(), Some(Cursor::after(from)), options()).await.unwrap();
    let sending = async {
        for part in transactions.chunks(40) {
            send_all(&net.client, part).await;
            sleep(Duration::from_millis(120)).await;
        }
    };
    let mut cuts = 0;
    let cutting = async {
        for round in 0_u64.. {
            sleep(Duration::from_millis(60 + round * 37 % 400)).await;
            proxy.set(if round % 4 == 3 { Mode::Frozen } else { Mode::Refused });
            sleep(Duration::from_millis([0, 30, 200, 900][round as usize % 4])).await;
            proxy.set(Mode::Open);
            cuts += 1;
        }
    };
    let mut given = Vec::new();
    let reading = async {
        // Dropped and called again all the time, as in a loop that waits for other things too.
        while given.len() < SENT as usize {
            if let Ok(happened) = timeout(Duration::from_millis(5), watching.next()).await {
                given.push(place(&happened.unwrap()));
            }
        }
    };
    timeout(LONG, async {
        tokio::select! {
            ((), ()) = async { tokio::join!(sending, reading) } => {}
            () = cutting => unreachable!("it never ends"),
        }
    })
    .await
    .unwrap();
    println!("{cuts} cuts, {} connections", proxy.accepted());
    assert!(cuts >= 10 && proxy.accepted() > 2 * cuts);
    compare(&net, from + 1, &given, SENT as usize).await;
    // And nothing comes after the last.
    assert!(timeout(Duration::from_millis(500), watching.next()).await.is_err());

    let start = std::time::Instant::now();
    let mut late =
        Subscription::start(net.client.clone(), to_receiver(), Some(Cursor::after(from)), options()).await.unwrap();
    for place_given in &given {
        assert_eq!(place(&late.next().await.unwrap()), *place_given);
    }
    println!(
        "{} events of {} blocks read again in {:?}",
        given.len(),
        given[SENT as usize - 1].0 - from,
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_goes_on_from_its_cursor() {
    const SENT: u32 = 1000;
    let net = Net::memory().await;
    let payer = net.payer(0).await;
    let from = net.height().await;
    let transactions: Vec<_> = (0..SENT).map(|nonce| payer.transfer(RECEIVER, 1, nonce, from + 5000)).collect();
    let sending = async {
        for part in transactions.chunks(50) {
            send_all(&net.client, part).await;
            sleep(Duration::from_millis(60)).await;
        }
    };
    let (mut given, mut starts) = (Vec::new(), 0);
    let reading = async {
        let mut kept = Cursor::after(from).to_string();
        while given.len() < SENT as usize {
            let cursor: Cursor = kept.parse().unwrap();
            let mut watching =
                Subscription::start(net.client.clone(), to_receiver(), Some(cursor), options()).await.unwrap();
            starts += 1;
            for _ in 0..1 + starts * 31 % 47 {
                let Ok(happened) = timeout(Duration::from_secs(2), watching.next()).await else { break };
                given.push(place(&happened.unwrap()));
                kept = watching.cursor().to_string();
            }
        }
    };
    timeout(LONG, async { tokio::join!(sending, reading) }).await.unwrap();
    println!("{starts} starts");
    assert!(starts > 20);
    compare(&net, from + 1, &given, SENT as usize).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_loses_and_doubles_nothing() {
    const SENT: u32 = 1200;
    let mut net = Net::start(Database::LevelDb).await;
    let payer = net.payer(0).await;
    let from = net.height().await;
    let transactions: Vec<_> = (0..SENT).map(|nonce| payer.transfer(RECEIVER, 1, nonce, from + 5000)).collect();
    let client = net.client.clone();
    let mut watching =
        Subscription::start(client.clone(), to_receiver(), Some(Cursor::after(from)), options()).await.unwrap();
    let mut given = Vec::new();
    {
        // What was in the pool when the node stopped is gone, so all are sent again until they are in blocks.
        let sending = async {
            loop {
                for part in transactions.chunks(60) {
                    send_all(&client, part).await;
                    sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let reading = async {
            while given.len() < SENT as usize {
                given.push(place(&watching.next().await.unwrap()));
            }
        };
        let restarting = async {
            for _ in 0..4 {
                sleep(Duration::from_millis(700)).await;
                net.node.restart().await.unwrap();
            }
        };
        timeout(LONG, async {
            tokio::select! {
                ((), ()) = async { tokio::join!(restarting, reading) } => {}
                () = sending => unreachable!("it never ends"),
            }
        })
        .await
        .unwrap();
    }
    compare(&net, from + 1, &given, SENT as usize).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_last_blocks_and_made_others_is_noticed() {
    let mut net = Net::start(Database::LevelDb).await;
    let blocks = Interest { headers: vec![Default::default()], ..Interest::default() };
    let mut watching = Subscription::start(net.client.clone(), blocks, None, options()).await.unwrap();
    let mut forks = 0;
    timeout(LONG, async {
        let mut seen: Vec<Hash256> = Vec::new();
        while forks == 0 {
            for _ in 0..15 {
                let Event::Header(header) = watching.next().await.unwrap().event else { panic!("not a header") };
                assert!(seen.last().is_none_or(|last| *last == header.previous));
                seen.push(header.hash());
            }
            net.node.kill();
            net.node.restart().await.unwrap();
            // The only validator has made its lost blocks anew, unless it had written all down just before.
            loop {
                match watching.next().await {
                    Ok(Happened { event: Event::Header(header), .. }) => {
                        assert_eq!(seen.last(), Some(&header.previous));
                        seen.push(header.hash());
                        if seen.len().is_multiple_of(20) {
                            break;
                        }
                    }
                    Err(Error::Forked { height, .. }) => {
                        let now = net.client.block_hash(height - 1).await.unwrap();
                        assert_ne!(Some(&now), seen.last());
                        forks += 1;
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    })
    .await
    .unwrap();
    // It stays noticed, also by one that starts anew from where this one is.
    assert!(matches!(watching.next().await, Err(Error::Forked { .. })));
    let cursor: Cursor = watching.cursor().to_string().parse().unwrap();
    let mut again =
        Subscription::start(net.client.clone(), Interest::everything(), Some(cursor), options()).await.unwrap();
    assert!(matches!(again.next().await, Err(Error::Forked { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_come_in_the_order_of_the_block() {
    let net = Net::memory().await;
    let payer = net.payer(0).await;
    let from = net.height().await;
    let good = payer.transfer(RECEIVER, 5, 1, from + 100);
    let bad = payer.signed(vec![0x38], 2, from + 100);
    send_all(&net.client, &[good.clone(), bad.clone()]).await;
    let asking = Options { websocket: Websocket::None, ..options() };
    let start =
        |options| Subscription::start(net.client.clone(), Interest::everything(), Some(Cursor::after(from)), options);
    let (mut rung, mut asked) = (start(options()).await.unwrap(), start(asking).await.unwrap());
    // What contracts tell is read from the logs here, and there by a call that has nothing else.
    let told = Subscription::start(net.client.clone(), Interest::notifications(), Some(Cursor::after(from)), options());
    let mut told = told.await.unwrap();
    let (mut runs, mut last) = (Vec::new(), Cursor::after(from));
    timeout(LONG, async {
        loop {
            let happened = rung.next().await.unwrap();
            assert_eq!(happened, asked.next().await.unwrap(), "a websocket makes no difference");
            assert!(happened.cursor > last);
            last = happened.cursor;
            match &happened.event {
                Event::Execution { container, execution } if execution.trigger == Trigger::Application => {
                    runs.push((*container, execution.state));
                }
                Event::Notification { container, .. } => {
                    assert_ne!(*container, bad.hash(), "it failed");
                    let same = told.next().await.unwrap();
                    assert_eq!((same.cursor, &same), (happened.cursor, &happened));
                }
                Event::Block(block) if runs.len() == 2 => {
                    assert_eq!(last.place, Place::Block);
                    assert_eq!(last.block, Some(block.hash()));
                    break;
                }
                _ => {}
            }
        }
    })
    .await
    .unwrap();
    runs.sort_by_key(|(hash, _)| *hash);
    let mut wanted = [(good.hash(), VmState::Halt), (bad.hash(), VmState::Fault)];
    wanted.sort_by_key(|(hash, _)| *hash);
    assert_eq!(runs, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_has_an_end_and_the_subscription_does_not() {
    let net = Net::memory().await;
    let proxy = Proxy::before(&net.node.rpc).await;
    let blocks = Interest { headers: vec![Default::default()], ..Interest::default() };
    let patient = Options { patience: Some(Duration::from_millis(300)), ..options() };
    let mut watching = Subscription::start(hasty(&proxy.url()), blocks, None, patient).await.unwrap();
    let first = watching.next().await.unwrap();
    proxy.set(Mode::Refused);
    let failed = timeout(LONG, async {
        loop {
            if let Err(error) = watching.next().await {
                return error;
            }
        }
    })
    .await
    .unwrap();
    assert!(failed.is_transient(), "{failed}");
    let reached = watching.cursor();
    proxy.set(Mode::Open);
    let next = timeout(LONG, async {
        loop {
            if let Ok(happened) = watching.next().await {
                return happened;
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(next.cursor.height, reached.height + 1);
    assert!(next.cursor > first.cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_leave_much_are_read_in_parts() {
    const SENT: u32 = 30;
    let net = Net::memory().await;
    let mut payer = net.payer(0).await;
    payer.network_fee += 3_000_000;
    payer.system_fee += 5_000_000;
    let from = net.height().await;
    // 60,000 bytes, and seven times the same again: 640 KB as JSON, for a small fee. And once 8 MB (it could be 140), for the same.
    let leaving = |copies: usize| {
        let new_buffer_to_byte_string = [0x88, 0xdb, 0x28];
        let size = 60_000_u32.to_le_bytes();
        [&[0x02][..], &size, &new_buffer_to_byte_string, &vec![0x4a; copies]].concat()
    };
    let mut sent: Vec<_> = (0..SENT).map(|nonce| payer.signed(leaving(7), nonce, from + 100)).collect();
    let transfer = payer.transfer(RECEIVER, 1, 0, 0).script;
    payer.network_fee += 1_000_000;
    let huge = payer.signed([transfer, leaving(100)].concat(), SENT, from + 100);
    sent.push(huge.clone());
    send_all(&net.client, &sent).await;
    let narrow = Settings { most_answer: 3 << 20, ..Settings::default() };
    let narrow = Client::with(Endpoint::http(&net.node.rpc).unwrap(), &narrow).unwrap();
    let wanted = Interest { executions: vec![Default::default()], ..to_receiver() };
    let start = Subscription::start(narrow.clone(), wanted, Some(Cursor::after(from)), options());
    let mut watching = start.await.unwrap();
    let (mut shown, mut oversized, mut told) = (0, 0, 0);
    while shown + oversized + told < sent.len() + 1 {
        let happened = timeout(LONG, watching.next()).await.unwrap().unwrap();
        match happened.event {
            Event::Execution { execution, .. } if execution.trigger == Trigger::Application => {
                assert_eq!(execution.state, VmState::Halt);
                assert_eq!(execution.stack.known().map(Vec::len), Some(8));
                shown += 1;
            }
            Event::Oversized { container } => {
                assert_eq!(container, huge.hash());
                oversized += 1;
            }
            Event::Notification { container, .. } => {
                assert_eq!(container, huge.hash());
                told += 1;
            }
            _ => {}
        }
    }
    assert_eq!((shown, oversized, told), (SENT as usize, 1, 1));
    let outcome = narrow.wait(huge.hash(), from + 100, &options()).await.unwrap();
    assert!(matches!(outcome, Outcome::Executed { execution: None, .. }) && outcome.succeeded(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_left_out_is_asked_for() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::{accept_async, tungstenite::Message};
    let net = Net::memory().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let websocket = Endpoint::websocket(&format!("ws://{}/ws", listener.local_addr().unwrap())).unwrap();
    let (tell, mut told) = tokio::sync::mpsc::channel::<&str>(1);
    // It rings when the test says so, and never on its own.
    let ringing = async move {
        let mut stream = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        let asked = stream.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(asked.contains("subscribe") && asked.contains("header_of_added_block"), "{asked}");
        let event = r#"{"jsonrpc":"2.0","method":"header_of_added_block","params":[{"index":1}]}"#;
        stream.send(Message::text(event)).await.unwrap();
        stream.send(Message::text(r#"{"jsonrpc":"2.0","id":1,"result":"0"}"#)).await.unwrap();
        while let Some(text) = told.recv().await {
            stream.send(Message::text(text)).await.unwrap();
        }
    };
    let seldom = Duration::from_secs(3600);
    let options = Options { websocket: Websocket::At(websocket), poll: seldom, quiet: seldom, ..Options::default() };
    let blocks = Interest { headers: vec![Default::default()], ..Interest::default() };
    let mut watching = Subscription::start(net.client.clone(), blocks, Some(Cursor::before(1)), options).await.unwrap();
    let reading = async {
        // What the answer to the subscription brings: all up to then, and nothing more.
        while let Ok(happened) = timeout(Duration::from_millis(800), watching.next()).await {
            happened.unwrap();
        }
        let before = watching.cursor().height;
        assert!(net.height().await > before);
        tell.send(r#"{"jsonrpc":"2.0","method":"event_missed","params":[]}"#).await.unwrap();
        assert_eq!(timeout(LONG, watching.next()).await.unwrap().unwrap().cursor.height, before + 1);
        drop(tell);
    };
    tokio::join!(ringing, reading);
}
