use axum::{Json, Router, extract::State, routing::get};
use nsl_api::{
    Chain,
    relay::{Explain, Explanation, RelayClient},
};
use nsl_edge::{Caller, Path, Problem, Strict};
use serde::Deserialize;
use utoipa::ToSchema;

pub(super) fn router() -> Router<RelayClient> {
    let explain = get(explain_transaction).post(explain_transaction_by_abi);
    Router::new().route("/v1/tx/{chain}/{id}/explain", explain)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainBody {
    /// Neo X: the ABI of the contract, a list; its own errors and methods are told by their names.
    #[schema(value_type = Vec<Object>)]
    abi: serde_json::Value,
}

/// Explain a transaction
///
/// Why it is where it is: for a fault or revert its decoded reason, and the instruction where the node tells.
#[utoipa::path(get, path = "/v1/tx/{chain}/{id}/explain", tag = "relay", operation_id = "explain_transaction",
    params(("chain" = Chain, Path), ("id" = String, Path)),
    responses((status = 200, description = "As far as it can be told", body = Explanation)))]
pub(super) async fn explain_transaction(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
) -> Result<Json<Explanation>, Problem> {
    Ok(Json(relay.explain(&cx, Explain { chain, id, abi: None }).await?))
}

/// Explain a transaction by an ABI
#[utoipa::path(post, path = "/v1/tx/{chain}/{id}/explain", tag = "relay", operation_id = "explain_transaction_by_abi",
    params(("chain" = Chain, Path), ("id" = String, Path)), request_body = ExplainBody,
    responses((status = 200, description = "As far as it can be told", body = Explanation)))]
pub(super) async fn explain_transaction_by_abi(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
    Strict(body): Strict<ExplainBody>,
) -> Result<Json<Explanation>, Problem> {
    Ok(Json(relay.explain(&cx, Explain { chain, id, abi: Some(body.abi) }).await?))
}
