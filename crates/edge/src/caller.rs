use axum::{extract::FromRequestParts, http::request::Parts};
use nsl_core::{Code, Cx, Error, PrincipalKind, TenantId};

use crate::Problem;

/// What the edge found out about a request before it let it in; the extractors read it.
///
/// Tests of a router without an edge put it there themselves: `.layer(axum::Extension(Admitted::new(cx)))`.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub(crate) cx: Cx,
    pub(crate) body_bytes: usize,
}

impl Admitted {
    pub fn new(cx: Cx) -> Self {
        Self { cx, body_bytes: crate::strict::DEFAULT_BODY_BYTES }
    }
}

/// The call context of a caller with a valid credential; everyone else gets 401.
#[derive(Clone, Debug)]
pub struct Caller(pub Cx);

/// The call context of anyone: without a credential the principal is anonymous and the tenant is
/// [`nobody`], until the handler puts the tenant of the route in its place.
#[derive(Clone, Debug)]
pub struct Anyone(pub Cx);

/// The tenant that owns nothing: what requests without a credential run under.
pub fn nobody() -> TenantId {
    TenantId::parse("anonymous").expect("a fixed valid id")
}

fn admitted(parts: &Parts) -> Result<&Admitted, Problem> {
    let missing = || Problem(Error::internal(anyhow::anyhow!("a public route is not behind the edge")));
    parts.extensions.get::<Admitted>().ok_or_else(missing)
}

pub(crate) fn credential_missing() -> Error {
    Error::new(Code::Unauthenticated, "auth.missing", "this needs a credential")
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let cx = &admitted(parts)?.cx;
        if cx.principal.kind == PrincipalKind::Anonymous {
            return Err(Problem(credential_missing()));
        }
        Ok(Self(cx.clone()))
    }
}

impl<S: Sync> FromRequestParts<S> for Anyone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(admitted(parts)?.cx.clone()))
    }
}
