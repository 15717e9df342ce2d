use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use nsl_api::{
    Page,
    access::{
        AccessClient, Case, Decision, Explain, FindPolicy, Holder, ListPermissions, ListPolicies, ListPolicyVersions,
        Permissions, Policy, PolicyReply, PutPolicy, RemovePolicy, WhoCan,
    },
};
use nsl_edge::{Caller, Entry, Face, Limit, Path, Problem, Query, Rule, Strict};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::{http::Paging, page::LONGEST_PAGE};

const PROBLEMS: &[Entry] = &[
    Entry::new(
        "access.policy_name",
        400,
        "the name of the policy has a wrong form",
        "use 1 to 64 of a-z, 0-9, - and _",
    ),
    Entry::new(
        "access.policy_invalid",
        400,
        "the policy cannot be used",
        "see `faults` in the details for what is wrong where, and GET /v1/access/permissions for what it may speak of",
    ),
    Entry::new("access.policy_missing", 404, "there is no such policy", "list the policies to see their names"),
    Entry::new(
        "access.permission_unknown",
        400,
        "nothing asks for the permission",
        "check its spelling: GET /v1/access/permissions lists all",
    ),
    Entry::new(
        "access.permission_not_held",
        403,
        "a policy cannot give what its author lacks",
        "let somebody save it who holds the permission",
    ),
    Entry::new(
        "access.policies_exhausted",
        429,
        "the tenant has as many policies as it may",
        "remove policies that are no longer needed, or say the same in fewer",
    ),
    Entry::new(
        "access.version_conflict",
        409,
        "the policy has another version than expected",
        "read it again and decide anew",
    ),
    Entry::new("access.changed_meanwhile", 409, "the policies were changed by another request meanwhile", "try again"),
    Entry::new(
        "access.case_failed",
        409,
        "a case would be decided otherwise than expected",
        "see `cases` in the details for the decisions and their grounds; nothing was saved",
    ),
    Entry::new(
        "access.locks_out",
        409,
        "the change would keep its author from changing it again",
        "except identity:admin, yourself, or where you are now from what it forbids",
    ),
    Entry::new(
        "access.subject_unknown",
        404,
        "no member of the tenant has this id",
        "list the members to see their ids",
    ),
    Entry::new("access.question", 400, "the question is too large", "ask fewer cases at once, with shorter facts"),
];

/// The public routes of the policies, wherever they are kept.
pub(crate) fn face(access: AccessClient) -> Face {
    let router = Router::new()
        .route("/v1/access/policies", get(list_policies))
        .route("/v1/access/policies/{name}", get(find_policy).put(put_policy).delete(remove_policy))
        .route("/v1/access/policies/{name}/versions", get(list_policy_versions))
        .route("/v1/access/explain", post(explain_access))
        .route("/v1/access/who-can", get(who_can))
        .route("/v1/access/permissions", get(list_permissions))
        .with_state(access);
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/v1/access*").body_bytes(256 * 1024))
}

#[derive(OpenApi)]
#[openapi(
    paths(
        list_policies, find_policy, put_policy, remove_policy, list_policy_versions, explain_access, who_can,
        list_permissions
    ),
    tags((name = "access", description = "Policies on attributes, and why something is allowed."))
)]
struct Docs;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asking {
    /// `storage:write`
    permission: String,
    /// 1 to 100; 50 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit<LONGEST_PAGE>>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Removing {
    /// The version that must be current.
    expected_version: Option<i64>,
}

/// A policy as it is to be.
#[derive(Deserialize, ToSchema)]
struct PolicyBody {
    /// One statement in the language Cedar, at most 4096 bytes.
    #[schema(
        example = "@explain(\"not at night\")\nforbid(principal, action == Action::\"storage:write\", resource)\nwhen { context.hour >= 22 || context.hour < 6 };"
    )]
    text: String,
    /// Compare and set: the version that must be current, 0 for "must not exist".
    #[serde(default)]
    expected_version: Option<i64>,
    /// Questions that are decided as if the policy were saved, at most 100. Where one is decided otherwise than
    /// expected, nothing is saved.
    #[serde(default)]
    cases: Vec<Case>,
    /// Save nothing, and show the decisions.
    #[serde(default)]
    dry_run: bool,
}

/// List policies
///
/// By name.
#[utoipa::path(get, path = "/v1/access/policies", tag = "access", operation_id = "list_policies", params(Paging),
    responses((status = 200, description = "A page of policies", body = Page<Policy>)))]
async fn list_policies(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Policy>>, Problem> {
    let request = ListPolicies { limit: paging.limit(), after: paging.after };
    Ok(Json(access.list_policies(&cx, request).await?))
}

/// Read a policy
#[utoipa::path(get, path = "/v1/access/policies/{name}", tag = "access", operation_id = "find_policy",
    params(("name" = String, Path, description = "The policy's name")),
    responses((status = 200, description = "The policy", body = Policy)))]
async fn find_policy(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
    Path(name): Path<String>,
) -> Result<Json<Policy>, Problem> {
    Ok(Json(access.find_policy(&cx, FindPolicy { name }).await?))
}

/// Save a policy
///
/// In effect within a second everywhere. Needs a second factor shown in the last five minutes, unless it is a dry run.
#[utoipa::path(put, path = "/v1/access/policies/{name}", tag = "access", operation_id = "put_policy",
    params(("name" = String, Path, description = "1 to 64 of `a-z 0-9 - _`")), request_body = PolicyBody,
    responses((status = 200, description = "The policy as it is now, and the decisions of the cases", body = PolicyReply)))]
async fn put_policy(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
    Path(name): Path<String>,
    Strict(body): Strict<PolicyBody>,
) -> Result<Json<PolicyReply>, Problem> {
    let PolicyBody { text, expected_version, cases, dry_run } = body;
    Ok(Json(access.put_policy(&cx, PutPolicy { name, text, expected_version, cases, dry_run }).await?))
}

/// Remove a policy
///
/// In effect within a second everywhere. Needs a second factor shown in the last five minutes.
#[utoipa::path(delete, path = "/v1/access/policies/{name}", tag = "access", operation_id = "remove_policy",
    params(("name" = String, Path, description = "The policy's name"), Removing),
    responses((status = 200, description = "The version that removed it", body = Policy)))]
async fn remove_policy(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
    Path(name): Path<String>,
    Query(removing): Query<Removing>,
) -> Result<Json<Policy>, Problem> {
    let request = RemovePolicy { name, expected_version: removing.expected_version };
    Ok(Json(access.remove_policy(&cx, request).await?))
}

/// List what a policy said at each time
///
/// Newest first, also of a policy that was removed.
#[utoipa::path(get, path = "/v1/access/policies/{name}/versions", tag = "access", operation_id = "list_policy_versions",
    params(("name" = String, Path, description = "The policy's name"), Paging),
    responses((status = 200, description = "A page of versions", body = Page<Policy>)))]
async fn list_policy_versions(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Policy>>, Problem> {
    let request = ListPolicyVersions { name, limit: paging.limit(), after: paging.after };
    Ok(Json(access.list_policy_versions(&cx, request).await?))
}

/// Explain a decision
///
/// Says whether the caller, or a member, may do something, and by which roles, scopes and policies. Names of policies
/// that explain nothing themselves are shown to those alone who hold `identity:admin`.
#[utoipa::path(post, path = "/v1/access/explain", tag = "access", operation_id = "explain_access", request_body = Explain,
    responses((status = 200, description = "The decision with its grounds", body = Decision)))]
async fn explain_access(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
    Strict(request): Strict<Explain>,
) -> Result<Json<Decision>, Problem> {
    Ok(Json(access.explain_access(&cx, request).await?))
}

/// List who may do something
///
/// Members whose roles grant it or to whom a policy gives it, each with what the policies say now of nothing in
/// particular. A page may have fewer items than its limit and still not be the last.
#[utoipa::path(get, path = "/v1/access/who-can", tag = "access", operation_id = "who_can", params(Asking),
    responses((status = 200, description = "A page of members", body = Page<Holder>)))]
async fn who_can(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
    Query(asking): Query<Asking>,
) -> Result<Json<Page<Holder>>, Problem> {
    let request = WhoCan { permission: asking.permission, limit: Limit::or(asking.limit, 50), after: asking.after };
    Ok(Json(access.who_can(&cx, request).await?))
}

/// List all permissions
///
/// Everything that some part of the program asks for, and the schema of what policies may speak of.
#[utoipa::path(get, path = "/v1/access/permissions", tag = "access", operation_id = "list_permissions",
    responses((status = 200, description = "The permissions and the schema", body = Permissions)))]
async fn list_permissions(
    State(access): State<AccessClient>,
    Caller(cx): Caller,
) -> Result<Json<Permissions>, Problem> {
    Ok(Json(access.list_permissions(&cx, ListPermissions {}).await?))
}
