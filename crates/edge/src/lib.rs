//! What every public request passes, as one ordered list (see `edge.rs`).
//!
//! Holds: a route is closed unless its face opens it; a credential is never logged, stored or sent on;
//! every reply that is not a success is `application/problem+json` with a slug of the catalogue; a
//! service that cannot be reached makes 503, never 401; what was refused is counted in bounded memory.
//!
//! Cutting off a failing service is not done here: `nsl_rpc::Channel` has a breaker for each address of
//! a remote service, and the edge passes its `unavailable` on as 503 with `Retry-After`.

mod auth;
mod body;
mod caller;
mod catalogue;
mod compress;
mod config;
mod cors;
mod docs;
mod edge;
mod face;
mod gate;
mod headers;
mod limits;
mod meter;
mod oauth;
mod once;
mod outcome;
mod params;
mod problem;
mod problems;
mod queries;
mod refusals;
mod rules;
mod serve;
mod strict;
mod trail;
mod turn;
mod wording;

pub use caller::{Admitted, Anyone, Caller, nobody};
pub use catalogue::{Catalogue, Entry, unlisted};
pub use config::{AuthSettings, CorsSettings, EdgeSettings, JwtSettings, LimitSettings, Settings};
pub use docs::openapi;
pub use edge::Parts;
pub use face::{Class, Face, Rule};
pub use headers::hardened;
pub use params::{Limit, Path, Query};
pub use problem::{Problem, ProblemBody};
pub use serve::Edge;
pub use strict::Strict;
