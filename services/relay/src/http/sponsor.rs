//! The public routes of sponsors and of what they pay for.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{post, put},
};
use nsl_api::{
    relay::{RelayClient, Transaction},
    sponsor::{Complete, NameSponsor, Prepare, Prepared, Proof, PutSponsor, SponsorInfo, SponsorPolicy},
};
use nsl_edge::{Caller, Entry, Path, Problem, Strict};
use utoipa::OpenApi;

pub(super) const PROBLEMS: &[Entry] = &[
    Entry::new("sponsor.unknown", 404, "the account pays for nobody", "put a policy for it first"),
    Entry::new(
        "sponsor.policy_malformed",
        400,
        "the policy of a sponsor has a wrong form",
        "name contracts by 0x and 40 hex digits and their methods, or say *; give amounts in 10^-8 GAS as decimal strings",
    ),
    Entry::new("sponsor.pays_itself", 400, "sponsor and user are one account", "submit it without a sponsor"),
    Entry::new(
        "sponsor.call_refused",
        403,
        "the sponsor does not pay for this call",
        "ask who keeps the sponsor to add the contract and the method to its policy",
    ),
    Entry::new(
        "sponsor.over_transaction",
        403,
        "the fee is more than the sponsor pays for one transaction",
        "do less in one transaction, or ask who keeps the sponsor to raise per_transaction",
    ),
    Entry::new(
        "sponsor.over_day",
        429,
        "the sponsor's budget of the day is spent",
        "try again tomorrow (UTC), or ask who keeps the sponsor to raise the bound named in the details",
    ),
    Entry::new(
        "sponsor.out_of_gas",
        409,
        "the sponsor holds too little GAS for the fee",
        "send GAS to the sponsor's account",
    ),
    Entry::new("sponsored.not_found", 404, "there is no such prepared transaction", "prepare one"),
    Entry::new("sponsored.expired", 409, "the prepared transaction's time has passed", "prepare another"),
    Entry::new("sponsored.paused", 503, "nothing is signed for the moment", "try again until the prepared one expires"),
    Entry::new(
        "sponsored.used",
        409,
        "the prepared transaction was completed already",
        "look at the transaction of the same id",
    ),
    Entry::new(
        "sponsored.would_fail",
        422,
        "the call would come to nothing, or cost more than was prepared",
        "mend the call by the reason in the details, and prepare it again",
    ),
    Entry::new("sponsored.too_large", 400, "the transaction would be larger than nodes take", "shorten its arguments"),
    Entry::new(
        "sponsored.verification_unfit",
        400,
        "the script given for the user is not the account's",
        "give the verification script of the account in base64; leave it out for an account of one key",
    ),
    Entry::new(
        "sponsored.proof_malformed",
        400,
        "what the user signed has a wrong form",
        "send exactly one of witness, signature with public_key, context, transaction",
    ),
    Entry::new(
        "sponsored.differs",
        409,
        "what came back is another transaction than the prepared one",
        "sign what was prepared as it is: no field may change",
    ),
    Entry::new(
        "sponsored.witness_invalid",
        422,
        "the user's witness does not hold for the prepared transaction",
        "sign the message that was given, with the key of the user that was named",
    ),
    Entry::new(
        "sponsored.witness_unpaid",
        422,
        "the fee does not cover the witness of several keys",
        "prepare again and give the account's script as verification",
    ),
];

pub(super) fn router() -> Router<RelayClient> {
    Router::new()
        .route("/v1/sponsors/neo-n3/{account}", put(put_sponsor).get(find_sponsor).delete(remove_sponsor))
        .route("/v1/sponsored/neo-n3", post(prepare_sponsored))
        .route("/v1/sponsored/neo-n3/{id}", post(complete_sponsored))
}

#[derive(OpenApi)]
#[openapi(
    paths(put_sponsor, find_sponsor, remove_sponsor, prepare_sponsored, complete_sponsored),
    tags((name = "sponsors", description = "Neo N3 transactions whose fees somebody else pays."))
)]
pub(super) struct Docs;

/// Say what an account pays for
///
/// One of the tenant's accounts on Neo N3 becomes a sponsor, or its policy changes at once, also for what is prepared
/// and not completed. What the policy does not name is refused: without a contract, everything. It speaks of the call
/// that a transaction makes itself; what that contract calls in its turn is bounded by the fees and by the scope of the
/// user's signature. The sponsor's own signature is never good for more than the fees; yet it is the sender, so name no
/// contract that takes the sender for who calls it, instead of asking for a witness. Needs the scope `relay:admin`.
#[utoipa::path(put, path = "/v1/sponsors/neo-n3/{account}", tag = "sponsors", operation_id = "put_sponsor",
    params(("account" = String, Path)), request_body = SponsorPolicy,
    responses((status = 200, description = "In effect", body = SponsorInfo)))]
async fn put_sponsor(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(account): Path<String>,
    Strict(policy): Strict<SponsorPolicy>,
) -> Result<Json<SponsorInfo>, Problem> {
    Ok(Json(relay.put_sponsor(&cx, PutSponsor { account, policy }).await?))
}

/// Look at a sponsor
///
/// Its policy, and what of today's budget is spent or reserved.
#[utoipa::path(get, path = "/v1/sponsors/neo-n3/{account}", tag = "sponsors", operation_id = "find_sponsor",
    params(("account" = String, Path)), responses((status = 200, description = "As it stands", body = SponsorInfo)))]
async fn find_sponsor(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(account): Path<String>,
) -> Result<Json<SponsorInfo>, Problem> {
    Ok(Json(relay.find_sponsor(&cx, NameSponsor { account }).await?))
}

/// Stop sponsoring
///
/// Nothing that was prepared is completed any more; what was completed goes its way. Needs the scope `relay:admin`.
#[utoipa::path(delete, path = "/v1/sponsors/neo-n3/{account}", tag = "sponsors", operation_id = "remove_sponsor",
    params(("account" = String, Path)), responses((status = 204, description = "It pays for nobody")))]
async fn remove_sponsor(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(account): Path<String>,
) -> Result<StatusCode, Problem> {
    relay.remove_sponsor(&cx, NameSponsor { account }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Prepare a transaction for a user's wallet
///
/// Tries the call out and makes the transaction that does it: the sponsor is the first signer with the scope none and
/// pays, the user is the second with the narrowest scope that works. Its fee is set aside from the sponsor's budget
/// until it is completed or its time has passed. The user signs `message`, or `context`, or `transaction`, whichever
/// the wallet takes.
#[utoipa::path(post, path = "/v1/sponsored/neo-n3", tag = "sponsors", operation_id = "prepare_sponsored",
    request_body = Prepare, responses((status = 201, description = "To be signed by the user", body = Prepared)))]
async fn prepare_sponsored(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Strict(prepare): Strict<Prepare>,
) -> Result<(StatusCode, Json<Prepared>), Problem> {
    Ok((StatusCode::CREATED, Json(relay.prepare_sponsored(&cx, prepare).await?)))
}

/// Complete a prepared transaction
///
/// Takes the user's signature in one of four forms. It has to be of exactly what was prepared. The call is tried out
/// once more, so that the sponsor does not pay for what would fail by now; then the sponsor signs, and it is a
/// transaction as any other, of the same id. It is good for one time, and ends as expired when no block took it in time:
/// without the user nothing about it can be changed.
#[utoipa::path(post, path = "/v1/sponsored/neo-n3/{id}", tag = "sponsors", operation_id = "complete_sponsored",
    params(("id" = String, Path)), request_body = Proof,
    responses((status = 202, description = "Stored, on disk", body = Transaction)))]
async fn complete_sponsored(
    State(relay): State<RelayClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Strict(proof): Strict<Proof>,
) -> Result<(StatusCode, Json<Transaction>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(relay.complete_sponsored(&cx, Complete { id, proof }).await?)))
}
