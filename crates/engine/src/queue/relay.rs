use std::{pin::pin, sync::Arc, time::Duration};

use nsl_core::Result;
use nsl_sql::{Scope, Statement, args};
use tokio_util::sync::CancellationToken;

use super::{
    Queue, Receipt,
    broker::{Broker, Live},
    changes::{Fate, Finish, Settle, Take},
    table::{self, Taken},
};
use crate::backoff::Backoff;

const AT_ONCE: u32 = 256;
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Longer than any message can still come a second time.
const CLAIMS_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Everything that goes on behind the queue. Ends soon after `stop`, with nothing half-way to the broker.
pub(super) async fn run(queue: &Queue, stop: &CancellationToken) {
    match &queue.0.broker {
        None => tokio::select! {
            () = stop.cancelled() => {}
            () = count(queue) => {}
        },
        Some(broker) => tokio::select! {
            () = relay(queue, broker, stop) => broker.close().await,
            () = broker.keep() => {}
            () = count(queue) => {}
        },
    }
}

/// Moves what is due from SQL to the broker.
async fn relay(queue: &Queue, broker: &Broker, stop: &CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        let waiting = async {
            let live = broker.live().await;
            until_due(queue).await.map(|()| live)
        };
        let relayed = match stop.run_until_cancelled(waiting).await {
            None => return,
            Some(Ok(live)) => relay_once(queue, broker, &live).await,
            Some(Err(error)) => Err(error.into()),
        };
        match relayed {
            Ok(()) => backoff = backoff.reset(),
            Err(error) => {
                tracing::warn!(%error, "messages cannot be relayed, they wait in SQL");
                if stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await.is_none() {
                    return;
                }
            }
        }
    }
}

async fn relay_once(queue: &Queue, broker: &Broker, live: &Arc<Live>) -> anyhow::Result<()> {
    // Long enough for the broker to answer, or for us to notice that it does not.
    let until = queue.now().plus(broker.timeout * 3);
    let take = Take { topic: None, now: queue.now(), until, most: AT_ONCE };
    let taken = queue.db().write_platform(take).await?;
    match broker.publish(live, taken.clone()).await {
        Ok(answered) => {
            let (safe, refused): (Vec<_>, Vec<_>) = answered.into_iter().partition(|(_, safe)| *safe);
            // A row that went back into the table meanwhile has another fence, and stays.
            finish(queue, safe.into_iter().map(|(message, _)| message)).await?;
            delay(queue, refused.into_iter().map(|(message, _)| message), Duration::from_secs(1)).await;
            Ok(())
        }
        Err(error) => {
            // Nobody knows which of them arrived: all come again, and those that did are recognised.
            broker.drop_live(live);
            delay(queue, taken.into_iter(), Duration::ZERO).await;
            Err(error)
        }
    }
}

async fn until_due(queue: &Queue) -> Result<()> {
    loop {
        let mut news = pin!(queue.0.news.notified());
        news.as_mut().enable();
        if !queue.db().query(Scope::Platform, table::DUE, args![queue.now()]).await?.is_empty() {
            return Ok(());
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep(queue.poll()) => {}
        }
    }
}

async fn finish(queue: &Queue, messages: impl Iterator<Item = Taken>) -> Result<()> {
    let receipt = |message: Taken| Receipt { id: message.id, fence: message.fence, claim: false };
    let finishing =
        messages.map(|message| queue.db().write_platform(Finish { receipt: receipt(message), now: queue.now() }));
    for finished in futures_util::future::join_all(finishing).await {
        match finished {
            Err(error) if error.slug != "queue.lease_lost" => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn delay(queue: &Queue, messages: impl Iterator<Item = Taken>, after: Duration) {
    let due = queue.now().plus(after);
    let moving = messages.map(|message| {
        let settle = Settle { id: message.id, fence: message.fence, fate: Fate::Retry(due), now: due, claim: None };
        queue.db().write_platform(settle)
    });
    // What cannot be moved is due when the loan of the relay ends.
    futures_util::future::join_all(moving).await;
}

/// Shows how much waits and for how long, and forgets claims that nobody can ask for any more.
async fn count(queue: &Queue) {
    let (waiting, dead) = (metrics::gauge!("queue_waiting"), metrics::gauge!("queue_dead"));
    let lag = metrics::gauge!("queue_lag_seconds");
    loop {
        if let Ok(rows) = queue.db().scan(Scope::Platform, table::DEPTH, Vec::new()).await {
            let mut seen = [(0, None), (0, None)];
            for mut row in rows {
                if let (Ok(dead), Ok(number), Ok(due)) = (row.take::<bool>(0), row.take::<i64>(1), row.take(2)) {
                    seen[usize::from(dead)] = (number, due);
                }
            }
            waiting.set(seen[0].0 as f64);
            dead.set(seen[1].0 as f64);
            lag.set(seen[0].1.map_or(0.0, |due| queue.now().since(due).as_secs_f64()));
        }
        if queue.0.broker.is_some() {
            let old = args![queue.now().minus(CLAIMS_KEPT)];
            let _ = queue.db().write_platform(Statement { sql: table::PURGE_CLAIMS, args: old }).await;
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}
