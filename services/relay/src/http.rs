//! The public routes: path and body to a call of the client, and its reply to JSON. Decides nothing.

mod accounts;
mod budgets;
mod events;
mod explain;
mod problems;
mod sponsor;
mod transactions;

use std::sync::LazyLock;

use axum::Router;
use nsl_api::relay::RelayClient;
use nsl_edge::{Entry, Face};
use utoipa::OpenApi;

/// The public routes of the service, wherever it runs.
pub fn face(relay: RelayClient) -> Face {
    static PROBLEMS: LazyLock<Vec<Entry>> = LazyLock::new(|| [problems::PROBLEMS, sponsor::PROBLEMS].concat());
    let docs = Docs::openapi().merge_from(sponsor::Docs::openapi());
    Face::new("relay", routes(relay)).docs(docs).problems(&PROBLEMS)
}

/// The routes by themselves; who calls them is admitted by whoever serves them.
pub fn routes(relay: RelayClient) -> Router {
    let router = accounts::router()
        .merge(budgets::router())
        .merge(explain::router())
        .merge(sponsor::router())
        .merge(transactions::router())
        .with_state(relay.clone());
    Router::new().merge(router).merge(events::router(relay))
}

#[derive(OpenApi)]
#[openapi(
    paths(
        accounts::add_account,
        accounts::list_accounts,
        accounts::find_balance,
        budgets::get_budget,
        budgets::put_budget,
        events::follow_transaction,
        explain::explain_transaction,
        explain::explain_transaction_by_abi,
        transactions::submit_transaction,
        transactions::estimate_transaction,
        transactions::list_transactions,
        transactions::find_transaction,
        transactions::cancel_transaction,
        transactions::list_states
    ),
    tags((name = "relay", description = "Transactions: accepted once, sent until the chain has decided."))
)]
struct Docs;
