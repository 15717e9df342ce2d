//! The public routes: path and body to a call of the client, and its reply to JSON. Decides nothing.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use nsl_api::{
    Chain, Page, Revealed,
    relay::{
        Account, AddAccount, AskPassed, Call, FindTransaction, ListAccounts, ListTransactions, Passed, RelayClient,
        Submit, Transaction,
    },
};
use nsl_edge::{Caller, Entry, Face, Path, Problem, Query, Strict};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

const PROBLEMS: &[Entry] = &[
    Entry::new(
        "relay.account_malformed",
        400,
        "the account has a wrong form",
        "write 0x and 40 hex digits, or an address of Neo N3",
    ),
    Entry::new("relay.account_unknown", 404, "the account is none of the tenant's", "list the accounts that may send"),
    Entry::new(
        "relay.account_taken",
        409,
        "the account is kept here already",
        "list the accounts; one account belongs to one tenant",
    ),
    Entry::new(
        "relay.key_malformed",
        400,
        "the key has a wrong form",
        "give 32 bytes as hex on Neo X, a WIF on Neo N3",
    ),
    Entry::new("relay.label_too_long", 400, "the label is too long", "use at most 100 characters"),
    Entry::new("relay.chain_missing", 404, "the chain is not set up here", "ask an operator to set its endpoints"),
    Entry::new(
        "relay.call_unfit",
        400,
        "the call does not fit its chain",
        "send a script on Neo N3, to, data and value on Neo X",
    ),
    Entry::new(
        "relay.data_malformed",
        400,
        "the data of the call is not hex",
        "write 0x and an even number of hex digits",
    ),
    Entry::new(
        "relay.data_too_large",
        400,
        "the data of the call is too large",
        "send at most 131,072 bytes, 65,535 on Neo N3",
    ),
    Entry::new("relay.value_malformed", 400, "the value is not a whole number", "write wei as a decimal string"),
    Entry::new(
        "relay.amount_malformed",
        400,
        "an amount is not a whole number",
        "write the smallest unit of the chain as a decimal string: 10^-8 GAS, or wei",
    ),
    Entry::new(
        "relay.argument_malformed",
        400,
        "an argument is not a typed parameter of Neo N3",
        "write each as {\"type\", \"value\"}, as nodes take it",
    ),
    Entry::new(
        "relay.valid_for_malformed",
        400,
        "the time for which it is valid is out of bounds",
        "give 1 to 604,800,000 milliseconds, or leave it out",
    ),
    Entry::new("relay.request_not_found", 404, "there is no such request", "check its id and the chain in the path"),
];

/// The public routes of the service, wherever it runs.
pub fn face(relay: RelayClient) -> Face {
    let router = Router::new()
        .route("/v1/accounts/{chain}", get(list_accounts).post(add_account))
        .route("/v1/tx/{chain}", get(list_transactions).post(submit_transaction))
        .route("/v1/tx/{chain}/{id}", get(find_transaction))
        .route("/v1/tx/{chain}/{id}/states", get(list_states))
        .with_state(relay);
    Face::new("relay", router).docs(Docs::openapi()).problems(PROBLEMS)
}

#[derive(OpenApi)]
#[openapi(
    paths(add_account, list_accounts, submit_transaction, list_transactions, find_transaction, list_states),
    tags((name = "relay", description = "Transactions: accepted once, sent until the chain has decided."))
)]
struct Docs;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    /// A name for people, at most 100 characters.
    #[serde(default)]
    label: String,
    /// The key of an account that exists already: 32 bytes as hex on Neo X, a WIF on Neo N3. It is never shown again.
    key: Option<Revealed>,
}

/// Add an account
///
/// Makes a key, or takes over the one that is given, and keeps it sealed. Needs the scope `relay:admin`.
#[utoipa::path(post, path = "/v1/accounts/{chain}", tag = "relay", operation_id = "add_account",
    params(("chain" = Chain, Path)), request_body = AccountBody,
    responses((status = 201, description = "Kept, on disk", body = Account)))]
async fn add_account(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<AccountBody>,
) -> Result<(StatusCode, Json<Account>), Problem> {
    let AccountBody { label, key } = body;
    Ok((StatusCode::CREATED, Json(relay.add_account(&cx, AddAccount { chain, label, key }).await?)))
}

/// List accounts
///
/// Those of the tenant, at most 1,000.
#[utoipa::path(get, path = "/v1/accounts/{chain}", tag = "relay", operation_id = "list_accounts",
    params(("chain" = Chain, Path)), responses((status = 200, description = "All of them", body = Page<Account>)))]
async fn list_accounts(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
) -> Result<Json<Page<Account>>, Problem> {
    Ok(Json(relay.list_accounts(&cx, ListAccounts { chain }).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubmitBody {
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

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Paging {
    /// At most 100; 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Since {
    /// The number of the last state that is known already.
    after: Option<i64>,
}

/// Submit a transaction
///
/// Answers as soon as it is stored; from then on it is sent until the chain has decided. With an `Idempotency-Key` it
/// is submitted once, however often it is asked for.
#[utoipa::path(post, path = "/v1/tx/{chain}", tag = "relay", operation_id = "submit_transaction",
    params(("chain" = Chain, Path)), request_body = SubmitBody,
    responses((status = 202, description = "Stored, on disk", body = Transaction)))]
async fn submit_transaction(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<SubmitBody>,
) -> Result<(StatusCode, Json<Transaction>), Problem> {
    let SubmitBody { account, call, max_fee, valid_for_ms } = body;
    let submit = Submit { chain, account, call, max_fee, valid_for_ms };
    Ok((StatusCode::ACCEPTED, Json(relay.submit(&cx, submit).await?)))
}

/// List transactions
///
/// Newest first.
#[utoipa::path(get, path = "/v1/tx/{chain}", tag = "relay", operation_id = "list_transactions",
    params(("chain" = Chain, Path), Paging), responses((status = 200, description = "A page", body = Page<Transaction>)))]
async fn list_transactions(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Transaction>>, Problem> {
    let list = ListTransactions { chain, limit: paging.limit.unwrap_or(100), after: paging.after };
    Ok(Json(relay.list(&cx, list).await?))
}

/// Look at a transaction
#[utoipa::path(get, path = "/v1/tx/{chain}/{id}", tag = "relay", operation_id = "find_transaction",
    params(("chain" = Chain, Path), ("id" = String, Path)),
    responses((status = 200, description = "As it stands", body = Transaction)))]
async fn find_transaction(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
) -> Result<Json<Transaction>, Problem> {
    Ok(Json(relay.find(&cx, FindTransaction { chain, id }).await?))
}

/// List the states of a transaction
///
/// Each that it passed, oldest first.
#[utoipa::path(get, path = "/v1/tx/{chain}/{id}/states", tag = "relay", operation_id = "list_transaction_states",
    params(("chain" = Chain, Path), ("id" = String, Path), Since),
    responses((status = 200, description = "All after the one that is known", body = Page<Passed>)))]
async fn list_states(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, id)): Path<(Chain, String)>,
    Query(since): Query<Since>,
) -> Result<Json<Page<Passed>>, Problem> {
    Ok(Json(relay.passed(&cx, AskPassed { chain, id, after: since.after.unwrap_or(0) }).await?))
}
