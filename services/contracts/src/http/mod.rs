//! The public routes: path and body to a call of the client, and its reply to JSON. Decides nothing.

mod bodies;
mod items;
mod problems;

use axum::{
    Router,
    routing::{get, post},
};
use nsl_api::contracts::ContractsClient;
use nsl_edge::{Face, Rule};
use utoipa::OpenApi;

/// Artefacts of compilers carry their syntax trees and sources along.
const MOST_ARTEFACT: usize = 8 << 20;

/// The public routes of the service, wherever it runs.
pub fn face(contracts: ContractsClient) -> Face {
    let mut face = Face::new("contracts", routes(contracts)).docs(Docs::openapi()).problems(problems::PROBLEMS);
    for route in [
        "/v1/contracts/{chain}",
        "/v1/contracts/{chain}/{hash}",
        "/v1/contracts/{chain}/{hash}/diff",
        "/v1/contracts/{chain}/{hash}/update",
    ] {
        face = face.rule(Rule::at(route).body_bytes(MOST_ARTEFACT));
    }
    face
}

/// The routes alone, without what an edge needs to know of them.
pub fn routes(contracts: ContractsClient) -> Router {
    Router::new()
        .route("/v1/contracts/{chain}", get(items::list).post(items::deploy))
        .route("/v1/contracts/{chain}/by-request/{id}", get(items::find_deployment))
        .route("/v1/contracts/{chain}/{hash}", get(items::find).put(items::describe))
        .route("/v1/contracts/{chain}/{hash}/diff", post(items::compare))
        .route("/v1/contracts/{chain}/{hash}/update", post(items::update))
        .route("/v1/contracts/{chain}/{hash}/call", post(items::call))
        .route("/v1/contracts/{chain}/{hash}/simulate", post(items::simulate))
        .route("/v1/contracts/{chain}/{hash}/estimate", post(items::estimate))
        .route("/v1/contracts/{chain}/{hash}/invoke", post(items::invoke))
        .route("/v1/contracts/{chain}/{hash}/events", get(items::events))
        .with_state(contracts)
}

#[derive(OpenApi)]
#[openapi(
    paths(
        items::deploy,
        items::list,
        items::find_deployment,
        items::find,
        items::describe,
        items::compare,
        items::update,
        items::call,
        items::simulate,
        items::estimate,
        items::invoke,
        items::events
    ),
    tags((name = "contracts", description = "Contracts: deployed, compared, updated, called and listened to, by their manifest or ABI."))
)]
struct Docs;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_documented() {
        let docs = serde_json::to_value(Docs::openapi()).unwrap();
        let methods = docs["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().keys());
        assert_eq!(methods.count(), 12);
        for path in docs["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{operation}");
            }
        }
    }
}
