use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::anyhow;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header::CONTENT_TYPE, uri::PathAndQuery};
use http_body_util::{BodyExt, Full, Limited};
use nsl_core::{Code, Error, Result};

use super::{
    Inner,
    permit::{Permit, Sign},
    pool::Tried,
};
use crate::{auth::HEADER, message::REPLAYED, method::Method};

/// A service was tried this often at most, each time at another address.
const TRIES: u32 = 3;

/// Why an attempt gave no outcome.
enum Failure {
    /// Nothing of it can have been run: no connection, or a proven peer turned it away unread.
    Unsent(anyhow::Error),
    /// It may have been run.
    Broken(anyhow::Error),
}

/// What a call that was done gave.
pub(super) struct Reply {
    pub(super) body: Bytes,
    /// It was done before, under its idempotency key.
    pub(super) is_replay: bool,
}

type Write<'a> = &'a (dyn Fn() -> Result<Bytes> + Send + Sync);

impl Inner {
    /// One call with its repeats. The outcome of the far side is passed on as it is.
    pub(super) async fn exchange(self: &Arc<Self>, method: &'static Method, write: Write<'_>) -> Result<Reply> {
        let mut permit = self.admit(method).await?;
        let mut tried = Tried::default();
        let mut tries = 1;
        loop {
            tried.add(permit.index);
            let failure = match self.hedged(method, permit, &mut tried, write).await? {
                Ok(outcome) => return outcome,
                Err(failure) => failure,
            };
            let repeat = match &failure {
                Failure::Unsent(_) => tries < TRIES,
                Failure::Broken(_) => method.repeatable && tries < 2,
            };
            permit = match repeat.then(|| self.another(method, tried, "retry")).flatten() {
                Some(permit) => permit,
                None => return Err(self.unreachable(failure)),
            };
            tries += 1;
        }
    }

    /// One attempt, and for a read a second one elsewhere when the first takes unusually long.
    async fn hedged(
        self: &Arc<Self>,
        method: &'static Method,
        permit: Permit,
        tried: &mut Tried,
        write: Write<'_>,
    ) -> Result<Result<Result<Reply>, Failure>> {
        let first = self.attempt(method, permit, write()?);
        if !method.repeatable || self.addresses.len() < 2 || !self.dialer.settings.hedge {
            return Ok(first.await);
        }
        let mut first = pin!(first);
        let mut patience = self.patience(method);
        let permit = loop {
            tokio::select! {
                biased;
                ended = &mut first => return Ok(ended),
                () = tokio::time::sleep(patience) => {}
            }
            // When the budget is dry, others earn it back meanwhile.
            match self.another(method, *tried, "hedge") {
                Some(permit) => break permit,
                None => patience *= 2,
            }
        };
        tried.add(permit.index);
        let mut second = pin!(self.attempt(method, permit, write()?));
        Ok(tokio::select! {
            ended = &mut first => if ended.is_ok() { ended } else { second.await },
            ended = &mut second => if ended.is_ok() { ended } else { first.await },
        })
    }

    async fn attempt(&self, method: &'static Method, permit: Permit, body: Bytes) -> Result<Result<Reply>, Failure> {
        let ended = self.send(method, permit.index, body).await;
        let sign = match &ended {
            Ok(Err(error)) if error.code == Code::Unavailable => Sign::Strained,
            // A short deadline of the caller says nothing about the address, a long one does.
            Ok(Err(error)) if error.code == Code::Timeout && permit.is_long() => Sign::Strained,
            Ok(_) => Sign::Well,
            Err(_) => Sign::Dead,
        };
        permit.settle(sign);
        ended
    }

    async fn send(&self, method: &'static Method, index: usize, body: Bytes) -> Result<Result<Reply>, Failure> {
        let (address, dialer) = (&self.addresses[index], &self.dialer);
        let context = |error: anyhow::Error| error.context(format!("calling {method} at {}", address.authority));
        let broken = |error: anyhow::Error| Failure::Broken(context(error));
        let uri = Uri::builder()
            .scheme(address.scheme.clone())
            .authority(address.authority.clone())
            .path_and_query(PathAndQuery::from_static(method.path))
            .build()
            .expect("scheme, authority and path are each valid");
        let mut request = Request::post(uri).header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let nonce = dialer.nonces.fresh();
        if let Some(keys) = &dialer.keys {
            let claim = keys.claim("POST", method.path, dialer.clock.now(), nonce, &body);
            request = request.header(HEADER, claim);
        }
        let request = request.body(Full::new(body)).expect("each part is valid");
        let response = dialer.http.request(request).await.map_err(|error| {
            if error.is_connect() { Failure::Unsent(context(error.into())) } else { broken(error.into()) }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, dialer.settings.body_limit).collect().await;
        let body = body.map_err(|error| broken(anyhow!(error)))?.to_bytes();
        if let Some(keys) = &dialer.keys {
            let proof = parts.headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !keys.proven(nonce, parts.status.as_u16(), &body, proof) {
                return Err(broken(anyhow!("answered {} without the proof of a peer", parts.status)));
            }
        }
        if parts.status == StatusCode::OK || parts.status == REPLAYED {
            return Ok(Ok(Reply { body, is_replay: parts.status == REPLAYED }));
        }
        let error: Error = serde_json::from_slice(&body)
            .map_err(|_| broken(anyhow!("answered {} without an error of ours", parts.status)))?;
        if error.slug == "peer.refused" {
            return Err(Failure::Unsent(context(error.into())));
        }
        Ok(Err(error))
    }

    fn unreachable(&self, failure: Failure) -> Error {
        let (Failure::Unsent(cause) | Failure::Broken(cause)) = failure;
        Error::new(Code::Unavailable, "peer.unreachable", format!("cannot reach {}", self.service))
            .retry_after(Duration::from_secs(1))
            .because(cause)
    }
}
