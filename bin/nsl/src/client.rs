//! The command line's way to a server: the public API, with a credential that is never an argument.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use nsl_core::Secret;
use nsl_kit::Environment;
use reqwest::{Method, StatusCode, Url, header, redirect::Policy};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    credentials::{Credential, Credentials},
    exit::{Exit, Failure},
    left::Left,
    lock::{self, Holder},
    refresh,
};

pub(crate) const DEFAULT_DATA_DIR: &str = ".nsl";

/// Which server to ask, and as whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct Reach {
    /// Base URL of the public API; else NSL_URL, else what `nsl dev` left in its data directory
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// File with the API key, - for standard input; else NSL_API_KEY, else who signed in by `nsl login`, else what
    /// `nsl dev` left
    #[arg(long, global = true, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// PEM file with the authority that signed the server's certificate
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Data directory of `nsl dev`; else NSL_DATA_DIR, else .nsl
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// A server and a credential for it.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    shows: Shows,
}

/// What requests show of who asks.
enum Shows {
    Nothing,
    Key(Secret),
    /// The tokens that are kept for the server, which change under way.
    Session(Credentials),
}

/// The reply to a request that succeeded.
pub(crate) struct Reply {
    text: String,
}

impl Reach {
    pub(crate) fn client(&self, environment: &Environment) -> Result<Client, Failure> {
        let named = self.url.as_deref().or_else(|| environment.get("NSL_URL").filter(|url| !url.is_empty()));
        let key = match (&self.api_key_file, environment.get("NSL_API_KEY").filter(|key| !key.is_empty())) {
            (Some(file), _) => Some(read_key(file)?),
            (None, Some(key)) => Some(Secret::new(key.trim())),
            (None, None) => None,
        };
        let left = match named.is_some() && key.is_some() {
            true => None,
            false => self.left(environment)?,
        };
        let url =
            named.or(left.as_ref().and_then(|left| left.url.as_deref())).ok_or_else(|| self.nowhere(environment))?;
        let base = base(url)?;
        let shows = match key {
            Some(key) => Shows::Key(key),
            None => kept(environment, &base)?.unwrap_or_else(|| {
                // The key that a local start left is for that server alone.
                let its =
                    |left: &Left| left.url.as_deref().is_some_and(|url| self::base(url).is_ok_and(|its| its == base));
                left.filter(its).map_or(Shows::Nothing, |left| Shows::Key(Secret::new(left.api_key.0.as_str())))
            }),
        };
        Ok(Client { http: self.http(&base)?, base, shows })
    }

    /// The server as somebody meets it who has not signed in yet.
    pub(crate) fn stranger(&self, environment: &Environment) -> Result<Client, Failure> {
        let named = self.url.as_deref().or_else(|| environment.get("NSL_URL").filter(|url| !url.is_empty()));
        let left = if named.is_some() { None } else { self.left(environment)?.and_then(|left| left.url) };
        let base = base(named.or(left.as_deref()).ok_or_else(|| self.nowhere(environment))?)?;
        Ok(Client { http: self.http(&base)?, base, shows: Shows::Nothing })
    }

    // What a process left that has ended since is no server's: its port may be another program's.
    fn left(&self, environment: &Environment) -> anyhow::Result<Option<Left>> {
        let dir = self.data_dir(environment);
        match lock::holder(&dir)? {
            Holder::One => Left::read(&dir),
            Holder::Nobody | Holder::Servers => Ok(None),
        }
    }

    /// Where the key lies that commands use at this server when nobody is signed in.
    pub(crate) fn left_key(&self, environment: &Environment) -> Result<Option<PathBuf>, Failure> {
        let is_used = matches!(self.client(environment)?.shows, Shows::Key(_));
        let is_left = self.api_key_file.is_none() && environment.get("NSL_API_KEY").is_none_or(str::is_empty);
        Ok((is_used && is_left).then(|| self.data_dir(environment)))
    }

    fn nowhere(&self, environment: &Environment) -> Failure {
        let dir = self.data_dir(environment);
        match lock::holder(&dir) {
            Ok(Holder::Servers) => {
                Failure::usage(format!("an nsl serve runs on {}: say where by --url or NSL_URL", dir.display()))
            }
            _ => {
                let servers = Credentials::of(environment).and_then(|kept| kept.servers().ok()).unwrap_or_default();
                let signed_in = match servers.as_slice() {
                    [] => String::new(),
                    servers => format!(" (you are signed in at {})", servers.join(", ")),
                };
                Failure::usage(format!(
                    "no server: use --url or NSL_URL{signed_in}, or start `nsl dev` (NSL_DATA_DIR or --data-dir names \
                     its directory); `nsl devnet up` starts nodes, and commands of the chains then need no server"
                ))
            }
        }
    }

    /// Whether a server was named, beside what `nsl dev` left.
    pub(crate) fn is_named(&self, environment: &Environment) -> bool {
        self.url.is_some() || environment.get("NSL_URL").is_some_and(|url| !url.is_empty())
    }

    pub(crate) fn data_dir(&self, environment: &Environment) -> PathBuf {
        data_dir(self.data_dir.as_deref(), environment)
    }

    fn http(&self, base: &Url) -> Result<reqwest::Client, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("nsl/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(300));
        if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        if let Some(file) = &self.ca_file {
            let pem = std::fs::read(file)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| Failure::usage(format!("no certificates in {}: {error}", file.display())))?;
            builder = builder.tls_certs_only(authorities);
        }
        builder.build().map_err(|error| Failure::new(Exit::Failed, format!("cannot set up the client: {error}")))
    }
}

/// What is kept of a sign-in at this server.
fn kept(environment: &Environment, base: &Url) -> Result<Option<Shows>, Failure> {
    let Some(credentials) = Credentials::of(environment) else { return Ok(None) };
    Ok(credentials.get(base)?.map(|credential| match credential {
        Credential::Key { api_key } => Shows::Key(Secret::new(api_key.0.as_str())),
        Credential::Session(_) => Shows::Session(credentials),
    }))
}

pub(crate) fn data_dir(flag: Option<&Path>, environment: &Environment) -> PathBuf {
    let named = flag.map(Path::to_owned);
    named
        .or_else(|| environment.get("NSL_DATA_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| DEFAULT_DATA_DIR.into())
}

fn base(url: &str) -> Result<Url, Failure> {
    let mut base = Url::parse(url).map_err(|error| Failure::usage(format!("{url} is not a URL: {error}")))?;
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(Failure::usage(format!("{url} does not start with http:// or https://")));
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}

fn read_key(file: &Path) -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(file).map(|read| text = read),
    };
    read.map_err(|error| Failure::usage(format!("cannot read the API key from {}: {error}", file.display())))?;
    let key = text.trim();
    if key.is_empty() {
        return Err(Failure::usage(format!("{} holds no API key", file.display())));
    }
    Ok(Secret::new(key))
}

/// A request being put together.
pub(crate) struct Ask<'a> {
    client: &'a Client,
    method: Method,
    url: Url,
    headers: Vec<(header::HeaderName, String)>,
    body: Option<(&'static str, String)>,
}

impl Client {
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The same server, shown another credential.
    pub(crate) fn with_key(self, key: Secret) -> Self {
        Self { shows: Shows::Key(key), ..self }
    }

    /// `path` in segments, so that none of them can become more than one.
    pub(crate) fn ask<'a>(&'a self, method: Method, path: &[&str]) -> Ask<'a> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Ask { client: self, method, url, headers: Vec::new(), body: None }
    }
}

impl Ask<'_> {
    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.headers.push((name, value.to_string()));
        }
        self
    }

    pub(crate) fn body(mut self, body: &impl serde::Serialize) -> Self {
        self.body = Some(("application/json", serde_json::to_string(body).expect("strings and JSON values serialise")));
        self
    }

    /// A form, as the routes of OAuth 2.0 take it.
    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut form = Url::parse("form:").expect("a fixed valid URL");
        form.query_pairs_mut().extend_pairs(fields);
        self.body = Some(("application/x-www-form-urlencoded", form.query().unwrap_or_default().to_owned()));
        self
    }

    pub(crate) async fn send(self) -> Result<Reply, Failure> {
        let (status, text) = self.exchange().await?;
        if status.is_success() { Ok(Reply { text }) } else { Err(refusal(status, &text)) }
    }

    /// The status and the text, whatever they are.
    pub(crate) async fn exchange(self) -> Result<(StatusCode, String), Failure> {
        let Shows::Session(credentials) = &self.client.shows else {
            let key = match &self.client.shows {
                Shows::Key(key) => key.expose_str(),
                _ => None,
            };
            return self.once(key).await;
        };
        let token = refresh::token(self.client, credentials, None).await?;
        let (status, text) = self.once(Some(&token.0)).await?;
        if status != StatusCode::UNAUTHORIZED || !refresh::is_stale(&text) {
            return Ok((status, text));
        }
        // Refused before anything was done: what the token allowed was changed, or it was taken back.
        let token = refresh::token(self.client, credentials, Some(&token)).await?;
        self.once(Some(&token.0)).await
    }

    /// Once, showing this and nothing else of who asks.
    pub(crate) async fn once(&self, bearer: Option<&str>) -> Result<(StatusCode, String), Failure> {
        let shown = self.client.base.origin().ascii_serialization();
        let mut request = self.client.http.request(self.method.clone(), self.url.clone());
        if let Some(key) = bearer {
            let mut value = header::HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| Failure::usage("the API key has characters that no key has"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some((kind, body)) = &self.body {
            request = request.header(header::CONTENT_TYPE, *kind).body(body.clone());
        }
        let failed = |error: reqwest::Error| {
            let mut causes = error.to_string();
            let mut inner = std::error::Error::source(&error);
            while let Some(cause) = inner {
                causes = format!("{causes}: {cause}");
                inner = cause.source();
            }
            let mend = match error.is_connect() {
                true => "; start it, or name another by --url, or unset NSL_URL if that names it",
                false => "",
            };
            Failure::new(Exit::Unavailable, format!("cannot reach {shown}: {causes}{mend}"))
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        Ok((status, response.text().await.map_err(failed)?))
    }
}

pub(crate) fn refusal(status: StatusCode, text: &str) -> Failure {
    let problem = serde_json::from_str::<Value>(text).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    let code = problem.as_ref().and_then(|problem| problem["code"].as_str());
    let message = match (detail, code) {
        (Some(detail), Some(code)) => format!("{detail} ({code})"),
        _ => format!("the server answered {status}"),
    };
    Failure { exit: exit_of(status), message, problem }
}

fn exit_of(status: StatusCode) -> Exit {
    match status.as_u16() {
        404 | 410 => Exit::NotFound,
        400 | 405 | 413 | 414 | 415 | 422 => Exit::Usage,
        401 | 403 | 409 | 412 | 429 | 507 => Exit::Refused,
        408 | 502..=504 => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.text)
            .map_err(|error| Failure::new(Exit::Failed, format!("the server's answer does not read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_exit_codes() {
        for (status, exit) in [
            (404, Exit::NotFound),
            (400, Exit::Usage),
            (401, Exit::Refused),
            (507, Exit::Refused),
            (503, Exit::Unavailable),
            (500, Exit::Failed),
        ] {
            assert_eq!(exit_of(StatusCode::from_u16(status).unwrap()), exit, "{status}");
        }
    }

    #[test]
    fn a_segment_stays_one_segment() {
        let client =
            Client { http: reqwest::Client::new(), base: base("http://127.0.0.1:1/x").unwrap(), shows: Shows::Nothing };
        let ask = client.ask(Method::GET, &["v1", "a/../b?c"]).query("after", Some("k&k"));
        assert_eq!(ask.url.as_str(), "http://127.0.0.1:1/x/v1/a%2F..%2Fb%3Fc?after=k%26k");
        for bad in ["nowhere", "ftp://x", "http://", "/v1"] {
            assert_eq!(base(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn a_key_left_behind_goes_to_its_own_server_only() {
        let dir = tempfile::tempdir().unwrap();
        let left = Left {
            url: Some("http://127.0.0.1:8080".into()),
            tenant: "ten_1".into(),
            api_key: nsl_api::Revealed("nsl_x".into()),
        };
        let running = lock::alone(dir.path()).unwrap();
        left.write(dir.path()).unwrap();
        let reach = |url: Option<&str>| Reach {
            url: url.map(str::to_owned),
            api_key_file: None,
            ca_file: None,
            data_dir: Some(dir.path().to_owned()),
        };
        let key_for = |url| matches!(reach(url).client(&Environment::default()).unwrap().shows, Shows::Key(_));
        assert!(key_for(None) && key_for(Some("http://127.0.0.1:8080/")));
        assert!(!key_for(Some("http://127.0.0.1:8081")) && !key_for(Some("https://evil.example")));
        // Ended, it leaves its port to others.
        drop(running);
        assert_eq!(reach(None).client(&Environment::default()).err().unwrap().exit, Exit::Usage);
        assert!(!key_for(Some("http://127.0.0.1:8080/")));
    }
}
