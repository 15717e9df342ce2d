//! Listeners: bounded, timed, over TLS or plain, HTTP/1.1 and HTTP/2, drained at the stop.
//!
//! Holds: nobody keeps a connection for free (a request head, a body and the reading of an answer
//! each have their time, an idle connection too); connections are bounded overall and per address;
//! certificates change without dropping a connection; a drain finishes what is in flight and ends in
//! its budget. Requests carry [`Remote`], [`Leaving`], and `Arc<`[`PeerIdentity`]`>` when the client showed a
//! certificate.

mod body;
mod bounds;
mod connection;
mod der;
mod file_limit;
mod identity;
mod network;
mod pulse;
mod redirect;
mod remote;
mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::settings::{HttpSettings, ListenerSettings, TlsMode};

pub use self::{
    body::{collect, is_too_slow},
    identity::PeerIdentity,
    network::{Network, NotANetwork},
    redirect::redirect_to_https,
    remote::Remote,
};
use self::{
    bounds::{Bounds, Refusal},
    connection::Shared,
    remote::Origin,
    tls::Tls,
};

/// Tells a long answer that its listener is about to end: it should, too.
#[derive(Clone, Debug)]
pub struct Leaving(CancellationToken);

impl Leaving {
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}

/// What a plain client hears when there is no room for it.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// An open port that does not answer yet.
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    address: SocketAddr,
    mode: TlsMode,
    tls: Option<Tls>,
    http: HttpSettings,
}

impl Listener {
    /// Opens the port and reads the certificate; port 0 takes a free one.
    pub async fn bind(name: &'static str, settings: &ListenerSettings, http: &HttpSettings) -> Result<Self> {
        let tls = match settings.tls.mode {
            TlsMode::Files => Some(
                Tls::load(name, &settings.tls).with_context(|| format!("cannot set up TLS of the {name} listener"))?,
            ),
            TlsMode::Off | TlsMode::Upstream => None,
        };
        Self::open(name, settings.address, settings.tls.mode, tls, http).await
    }

    /// Opens a port that speaks plain HTTP.
    pub async fn bind_plain(name: &'static str, address: SocketAddr, http: &HttpSettings) -> Result<Self> {
        Self::open(name, address, TlsMode::Off, None, http).await
    }

    async fn open(
        name: &'static str,
        address: SocketAddr,
        mode: TlsMode,
        tls: Option<Tls>,
        http: &HttpSettings,
    ) -> Result<Self> {
        let socket =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({name})"))?;
        let address = socket.local_addr()?;
        Ok(Self { name, socket, address, mode, tls, http: http.clone() })
    }

    /// The address that was bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://...` or `https://...`, as a client on this machine reaches it.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        format!("{scheme}://{address}")
    }

    /// Starts to answer.
    pub fn serve(self, router: Router) -> Serving {
        let (stop, kill, tracker) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let serving = Serving {
            name: self.name,
            address: self.address,
            url: self.url(),
            stop: stop.clone(),
            kill: kill.clone(),
            tracker: tracker.clone(),
        };
        if let Some(tls) = &self.tls {
            tracker.spawn(tls.clone().follow(stop.clone()));
        }
        let files = file_limit::raise();
        if files < u64::from(self.http.max_connections) {
            warn!(
                files,
                connections = self.http.max_connections,
                "the limit of open files is below http.max_connections"
            );
        }
        info!(listener = self.name, address = %self.address, tls = ?self.mode, "listening");
        tracker.spawn(self.accept(router, stop, kill, tracker.clone()));
        serving
    }

    async fn accept(self, router: Router, stop: CancellationToken, kill: CancellationToken, tracker: TaskTracker) {
        let bounds = Arc::new(Bounds::new(&self.http));
        let proxies: Arc<[Network]> = self.http.trusted_proxies.clone().into();
        let active = metrics::gauge!("listener_active_connections", "listener" => self.name);
        let total = metrics::counter!("connections_total", "listener" => self.name);
        let shared = Arc::new(Shared {
            router: router.with_state(()),
            builder: connection::builder(&self.http),
            tls: self.tls,
            http: self.http,
            stop: stop.clone(),
            kill,
        });
        let secure = shared.tls.is_some() || self.mode == TlsMode::Upstream;
        let mut pause = Duration::from_millis(5);
        while let Some(accepted) = stop.run_until_cancelled(self.socket.accept()).await {
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if of_one_connection(&error) => continue,
                Err(error) => {
                    // Most often the process is out of file descriptors: wait for some to be closed.
                    warn!(listener = self.name, %error, "cannot accept connections");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                    continue;
                }
            };
            pause = Duration::from_millis(5);
            let permit = match bounds.admit(peer.ip()) {
                Ok(permit) => permit,
                Err(refusal) => {
                    refuse(self.name, &socket, shared.tls.is_some(), refusal);
                    continue;
                }
            };
            let _ = socket.set_nodelay(true);
            total.increment(1);
            let trusted = proxies.iter().any(|network| network.contains(peer.ip()));
            let origin = Origin { peer, secure, proxies: trusted.then(|| Arc::clone(&proxies)) };
            let count = Counted::new(active.clone());
            let serve = connection::serve(Arc::clone(&shared), socket, origin, permit);
            tracker.spawn(async move {
                serve.await;
                drop(count);
            });
        }
    }
}

/// The other side went away between knocking and being let in.
fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn refuse(listener: &'static str, socket: &TcpStream, encrypted: bool, refusal: Refusal) {
    metrics::counter!("connections_refused_total", "listener" => listener, "bound" => refusal.name()).increment(1);
    if !encrypted {
        // As much as the kernel takes at once: nobody waits for a client that has no room here.
        let _ = socket.try_write(NO_ROOM);
    }
}

struct Counted(metrics::Gauge);

impl Counted {
    fn new(gauge: metrics::Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A listener that answers.
pub struct Serving {
    name: &'static str,
    address: SocketAddr,
    url: String,
    stop: CancellationToken,
    kill: CancellationToken,
    tracker: TaskTracker,
}

impl Serving {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops accepting and lets requests in flight finish; after `within` the rest is cut. Returns
    /// whether all finished.
    pub async fn drain(&self, within: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        if timeout(within, self.tracker.wait()).await.is_ok() {
            return true;
        }
        warn!(listener = self.name, connections = self.tracker.len(), "connections did not finish in time and are cut");
        self.kill.cancel();
        self.tracker.wait().await;
        false
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        self.kill.cancel();
    }
}
