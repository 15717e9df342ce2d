use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Uri, uri::Authority, uri::Scheme};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use nsl_core::Clock;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::Channel;
use crate::{PeerKeys, PeerTls, Settings, auth::Nonces};

/// Makes the channels of one process: they share its connections, its proof of who it is and its settings.
#[derive(Clone)]
pub struct Dialer(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) http: Client<Connector, Full<Bytes>>,
    pub(super) settings: Settings,
    pub(super) keys: Option<PeerKeys>,
    pub(super) nonces: Nonces,
    pub(super) clock: Arc<dyn Clock>,
    tls: Option<PeerTls>,
    config: Arc<ArcSwapOption<rustls::ClientConfig>>,
}

impl Dialer {
    /// Fails when the TLS files cannot be read.
    pub fn new(
        settings: Settings,
        keys: Option<PeerKeys>,
        tls: Option<PeerTls>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let config = tls.as_ref().map(|tls| tls.read(settings.http2)).transpose()?;
        let config = Arc::new(ArcSwapOption::from(config));
        let connector = Connector { config: Arc::clone(&config), within: Duration::from_millis(settings.connect_ms) };
        let http = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(settings.idle_ms))
            .pool_max_idle_per_host(settings.in_flight as usize)
            .http2_only(settings.http2)
            .http2_initial_stream_window_size(1 << 20)
            .http2_initial_connection_window_size(1 << 23)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .build(connector);
        Ok(Self(Arc::new(Shared { http, settings, keys, nonces: Nonces::new(), clock, tls, config })))
    }

    /// A channel to one service at these addresses, each `http://host:port` or `https://host:port`.
    pub fn channel(&self, service: &str, addresses: &[String]) -> anyhow::Result<Channel> {
        ensure!(!addresses.is_empty(), "peers.{service} names no address");
        ensure!(addresses.len() <= Channel::MOST_ADDRESSES, "peers.{service} names more than 64 addresses");
        let parse = |text: &String| {
            // A credential would be a secret, and has no place here: it is not shown.
            let shown = if text.contains('@') { "an address" } else { text.as_str() };
            self.address(text).with_context(|| format!("peers.{service} has {shown:?}"))
        };
        Ok(Channel::new(self, service, addresses.iter().map(parse).collect::<anyhow::Result<_>>()?))
    }

    /// Reads the TLS files again. Connections that stand are kept; on an error the old files stay in use.
    pub fn reload_tls(&self) -> anyhow::Result<()> {
        if let Some(tls) = &self.0.tls {
            self.0.config.store(Some(tls.read(self.0.settings.http2)?));
        }
        Ok(())
    }

    fn address(&self, text: &str) -> anyhow::Result<(Scheme, Authority)> {
        let parts = text.parse::<Uri>().context("which is not a URL")?.into_parts();
        let path = parts.path_and_query.map_or_else(String::new, |path| path.to_string());
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            bail!("which lacks http:// or https://");
        };
        ensure!(path.is_empty() || path == "/", "which has a path");
        ensure!(!authority.as_str().contains('@'), "which has a credential");
        match scheme.as_str() {
            "http" => {}
            "https" => ensure!(self.0.tls.is_some(), "which needs the authority of peers to be set"),
            _ => bail!("which is neither http:// nor https://"),
        }
        Ok((scheme, authority))
    }
}

#[derive(Clone)]
pub(super) struct Connector {
    config: Arc<ArcSwapOption<rustls::ClientConfig>>,
    within: Duration,
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (within, config) = (self.within, self.config.load_full());
        Box::pin(async move {
            tokio::time::timeout(within, connect(&to, config))
                .await
                .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the connection took too long")))
        })
    }
}

async fn connect(to: &Uri, config: Option<Arc<rustls::ClientConfig>>) -> io::Result<Stream> {
    let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let secure = to.scheme() == Some(&Scheme::HTTPS);
    let port = to.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    if !secure {
        return Ok(Stream(TokioIo::new(Box::new(tcp))));
    }
    let config = config.ok_or_else(|| io::Error::other("no authority of peers is set"))?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tls = TlsConnector::from(config).connect(name, tcp).await?;
    Ok(Stream(TokioIo::new(Box::new(tls))))
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One connection to a peer, plain or TLS.
pub(super) struct Stream(TokioIo<Box<dyn Io>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, from)
    }
}
