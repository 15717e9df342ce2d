//! The states of a transaction as they come, as server-sent events.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::stream;
use nsl_api::{
    Chain,
    relay::{AskPassed, FindTransaction, Passed, RelayClient, State as Is, WatchPassed},
};
use nsl_core::{Clock, Code, Cx, Deadline, Error, SystemClock, TenantId};
use nsl_edge::{Caller, Path, Problem, Query};
use nsl_kit::serve::Leaving;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::transactions::Since;

/// Streams of one tenant that a process keeps open, and of all: each has one call of the service under way, and the
/// others need room beside them where the service is far.
const MOST: usize = 64;
const MOST_OF_ALL: usize = 512;
/// After so long a stream ends, and its client goes on where it was: what was revoked meanwhile shows then.
const LONGEST: Duration = Duration::from_secs(300);
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long the service waits for news at a time, and how much longer it may take to answer. A client may go at any
/// moment: a call to a peer that is given up after half a second would count against the peer.
const WAIT: Duration = Duration::from_millis(400);
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Streams {
    relay: RelayClient,
    open: Arc<Mutex<HashMap<TenantId, usize>>>,
}

impl FromRef<Streams> for RelayClient {
    fn from_ref(streams: &Streams) -> Self {
        streams.relay.clone()
    }
}

pub(super) fn router(relay: RelayClient) -> Router {
    let streams = Streams { relay, open: Arc::default() };
    Router::new().route("/v1/tx/{chain}/{id}/events", get(follow_transaction)).with_state(streams)
}

/// Follow a transaction
///
/// Server-sent events, one for each state: `id` is its number, `event` the state, `data` what `/states` gives of it. A
/// client that was cut off goes on with `Last-Event-ID`. The stream ends after the last state, and after five minutes
/// in any case; where there is nothing more to tell, the answer is 204.
#[utoipa::path(get, path = "/v1/tx/{chain}/{id}/events", tag = "relay", operation_id = "follow_transaction",
    params(("chain" = Chain, Path), ("id" = String, Path), Since,
        ("Last-Event-ID" = Option<i64>, Header, description = "The number of the last state that is known already")),
    responses(
        (status = 200, description = "The states as they come", content_type = "text/event-stream", body = Passed),
        (status = 204, description = "It is at its end, and its last state is known"),
    ))]
pub(super) async fn follow_transaction(
    State(streams): State<Streams>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
    Query(since): Query<Since>,
    leaving: Option<Extension<Leaving>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = known(&headers, &since)?;
    // Asked before the states: who sees the end there sees all of them.
    let ended = is_end(streams.relay.find(&cx, FindTransaction { chain, id: id.clone() }).await?.state);
    let first = streams.relay.passed(&cx, AskPassed { chain, id: id.clone(), after }).await?;
    if ended && first.items.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = Place::take(&streams.open, &cx.tenant)?;
    let leaving = leaving.map(|Extension(leaving)| leaving);
    // A stream does not outlast the credential that opened it.
    let left = cx.principal.expires_at.map_or(LONGEST, |end| end.since(SystemClock.now()).min(LONGEST));
    let until = Instant::now() + left;
    let follow =
        Follow { relay: streams.relay, cx, chain, id, after, news: first.items.into(), until, leaving, _place: place };
    let events = stream::unfold(Some(follow), |follow| async move { follow?.next().await });
    let answer = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // Proxies that gather answers would hold the events back.
    Ok(([(header::CACHE_CONTROL, "no-store"), (header::HeaderName::from_static("x-accel-buffering"), "no")], answer)
        .into_response())
}

fn known(headers: &HeaderMap, since: &Since) -> Result<i64, Problem> {
    let Some(last) = headers.get("last-event-id") else { return Ok(since.after.unwrap_or(0)) };
    let number = last.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Problem(Error::invalid("relay.event_id_malformed", "Last-Event-ID is not a number")))
}

fn is_end(state: Is) -> bool {
    matches!(state, Is::Final | Is::Failed | Is::Replaced | Is::Expired)
}

struct Follow {
    relay: RelayClient,
    cx: Cx,
    chain: Chain,
    id: String,
    after: i64,
    news: VecDeque<Passed>,
    until: Instant,
    leaving: Option<Leaving>,
    _place: Place,
}

impl Follow {
    // The next event and what follows it; nothing at the end.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        loop {
            if let Some(passed) = self.news.pop_front() {
                self.after = passed.number;
                let event = Event::default().id(passed.number.to_string()).event(name(passed.state)?);
                let event = event.json_data(&passed).ok()?;
                return Some((Ok(event), (!is_end(passed.state)).then_some(self)));
            }
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let wait = WAIT.min(left);
            // Each question has its own time, which that of the request that opened the stream does not bound.
            let cx = Cx { deadline: Deadline::within(wait + ANSWER), ..self.cx.clone() };
            let watch = WatchPassed {
                chain: self.chain,
                id: self.id.clone(),
                after: self.after,
                wait_ms: wait.as_millis() as u64,
            };
            let left = async {
                match &self.leaving {
                    Some(leaving) => leaving.wait().await,
                    None => std::future::pending().await,
                }
            };
            let asked = Instant::now();
            let page = tokio::select! {
                page = self.relay.watch(&cx, watch) => page,
                () = left => return None,
            };
            // Whoever follows comes back and goes on where it was.
            let page = page.inspect_err(|error| tracing::debug!("a stream of events ended early: {error}")).ok()?;
            if page.items.is_empty() && asked.elapsed() < wait / 2 {
                // It did not wait: the request is at its end, which the client claims to know.
                return None;
            }
            self.news = page.items.into();
        }
    }
}

fn name(state: Is) -> Option<String> {
    serde_json::to_value(state).ok()?.as_str().map(str::to_owned)
}

/// A tenant's place among the open streams, until dropped.
#[derive(Debug)]
struct Place {
    open: Arc<Mutex<HashMap<TenantId, usize>>>,
    tenant: TenantId,
}

impl Place {
    fn take(open: &Arc<Mutex<HashMap<TenantId, usize>>>, tenant: &TenantId) -> Result<Self, Problem> {
        let mut counts = open.lock();
        let all: usize = counts.values().sum();
        if all >= MOST_OF_ALL || counts.get(tenant).is_some_and(|count| *count >= MOST) {
            let message = "as many event streams are open as may be".to_owned();
            let refused = Error::new(Code::Exhausted, "relay.streams_full", message);
            return Err(Problem(refused.retry_after(Duration::from_secs(5))));
        }
        *counts.entry(tenant.clone()).or_default() += 1;
        Ok(Self { open: Arc::clone(open), tenant: tenant.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.lock();
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_a_tenant_are_bounded_and_places_come_back() {
        let open = Arc::default();
        let (one, other) = (TenantId::parse("ten_a").unwrap(), TenantId::parse("ten_b").unwrap());
        let mut held: Vec<_> = (0..MOST).map(|_| Place::take(&open, &one).unwrap()).collect();
        assert_eq!(Place::take(&open, &one).unwrap_err().0.slug, "relay.streams_full");
        drop(Place::take(&open, &other).unwrap());
        held.pop();
        held.push(Place::take(&open, &one).unwrap());
        for tenant in 1..MOST_OF_ALL / MOST {
            let tenant = TenantId::parse(&format!("ten_{tenant}")).unwrap();
            held.extend((0..MOST).map(|_| Place::take(&open, &tenant).unwrap()));
        }
        assert!(Place::take(&open, &other).is_err(), "so are those of all");
        drop(held);
        assert!(open.lock().is_empty());
    }

    #[test]
    fn what_a_client_knows_is_told_by_the_header_first() {
        let since = |after| Since { after };
        let mut headers = HeaderMap::new();
        assert_eq!(known(&headers, &since(None)).unwrap(), 0);
        assert_eq!(known(&headers, &since(Some(3))).unwrap(), 3);
        headers.insert("last-event-id", "5".parse().unwrap());
        assert_eq!(known(&headers, &since(Some(3))).unwrap(), 5);
        headers.insert("last-event-id", "x".parse().unwrap());
        assert_eq!(known(&headers, &since(None)).unwrap_err().0.slug, "relay.event_id_malformed");
    }
}
