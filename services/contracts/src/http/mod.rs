//! The public routes: path and body to a call of the client, and its reply to JSON. Decides nothing.

mod bodies;
mod problems;
mod routes;

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
    let router = Router::new()
        .route("/v1/contracts/{chain}", get(routes::list).post(routes::deploy))
        .route("/v1/contracts/{chain}/by-request/{id}", get(routes::find_deployment))
        .route("/v1/contracts/{chain}/{hash}", get(routes::find).put(routes::describe))
        .route("/v1/contracts/{chain}/{hash}/diff", post(routes::compare))
        .route("/v1/contracts/{chain}/{hash}/update", post(routes::update))
        .route("/v1/contracts/{chain}/{hash}/call", post(routes::call))
        .route("/v1/contracts/{chain}/{hash}/simulate", post(routes::simulate))
        .route("/v1/contracts/{chain}/{hash}/estimate", post(routes::estimate))
        .route("/v1/contracts/{chain}/{hash}/invoke", post(routes::invoke))
        .route("/v1/contracts/{chain}/{hash}/events", get(routes::events))
        .with_state(contracts);
    let mut face = Face::new("contracts", router).docs(Docs::openapi()).problems(problems::PROBLEMS);
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

#[derive(OpenApi)]
#[openapi(
    paths(
        routes::deploy,
        routes::list,
        routes::find_deployment,
        routes::find,
        routes::describe,
        routes::compare,
        routes::update,
        routes::call,
        routes::simulate,
        routes::estimate,
        routes::invoke,
        routes::events
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
