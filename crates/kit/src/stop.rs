use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::{ops::Health, serve::Serving, settings::ShutdownSettings, tasks::Tasks};

/// What the background tasks keep of the budget when the listeners would take all of it.
const FOR_TASKS: Duration = Duration::from_secs(1);
/// What the health pages keep, so that they answer to the end.
const FOR_LAST: Duration = Duration::from_millis(250);

/// Ends a process: readiness goes red, the listeners finish what is in flight, the tasks what they
/// have begun, and `last` (the ops listener) answers until then. Listeners stop group by group, so
/// that a request of the first can still call into the second. Returns whether everything finished;
/// it ends in `notice + drain` either way.
pub async fn wind_down(
    settings: &ShutdownSettings,
    health: &Health,
    listeners: Vec<Vec<Serving>>,
    tasks: &Tasks,
    last: Vec<Serving>,
) -> bool {
    health.stopping();
    sleep(settings.notice).await;
    let end = Instant::now() + settings.drain;
    let left = |kept: Duration| end.saturating_duration_since(Instant::now()).saturating_sub(kept);
    let mut whole = true;
    for group in listeners {
        let drained = join_all(group.iter().map(|serving| serving.drain(left(FOR_TASKS)))).await;
        whole &= drained.into_iter().all(|finished| finished);
    }
    whole &= tasks.drain(left(FOR_LAST)).await.is_empty();
    // Scrapers keep their connections: that one is cut says nothing of the work.
    join_all(last.iter().map(|serving| serving.drain(left(Duration::ZERO)))).await;
    whole
}
