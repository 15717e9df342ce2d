//! One request and its answer over HTTP, with bounds on time and size.

use std::{error::Error as _, time::Duration};

use reqwest::{
    Certificate, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use rustls_pki_types::CertificateDer;

use crate::{
    client::Settings,
    endpoint::Endpoint,
    error::{Error, Result},
};

pub(crate) struct Transport {
    http: reqwest::Client,
    pub(crate) endpoint: Endpoint,
    timeout: Duration,
    most: usize,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Transport {
    pub(crate) fn new(endpoint: Endpoint, settings: &Settings) -> Result<Self> {
        // A node does not redirect; who does so wants the request, or the caller's network place, for itself. Nor do
        // variables of the environment name who else is to read what is asked: websockets go straight too.
        let mut http = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .tcp_nodelay(true)
            .no_proxy()
            .user_agent(concat!("nsl-neo-rpc/", env!("CARGO_PKG_VERSION")));
        if !settings.authorities.is_empty() {
            let read = |der: &CertificateDer<'_>| Certificate::from_der(der);
            let authorities = settings.authorities.iter().map(read).collect::<Result<Vec<_>, _>>();
            http = http.tls_certs_merge(
                authorities.map_err(|error| Error::Settings(format!("a certificate authority: {error}")))?,
            );
        }
        let http = http.build().map_err(|error| Error::Settings(format!("a client for {endpoint}: {error}")))?;
        Ok(Self { http, endpoint, timeout: settings.timeout, most: settings.most_answer })
    }

    pub(crate) async fn post(&self, method: &'static str, body: Vec<u8>) -> Result<Answer> {
        let mut request = self
            .http
            .post(self.endpoint.url().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        if let Some(credentials) = self.endpoint.authorization() {
            let mut value = HeaderValue::from_str(credentials)
                .map_err(|_| Error::Settings("the credentials of a node fit no header".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let too_large = Error::TooLarge { method, most: self.most };
        if response.content_length().is_some_and(|length| length > self.most as u64) {
            return Err(too_large);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > self.most {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        let seconds = |value: &HeaderValue| value.to_str().ok()?.parse().ok().map(Duration::from_secs);
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        Ok(Answer { status: response.status(), retry_after, body })
    }

    fn failed(&self, error: reqwest::Error) -> Error {
        let endpoint = self.endpoint.to_string();
        if error.is_timeout() && !error.is_connect() {
            return Error::Timeout { endpoint, after: self.timeout };
        }
        let unreachable = error.is_connect() || error.is_builder();
        // The URL stays out: its path may be a credential.
        let error = error.without_url();
        let (mut why, mut cause) = (error.to_string(), error.source());
        while let Some(deeper) = cause {
            why = deeper.to_string();
            cause = deeper.source();
        }
        if unreachable { Error::Unreachable { endpoint, why } } else { Error::Lost { endpoint, why } }
    }
}
