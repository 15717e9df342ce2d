use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use http::{Extensions, HeaderValue, StatusCode};
use nsl_core::{Clock, Code, Error};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    HEADER, PeerKeys,
    keys::Claim,
    seen::{Entry, Seen},
};
use crate::message::refuse;

/// How far a peer's clock may be off, and how long a request may take to arrive.
const WINDOW: Duration = Duration::from_secs(30);
/// Nothing that was signed longer ago than this can still be within its window.
const KEEP: Duration = Duration::from_secs(120);

/// Stands before the internal routes: what is not from a peer gets 401, and nothing of it is read or run.
///
/// A guard with neither keys nor a certificate check lets nobody in. With both, both must hold.
pub struct Guard {
    keys: Option<PeerKeys>,
    certificate: Option<fn(&Extensions) -> bool>,
    clock: Arc<dyn Clock>,
    body_limit: usize,
    started: (nsl_core::Timestamp, Instant),
    seen: Mutex<Seen>,
    warned: AtomicU64,
}

impl Guard {
    pub fn new(clock: Arc<dyn Clock>, body_limit: usize) -> Self {
        Self {
            keys: None,
            certificate: None,
            started: (clock.now(), Instant::now()),
            clock,
            body_limit,
            seen: Mutex::default(),
            warned: AtomicU64::new(0),
        }
    }

    /// Demands that each request is signed with one of these keys.
    #[must_use]
    pub fn with_keys(mut self, keys: PeerKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Demands that `check` finds in the request's extensions a client certificate that the listener has
    /// verified.
    #[must_use]
    pub fn with_certificate(mut self, check: fn(&Extensions) -> bool) -> Self {
        self.certificate = Some(check);
        self
    }

    pub(crate) fn before(self, routes: Router) -> Router {
        routes.layer(DefaultBodyLimit::disable()).layer(from_fn_with_state(Arc::new(self), pass))
    }

    fn admit(&self, request: &Request) -> Result<Option<Claim>, Refusal> {
        if self.keys.is_none() && self.certificate.is_none() {
            return Err(Refusal::new("closed", "this process takes no calls of peers"));
        }
        if self.certificate.is_some_and(|check| !check(request.extensions())) {
            return Err(Refusal::new("certificate", "this needs a client certificate of a peer"));
        }
        let Some(keys) = &self.keys else { return Ok(None) };
        let claim = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
        let claim = claim.ok_or(Refusal::new("unsigned", "this needs the signature of a peer"))?;
        let claim = keys
            .read(request.method().as_str(), request.uri().path(), claim)
            .ok_or(Refusal::new("signature", "the signature is not of a peer"))?;
        match self.fresh(&claim) {
            Ok(()) => Ok(Some(claim)),
            Err(refusal) => Err(Refusal { claim: Some(claim), ..refusal }),
        }
    }

    fn fresh(&self, claim: &Claim) -> Result<(), Refusal> {
        let (now, up) = (self.clock.now(), self.started.1.elapsed());
        if now.since(claim.made).max(claim.made.since(now)) > WINDOW {
            return Err(Refusal::new("stale", "the request was signed too long ago, or the clocks disagree"));
        }
        // What was taken before this process started is not remembered: nothing from that time is let in.
        if up < WINDOW && claim.made < self.started.0 {
            return Err(Refusal::new("stale", "the request was signed before this process started"));
        }
        match self.seen.lock().take(claim.nonce, up, KEEP) {
            Entry::Fresh => Ok(()),
            Entry::Replayed => Err(Refusal::new("replayed", "this request was already taken")),
            Entry::Crowded => Err(Refusal::new("crowded", "too many peers at once")),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        metrics::counter!("rpc_refused_total", "reason" => refusal.reason).increment(1);
        let second = self.started.1.elapsed().as_secs() + 1;
        if self.warned.swap(second, Ordering::Relaxed) != second {
            tracing::warn!(reason = refusal.reason, "a call of the internal listener was refused");
        }
        let error = Error::new(Code::Unauthenticated, "peer.refused", refusal.message);
        let (status, body) = refuse(error.detail("reason", refusal.reason));
        self.reply(refusal.claim.as_ref(), status, body)
    }

    fn reply(&self, claim: Option<&Claim>, status: StatusCode, body: Bytes) -> Response {
        let proof = claim.zip(self.keys.as_ref()).map(|(claim, keys)| {
            let proof = keys.prove(claim.key, claim.nonce, status.as_u16(), &body);
            HeaderValue::from_str(&proof).expect("hex is a valid header")
        });
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(proof) = proof {
            response.headers_mut().insert(HEADER, proof);
        }
        response
    }
}

struct Refusal {
    reason: &'static str,
    message: &'static str,
    claim: Option<Claim>,
}

impl Refusal {
    fn new(reason: &'static str, message: &'static str) -> Self {
        Self { reason, message, claim: None }
    }
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let claim = match guard.admit(&request) {
        Ok(claim) => claim,
        Err(refusal) => return guard.refuse(refusal),
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, guard.body_limit).await else {
        let (status, body) = refuse(Error::new(Code::Invalid, "rpc.too_large", "the call is larger than peers take"));
        return guard.reply(claim.as_ref(), status, body);
    };
    if claim.as_ref().is_some_and(|claim| !claim.covers(&body)) {
        return guard.refuse(Refusal { claim, ..Refusal::new("tampered", "the body is not the one that was signed") });
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let status = response.status();
    match axum::body::to_bytes(response.into_body(), guard.body_limit).await {
        Ok(body) => guard.reply(claim.as_ref(), status, body),
        Err(_) => {
            let error = Error::new(Code::Internal, "rpc.too_large", "the reply is larger than peers take");
            let (status, body) = refuse(error);
            guard.reply(claim.as_ref(), status, body)
        }
    }
}
