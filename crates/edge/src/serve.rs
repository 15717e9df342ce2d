use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Extensions, Uri, uri::PathAndQuery},
    response::Response,
    routing::any,
};
use nsl_core::{Code, Error};
use nsl_kit::serve::{PeerIdentity, Remote};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    Problem,
    auth::Asked,
    catalogue::Catalogue,
    config::Settings,
    docs,
    edge::{Dials, Parts, Shared},
    face::{Face, Rule},
    gate::Guard,
    queries::Queries,
};

/// The public request path of a process. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<Shared>);

impl Edge {
    /// Fails when the settings can't be used; the token keys are fetched at first need.
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Shared::new(parts)?)))
    }

    /// One router for all faces, with `/openapi.json`, `/docs`, `/problems` and the 404 of everything
    /// else. What lies under `/v1/` is also found under `/api/v1/` and `/api/`.
    pub fn serve(&self, faces: Vec<Face>) -> Router {
        let catalogue = Catalogue::of(&faces);
        let openapi = docs::openapi(&faces, env!("CARGO_PKG_VERSION"));
        let queries = Queries::of(&openapi);
        let guard = |service, rules: Vec<Rule>| Guard {
            shared: Arc::clone(&self.0),
            catalogue: catalogue.clone(),
            service,
            rules: rules.into(),
            queries: queries.clone(),
        };
        let mut whole = Router::new();
        for face in faces {
            whole = whole.merge(face.router.layer(guard(face.name, face.rules)));
        }
        let open = docs::ROUTES.iter().map(|route| Rule::at(route).open()).collect();
        let told = docs::router(&openapi, catalogue.clone()).fallback(nothing_here);
        let whole = whole.merge(told.layer(guard("edge", open))).with_state(());
        let aliased = whole.clone();
        whole.route("/api/{*rest}", any(move |request| alias(aliased.clone(), request)))
    }

    /// Forgets an API key at once, by its SHA-256 in hex: it was revoked.
    pub fn forget(&self, digest: &str) {
        self.0.auth.forget(digest);
    }

    /// Takes over what may change while running: `limits.*` and `cors.*`.
    pub fn reload(&self, settings: &Settings) {
        self.0.dials.store(Arc::new(Dials::new(settings)));
    }

    /// Until the stop: keeps up with what was taken back, and reports refusals to the audit trail every
    /// second and then a last time.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        tokio::join!(self.0.auth.run(&stop), self.0.refusals.run(stop.clone()));
        Ok(())
    }
}

async fn nothing_here() -> Problem {
    Problem(Error::new(Code::NotFound, "route.unknown", "there is nothing at this path"))
}

// `/api/v1/x` and `/api/x` are `/v1/x`. The parameters of this match stay behind: handlers would find
// them among their own.
async fn alias(router: Router, request: Request<Body>) -> Response {
    let (mut head, body) = request.into_parts();
    let mut kept = Extensions::new();
    if let Some(remote) = head.extensions.remove::<Remote>() {
        kept.insert(remote);
    }
    if let Some(peer) = head.extensions.remove::<Arc<PeerIdentity>>() {
        kept.insert(peer);
    }
    head.extensions = kept;
    head.extensions.insert(Asked(head.uri.path().to_owned()));
    if let Some(uri) = plain(&head.uri) {
        head.uri = uri;
    }
    let Ok(response) = router.oneshot(Request::from_parts(head, body)).await;
    response
}

fn plain(uri: &Uri) -> Option<Uri> {
    let target = uri.path_and_query()?.as_str();
    let rest = target.strip_prefix("/api/")?;
    let target = if rest.starts_with("v1/") { format!("/{rest}") } else { format!("/v1/{rest}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_aliases_lead_to_one_place() {
        let plain = |text: &'static str| plain(&Uri::from_static(text)).map(|uri| uri.to_string());
        assert_eq!(plain("/api/v1/storage/x?y=z").as_deref(), Some("/v1/storage/x?y=z"));
        assert_eq!(plain("/api/storage/x").as_deref(), Some("/v1/storage/x"));
        assert_eq!(plain("http://host/api/storage").as_deref(), Some("http://host/v1/storage"));
        assert_eq!(plain("/api//x").as_deref(), Some("/v1//x"));
    }
}
