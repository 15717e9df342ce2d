use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel,
    message::Delivery as Arrived,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
    },
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
    delivery::{Ack, Subscription},
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
            Ok(Ok((channel, mut arriving))) => {
                backoff = backoff.reset();
                if receive(queue, topic, &channel, &mut arriving, &out, &stop).await {
                    let _ = tokio::time::timeout(broker.timeout, leave(&channel, arriving)).await;
                    return;
                }
            }
            Ok(Err(error)) => tracing::warn!(topic = topic.name(), %error, "cannot consume from rabbitmq"),
            Err(_) => broker.drop_live(&live),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn subscribe(
    queue: &Queue,
    broker: &Broker,
    live: &Live,
    topic: Topic,
) -> lapin::Result<(Channel, lapin::Consumer)> {
    let channel = broker.channel(live).await?;
    let from = broker.declare(live, &channel, topic.name()).await?;
    channel.basic_qos(queue.0.config.prefetch, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let arriving = channel.basic_consume(from.into(), "".into(), options, FieldTable::default()).await?;
    Ok((channel, arriving))
}

/// Lets others have at once what arrived here and was not looked at. What was handed on can still be settled.
async fn leave(channel: &Channel, mut arriving: lapin::Consumer) {
    if channel.basic_cancel(arriving.tag(), BasicCancelOptions::default()).await.is_err() {
        return;
    }
    while let Some(Ok(arrived)) = arriving.next().await {
        let _ = arrived.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await;
    }
}

/// Returns `true` when there is no one to receive any more, `false` when the subscription broke.
async fn receive(
    queue: &Queue,
    topic: Topic,
    channel: &Channel,
    arriving: &mut lapin::Consumer,
    out: &mpsc::Sender<Delivery>,
    stop: &CancellationToken,
) -> bool {
    let shared = Arc::new(Subscription { channel: channel.clone(), dropped: Mutex::default() });
    loop {
        let next = async {
            let room = out.reserve().await.ok()?;
            loop {
                shared.give_back().await;
                tokio::select! {
                    arrived = arriving.next() => return Some((room, arrived)),
                    () = shared.ended() => return Some((room, None)),
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
        // Not given up half-way: a claim that nobody knows of would keep the message from everyone.
        let claimed = claim(queue, topic, arrived, &shared, stop).await;
        if let Some(delivery) = claimed
            && let Some(delivery) = unless_spent(delivery).await
        {
            room.send(delivery);
        }
    }
}

/// `None` when there is nothing to do: it is done already, someone else works on it, or it is no message of ours.
/// While SQL is away this waits; the message stays where it is, counted by nobody.
async fn claim(
    queue: &Queue,
    topic: Topic,
    arrived: Arrived,
    shared: &Arc<Subscription>,
    stop: &CancellationToken,
) -> Option<Delivery> {
    let acker = arrived.acker;
    let Some(message) = broker::read(topic.name(), &arrived.properties, arrived.data) else {
        tracing::warn!(
            topic = topic.name(),
            "what came from rabbitmq is no message of ours, it goes to its dead letters"
        );
        shared.tell(acker.reject(BasicRejectOptions { requeue: false })).await;
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
                if stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await.is_none() {
                    shared.dropped.lock().push(acker);
                    return None;
                }
            }
        }
    };
    let Claimed::Yes { attempt, fence } = claimed else {
        shared.tell(acker.ack(BasicAckOptions::default())).await;
        return None;
    };
    let message = super::table::Taken { attempt, fence, ..message };
    let ack = Ack { acker, shared: Arc::clone(shared) };
    Some(Delivery { message, queue: queue.clone(), until, broker: Some(ack) })
}
