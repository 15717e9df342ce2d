use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use futures_util::FutureExt;
use http::{Request, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::debug;

use crate::settings::HttpSettings;

use super::{
    Leaving,
    body::{Answer, Pace, Paced},
    bounds::Permit,
    identity::PeerIdentity,
    pulse::{Felt, Overdue, Pulse},
    remote::Origin,
    tls::Tls,
};

/// How long an idle connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) http: HttpSettings,
    pub(super) tls: Option<Tls>,
    pub(super) builder: Builder<TokioExecutor>,
    /// Ends connections politely: requests in flight finish.
    pub(super) stop: CancellationToken,
    /// Ends whatever is left.
    pub(super) kill: CancellationToken,
}

pub(super) fn builder(http: &HttpSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // hyper's own timer counts idle time as header time, and costs a timer per request.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(http.max_header_bytes as usize);
    if http.max_headers != 100 {
        // Saying so, even the default, moves the parser's scratch space to the heap.
        builder.http1().max_headers(http.max_headers.into());
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(http.max_streams)
        .max_header_list_size(http.max_header_bytes)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(http.idle_timeout / 3)
        .keep_alive_timeout(http.header_timeout);
    builder
}

/// Serves one connection to its end.
pub(super) async fn serve(shared: Arc<Shared>, socket: TcpStream, origin: Origin, permit: Permit) {
    let Some(tls) = &shared.tls else {
        return speak(&shared, socket, origin, None, permit).await;
    };
    let handshake = TlsAcceptor::from(tls.config()).accept(socket);
    let handshake = timeout(shared.http.header_timeout, handshake);
    match shared.kill.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let identity = certificate.map(|certificate| PeerIdentity::of(certificate).map(Arc::new));
            match identity {
                // Who it is must not be lost between the handshake and the handlers.
                Some(None) => metrics::counter!("connections_cut_total", "reason" => "odd_certificate").increment(1),
                Some(Some(identity)) => speak(&shared, stream, origin, Some(identity), permit).await,
                None => speak(&shared, stream, origin, None, permit).await,
            }
        }
        Some(Ok(Err(error))) => {
            metrics::counter!("connections_cut_total", "reason" => "tls").increment(1);
            debug!(%error, "a TLS handshake failed");
        }
        Some(Err(_)) => metrics::counter!("connections_cut_total", "reason" => "slow_tls").increment(1),
        None => {}
    }
}

async fn speak<S>(shared: &Shared, stream: S, origin: Origin, identity: Option<Arc<PeerIdentity>>, permit: Permit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Pulse::new();
    let pace = Pace { grace: shared.http.body_grace, bytes_per_second: shared.http.body_min_bytes_per_second };
    let service = {
        let (pulse, router) = (Arc::clone(&pulse), shared.router.clone());
        service_fn(move |request: Request<Incoming>| {
            let in_flight = pulse.begin(request.version() == Version::HTTP_2);
            let remote = origin.remote(request.headers());
            let mut request = request.map(|body| Paced::new(body, pace));
            request.extensions_mut().insert(remote);
            request.extensions_mut().insert(Leaving(shared.stop.clone()));
            if let Some(identity) = &identity {
                request.extensions_mut().insert(Arc::clone(identity));
            }
            router.clone().call(request).map(move |answer| {
                let answer: Result<_, Infallible> = answer;
                answer.map(|response| response.map(|body| Answer::new(body, in_flight)))
            })
        })
    };
    let io = TokioIo::new(Felt::new(stream, Arc::clone(&pulse), permit));
    let mut connection = pin!(shared.builder.serve_connection_with_upgrades(io, service));
    let bounds = [shared.http.header_timeout, shared.http.idle_timeout, shared.http.write_stall];
    let tick = (bounds.into_iter().min().expect("there are three") / 4)
        .clamp(Duration::from_millis(25), Duration::from_secs(1));
    let mut check = pin!(sleep_until(Instant::now() + tick));
    // Each poll of the connection also looks at these: children, so that connections share no lock.
    let (stop, kill) = (shared.stop.child_token(), shared.kill.child_token());
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "a connection ended badly");
                }
                return;
            }
            () = kill.cancelled(), if leaving => return,
            () = stop.cancelled(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = check.as_mut() => {
                check.as_mut().reset(Instant::now() + tick);
                let Some(overdue) = pulse.overdue(&shared.http) else { continue };
                if overdue != Overdue::Idle || leaving {
                    metrics::counter!("connections_cut_total", "reason" => overdue.name()).increment(1);
                    return;
                }
                leaving = true;
                check.as_mut().reset(Instant::now() + GOODBYE);
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
