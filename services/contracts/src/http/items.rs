use axum::{Json, extract::State, http::StatusCode};
use nsl_api::{
    Chain, Page,
    contracts::{
        Answer, Artefact, Ask, AskEvents, Compare, Contract, ContractsClient, Deploy, Deployed, Describe, Differences,
        Events, FindContract, FindDeployment, ListContracts, Trial, Update, Updating,
    },
    relay::{Estimate, Transaction},
};
use nsl_edge::{Caller, Limit, Path, Problem, Query, Strict};

use super::bodies::{ArtefactBody, CallBody, DeployBody, DescribeBody, InvokeBody, Listening, Paging, UpdateBody};

type Contracts = State<ContractsClient>;
type At = Path<(Chain, String)>;

/// Deploy a contract
///
/// The artefact is checked as a node checks it, and handed to the relay; the answer comes as soon as that is stored.
/// `hash` is where the contract will stand: known at once on Neo N3, null on Neo X until the transaction has its nonce
/// (`GET /v1/contracts/{chain}/by-request/{id}` tells it then). What the chain did is compared with it. Needs the scopes
/// `contracts:write` and `relay:write`.
#[utoipa::path(post, path = "/v1/contracts/{chain}", tag = "contracts", operation_id = "deploy_contract",
    params(("chain" = Chain, Path)), request_body = DeployBody,
    responses((status = 202, description = "Stored, on disk", body = Deployed)))]
pub(super) async fn deploy(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<DeployBody>,
) -> Result<(StatusCode, Json<Deployed>), Problem> {
    let DeployBody { account, nef, manifest, artefact, args, data, value, max_fee, valid_for_ms } = body;
    let artefact = Artefact { nef, manifest, artefact };
    let deploy = Deploy { chain, account, artefact, args, data, value, max_fee, valid_for_ms };
    Ok((StatusCode::ACCEPTED, Json(contracts.deploy(&cx, deploy).await?)))
}

/// List contracts
///
/// Those that the tenant deployed or described, newest first.
#[utoipa::path(get, path = "/v1/contracts/{chain}", tag = "contracts", operation_id = "list_contracts",
    params(("chain" = Chain, Path), Paging), responses((status = 200, description = "A page", body = Page<Contract>)))]
pub(super) async fn list(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Contract>>, Problem> {
    let list = ListContracts { chain, limit: Limit::or(paging.limit, 100), after: paging.after };
    Ok(Json(contracts.list(&cx, list).await?))
}

/// Look at a contract by the transaction that deploys it
#[utoipa::path(get, path = "/v1/contracts/{chain}/by-request/{id}", tag = "contracts",
    operation_id = "find_contract_by_request", params(("chain" = Chain, Path), ("id" = String, Path)),
    responses((status = 200, description = "As it stands", body = Contract)))]
pub(super) async fn find_deployment(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, request)): At,
) -> Result<Json<Contract>, Problem> {
    Ok(Json(contracts.find_deployment(&cx, FindDeployment { chain, request }).await?))
}

/// Look at a contract
///
/// What the tenant recorded of it, and what the chain says now.
#[utoipa::path(get, path = "/v1/contracts/{chain}/{hash}", tag = "contracts", operation_id = "find_contract",
    params(("chain" = Chain, Path), ("hash" = String, Path)),
    responses((status = 200, description = "As it stands", body = Contract)))]
pub(super) async fn find(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
) -> Result<Json<Contract>, Problem> {
    Ok(Json(contracts.find(&cx, FindContract { chain, hash }).await?))
}

/// Describe a contract
///
/// Records the ABI under which the tenant calls a contract of Neo X that others deployed. Contracts of Neo N3 bring their
/// manifest along.
#[utoipa::path(put, path = "/v1/contracts/{chain}/{hash}", tag = "contracts", operation_id = "describe_contract",
    params(("chain" = Chain, Path), ("hash" = String, Path)), request_body = DescribeBody,
    responses((status = 200, description = "Recorded, on disk", body = Contract)))]
pub(super) async fn describe(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Strict(body): Strict<DescribeBody>,
) -> Result<Json<Contract>, Problem> {
    let DescribeBody { abi, name } = body;
    Ok(Json(contracts.describe(&cx, Describe { chain, hash, abi, name }).await?))
}

/// Compare a contract with a new artefact
///
/// What an update would change for those who call the contract, listen to it or trust it. Nothing is sent.
#[utoipa::path(post, path = "/v1/contracts/{chain}/{hash}/diff", tag = "contracts", operation_id = "compare_contract",
    params(("chain" = Chain, Path), ("hash" = String, Path)), request_body = ArtefactBody,
    responses((status = 200, description = "What differs", body = Differences)))]
pub(super) async fn compare(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Strict(body): Strict<ArtefactBody>,
) -> Result<Json<Differences>, Problem> {
    Ok(Json(contracts.compare(&cx, Compare { chain, hash, artefact: body.into() }).await?))
}

/// Update a contract
///
/// Neo N3: calls the contract's own `update`. Neo X: has a proxy of ERC-1967 hand its calls to a contract that is deployed
/// already, by `upgradeTo` or `upgradeToAndCall`. Needs the scopes `contracts:write` and `relay:write`.
#[utoipa::path(post, path = "/v1/contracts/{chain}/{hash}/update", tag = "contracts", operation_id = "update_contract",
    params(("chain" = Chain, Path), ("hash" = String, Path)), request_body = UpdateBody,
    responses((status = 202, description = "Stored, on disk", body = Updating)))]
pub(super) async fn update(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Strict(body): Strict<UpdateBody>,
) -> Result<(StatusCode, Json<Updating>), Problem> {
    let UpdateBody { account, nef, manifest, artefact, implementation, data, max_fee, valid_for_ms } = body;
    let artefact = Artefact { nef, manifest, artefact };
    let update = Update { chain, hash, account, artefact, data, implementation, max_fee, valid_for_ms };
    Ok((StatusCode::ACCEPTED, Json(contracts.update(&cx, update).await?)))
}

/// Call a method
///
/// Runs it without changing anything. A fault or revert is the problem `contracts.reverted`, with its reason.
#[utoipa::path(post, path = "/v1/contracts/{chain}/{hash}/call", tag = "contracts", operation_id = "call_contract",
    params(("chain" = Chain, Path), ("hash" = String, Path)), request_body = CallBody,
    responses((status = 200, description = "What it gave back", body = Answer)))]
pub(super) async fn call(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Strict(body): Strict<CallBody>,
) -> Result<Json<Answer>, Problem> {
    let CallBody { method, args, at, account } = body;
    Ok(Json(contracts.call(&cx, Ask { chain, hash, method, args, at, account }).await?))
}

/// Simulate an invocation
///
/// What it would give back, cost and tell. Nothing is sent.
#[utoipa::path(post, path = "/v1/contracts/{chain}/{hash}/simulate", tag = "contracts",
    operation_id = "simulate_contract", params(("chain" = Chain, Path), ("hash" = String, Path)),
    request_body = InvokeBody, responses((status = 200, description = "What it would do", body = Trial)))]
pub(super) async fn simulate(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Strict(body): Strict<InvokeBody>,
) -> Result<Json<Trial>, Problem> {
    Ok(Json(contracts.simulate(&cx, body.on(chain, hash)).await?))
}

/// Estimate an invocation
///
/// Exactly what the relay would send. Needs the scopes `contracts:read` and `relay:read`.
#[utoipa::path(post, path = "/v1/contracts/{chain}/{hash}/estimate", tag = "contracts",
    operation_id = "estimate_contract", params(("chain" = Chain, Path), ("hash" = String, Path)),
    request_body = InvokeBody, responses((status = 200, description = "What it would take", body = Estimate)))]
pub(super) async fn estimate(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Strict(body): Strict<InvokeBody>,
) -> Result<Json<Estimate>, Problem> {
    Ok(Json(contracts.estimate(&cx, body.on(chain, hash)).await?))
}

/// Invoke a method
///
/// Answers as soon as it is stored; from then on the relay sends it until the chain has decided. Needs the scopes
/// `contracts:write` and `relay:write`.
#[utoipa::path(post, path = "/v1/contracts/{chain}/{hash}/invoke", tag = "contracts", operation_id = "invoke_contract",
    params(("chain" = Chain, Path), ("hash" = String, Path)), request_body = InvokeBody,
    responses((status = 202, description = "Stored, on disk", body = Transaction)))]
pub(super) async fn invoke(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Strict(body): Strict<InvokeBody>,
) -> Result<(StatusCode, Json<Transaction>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(contracts.invoke(&cx, body.on(chain, hash)).await?)))
}

/// List events of a contract
///
/// Oldest first, from final blocks, in the words of the manifest or ABI. A page may be short, or empty, where many blocks
/// had to be read: it is the last one when it has no `next`.
#[utoipa::path(get, path = "/v1/contracts/{chain}/{hash}/events", tag = "contracts",
    operation_id = "list_contract_events", params(("chain" = Chain, Path), ("hash" = String, Path), Listening),
    responses((status = 200, description = "A page", body = Events)))]
pub(super) async fn events(
    State(contracts): Contracts,
    Caller(cx): Caller,
    Path((chain, hash)): At,
    Query(asked): Query<Listening>,
) -> Result<Json<Events>, Problem> {
    let Listening { from, to, name, limit, after } = asked;
    let ask = AskEvents { chain, hash, from, to, name, limit: Limit::or(limit, 100), after };
    Ok(Json(contracts.events(&cx, ask).await?))
}
