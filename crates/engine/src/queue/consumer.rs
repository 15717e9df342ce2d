use std::{pin::pin, time::Duration};

use nsl_core::Result;
use nsl_sql::{Scope, args};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Delivery, Queue, Topic, changes::Take, rabbit, table};
use crate::backoff::Backoff;

/// Receives the messages of one topic. Dropped, it gives back what it held when the leases end; [`Consumer::close`]
/// gives it back at once.
pub struct Consumer {
    arriving: mpsc::Receiver<Delivery>,
    task: JoinSet<()>,
    stop: CancellationToken,
}

impl Consumer {
    pub(super) fn start(queue: Queue, topic: Topic) -> Self {
        // What came through the broker is claimed only when there is room for it, so one place is enough there.
        let room = if queue.0.broker.is_some() { 1 } else { queue.0.config.prefetch.into() };
        let (sender, arriving) = mpsc::channel(room);
        let (mut task, stop) = (JoinSet::new(), CancellationToken::new());
        let stopped = stop.clone();
        task.spawn(async move {
            match &queue.0.broker {
                Some(broker) => rabbit::pump(&queue, broker, topic, sender, stopped).await,
                None => pump(&queue, topic, sender, stopped).await,
            }
        });
        Self { arriving, task, stop }
    }

    /// The next message. May be dropped while waiting, without losing one.
    pub async fn next(&mut self) -> Delivery {
        loop {
            let delivery = self.arriving.recv().await.expect("the pump runs as long as its consumer");
            if !delivery.is_stale() {
                return delivery;
            }
            release(delivery).await;
        }
    }

    /// Ends, and lets others have at once what this one had taken and not given out.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
        self.arriving.close();
        while let Some(delivery) = self.arriving.recv().await {
            release(delivery).await;
        }
    }
}

/// Hands on what is due, as long as someone receives it. A loan is only taken when there is room for it, and between
/// taking and handing on nothing is waited for.
async fn pump(queue: &Queue, topic: Topic, out: mpsc::Sender<Delivery>, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let waiting = async {
            let _room = out.reserve().await.ok()?;
            Some(until_due(queue, topic).await)
        };
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = waiting => found,
        };
        let taken = match found {
            None => return,
            Some(Ok(())) => take(queue, topic, out.capacity()).await,
            Some(Err(error)) => Err(error),
        };
        match taken {
            Ok(taken) => {
                backoff = backoff.reset();
                for delivery in taken {
                    if let Some(delivery) = unless_spent(delivery).await
                        && out.try_send(delivery).is_err()
                    {
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(topic = topic.name(), %error, "messages cannot be taken, trying again");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

async fn until_due(queue: &Queue, topic: Topic) -> Result<()> {
    loop {
        let mut news = pin!(queue.0.news.notified());
        news.as_mut().enable();
        let asked = args![topic.name(), queue.now()];
        if !queue.db().query(Scope::Platform, table::DUE_OF_TOPIC, asked).await?.is_empty() {
            return Ok(());
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep(queue.poll()) => {}
        }
    }
}

async fn take(queue: &Queue, topic: Topic, most: usize) -> Result<Vec<Delivery>> {
    let until = queue.lease();
    let take = Take { topic: Some(topic.name()), now: queue.now(), until, most: most as u32 };
    let taken = queue.db().write_platform(take).await?;
    Ok(taken.into_iter().map(|message| Delivery { message, queue: queue.clone(), until, broker: None }).collect())
}

/// Puts aside what came too often: it may be what ends its consumers.
pub(super) async fn unless_spent(delivery: Delivery) -> Option<Delivery> {
    let most = delivery.queue.0.config.max_attempts;
    if delivery.attempt() <= most {
        return Some(delivery);
    }
    if let Err(error) = delivery.dead(format!("not settled in {most} attempts")).await {
        tracing::debug!(%error, "a spent message could not be put aside yet");
    }
    None
}

pub(super) async fn release(delivery: Delivery) {
    // What fails here comes again when its lease ends.
    if let Err(error) = delivery.release().await {
        tracing::debug!(%error, "a message could not be given back early");
    }
}
