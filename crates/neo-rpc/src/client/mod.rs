//! The client of one node.

mod chain;
mod contract;
mod invoke;
mod send;
mod state;
mod token;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

pub use self::contract::ContractRef;
use crate::{
    endpoint::Endpoint,
    error::{Error, NodeError, Result},
    transport::{Answer, Transport},
};

/// Bounds of a client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For making a connection.
    pub connect_timeout: Duration,
    /// For a whole call: connecting, asking, and reading the answer.
    pub timeout: Duration,
    /// Bytes of an answer, at most.
    pub most_answer: usize,
    /// Calls in one batch, at most. neo-go takes 100.
    pub most_batch: usize,
    /// Certificate authorities to believe besides those of the system, for nodes of one's own.
    pub authorities: Vec<CertificateDer<'static>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            most_answer: 32 << 20,
            most_batch: 100,
            authorities: Vec::new(),
        }
    }
}

/// The client of one node (neo-go or neo-cli). A clone shares its connections.
///
/// A call is sent once: whether to try again is the caller's to decide, by [`Error::is_transient`] and, for what
/// changes the chain, [`Error::may_have_arrived`].
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    most_batch: usize,
    authorities: Vec<CertificateDer<'static>>,
    next_id: AtomicU64,
}

/// A method and its parameters.
pub(crate) type Call<'a> = (&'static str, &'a [Value]);

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: &'a [Value],
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    id: Option<Value>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<NodeError>,
}

impl Client {
    /// A client of the node at this URL of `http` or `https`. Credentials in the URL are sent as basic authentication
    /// and never shown.
    pub fn new(url: &str) -> Result<Self> {
        Self::with(Endpoint::http(url)?, &Settings::default())
    }

    /// The same with bounds of the caller's choice.
    pub fn with(endpoint: Endpoint, settings: &Settings) -> Result<Self> {
        let transport = Transport::new(endpoint, settings)?;
        let inner = Inner {
            transport,
            most_batch: settings.most_batch.max(1),
            authorities: settings.authorities.clone(),
            next_id: AtomicU64::new(1),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.transport.endpoint
    }

    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.inner.authorities
    }

    /// Calls a method. For those that have a function of their own, use that.
    pub async fn call<T: DeserializeOwned>(&self, method: &'static str, params: &[Value]) -> Result<T> {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let answer = self.post(method, &Request { jsonrpc: "2.0", id, method, params }).await?;
        let reply: Reply<'_> = match serde_json::from_slice(&answer.body) {
            Ok(reply) => reply,
            Err(error) => return Err(self.unreadable(method, &answer, &error)),
        };
        if reply.error.is_none() && reply.result.is_none() && !answer.status.is_success() {
            return Err(self.status(&answer));
        }
        // A request that the node could not read is refused under no id.
        if reply.id != Some(id.into()) && (reply.error.is_none() || reply.id.is_some_and(|id| !id.is_null())) {
            return Err(Error::Malformed { method, why: "the answer to another request".into() });
        }
        read(method, reply.result, reply.error)
    }

    /// Calls one method with many sets of parameters, in as few requests as the node takes. The answers are in the
    /// order of the parameters, each with its own success.
    pub async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &[Vec<Value>],
    ) -> Result<Vec<Result<T>>> {
        let calls: Vec<Call<'_>> = params.iter().map(|params| (method, &params[..])).collect();
        self.calls(&calls).await
    }

    /// Makes several calls, in as few requests as the node takes.
    pub(crate) async fn calls<T: DeserializeOwned>(&self, calls: &[Call<'_>]) -> Result<Vec<Result<T>>> {
        let mut all = Vec::with_capacity(calls.len());
        for part in calls.chunks(self.inner.most_batch) {
            all.extend(self.one_batch(part).await?);
        }
        Ok(all)
    }

    async fn one_batch<T: DeserializeOwned>(&self, calls: &[Call<'_>]) -> Result<Vec<Result<T>>> {
        if let [(method, params)] = calls {
            return match self.call(method, params).await {
                Err(Error::Node(refusal)) => Ok(vec![Err(Error::Node(refusal))]),
                other => other.map(|answer| vec![Ok(answer)]),
            };
        }
        let Some((named, _)) = calls.first().copied() else { return Ok(Vec::new()) };
        let malformed = |why: &str| Error::Malformed { method: named, why: why.into() };
        let first = self.inner.next_id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let numbered = (first..).zip(calls);
        let requests: Vec<_> =
            numbered.map(|(id, (method, params))| Request { jsonrpc: "2.0", id, method, params }).collect();
        let answer = self.post(named, &requests).await?;
        let replies: Vec<Reply<'_>> = match serde_json::from_slice(&answer.body) {
            Ok(replies) => replies,
            // A node that refuses the batch as a whole answers with one error.
            Err(error) => {
                return Err(match serde_json::from_slice::<Reply<'_>>(&answer.body) {
                    Ok(Reply { error: Some(refusal), .. }) => Error::Node(refusal),
                    _ => self.unreadable(named, &answer, &error),
                });
            }
        };
        let mut found: Vec<Option<Result<T>>> = calls.iter().map(|_| None).collect();
        for reply in replies {
            let number = reply.id.as_ref().and_then(Value::as_u64).and_then(|id| id.checked_sub(first));
            let number = number.map_or(usize::MAX, |number| number as usize);
            match (found.get_mut(number), calls.get(number)) {
                (Some(place @ None), Some((method, _))) => *place = Some(read(method, reply.result, reply.error)),
                _ => return Err(malformed("a batch has an answer that nobody asked for")),
            }
        }
        found.into_iter().map(|answer| answer.ok_or_else(|| malformed("a batch lacks an answer"))).collect()
    }

    async fn post<B: Serialize>(&self, method: &'static str, body: &B) -> Result<Answer> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Settings(format!("{method}: {error}")))?;
        tracing::trace!(method, endpoint = %self.endpoint(), "asking a node");
        self.inner.transport.post(method, body).await
    }

    fn unreadable(&self, method: &'static str, answer: &Answer, error: &serde_json::Error) -> Error {
        if answer.status.is_success() {
            Error::Malformed { method, why: error.to_string() }
        } else {
            self.status(answer)
        }
    }

    fn status(&self, answer: &Answer) -> Error {
        Error::Status {
            endpoint: self.endpoint().to_string(),
            status: answer.status.as_u16(),
            retry_after: answer.retry_after,
        }
    }
}

fn read<T: DeserializeOwned>(method: &'static str, result: Option<&RawValue>, refusal: Option<NodeError>) -> Result<T> {
    if let Some(refusal) = refusal {
        return Err(Error::Node(refusal));
    }
    // Some nodes leave out a result that is null.
    let mut json = serde_json::Deserializer::from_str(result.map_or("null", RawValue::get));
    serde_path_to_error::deserialize(&mut json).map_err(|error| Error::Malformed { method, why: error.to_string() })
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(self.endpoint()).finish()
    }
}

/// What a node says it lacks is no failure here.
pub(crate) fn known<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code().is_some_and(crate::error::Code::is_unknown) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a node gave in its binary form.
fn from_binary<T: neo::wire::Wire>(method: &'static str, bytes: &[u8]) -> Result<T> {
    T::from_bytes(bytes).map_err(|error| Error::Malformed { method, why: error.to_string() })
}
