//! What is lost and comes back between a process and RabbitMQ.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nsl_engine::queue::{Consumer, Message};
use nsl_sandbox::{RabbitMq, Vhost};
use nsl_sql::{Config, Db};
use tokio::{task::JoinSet, time::timeout};

use super::{Effect, ORDERS, Stand, effects, message, next, nothing};
use crate::node::eventually;

/// Does the effect of everything that comes, until it has seen these.
async fn work_off(db: &Db, consumer: &mut Consumer, sent: &[Message]) {
    let mut left: HashMap<&str, ()> = sent.iter().map(|sent| (&*sent.id, ())).collect();
    while !left.is_empty() {
        let delivery = next(consumer).await;
        let effect = Effect { receipt: delivery.receipt(), id: delivery.id().to_owned() };
        db.write_platform(effect).await.unwrap();
        left.remove(delivery.id());
        delivery.confirmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_or_killed_rabbitmq_loses_nothing() {
    let mut server = RabbitMq::start().unwrap();
    let vhost = server.vhost().unwrap();
    let stand = Stand::new(Config::embedded(), Some(vhost.url())).await;
    let process = stand.process().await;
    eventually("the broker is reached", async || process.queue.is_up()).await;
    let mut all = Vec::new();
    let mut publish = async |from: usize| {
        let sent: Vec<Message> = (from..from + 50).map(|n| message(&n.to_string())).collect();
        process.queue.publish(sent.clone()).await.unwrap();
        all.extend(sent);
    };
    publish(0).await;
    server.stop().unwrap();
    eventually("the loss is seen", async || !process.queue.is_up()).await;
    publish(50).await;
    server.start_again().unwrap();
    publish(100).await;
    server.kill().unwrap();
    publish(150).await;
    server.start_again().unwrap();
    let mut consumer = process.queue.consume(ORDERS);
    work_off(&process.db, &mut consumer, &all).await;
    nothing(&mut consumer).await;
    let expected: HashMap<_, _> = all.into_iter().map(|sent| (sent.id, 1)).collect();
    assert_eq!(effects(&process.db).await, expected);
    drop(consumer);
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing_and_double_nothing() {
    let vhost = Vhost::fresh().unwrap();
    let stand = Stand::new(Config::embedded(), Some(vhost.url())).await;
    let process = stand.process().await;
    let mut consumer = process.queue.consume(ORDERS);
    let mut all = Vec::new();
    for round in 0..3 {
        let sent: Vec<Message> = (0..100).map(|n| message(&format!("{round} {n}"))).collect();
        process.queue.publish(sent.clone()).await.unwrap();
        all.extend(sent.clone());
        vhost.until_connected(1).unwrap();
        assert!(vhost.cut_connections().unwrap() > 0);
        work_off(&process.db, &mut consumer, &sent).await;
    }
    nothing(&mut consumer).await;
    let expected: HashMap<_, _> = all.into_iter().map(|sent| (sent.id, 1)).collect();
    assert_eq!(effects(&process.db).await, expected);
    drop(consumer);
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_confirmed_just_as_the_connection_ends_holds_nobody_up() {
    let vhost = Vhost::fresh().unwrap();
    let stand = Stand::new(Config::embedded(), Some(vhost.url())).await;
    let process = stand.process().await;
    let mut consumers: Vec<Consumer> = (0..16).map(|_| process.queue.consume(ORDERS)).collect();
    for round in 0..4 {
        let sent = (0..64).map(|n| message(&format!("{round} {n}"))).collect();
        process.queue.publish(sent).await.unwrap();
        let mut held = Vec::new();
        for consumer in &mut consumers {
            for _ in 0..4 {
                let delivery = next(consumer).await;
                let effect = Effect { receipt: delivery.receipt(), id: delivery.id().to_owned() };
                process.db.write_platform(effect).await.unwrap();
                held.push(delivery);
            }
        }
        vhost.until_connected(1).unwrap();
        // While the library ends its connection, one after the other.
        let confirming = held.into_iter().enumerate().map(|(place, delivery)| {
            let queue = process.queue.clone();
            async move {
                while queue.is_up() {
                    tokio::task::yield_now().await;
                }
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(20) * place as u32 {
                    tokio::task::yield_now().await;
                }
                delivery.confirmed().await;
            }
        });
        let mut confirming: JoinSet<()> = confirming.collect();
        assert!(vhost.cut_connections().unwrap() > 0);
        let confirmed = timeout(Duration::from_secs(20), async { while confirming.join_next().await.is_some() {} });
        confirmed.await.expect("nobody waits for a connection that has ended");
        eventually("the broker is reached again", async || process.queue.is_up()).await;
    }
    drop(consumers);
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_of_ours_goes_to_the_dead_letters_of_the_broker() {
    let vhost = Vhost::fresh().unwrap();
    let stand = Stand::new(Config::embedded(), Some(vhost.url())).await;
    let process = stand.process().await;
    let mut consumer = process.queue.consume(ORDERS);
    process.queue.publish(vec![message("ours")]).await.unwrap();
    next(&mut consumer).await.done().await.unwrap();

    let stranger = lapin::Connection::connect(&vhost.url(), Default::default()).await.unwrap();
    let channel = stranger.create_channel().await.unwrap();
    let (options, properties) = (Default::default(), Default::default());
    channel.basic_publish("test".into(), "orders".into(), options, b"?", properties).await.unwrap().await.unwrap();
    nothing(&mut consumer).await;
    let dead = || vhost.queues().unwrap().into_iter().find(|(name, _)| name == "test.dead");
    eventually("it is counted there", async || dead() == Some(("test.dead".into(), 1))).await;
    drop(consumer);
    process.end().await;
}
