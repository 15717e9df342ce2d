use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use nsl_api::{
    Page,
    audit::{AuditClient, AuditEntry, SearchAudit, Verdict, VerifyAudit},
};
use nsl_core::{Error, Timestamp};
use nsl_edge::{Caller, Entry, Face, Limit, Problem, Query, Rule};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use crate::service::LONGEST_PAGE;

const PROBLEMS: &[Entry] = &[
    Entry::new("audit.time", 400, "a time has a wrong form", "write times as RFC 3339, such as 2026-01-31T12:00:00Z"),
    Entry::new("audit.platform_only", 403, "only the platform itself may do this", "ask an operator"),
    Entry::new(
        "audit.busy",
        429,
        "the audit trail is being verified already",
        "wait for the verification that is under way, or as long as Retry-After says",
    ),
    Entry::new("audit.too_many", 400, "too many refusals at once", "send fewer at once"),
];

/// Walking all chains of a tenant may take as long as there are entries.
const VERIFY_TIME: Duration = Duration::from_secs(300);

/// The public routes of the service, wherever it runs.
pub fn face(audit: AuditClient) -> Face {
    let router = Router::new()
        .route("/v1/audit/entries", get(search_audit))
        .route("/v1/audit/verify", post(verify_audit))
        .with_state(audit);
    Face::new("audit", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/v1/audit/verify").timeout(VERIFY_TIME))
}

#[derive(OpenApi)]
#[openapi(
    paths(search_audit, verify_audit),
    tags((name = "audit", description = "The evidence: what was done and what was refused."))
)]
struct Docs;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only this kind, such as `storage.value_stored`.
    event_type: Option<String>,
    /// Only deeds of this subject.
    subject: Option<String>,
    /// Only what this request did.
    request_id: Option<String>,
    /// Not before this time, RFC 3339.
    from: Option<String>,
    /// Not after this time, RFC 3339.
    to: Option<String>,
    /// 1 to 1,000; 100 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Limit<LONGEST_PAGE>>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Search the audit trail
///
/// Newest first, this tenant's entries only. Needs the scope `audit:read`. Where `erased` is true, the person
/// whose fields are missing has been erased; the entry itself stays provable.
#[utoipa::path(get, path = "/v1/audit/entries", tag = "audit", operation_id = "search_audit", params(Filter),
    responses((status = 200, description = "A page of entries", body = Page<AuditEntry>)))]
async fn search_audit(
    State(audit): State<AuditClient>,
    Caller(cx): Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let request = SearchAudit {
        from: time("from", filter.from)?,
        to: time("to", filter.to)?,
        event_type: filter.event_type,
        subject: filter.subject,
        request_id: filter.request_id,
        limit: Limit::or(filter.limit, 100),
        after: filter.after,
    };
    Ok(Json(audit.search(&cx, request).await?))
}

/// Verify the audit trail
///
/// Walks every chain of this tenant and names each entry that was changed, moved, removed or put in. Needs the
/// scope `audit:read`. One at a time for a tenant, and a few for all: the others are told to come back (429).
#[utoipa::path(post, path = "/v1/audit/verify", tag = "audit", operation_id = "verify_audit",
    responses((status = 200, description = "What was found, whole or not", body = Verdict)))]
async fn verify_audit(State(audit): State<AuditClient>, Caller(cx): Caller) -> Result<Json<Verdict>, Problem> {
    Ok(Json(audit.verify(&cx, VerifyAudit {}).await?))
}

fn time(name: &str, text: Option<String>) -> Result<Option<Timestamp>, Error> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Error::invalid("audit.time", format!("{name} is not an RFC 3339 time")).detail("parameter", name);
    Timestamp::parse(&text).map(Some).ok_or_else(wrong)
}
