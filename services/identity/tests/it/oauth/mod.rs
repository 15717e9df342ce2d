//! Clients and the tokens that they get.

mod clients;
mod devices;
mod exchange;

use nsl_api::{
    Revealed,
    oauth::{
        ClientGrant, ClientProof, CreateClient, CreatedClient, Grant, GrantTokens, IntrospectToken, Introspection,
    },
    sessions::TokenReply,
};
use nsl_core::{Cx, Result};

use crate::{ground::Ground, signin::from};

const HERE: &str = "192.0.2.7";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn client_of(scopes: &str, grants: &[ClientGrant]) -> CreateClient {
    CreateClient {
        name: "robot".to_owned(),
        scopes: words(scopes),
        grants: Some(grants.to_vec()),
        public: false,
        networks: None,
        expires_at: None,
    }
}

fn shown(client: &CreatedClient) -> ClientProof {
    ClientProof { id: client.client.id.clone(), secret: client.secret.clone() }
}

async fn make(ground: &Ground, cx: &Cx, scopes: &str, grants: &[ClientGrant]) -> CreatedClient {
    ground.all.oauth.create_client(cx, client_of(scopes, grants)).await.unwrap()
}

async fn ask(ground: &Ground, grant: Grant, client: Option<ClientProof>, scope: Option<&str>) -> Result<TokenReply> {
    let request = GrantTokens { grant, client, scope: scope.map(str::to_owned), proof: None };
    ground.all.oauth.grant_tokens(&from(HERE), request).await
}

async fn machine(ground: &Ground, client: &CreatedClient, scope: Option<&str>) -> Result<TokenReply> {
    ask(ground, Grant::ClientCredentials, Some(shown(client)), scope).await
}

async fn look(ground: &Ground, token: &str, client: &CreatedClient) -> Introspection {
    let request = IntrospectToken { token: Revealed(token.to_owned()), client: Some(shown(client)) };
    ground.all.oauth.introspect_token(&from(HERE), request).await.unwrap()
}

fn error_of<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    let error = outcome.unwrap_err();
    error.details.get("error").and_then(|name| name.as_str()).unwrap_or(&error.slug).to_owned()
}

async fn poll(ground: &Ground, code: &str, client: ClientProof) -> Result<TokenReply> {
    ask(ground, Grant::DeviceCode { device_code: Revealed(code.to_owned()) }, Some(client), None).await
}
