//! The way out to providers: no redirects, no proxies, bounded in time and size, and, unless operators allow it, to
//! nothing but the open internet over TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::StreamExt;
use openidconnect::{HttpRequest, HttpResponse};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::rules;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(8);
/// Larger than any discovery document, key set or token reply.
const LARGEST: usize = 512 * 1024;

/// Why a provider could not be asked. It goes to logs, never to callers: they could map this network by it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Closed(String);

impl Closed {
    pub(crate) fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

#[derive(Clone)]
pub(crate) struct Outside {
    http: reqwest::Client,
    private: bool,
}

impl Outside {
    pub(crate) fn new(private: bool) -> anyhow::Result<Self> {
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(LIMIT)
            .https_only(!private)
            .no_proxy()
            .user_agent("nsl");
        if !private {
            http = http.dns_resolver(Arc::new(OpenInternet));
        }
        Ok(Self { http: http.build()?, private })
    }

    pub(crate) fn is_private(&self) -> bool {
        self.private
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Vec<u8>, Closed> {
        let request = reqwest::Method::GET;
        let url = self.checked(url)?;
        let request = self.http.request(request, url).header("accept", "application/json");
        let response = collected(request.send().await).await?;
        match response.status().is_success() {
            true => Ok(response.into_body()),
            false => Err(Closed(format!("it answered {}", response.status()))),
        }
    }

    pub(crate) async fn call(&self, request: HttpRequest) -> Result<HttpResponse, Closed> {
        self.checked(&request.uri().to_string())?;
        let request = reqwest::Request::try_from(request).map_err(closed)?;
        collected(self.http.execute(request).await).await
    }

    fn checked(&self, url: &str) -> Result<Url, Closed> {
        let url = Url::parse(url).map_err(|error| Closed(error.to_string()))?;
        rules::check_place(&url, self.private).map_err(|error| Closed(error.message))?;
        Ok(url)
    }
}

// The URL stays out of the error: it may carry a credential.
fn closed(error: reqwest::Error) -> Closed {
    let error = anyhow::Error::from(error.without_url());
    Closed(format!("{error:#}"))
}

async fn collected(answer: Result<reqwest::Response, reqwest::Error>) -> Result<HttpResponse, Closed> {
    let answer = answer.map_err(closed)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(closed)?);
        if body.len() > LARGEST {
            return Err(Closed(format!("it answered with more than {LARGEST} bytes")));
        }
    }
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Names resolve to addresses of the open internet alone. What was checked here is what is connected to, so a name
/// that changes its address between check and use gains nothing.
struct OpenInternet;

impl Resolve for OpenInternet {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> = found.filter(|address| rules::is_public(address.ip())).collect();
            if open.is_empty() {
                return Err("the name leads to no address of the open internet".into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_called() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let outside = Outside::new(false).unwrap();
        for url in [format!("https://localhost:{port}/"), format!("https://127.0.0.1:{port}/")] {
            assert!(outside.get(&url).await.is_err(), "{url}");
        }
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody knocked");
    }
}
