use nsl_edge::{Face, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, problem};

#[tokio::test]
async fn every_problem_can_be_looked_up() {
    let rig = Rig::start(&[]).await;
    let all: Value = rig.get("/problems").send().await.unwrap().json().await.unwrap();
    let items = all["items"].as_array().unwrap();
    assert!(items.len() > 30);
    for item in items {
        let slug = item["slug"].as_str().unwrap();
        let one: Value = rig.get(&format!("/problems/{slug}")).send().await.unwrap().json().await.unwrap();
        assert_eq!(&one, item);
    }
    assert!(items.iter().any(|item| item["slug"] == "echo.full" && item["status"] == 507), "services bring theirs");
    let page = rig.get("/problems/auth.missing").header("accept", "text/html,*/*;q=0.8").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.unwrap().contains("this needs a credential"));
    assert_eq!(rig.get("/problems/nonsense").send().await.unwrap().status(), 404);
    rig.stop().await;
}

#[tokio::test]
async fn the_root_says_what_this_is_and_where_to_read_on() {
    let rig = Rig::start(&[]).await;
    let answer = rig.get("/").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let start: Value = answer.json().await.unwrap();
    assert_eq!((&start["name"], &start["version"]), (&json!("Neo Service Layer"), &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(start["health"], "/health");
    for there in ["docs", "openapi", "problems"] {
        assert_eq!(rig.get(start[there].as_str().unwrap()).send().await.unwrap().status(), 200, "{there}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_query_parameter_that_nothing_reads_is_refused_by_name() {
    let said = json!({ "openapi": "3.1.0", "info": { "title": "echo", "version": "1" }, "paths": {
        "/v1/echo/me": { "get": { "responses": {} } },
        "/v1/echo/big": { "get": { "responses": {}, "parameters": [{ "name": "size", "in": "query", "required": true }] } },
        "/v1/echo/store": { "post": { "responses": {} } },
    } });
    let docs = serde_json::from_value(said).unwrap();
    let rig = Rig::start_with(&[], |face| face.docs(docs)).await;
    let body = r#"{"key":"k","value":1}"#;
    let store = |path| rig.keyed(Method::POST, path).header("content-type", "application/json").body(body);
    let get = |path| rig.keyed(Method::GET, path);
    for (request, parameter, known) in [
        (get("/v1/echo/me?owner=alice"), "owner", json!([])),
        (get("/api/echo/big?size=10&sise=20"), "sise", json!(["size"])),
        (store("/v1/echo/store?owner=alice"), "owner", json!([])),
        (rig.keyed(Method::HEAD, "/v1/echo/big?size=10&sise=20"), "", json!(["size"])),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{parameter}");
        if !parameter.is_empty() {
            let (_, code, body) = problem(response).await;
            assert_eq!((code.as_str(), &body["details"]["known"]), ("request.query_unknown", &known));
            assert_eq!(body["details"]["parameter"], parameter);
        }
    }
    assert_eq!(rig.service.was_reached(), 0, "nothing of it was done");
    for request in [get("/v1/echo/me?"), get("/v1/echo/big?size=10"), store("/v1/echo/store")] {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let stranger = rig.get("/v1/echo/me?owner=alice").send().await.unwrap();
    assert_eq!(stranger.status(), 401, "who may not ask is not told what to ask");
    rig.stop().await;
}

#[tokio::test]
async fn the_pages_run_no_script_and_load_nothing_from_elsewhere() {
    let rig = Rig::start(&[]).await;
    let page = rig.get("/docs").send().await.unwrap();
    assert_eq!(
        page.headers()["content-security-policy"],
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let text = page.text().await.unwrap();
    assert!(!text.contains("<script") && !text.contains("style=") && !text.contains("http://"), "{text}");
    let style = rig.get("/docs/style.css").send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    rig.stop().await;
}

/// Stands for what a service says of itself.
mod said {
    use utoipa::{OpenApi, ToSchema};

    /// What is kept.
    #[derive(ToSchema)]
    #[allow(dead_code, reason = "only its schema matters")]
    pub(super) struct Kept {
        /// The <name> of it.
        key: String,
        size: Option<u64>,
    }

    /// Keep a thing
    ///
    /// For as long as it takes.
    #[utoipa::path(post, path = "/v1/echo/store", request_body = Kept,
        responses((status = 200, description = "Kept", body = Kept), (status = 429, description = "Echo is tired")))]
    #[allow(dead_code, reason = "only its description matters")]
    fn keep() {}

    /// Look at things
    #[utoipa::path(get, path = "/v1/echo/open", params(("after" = Option<String>, Query, description = "Where to go on")),
        responses((status = 200, description = "Things", body = [Kept])))]
    #[allow(dead_code, reason = "only its description matters")]
    fn look() {}

    #[derive(OpenApi)]
    #[openapi(paths(keep, look), tags((name = "echo", description = "Says what it hears.")))]
    pub(super) struct Docs;
}

#[test]
fn operations_say_what_holds_because_of_the_edge() {
    use utoipa::OpenApi;

    let face =
        Face::new("echo", axum::Router::new()).docs(said::Docs::openapi()).rule(Rule::at("/v1/echo/open").open());
    let whole = nsl_edge::openapi(&[face], "1.2.3");
    assert_eq!((&whole["openapi"], &whole["info"]["version"]), (&json!("3.1.0"), &json!("1.2.3")));
    assert_eq!(whole["tags"], json!([{ "name": "echo", "description": "Says what it hears." }]));
    let (keep, look) = (&whole["paths"]["/v1/echo/store"]["post"], &whole["paths"]["/v1/echo/open"]["get"]);
    for operation in [keep, look] {
        for (status, name) in
            [("401", "Unauthenticated"), ("403", "Forbidden"), ("503", "Unavailable"), ("default", "Problem")]
        {
            assert_eq!(operation["responses"][status]["$ref"], format!("#/components/responses/{name}"));
        }
    }
    assert_eq!(keep["responses"]["429"]["description"], "Echo is tired", "what the service says stands");
    assert_eq!(keep["security"], json!([{ "bearer": [] }, { "apiKey": [] }]));
    assert_eq!(look["security"][0], json!({}), "an open route needs no credential");
    assert_eq!(keep["parameters"], json!([{ "$ref": "#/components/parameters/IdempotencyKey" }]));
    assert_eq!(look["parameters"].as_array().unwrap().len(), 1);
    let replayed = json!({ "Idempotency-Replayed": { "$ref": "#/components/headers/IdempotencyReplayed" } });
    assert_eq!(keep["responses"]["200"]["headers"], replayed);
    assert!(keep["responses"]["429"].get("headers").is_none() && look["responses"]["200"].get("headers").is_none());
    assert!(whole["components"]["schemas"]["Kept"].is_object());
    // Each reference leads somewhere.
    let text = whole.to_string();
    for (at, _) in text.match_indices("\"$ref\":\"#") {
        let pointer = text[at + 9..].split('"').next().unwrap();
        assert!(whole.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_page_shows_each_operation_and_escapes_what_it_shows() {
    use utoipa::OpenApi;

    let rig = Rig::start_with(&[], |face| face.docs(said::Docs::openapi())).await;
    let text = rig.get("/docs").send().await.unwrap().text().await.unwrap();
    for part in [
        "Says what it hears.",
        "<b class=\"post\">POST</b> <code>/v1/echo/store</code>",
        "Keep a thing",
        "Where to go on",
        "The &lt;name&gt; of it",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("<name>"));
    let description: Value = rig.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    assert!(description["paths"]["/v1/echo/store"]["post"].is_object());
    rig.stop().await;
}
