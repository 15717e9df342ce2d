use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Acker,
    message::Delivery as Arrived,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions},
    types::FieldTable,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Delivery, Queue, Topic,
    broker::{self, Broker, Live},
    changes::{Claim, Claimed},
    consumer::unless_spent,
    delivery::Ack,
};
use crate::backoff::Backoff;

/// Hands on what the broker delivers and SQL lets us claim, as long as someone receives it.
pub(super) async fn pump(
    queue: &Queue,
    broker: &Broker,
    topic: Topic,
    out: mpsc::Sender<Delivery>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let live = tokio::select! {
            () = stop.cancelled() => return,
            live = broker.live() => live,
        };
        let subscribing = tokio::time::timeout(broker.timeout, subscribe(queue, broker, &live, topic));
        match subscribing.await {
            Ok(Ok(arriving)) => {
                backoff = backoff.reset();
                if receive(queue, topic, arriving, &out, &stop).await {
                    return;
                }
            }
            Ok(Err(error)) => tracing::warn!(topic = topic.name(), %error, "cannot consume from rabbitmq"),
            Err(_) => broker.drop_live(&live),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn subscribe(queue: &Queue, broker: &Broker, live: &Live, topic: Topic) -> lapin::Result<lapin::Consumer> {
    let channel = broker.channel(live).await?;
    let from = broker.declare(live, &channel, topic.name()).await?;
    channel.basic_qos(queue.0.config.prefetch, BasicQosOptions::default()).await?;
    channel.basic_consume(from.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await
}

/// Returns `true` when there is no one to receive any more, `false` when the subscription broke.
async fn receive(
    queue: &Queue,
    topic: Topic,
    mut arriving: lapin::Consumer,
    out: &mpsc::Sender<Delivery>,
    stop: &CancellationToken,
) -> bool {
    let dropped: Arc<Mutex<Vec<Acker>>> = Arc::default();
    loop {
        let next = async {
            let room = out.reserve().await.ok()?;
            loop {
                give_back(&dropped).await;
                tokio::select! {
                    arrived = arriving.next() => return Some((room, arrived)),
                    // What was dropped meanwhile should not have to wait for the next message.
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                }
            }
        };
        let (room, arrived) = tokio::select! {
            () = stop.cancelled() => return true,
            next = next => match next {
                None => return true,
                Some((_, None | Some(Err(_)))) => return false,
                Some((room, Some(Ok(arrived)))) => (room, arrived),
            },
        };
        let claiming = claim(queue, topic, arrived, &dropped);
        let claimed = tokio::select! {
            () = stop.cancelled() => return true,
            claimed = claiming => claimed,
        };
        if let Some(delivery) = claimed
            && let Some(delivery) = unless_spent(delivery).await
        {
            room.send(delivery);
        }
    }
}

async fn give_back(dropped: &Mutex<Vec<Acker>>) {
    let ackers = std::mem::take(&mut *dropped.lock());
    for acker in ackers {
        let _ = acker.nack(BasicNackOptions { requeue: true, multiple: false }).await;
    }
}

/// `None` when there is nothing to do: it is done already, someone else works on it, or it is no message of ours.
/// While SQL is away this waits; the message stays where it is, counted by nobody.
async fn claim(queue: &Queue, topic: Topic, arrived: Arrived, dropped: &Arc<Mutex<Vec<Acker>>>) -> Option<Delivery> {
    let acker = arrived.acker;
    let Some(message) = broker::read(topic.name(), &arrived.properties, arrived.data) else {
        tracing::warn!(
            topic = topic.name(),
            "what came from rabbitmq is no message of ours, it goes to its dead letters"
        );
        let _ = acker.reject(BasicRejectOptions { requeue: false }).await;
        return None;
    };
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    let (claimed, until) = loop {
        let until = queue.lease();
        let claim = Claim { message: message.clone(), now: queue.now(), until };
        match queue.db().write_platform(claim).await {
            Ok(claimed) => break (claimed, until),
            Err(error) => {
                tracing::warn!(topic = topic.name(), %error, "a message cannot be claimed, trying again");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    };
    let Claimed::Yes { attempt, fence } = claimed else {
        let _ = acker.ack(BasicAckOptions::default()).await;
        return None;
    };
    let message = super::table::Taken { attempt, fence, ..message };
    let ack = Ack { acker, dropped: Arc::clone(dropped) };
    Some(Delivery { message, queue: queue.clone(), until, broker: Some(ack) })
}
