//! How services call each other: one typed client, near or far.

use std::{future::Future, sync::Arc};

use axum::{Json, Router, http::StatusCode, response::{IntoResponse, Response}};
use nsl_core::{Code, Cx, Error, Result, WireCx};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[doc(hidden)]
pub mod export {
    pub use async_trait::async_trait;
    pub use axum;
    pub use nsl_core;
}

/// Where a client's calls go.
pub enum Via<S: ?Sized> {
    Local(Arc<S>),
    Remote(Channel),
}

impl<S: ?Sized> Clone for Via<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Local(service) => Self::Local(Arc::clone(service)),
            Self::Remote(channel) => Self::Remote(channel.clone()),
        }
    }
}

/// What the wiring needs to know about a typed client; [`service!`] writes it.
pub trait Client: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    type Service: ?Sized + Send + Sync + 'static;
    fn new(via: Via<Self::Service>) -> Self;
    fn routes(service: Arc<Self::Service>) -> Router;
}

/// Declares a service: its trait, its client over [`Via`], its internal routes. `read fn` marks a
/// call that may be repeated.
#[macro_export]
macro_rules! service {
    ($(#[$doc:meta])* $Service:ident, $Client:ident, $name:literal {
        $( $(#[$mdoc:meta])* $($read:ident)? fn $method:ident($Request:ty) -> $Reply:ty; )+
    }) => { $crate::service_items! { [$(#[$doc])*] $Service $Client $name $( [$(#[$mdoc])*] [$($read)?] $method $Request, $Reply; )+ } };
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

        #[derive(Clone)]
        pub struct $Client($crate::Via<dyn $Service>);

        impl $Client {
            $( $(#[$mdoc])* pub async fn $method(&self, cx: &$crate::export::nsl_core::Cx, request: $Request) -> $crate::export::nsl_core::Result<$Reply> {
                $crate::observe(concat!($name, ".", stringify!($method)), cx, async {
                    match &self.0 {
                        $crate::Via::Local(service) => service.$method(cx, request).await,
                        $crate::Via::Remote(channel) => channel.call(concat!("/rpc/", $name, "/", stringify!($method)), cx, &request).await,
                    }
                }).await
            } )+
        }

        impl $crate::Client for $Client {
            const NAME: &'static str = $name;
            type Service = dyn $Service;
            fn new(via: $crate::Via<dyn $Service>) -> Self { Self(via) }
            fn routes(service: std::sync::Arc<dyn $Service>) -> $crate::export::axum::Router {
                let router = $crate::export::axum::Router::new();
                $( let router = {
                    let service = std::sync::Arc::clone(&service);
                    router.route(
                        concat!("/rpc/", $name, "/", stringify!($method)),
                        $crate::export::axum::routing::post(move |$crate::export::axum::Json(call): $crate::export::axum::Json<$crate::Call<$Request>>| async move {
                            let cx: $crate::export::nsl_core::Cx = call.cx.into();
                            $crate::respond(service.$method(&cx, call.request).await)
                        }),
                    )
                }; )+
                router
            }
        }
    };
}

/// One call on the internal wire.
#[derive(Serialize, Deserialize)]
pub struct Call<Q> {
    pub cx: WireCx,
    pub request: Q,
}

/// Every call passes here, near or far.
pub async fn observe<T>(name: &'static str, cx: &Cx, call: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(cx.deadline.remaining(), call).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(Code::Timeout, "deadline", format!("{name} took longer than the caller waits"))),
    }
}

pub fn respond<T: Serialize>(result: Result<T>) -> Response {
    match result {
        Ok(reply) => Json(reply).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(error)).into_response()
        }
    }
}

/// The way to a service in another process.
#[derive(Clone)]
pub struct Channel {
    base: String,
    http: reqwest::Client,
}

impl Channel {
    pub async fn call<Q: Serialize + Sync, R: DeserializeOwned>(&self, path: &str, cx: &Cx, request: &Q) -> Result<R> {
        let unreachable = |e: reqwest::Error| Error::new(Code::Unavailable, "peer.unreachable", format!("cannot reach {path}")).because(e);
        let body = Call { cx: cx.to_wire(), request };
        let response = self.http.post(format!("{}{path}", self.base)).json(&body).send().await.map_err(unreachable)?;
        if response.status().is_success() {
            return response.json().await.map_err(unreachable);
        }
        Err(response.json::<Error>().await.unwrap_or_else(unreachable))
    }
}
