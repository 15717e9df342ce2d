//! JSON-RPC 2.0 over HTTP to one endpoint.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};

use nsl_core::{Code, Error, Result, Secret};
use reqwest::{StatusCode, Url, header};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{
    ChainKind,
    config::PoolConfig,
    error::{NodeError, Trouble},
    meter::Meter,
};

/// The way to one endpoint.
pub(crate) struct Line {
    host: String,
    http: reqwest::Client,
    // With whatever credentials it holds; it is never shown.
    url: Url,
    meter: Meter,
    most: usize,
    next: AtomicU64,
    // It takes no more than one question in a request.
    one_by_one: AtomicBool,
}

/// Questions that go at the same time where they can't go in one request.
const TOGETHER: usize = 8;

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: P,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Value,
    // Also when it is null: a body without a result is not the answer of a node.
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<Value>,
}

impl Line {
    pub(crate) fn open(chain: ChainKind, index: usize, url: &Secret, config: &PoolConfig) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(Code::Invalid, "chain.endpoint_invalid", format!("endpoint {index} of {chain}: {why}"))
        };
        let url = url.expose_str().and_then(|text| Url::parse(text).ok()).ok_or_else(|| bad("not a URL"))?;
        let name = url.host_str().ok_or_else(|| bad("the URL has no host"))?;
        let host = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
            .timeout(Duration::from_millis(config.timeout_ms))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(|error| bad("no HTTP client can be made for it").because(error.without_url()))?;
        Ok(Self {
            host,
            http,
            url,
            meter: Meter::new(chain, index, config),
            most: config.answer_bytes,
            next: AtomicU64::new(1),
            one_by_one: AtomicBool::new(false),
        })
    }

    /// Host and port of the endpoint.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn ready_in(&self) -> Duration {
        self.meter.ready_in()
    }

    /// Asks for one thing; counted by its outcome.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, Trouble> {
        self.call_within(self.most, method, params).await
    }

    /// As `call`, for what is not worth more than so many bytes.
    pub(crate) async fn call_within<T: DeserializeOwned>(
        &self,
        most: usize,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<T, Trouble> {
        let most = most.min(self.most);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let asked = async {
            self.meter.enter().await?;
            self.answer(&Request { jsonrpc: "2.0", id, method, params }, most).await
        };
        let done = asked.await.and_then(|body| read(method, id, &body));
        self.meter.count(method, &done);
        done
    }

    /// Asks for many things of one kind in one request, and gives the answers in order. What befalls the request
    /// befalls each of them.
    pub(crate) async fn many<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &[Value],
    ) -> Vec<Result<T, Trouble>> {
        if params.len() > 1 && !self.one_by_one.load(Ordering::Relaxed) {
            match self.batch(method, params).await {
                Ok(Some(all)) => return all,
                Ok(None) => self.one_by_one.store(true, Ordering::Relaxed),
                Err(trouble) => {
                    let all: Vec<_> = params.iter().map(|_| Err(trouble.clone())).collect();
                    all.iter().for_each(|done| self.meter.count(method, done));
                    return all;
                }
            }
        }
        let calls: Vec<_> = params.iter().map(|params| self.call(method, params)).collect();
        stream::iter(calls).buffered(TOGETHER).collect().await
    }

    // None where the node does not take several questions at once.
    async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &[Value],
    ) -> Result<Option<Vec<Result<T, Trouble>>>, Trouble> {
        // Whoever limits requests counts the questions.
        for _ in params {
            self.meter.enter().await?;
        }
        let first = self.next.fetch_add(params.len() as u64, Ordering::Relaxed);
        let ids = (first..).take(params.len());
        let requests: Vec<_> =
            ids.clone().zip(params).map(|(id, params)| Request { jsonrpc: "2.0", id, method, params }).collect();
        let body = match self.answer(&requests, self.most).await {
            Err(Trouble::Declined(_)) => return Ok(None),
            body => body?,
        };
        let Ok(answers) = serde_json::from_slice::<Vec<&RawValue>>(&body) else {
            return match read::<serde::de::IgnoredAny>(method, first, &body) {
                Err(Trouble::Node(error)) if !error.is_endpoints_own() => Ok(None),
                Err(trouble) => Err(trouble),
                Ok(_) => Err(Trouble::Garbled(format!("{method}: one answer to many questions"))),
            };
        };
        let mut found: HashMap<u64, Result<T, Trouble>> = HashMap::with_capacity(answers.len());
        for answer in answers {
            let id = serde_json::from_str::<Answer<'_>>(answer.get()).ok().and_then(|answer| answer.id.as_u64());
            if let Some(id) = id {
                found.insert(id, read(method, id, answer.get().as_bytes()));
            }
        }
        let missing = || Err(Trouble::Garbled(format!("{method}: no answer to one of many questions")));
        let all: Vec<_> = ids.map(|id| found.remove(&id).unwrap_or_else(missing)).collect();
        all.iter().for_each(|done| self.meter.count(method, done));
        Ok(Some(all))
    }

    // The body of the answer, whatever it holds, up to so many bytes.
    async fn answer(&self, request: &impl Serialize, most: usize) -> Result<Vec<u8>, Trouble> {
        let mut response = self.http.post(self.url.clone()).json(request).send().await.map_err(broken)?;
        let status = response.status();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let asked = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let seconds = asked.and_then(|value| value.parse().ok());
            if status == StatusCode::TOO_MANY_REQUESTS || seconds.is_some() {
                return Err(self.meter.rest(seconds.map(Duration::from_secs)));
            }
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(broken)? {
            if body.len() + part.len() > most {
                return Err(Trouble::TooLarge(format!("the answer has more than {most} bytes")));
            }
            body.extend_from_slice(&part);
        }
        // Some nodes say their errors with a status of 4xx or 5xx, and a proper body.
        let is_refusal = || serde_json::from_slice::<Answer<'_>>(&body).is_ok_and(|answer| answer.error.is_some());
        if !status.is_success() && !is_refusal() {
            let why = format!("HTTP status {}", status.as_u16());
            return Err(if status.is_client_error() { Trouble::Declined(why) } else { Trouble::Unreachable(why) });
        }
        Ok(body)
    }
}

fn read<T: DeserializeOwned>(method: &str, id: u64, body: &[u8]) -> Result<T, Trouble> {
    let garbled = |why: String| Trouble::Garbled(format!("{method}: {why}"));
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| garbled(format!("not JSON-RPC: {error}")))?;
    if let Some(Refusal { code, message, data }) = answer.error {
        return Err(Trouble::Node(NodeError { code, message, data }));
    }
    if answer.id != id {
        return Err(garbled("the answer to another request".to_owned()));
    }
    let text = answer.result.ok_or_else(|| garbled("neither a result nor an error".to_owned()))?;
    serde_json::from_str(text.get()).map_err(|error| garbled(format!("unexpected result: {error}")))
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn broken(error: reqwest::Error) -> Trouble {
    if error.is_timeout() && !error.is_connect() {
        return Trouble::Slow("no answer in time".to_owned());
    }
    Trouble::Unreachable(reason(&error.without_url()))
}

// The innermost cause says what happened, the outer ones only that something did.
fn reason(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_results_refusals_or_neither() {
        assert_eq!(read::<u64>("m", 1, br#"{"jsonrpc":"2.0","id":1,"result":7}"#), Ok(7));
        assert_eq!(read::<Option<u64>>("m", 1, br#"{"jsonrpc":"2.0","id":1,"result":null}"#), Ok(None));
        for id in ["1", "null"] {
            let body = format!(r#"{{"id":{id},"error":{{"code":3,"message":"no","data":"0x08"}}}}"#);
            let error = NodeError { code: 3, message: "no".into(), data: Some("0x08".into()) };
            assert_eq!(read::<u64>("m", 1, body.as_bytes()), Err(Trouble::Node(error)));
        }
        for bad in [
            "<html>",
            r#"{"id":1,"result":"x"}"#,
            "[]",
            "",
            "{}",
            r#"{"id":1}"#,
            r#"{"message":"bad gateway"}"#,
            r#"{"id":2,"result":7}"#,
            r#"{"result":7}"#,
        ] {
            let read = read::<Option<u64>>("m", 1, bad.as_bytes());
            assert!(matches!(read, Err(Trouble::Garbled(_))), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_of_an_endpoint_has_no_credentials() {
        let url = Secret::new("https://user:hidden@node.example:8443/v3/hidden?key=hidden");
        let line = Line::open(ChainKind::NeoX, 0, &url, &PoolConfig::of(&[])).unwrap();
        assert_eq!(line.host(), "node.example:8443");
        let error = Line::open(ChainKind::NeoX, 1, &Secret::new("hidden"), &PoolConfig::of(&[])).err().unwrap();
        assert!(!format!("{error:?}").contains("hidden"));
    }
}
