use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nsl_core::{Clock, Code, Cx, Error, Result, Secret, SystemClock, TenantId};
use nsl_rpc::{Channel, Client, Dialer, Guard, PeerKeys, Settings, Via, Wire};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) then: Then,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Then {
    #[default]
    Tell,
    Fail(Code),
    Hang,
    Panic,
    Linger(u64),
    /// As a deed that was done before.
    Repeat,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) by: String,
    pub(crate) tenant: TenantId,
    pub(crate) remaining_ms: u64,
}

nsl_rpc::service! {
    /// Says what it was told.
    Echo, EchoClient, "echo" {
        /// Counts as a deed: must not be done twice.
        fn write(Ask) -> Told;
        /// May be asked twice.
        read fn read(Ask) -> Told;
    }
}

/// An echo that counts, and can be told to misbehave.
#[derive(Default)]
pub(crate) struct Parrot {
    pub(crate) name: String,
    pub(crate) writes: AtomicU32,
    pub(crate) reads: AtomicU32,
    /// Calls whose future was dropped before they were done.
    pub(crate) dropped: Arc<AtomicU32>,
}

struct Running(Arc<AtomicU32>, bool);

impl Drop for Running {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Parrot {
    pub(crate) fn named(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), ..Self::default() })
    }

    pub(crate) fn writes(&self) -> u32 {
        self.writes.load(Ordering::SeqCst)
    }

    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }

    async fn tell(&self, cx: &Cx, ask: Ask) -> Result<Told> {
        let mut running = Running(Arc::clone(&self.dropped), false);
        match ask.then {
            Then::Tell => cx.replay.tell(false),
            Then::Repeat => cx.replay.tell(true),
            Then::Linger(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Then::Hang => std::future::pending().await,
            Then::Panic => panic!("told to panic"),
            Then::Fail(code) => {
                running.1 = true;
                return Err(Error::new(code, "echo.told_to_fail", "as you wished")
                    .detail("text", ask.text)
                    .retry_after(Duration::from_millis(1_250))
                    .because(anyhow::anyhow!("a private cause")));
            }
        }
        running.1 = true;
        let remaining_ms = cx.deadline.remaining().as_millis() as u64;
        Ok(Told { text: ask.text, by: self.name.clone(), tenant: cx.tenant.clone(), remaining_ms })
    }
}

#[nsl_rpc::export::async_trait]
impl Echo for Parrot {
    async fn write(&self, cx: &Cx, ask: Ask) -> Result<Told> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.tell(cx, ask).await
    }

    async fn read(&self, cx: &Cx, ask: Ask) -> Result<Told> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.tell(cx, ask).await
    }
}

pub(crate) fn keys(names: &[&str]) -> PeerKeys {
    let keys: Vec<_> = names.iter().map(|name| Secret::new(format!("{name:-<32}"))).collect();
    PeerKeys::new(&keys).unwrap()
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn guard() -> Guard {
    Guard::new(clock(), Settings::default().body_limit).with_keys(keys(&["key"]))
}

/// A process that serves one parrot; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(parrot: &Arc<Parrot>) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), parrot, guard()).await
    }

    pub(crate) async fn at(address: SocketAddr, parrot: &Arc<Parrot>, guard: Guard) -> Self {
        let mut wire = Wire::new(["echo".to_owned()], BTreeMap::new());
        let parrot: Arc<dyn Echo> = Arc::clone(parrot) as _;
        wire.add::<EchoClient>(async move || Ok(parrot)).await.need().unwrap();
        Self::of(wire.finish(guard).unwrap(), address).await
    }

    pub(crate) async fn of(routes: axum::Router, address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, task: tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }) }
    }
}

pub(crate) fn dialer(settings: Settings) -> Dialer {
    Dialer::new(settings, Some(keys(&["key"])), None, clock()).unwrap()
}

pub(crate) fn channel_with(settings: Settings, addresses: &[SocketAddr]) -> Channel {
    let addresses: Vec<_> = addresses.iter().map(|address| format!("http://{address}")).collect();
    dialer(settings).channel("echo", &addresses).unwrap()
}

pub(crate) fn client(channel: &Channel) -> EchoClient {
    EchoClient::new(Via::Remote(channel.clone()))
}

pub(crate) fn cx(within: Duration) -> Cx {
    Cx::system(TenantId::parse("ten_test").unwrap(), within)
}

pub(crate) fn long() -> Cx {
    cx(Duration::from_secs(10))
}

pub(crate) fn ask(text: &str, then: Then) -> Ask {
    Ask { text: text.to_owned(), then }
}

pub(crate) fn plain() -> Ask {
    ask("hello", Then::Tell)
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Looks again and again, without a fixed wait, until `seen` or ten seconds have passed.
pub(crate) async fn eventually(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !seen().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}
