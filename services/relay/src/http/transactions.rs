use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use nsl_api::{
    Chain, Page,
    relay::{
        AskPassed, Call, Cancel, Estimate, FindTransaction, ListTransactions, Passed, RelayClient, Submit, Transaction,
    },
};
use nsl_edge::{Caller, Limit, Path, Problem, Query, Strict};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

pub(super) fn router() -> Router<RelayClient> {
    Router::new()
        .route("/v1/tx/{chain}", get(list_transactions).post(submit_transaction))
        .route("/v1/tx/{chain}/estimate", post(estimate_transaction))
        .route("/v1/tx/{chain}/{id}", get(find_transaction).delete(cancel_transaction))
        .route("/v1/tx/{chain}/{id}/states", get(list_states))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitBody {
    /// The sending account, one of the tenant's: `0x` and 40 hex digits, or an address of Neo N3.
    account: String,
    /// What it is to do.
    #[serde(flatten)]
    call: Call,
    /// The most it may cost, in the smallest unit of the chain (10^-8 GAS, wei), as a decimal string.
    max_fee: Option<String>,
    /// After how many milliseconds it is given up, where no block has it by then; at most seven days.
    valid_for_ms: Option<u64>,
}

impl SubmitBody {
    fn on(self, chain: Chain) -> Submit {
        let Self { account, call, max_fee, valid_for_ms } = self;
        Submit { chain, account, call, max_fee, valid_for_ms }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// 1 to 100; 100 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit<100>>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// The number of the last state that is known already.
    pub(super) after: Option<i64>,
}

/// Submit a transaction
///
/// Answers as soon as it is stored; from then on it is sent until the chain has decided. With an `Idempotency-Key` it
/// is submitted once, however often it is asked for.
#[utoipa::path(post, path = "/v1/tx/{chain}", tag = "relay", operation_id = "submit_transaction",
    params(("chain" = Chain, Path)), request_body = SubmitBody,
    responses((status = 202, description = "Stored, on disk", body = Transaction)))]
pub(super) async fn submit_transaction(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<SubmitBody>,
) -> Result<(StatusCode, Json<Transaction>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(relay.submit(&cx, body.on(chain)).await?)))
}

/// Estimate a transaction
///
/// What submitting it would take: exactly what would be signed now. Nothing is stored, signed or sent.
#[utoipa::path(post, path = "/v1/tx/{chain}/estimate", tag = "relay", operation_id = "estimate_transaction",
    params(("chain" = Chain, Path)), request_body = SubmitBody,
    responses((status = 200, description = "As the chain stands now", body = Estimate)))]
pub(super) async fn estimate_transaction(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<SubmitBody>,
) -> Result<Json<Estimate>, Problem> {
    Ok(Json(relay.estimate(&cx, body.on(chain)).await?))
}

/// List transactions
///
/// Newest first.
#[utoipa::path(get, path = "/v1/tx/{chain}", tag = "relay", operation_id = "list_transactions",
    params(("chain" = Chain, Path), Paging), responses((status = 200, description = "A page", body = Page<Transaction>)))]
pub(super) async fn list_transactions(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Transaction>>, Problem> {
    let list = ListTransactions { chain, limit: Limit::or(paging.limit, 100), after: paging.after };
    Ok(Json(relay.list(&cx, list).await?))
}

/// Look at a transaction
#[utoipa::path(get, path = "/v1/tx/{chain}/{id}", tag = "relay", operation_id = "find_transaction",
    params(("chain" = Chain, Path), ("id" = String, Path)),
    responses((status = 200, description = "As it stands", body = Transaction)))]
pub(super) async fn find_transaction(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
) -> Result<Json<Transaction>, Problem> {
    Ok(Json(relay.find(&cx, FindTransaction { chain, id }).await?))
}

/// Cancel a transaction
///
/// Answers as soon as the wish is stored. What was not signed yet ends as replaced at once; otherwise another
/// transaction that does nothing takes its place, unless the chain takes the first one before.
#[utoipa::path(delete, path = "/v1/tx/{chain}/{id}", tag = "relay", operation_id = "cancel_transaction",
    params(("chain" = Chain, Path), ("id" = String, Path)),
    responses((status = 202, description = "Stored, on disk", body = Transaction)))]
pub(super) async fn cancel_transaction(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
) -> Result<(StatusCode, Json<Transaction>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(relay.cancel(&cx, Cancel { chain, id }).await?)))
}

/// List the states of a transaction
///
/// Each that it passed, oldest first.
#[utoipa::path(get, path = "/v1/tx/{chain}/{id}/states", tag = "relay", operation_id = "list_transaction_states",
    params(("chain" = Chain, Path), ("id" = String, Path), Since),
    responses((status = 200, description = "All after the one that is known", body = Page<Passed>)))]
pub(super) async fn list_states(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
    Query(since): Query<Since>,
) -> Result<Json<Page<Passed>>, Problem> {
    Ok(Json(relay.passed(&cx, AskPassed { chain, id, after: since.after.unwrap_or(0) }).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_call_beside_its_bounds_and_nothing_that_is_not_known() {
        let read = |json: serde_json::Value| serde_json::from_value::<SubmitBody>(json);
        let body = serde_json::json!({ "account": "0x00", "to": "0x01", "data": "0x02", "max_fee": "5" });
        let submit = read(body.clone()).unwrap().on(Chain::NeoX);
        assert_eq!((submit.call.to.as_deref(), submit.max_fee.as_deref()), (Some("0x01"), Some("5")));
        for (name, value) in [("maxfee", serde_json::json!("5")), ("scope", "wide".into()), ("share", "yes".into())] {
            let mut wrong = body.clone();
            wrong[name] = value;
            assert!(read(wrong).is_err(), "{name}");
        }
    }
}
