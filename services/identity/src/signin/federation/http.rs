use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use nsl_api::{
    Page, Revealed,
    federation::{
        BeginAt, BeginOidc, Bind, FederatedInfo, FederationClient, ListChoices, NameProvider, OidcCallback,
        OidcOutcome, OidcRedirect, OidcSignOut, ProviderChoice, ProviderInfo, PutProvider, PutProviderAt, SignOutAt,
        Unlink,
    },
};
use nsl_core::{Error, TenantId};
use nsl_edge::{Anyone, Caller, Class, Entry, Face, Path, Problem, Query, Rule, Strict};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use super::service::FLOW;
use crate::secrets::digest_of;

const PROBLEMS: &[Entry] = &[
    Entry::new(
        "federation.provider_unfit",
        400,
        "the settings of the identity provider have a wrong form",
        "mend what the detail names",
    ),
    Entry::new(
        "federation.redirect_uri",
        400,
        "people may not be sent back there",
        "leave redirect_uri out, or have it named in the provider's settings",
    ),
    Entry::new(
        "federation.flow_gone",
        400,
        "the sign-in was ended before, is over, or was begun elsewhere",
        "begin again, in the same browser, and come back within ten minutes",
    ),
    Entry::new(
        "federation.mix_up",
        401,
        "the answer is not of the identity provider that was asked",
        "send iss and redirect_uri as the browser arrived with them; if they are right, beware of the provider",
    ),
    Entry::new(
        "federation.refused_there",
        401,
        "the identity provider did not let the person in",
        "sign in there with an account that may use this service",
    ),
    Entry::new(
        "federation.code_refused",
        401,
        "the identity provider did not take its code back",
        "begin again; if it goes on, check client_id, client_secret and redirect_uri of the provider's settings",
    ),
    Entry::new(
        "federation.token_refused",
        401,
        "what the identity provider vouches with is not valid",
        "check the provider's settings and its clock: `part` in the details says what is wrong",
    ),
    Entry::new(
        "federation.unknown",
        403,
        "nobody is known by this identity",
        "sign in in another way and link it, or have sign_up set for the provider",
    ),
    Entry::new(
        "federation.elsewhere_too",
        403,
        "a tenant's provider vouches only for people of that tenant alone",
        "sign in in another way",
    ),
    Entry::new(
        "federation.other_person",
        403,
        "another person began to link this identity",
        "sign in as the one who began, or begin again",
    ),
    Entry::new(
        "federation.grant_not_held",
        403,
        "the default roles allow more than the credential",
        "name roles that allow no more than you hold",
    ),
    Entry::new("federation.link_missing", 404, "there is no such identity", "list the identities to see their ids"),
    Entry::new("federation.provider_missing", 404, "there is no such identity provider", "list the providers"),
    Entry::new("federation.taken", 409, "somebody has this identity already", "sign in with it, or unlink it there"),
    Entry::new("federation.too_many", 429, "the tenant has as many providers as it may", "remove those not used"),
    Entry::new(
        "federation.provider_away",
        503,
        "the identity provider does not answer as it should",
        "try again later; if it goes on, check the issuer of the provider's settings",
    ),
];

/// The public routes of identity providers.
pub(crate) fn face(federation: FederationClient) -> Face {
    let router = Router::new()
        .route("/v1/auth/oidc", get(list_choices))
        .route("/v1/auth/oidc/{provider}/begin", post(begin_oidc))
        .route("/v1/auth/oidc/{provider}/sign-out", get(oidc_sign_out))
        .route("/v1/auth/oidc/callback", post(finish_oidc))
        .route("/v1/auth/federated", get(list_federated))
        .route("/v1/auth/federated/{id}", delete(unlink))
        .route("/v1/identity/providers", get(list_providers))
        .route("/v1/identity/providers/{provider}", put(put_provider).delete(remove_provider))
        .with_state(federation);
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/v1/auth/oidc").class(Class::Anonymous).open())
        .rule(Rule::at("/v1/auth/oidc/*").class(Class::Auth).open().body_bytes(16 * 1024))
        .rule(Rule::at("/v1/identity/providers*").class(Class::Keys).body_bytes(64 * 1024))
}

#[derive(OpenApi)]
#[openapi(paths(
    list_choices,
    begin_oidc,
    oidc_sign_out,
    finish_oidc,
    list_federated,
    unlink,
    list_providers,
    put_provider,
    remove_provider
))]
struct Docs;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfTenant {
    /// Whose providers; the platform's when absent.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
}

/// The cookie of a flow: of this host alone, over TLS alone, and no script sees it.
fn cookie_name(state: &str) -> String {
    format!("__Host-nsl-oidc-{}", &digest_of(state)[..16])
}

fn set_cookie(state: &str, value: &str, seconds: u64) -> Result<HeaderValue, Error> {
    let name = cookie_name(state);
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::try_from(cookie).map_err(Error::internal)
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// List the identity providers to choose from
#[utoipa::path(get, path = "/v1/auth/oidc", tag = "identity", operation_id = "list_choices", params(OfTenant),
    responses((status = 200, description = "All of them", body = Page<ProviderChoice>)))]
async fn list_choices(
    State(federation): State<FederationClient>,
    Anyone(cx): Anyone,
    Query(of): Query<OfTenant>,
) -> Result<Json<Page<ProviderChoice>>, Problem> {
    Ok(Json(federation.list_choices(&cx, ListChoices { tenant: of.tenant }).await?))
}

/// Begin to sign in at an identity provider
///
/// Send the person to `url`, and what they come back with to `/v1/auth/oidc/callback` within ten minutes.
#[utoipa::path(post, path = "/v1/auth/oidc/{provider}/begin", tag = "identity", operation_id = "begin_oidc",
    params(("provider" = String, Path, description = "The provider's name")), request_body = BeginOidc,
    responses((status = 200, description = "Where to send the person", body = OidcRedirect)))]
async fn begin_oidc(
    State(federation): State<FederationClient>,
    Anyone(cx): Anyone,
    Path(provider): Path<String>,
    Strict(begin): Strict<BeginOidc>,
) -> Result<Response, Problem> {
    let bind = begin.bind;
    let mut reply = federation.begin_oidc(&cx, BeginAt { provider, begin }).await?;
    if bind == Bind::Flow {
        return Ok(Json(reply).into_response());
    }
    let flow = reply.flow.take().map(|flow| flow.0).unwrap_or_default();
    let cookie = set_cookie(&reply.state, &flow, FLOW.as_secs())?;
    Ok(([(header::SET_COOKIE, cookie)], Json(reply)).into_response())
}

/// End a sign-in at an identity provider
#[utoipa::path(post, path = "/v1/auth/oidc/callback", tag = "identity", operation_id = "finish_oidc",
    request_body = OidcCallback, responses((status = 200, description = "Signed in, or linked", body = OidcOutcome)))]
async fn finish_oidc(
    State(federation): State<FederationClient>,
    Anyone(cx): Anyone,
    headers: HeaderMap,
    Strict(mut request): Strict<OidcCallback>,
) -> Result<Response, Problem> {
    let found = cookie(&headers, &cookie_name(&request.state)).map(str::to_owned);
    let by_cookie = request.flow.is_none() && found.is_some();
    let state = request.state.clone();
    request.flow = request.flow.or_else(|| found.map(Revealed));
    let outcome = Json(federation.finish_oidc(&cx, request).await?);
    if !by_cookie {
        return Ok(outcome.into_response());
    }
    Ok(([(header::SET_COOKIE, set_cookie(&state, "", 0)?)], outcome).into_response())
}

/// Find where to sign out at an identity provider
///
/// Signing out here is `/v1/auth/logout`; sending the person to `url` afterwards ends their session there too.
#[utoipa::path(get, path = "/v1/auth/oidc/{provider}/sign-out", tag = "identity", operation_id = "oidc_sign_out",
    params(("provider" = String, Path, description = "The provider's name"), OfTenant),
    responses((status = 200, description = "Where the provider signs people out, if it says", body = OidcSignOut)))]
async fn oidc_sign_out(
    State(federation): State<FederationClient>,
    Anyone(cx): Anyone,
    Path(provider): Path<String>,
    Query(of): Query<OfTenant>,
) -> Result<Json<OidcSignOut>, Problem> {
    Ok(Json(federation.oidc_sign_out(&cx, SignOutAt { provider, tenant: of.tenant }).await?))
}

/// List one's identities elsewhere
#[utoipa::path(get, path = "/v1/auth/federated", tag = "identity", operation_id = "list_federated",
    responses((status = 200, description = "All of them, oldest first", body = Page<FederatedInfo>)))]
async fn list_federated(
    State(federation): State<FederationClient>,
    Caller(cx): Caller,
) -> Result<Json<Page<FederatedInfo>>, Problem> {
    Ok(Json(federation.list_federated(&cx, ()).await?))
}

/// Unlink an identity elsewhere
///
/// Needs a second factor shown in the last five minutes, where the account has one. Without one, a sign-in of the last five minutes is needed (401
/// `signin.again`).
#[utoipa::path(delete, path = "/v1/auth/federated/{id}", tag = "identity", operation_id = "unlink",
    params(("id" = String, Path, description = "`fed_...`")),
    responses((status = 200, description = "The identity as it was", body = FederatedInfo)))]
async fn unlink(
    State(federation): State<FederationClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<FederatedInfo>, Problem> {
    Ok(Json(federation.unlink(&cx, Unlink { id }).await?))
}

/// List the tenant's identity providers
#[utoipa::path(get, path = "/v1/identity/providers", tag = "identity", operation_id = "list_providers",
    responses((status = 200, description = "All of them, without their secrets", body = Page<ProviderInfo>)))]
async fn list_providers(
    State(federation): State<FederationClient>,
    Caller(cx): Caller,
) -> Result<Json<Page<ProviderInfo>>, Problem> {
    Ok(Json(federation.list_providers(&cx, ()).await?))
}

/// Set an identity provider of the tenant's
///
/// Its discovery document is read at once. It sends people back to `<public_url>/signin/callback/<tenant>/<provider>`.
#[utoipa::path(put, path = "/v1/identity/providers/{provider}", tag = "identity", operation_id = "put_provider",
    params(("provider" = String, Path, description = "1 to 64 of a-z, 0-9 and -, with a letter first")),
    request_body = PutProvider, responses((status = 200, description = "The provider as it is now", body = ProviderInfo)))]
async fn put_provider(
    State(federation): State<FederationClient>,
    Caller(cx): Caller,
    Path(provider): Path<String>,
    Strict(put): Strict<PutProvider>,
) -> Result<Json<ProviderInfo>, Problem> {
    Ok(Json(federation.put_provider(&cx, PutProviderAt { provider, put }).await?))
}

/// Remove an identity provider of the tenant's
///
/// People keep their accounts; those who only sign in there cannot until it is set again.
#[utoipa::path(delete, path = "/v1/identity/providers/{provider}", tag = "identity", operation_id = "remove_provider",
    params(("provider" = String, Path, description = "The provider's name")),
    responses((status = 200, description = "The provider as it was", body = ProviderInfo)))]
async fn remove_provider(
    State(federation): State<FederationClient>,
    Caller(cx): Caller,
    Path(provider): Path<String>,
) -> Result<Json<ProviderInfo>, Problem> {
    Ok(Json(federation.remove_provider(&cx, NameProvider { provider }).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_has_a_cookie_of_its_own_that_is_found_among_others() {
        let said = set_cookie("state", "flow", 600).unwrap();
        let said = said.to_str().unwrap();
        assert!(said.starts_with("__Host-nsl-oidc-") && said.contains("=flow; Path=/; "));
        assert!(said.ends_with("; Secure; HttpOnly; SameSite=Strict") && !said.contains("Domain"));
        let (one, other) = (cookie_name("state"), cookie_name("other"));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {one}=x; {other}=y").parse().unwrap());
        assert_eq!((cookie(&headers, &one), cookie(&headers, &other)), (Some("x"), Some("y")));
        assert_eq!(cookie(&headers, "__Host-nsl-oidc"), None);
    }
}
