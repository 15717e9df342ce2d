use axum::{Json, Router, extract::State, routing::get};
use nsl_api::{
    Chain,
    relay::{AskBudget, Budget, Limits, RelayClient, SetBudget},
};
use nsl_edge::{Caller, Path, Problem, Strict};

pub(super) fn router() -> Router<RelayClient> {
    Router::new().route("/v1/budgets/{chain}", get(get_budget).put(put_budget))
}

/// Look at the budget
///
/// What the tenant's transactions of the chain may cost in fees, and what is gone of today's (UTC): what they took, and
/// the most that those under way may still take.
#[utoipa::path(get, path = "/v1/budgets/{chain}", tag = "relay", operation_id = "get_budget",
    params(("chain" = Chain, Path)), responses((status = 200, description = "As it stands", body = Budget)))]
pub(super) async fn get_budget(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
) -> Result<Json<Budget>, Problem> {
    Ok(Json(relay.budget(&cx, AskBudget { chain }).await?))
}

/// Set the budget
///
/// Amounts are decimal strings of the smallest unit; what is absent has no bound. A request that would cost more ends
/// as failed before anything is signed. Needs the scope `relay:admin`.
#[utoipa::path(put, path = "/v1/budgets/{chain}", tag = "relay", operation_id = "put_budget",
    params(("chain" = Chain, Path)), request_body = Limits,
    responses((status = 200, description = "In effect", body = Budget)))]
pub(super) async fn put_budget(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(limits): Strict<Limits>,
) -> Result<Json<Budget>, Problem> {
    Ok(Json(relay.set_budget(&cx, SetBudget { chain, limits }).await?))
}
