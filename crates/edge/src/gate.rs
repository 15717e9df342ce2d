use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use tower::{Layer, Service};

use crate::{
    catalogue::Catalogue,
    edge::{self, Shared},
    face::Rule,
    meter::Meter,
    queries::{OfRoute, Queries},
};

/// The edge in front of one face.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) shared: Arc<Shared>,
    pub(crate) catalogue: Catalogue,
    pub(crate) service: &'static str,
    pub(crate) rules: Arc<[Rule]>,
    pub(crate) queries: Queries,
}

impl<S> Layer<S> for Guard {
    type Service = Gate<S>;

    // Called once for each route and method, so each gate can remember what holds for its route.
    fn layer(&self, inner: S) -> Gate<S> {
        let spot = Spot { guard: self.clone(), settled: OnceLock::new() };
        Gate { spot: Arc::new(spot), inner }
    }
}

/// The edge in front of one route.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    spot: Arc<Spot>,
    inner: S,
}

pub(crate) struct Spot {
    guard: Guard,
    settled: OnceLock<Settled>,
}

/// What holds for a route, found out at its first request.
pub(crate) struct Settled {
    /// As the router has it: `/v1/storage/store/{chain}`.
    pub(crate) route: Arc<str>,
    /// None where there is no route.
    pub(crate) rule: Option<Rule>,
    pub(crate) query: OfRoute,
    pub(crate) meter: Meter,
}

impl Spot {
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(crate) fn settle(&self, request: &Request) -> &Settled {
        self.settled.get_or_init(|| {
            let matched = request.extensions().get::<MatchedPath>();
            let route = matched.map_or("none", MatchedPath::as_str);
            let rule = matched.map(|_| {
                let fitting = self.guard.rules.iter().find(|rule| rule.fits(route));
                fitting.cloned().unwrap_or_else(|| Rule::at(""))
            });
            let query = self.guard.queries.of_route(route);
            Settled { route: route.into(), rule, query, meter: Meter::new(self.guard.service, route) }
        })
    }
}

impl<S> Service<Request> for Gate<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    // Routes are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (spot, next) = (Arc::clone(&self.spot), self.inner.clone());
        Box::pin(async move { Ok(edge::pass(&spot, request, next).await) })
    }
}
