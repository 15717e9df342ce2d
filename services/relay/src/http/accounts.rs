use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use nsl_api::{
    Chain, Page, Revealed,
    relay::{Account, AddAccount, AskBalance, Balance, ImportAccount, ListAccounts, RelayClient},
};
use nsl_core::Error;
use nsl_edge::{Caller, Path, Problem, Strict};
use serde::Deserialize;
use utoipa::ToSchema;

pub(super) fn router() -> Router<RelayClient> {
    Router::new()
        .route("/v1/accounts/{chain}", get(list_accounts).post(add_account))
        .route("/v1/accounts/{chain}/{account}/balance", get(find_balance))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountBody {
    /// A name for people, at most 100 characters.
    #[serde(default)]
    label: String,
    /// The key of an account that exists already: 32 bytes as hex on Neo X, a WIF on Neo N3. It is never shown again.
    key: Option<Revealed>,
    /// In place of the key, a file that has it: a NEP-6 wallet on Neo N3, a Web3 keystore of version 3 on Neo X.
    #[schema(value_type = Option<Object>)]
    wallet: Option<serde_json::Value>,
    /// What opens the wallet.
    passphrase: Option<Revealed>,
    /// Which account of the wallet, where it has several.
    address: Option<String>,
}

/// Add an account
///
/// Makes a key, or takes over the one that is given, by itself or in a wallet file, and keeps it sealed. Needs the scope
/// `relay:admin`.
#[utoipa::path(post, path = "/v1/accounts/{chain}", tag = "relay", operation_id = "add_account",
    params(("chain" = Chain, Path)), request_body = AccountBody,
    responses((status = 201, description = "Kept, on disk", body = Account)))]
pub(super) async fn add_account(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<AccountBody>,
) -> Result<(StatusCode, Json<Account>), Problem> {
    let AccountBody { label, key, wallet, passphrase, address } = body;
    let added = match (wallet, passphrase) {
        (None, None) if address.is_none() => relay.add_account(&cx, AddAccount { chain, label, key }).await?,
        (Some(wallet), Some(passphrase)) if key.is_none() => {
            relay.import_account(&cx, ImportAccount { chain, label, wallet, passphrase, address }).await?
        }
        _ => {
            let message = "an account is made of a key, of a wallet and its passphrase, or of nothing that is given";
            return Err(Problem(Error::invalid("relay.import_unfit", message)));
        }
    };
    Ok((StatusCode::CREATED, Json(added)))
}

/// List accounts
///
/// Those of the tenant, at most 1,000.
#[utoipa::path(get, path = "/v1/accounts/{chain}", tag = "relay", operation_id = "list_accounts",
    params(("chain" = Chain, Path)), responses((status = 200, description = "All of them", body = Page<Account>)))]
pub(super) async fn list_accounts(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
) -> Result<Json<Page<Account>>, Problem> {
    Ok(Json(relay.list_accounts(&cx, ListAccounts { chain }).await?))
}

/// Get a balance
///
/// What an account holds after the last block, whosever it is; 503 when the chain does not answer.
#[utoipa::path(get, path = "/v1/accounts/{chain}/{account}/balance", tag = "relay", operation_id = "find_balance",
    params(("chain" = Chain, Path), ("account" = String, Path)),
    responses((status = 200, description = "As the chain stands now", body = Balance)))]
pub(super) async fn find_balance(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path((chain, account)): Path<(Chain, String)>,
) -> Result<Json<Balance>, Problem> {
    Ok(Json(relay.balance(&cx, AskBalance { chain, account }).await?))
}
