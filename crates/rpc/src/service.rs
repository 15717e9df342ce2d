use std::sync::Arc;

use axum::Router;

use crate::{Channel, method};

/// Where a client's calls go.
pub enum Via<S: ?Sized> {
    /// To a service in this process.
    Local(Arc<S>),
    /// To other processes.
    Remote(Channel),
}

impl<S: ?Sized> Via<S> {
    #[doc(hidden)]
    pub fn kind(&self) -> method::Via {
        match self {
            Self::Local(_) => method::Via::Local,
            Self::Remote(_) => method::Via::Remote,
        }
    }
}

impl<S: ?Sized> Clone for Via<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Local(service) => Self::Local(Arc::clone(service)),
            Self::Remote(channel) => Self::Remote(channel.clone()),
        }
    }
}

/// What the wiring needs to know about a typed client; [`service!`](crate::service!) writes it.
pub trait Client: Clone + Send + Sync + 'static {
    /// The service's name in configuration, paths and metrics.
    const NAME: &'static str;
    type Service: ?Sized + Send + Sync + 'static;
    fn new(via: Via<Self::Service>) -> Self;
    /// The internal routes, without any guard: only [`Wire::finish`](crate::Wire::finish) should serve them.
    fn routes(service: Arc<Self::Service>) -> Router;
}

/// Declares a service: its trait, its client over [`Via`], its internal routes. `read fn` marks a
/// call that may be repeated.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use nsl_core::{Cx, Result, TenantId};
/// use nsl_rpc::{Client, Via};
///
/// nsl_rpc::service! {
///     /// Counts.
///     Counter, CounterClient, "counter" {
///         /// Adds to the count and tells the new one.
///         fn add(u64) -> u64;
///         /// Tells the count.
///         read fn count(()) -> u64;
///     }
/// }
///
/// struct Fixed(u64);
///
/// #[nsl_rpc::export::async_trait]
/// impl Counter for Fixed {
///     async fn add(&self, _: &Cx, more: u64) -> Result<u64> {
///         Ok(self.0 + more)
///     }
///     async fn count(&self, _: &Cx, (): ()) -> Result<u64> {
///         Ok(self.0)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let counter = CounterClient::new(Via::Local(Arc::new(Fixed(40)) as Arc<dyn Counter>));
/// let cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
/// assert_eq!(counter.add(&cx, 2).await?, 42);
/// # Ok(())
/// # }
/// ```
// `$mark` is never there: a word alone cannot be carried over, a variable beside it can.
#[macro_export]
macro_rules! service {
    ($(#[$doc:meta])* $Service:ident, $Client:ident, $name:literal {
        $( $(#[$mdoc:meta])* $(read $($mark:lifetime)?)? fn $method:ident($Request:ty) -> $Reply:ty; )+
    }) => { $crate::service_items! { [$(#[$doc])*] $Service $Client $name $( [$(#[$mdoc])*] [$(read $($mark)?)?] $method $Request, $Reply; )+ } };
}

#[doc(hidden)]
#[macro_export]
macro_rules! service_items {
    ([$(#[$doc:meta])*] $Service:ident $Client:ident $name:literal $( [$(#[$mdoc:meta])*] [$($read:ident)?] $method:ident $Request:ty, $Reply:ty; )+) => {
        $(#[$doc])*
        #[$crate::export::async_trait]
        pub trait $Service: Send + Sync + 'static {
            $( $(#[$mdoc])* async fn $method(&self, cx: &$crate::export::nsl_core::Cx, request: $Request) -> $crate::export::nsl_core::Result<$Reply>; )+
        }

        #[doc = concat!("Calls `", $name, "` wherever it runs.")]
        #[derive(Clone)]
        pub struct $Client($crate::Via<dyn $Service>);

        impl $Client {
            $( $(#[$mdoc])* pub async fn $method(&self, cx: &$crate::export::nsl_core::Cx, request: $Request) -> $crate::export::nsl_core::Result<$Reply> {
                use $crate::export::tracing::{self, Instrument as _};
                static METHOD: $crate::Method = $crate::service_method!($name $method $($read)?);
                let (via, deadline) = (self.0.kind(), cx.deadline);
                match &self.0 {
                    $crate::Via::Local(service) => {
                        let span = tracing::debug_span!(target: "nsl_rpc", concat!($name, ".", stringify!($method)));
                        $crate::observe(&METHOD, via, deadline, service.$method(cx, request)).instrument(span).await
                    }
                    $crate::Via::Remote(channel) => {
                        let span = tracing::info_span!(target: "nsl_rpc", concat!($name, ".", stringify!($method)), otel.kind = "client");
                        // On the heap, so that near calls do not carry the size of far ones.
                        Box::pin($crate::observe(&METHOD, via, deadline, channel.call(&METHOD, cx, &request)).instrument(span)).await
                    }
                }
            } )+
        }

        impl $crate::Client for $Client {
            const NAME: &'static str = $name;
            type Service = dyn $Service;
            fn new(via: $crate::Via<dyn $Service>) -> Self { Self(via) }
            fn routes(service: std::sync::Arc<dyn $Service>) -> $crate::export::axum::Router {
                let router = $crate::export::axum::Router::new();
                $( let router = {
                    use $crate::export::tracing;
                    static METHOD: $crate::Method = $crate::service_method!($name $method $($read)?);
                    let service = std::sync::Arc::clone(&service);
                    router.route(
                        METHOD.path(),
                        $crate::export::axum::routing::post(move |body: $crate::export::axum::body::Bytes| $crate::answer(
                            &METHOD,
                            body,
                            |cx| tracing::info_span!(target: "nsl_rpc", concat!($name, ".", stringify!($method)), otel.kind = "server", request_id = %cx.trace.request_id, tenant = %cx.tenant),
                            move |cx: $crate::export::nsl_core::Cx, request: $Request| async move { service.$method(&cx, request).await },
                        )),
                    )
                }; )+
                router
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! service_method {
    ($name:literal $method:ident) => {
        $crate::Method::new($name, stringify!($method), concat!("/rpc/", $name, "/", stringify!($method)), false)
    };
    ($name:literal $method:ident read) => {
        $crate::Method::new($name, stringify!($method), concat!("/rpc/", $name, "/", stringify!($method)), true)
    };
}
