//! Providers that tenants set for themselves: they have a say in that tenant, and nowhere else.

use serde_json::{Value, json};

use crate::{
    ground::{As, Ground, access, each, good, listener, refusal},
    provider::{CLIENT, Provider, SECRET, begin, callback},
};

/// A tenant with a provider of its own.
fn own_provider(ground: &Ground, provider: &mut Provider, sign_up: bool) -> (Value, String) {
    let owner = ground.register("owner@acme.example");
    let tenant = owner["tenant"].as_str().unwrap().to_owned();
    let place = format!("{}/signin/callback/{tenant}/own", ground.origin);
    let issuer = provider.open(&[place], &ground.origin);
    let put = json!({ "issuer": issuer, "client_id": CLIENT, "client_secret": SECRET, "sign_up": sign_up });
    let set = good(&ground.ask(As::Token(access(&owner)), "PUT", "/v1/identity/providers/own", &put));
    assert_eq!((&set["has_secret"], set.get("client_secret")), (&json!(true), None));
    assert!(!set.to_string().contains(SECRET));
    (owner, tenant)
}

#[test]
fn a_tenants_provider_lets_its_people_into_that_tenant_alone() {
    each(|ground, provider| {
        let (owner, tenant) = own_provider(ground, provider, true);
        let listed = ground.get(As::Nobody, &format!("/v1/auth/oidc?tenant={tenant}"));
        assert_eq!(listed["items"][0]["provider"], "own");
        let said = provider.sign_in(ground, "own", Some(&tenant));
        let tokens = good(&callback(ground, As::Nobody, &said));
        assert_eq!(tokens["tenant"], json!(tenant));
        let scope = tokens["scope"].as_str().unwrap();
        assert!(scope.contains("storage:read") && !scope.contains("write") && !scope.contains('*'), "{scope}");
        // Whose word it is that this address is theirs is the tenant's own business.
        let me = ground.get(As::Token(access(&tokens)), "/v1/users/me");
        assert_eq!(me["email"], Value::Null);

        // The account is the tenant's: it gets into no other, where the tenant has no say.
        let opened = ground.post(As::Token(access(&tokens)), "/v1/tenants", &json!({ "name": "mine" }));
        assert_eq!(refusal(&opened), (409, "people.managed_elsewhere".to_owned()));
        let other = ground.register("other@example.com");
        let invite = json!({ "roles": ["viewer"] });
        let invite = good(&ground.post(As::Token(access(&other)), "/v1/users/invites", &invite));
        let accept = json!({ "token": invite["token"] });
        let joined = ground.post(As::Token(access(&tokens)), "/v1/users/invites/accept", &accept);
        assert_eq!(refusal(&joined), (409, "people.managed_elsewhere".to_owned()));

        // The owner, who has an account of the platform's, is not taken over by saying so.
        provider.lie(json!({ "token": { "claims": { "sub": "owner", "email": "owner@acme.example" } } }));
        let said = provider.sign_in(ground, "own", Some(&tenant));
        let tokens = good(&callback(ground, As::Nobody, &said));
        assert_ne!(ground.subject(&tokens), ground.subject(&owner));
        provider.lie(json!({}));

        // Nobody links an account that belongs elsewhere too to a provider that has no say there.
        let stranger = ground.register("stranger@example.com");
        let asked = json!({ "link": true, "tenant": tenant });
        let begun = begin(ground, As::Token(access(&stranger)), "own", asked);
        provider.be(Some("unverified"));
        let mut back = provider.visit(begun["url"].as_str().unwrap());
        back["flow"] = begun["flow"].clone();
        let refused = refusal(&callback(ground, As::Token(access(&stranger)), &back));
        assert_eq!(refused, (403, "federation.elsewhere_too".to_owned()));

        // Not while they are suspended elsewhere, either: that may end.
        let invited = |by: &Value| {
            let body = json!({ "roles": ["viewer"] });
            good(&ground.post(As::Token(access(by)), "/v1/users/invites", &body))["token"].clone()
        };
        let password = "a long password of a test";
        let joins = json!({ "email": "guest@example.com", "password": password, "invite": invited(&other) });
        let guest = good(&ground.post(As::Nobody, "/v1/auth/register", &joins));
        let accept = json!({ "token": invited(&owner) });
        good(&ground.post(As::Token(access(&guest)), "/v1/users/invites/accept", &accept));
        let id = ground.subject(&guest);
        good(&ground.post(As::Token(access(&other)), &format!("/v1/users/{id}/suspend"), &Value::Null));
        let enters = json!({ "email": "guest@example.com", "password": password, "tenant": tenant });
        let guest = good(&ground.post(As::Nobody, "/v1/auth/login", &enters));
        let asked = json!({ "link": true, "tenant": tenant });
        let begun = begin(ground, As::Token(access(&guest)), "own", asked);
        let mut back = provider.visit(begun["url"].as_str().unwrap());
        back["flow"] = begun["flow"].clone();
        let refused = refusal(&callback(ground, As::Token(access(&guest)), &back));
        assert_eq!(refused, (403, "federation.elsewhere_too".to_owned()));
    });
}

#[test]
fn who_administers_the_tenant_sets_providers_and_gives_no_more_than_they_hold() {
    each(|ground, provider| {
        let (owner, tenant) = own_provider(ground, provider, true);
        let path = "/v1/identity/providers/own";
        let key = json!({ "name": "admin", "scopes": ["identity:admin", "identity:read"] });
        let key = good(&ground.post(As::Token(access(&owner)), "/v1/identity/keys", &key));
        let admin = As::Token(key["secret"].as_str().unwrap());
        let set = ground.get(admin, "/v1/identity/providers");
        let issuer = set["items"][0]["issuer"].clone();
        let put = |roles: &str| json!({ "issuer": issuer, "client_id": CLIENT, "default_roles": [roles] });
        let ask = |who, body: &Value| ground.ask(who, "PUT", path, body);
        assert_eq!(refusal(&ask(admin, &put("owner"))), (403, "federation.grant_not_held".to_owned()));
        assert_eq!(refusal(&ask(admin, &put("nobody"))), (400, "federation.provider_unfit".to_owned()));
        let stranger = ground.register("stranger@example.com");
        let own = ground.get(As::Token(access(&stranger)), "/v1/identity/providers");
        assert_eq!(own["items"], json!([]), "tenants do not see each other's");
        let said = provider.sign_in(ground, "own", Some(&tenant));
        let member = good(&callback(ground, As::Nobody, &said));
        assert_eq!(refusal(&ask(As::Token(access(&member)), &put("viewer"))).0, 403);
        assert_eq!(refusal(&ask(As::Nobody, &put("viewer"))).0, 401);
        // Another client, and the secret of the first goes to nobody.
        let other = json!({ "issuer": issuer, "client_id": "another" });
        let changed = good(&ask(As::Token(access(&owner)), &other));
        assert_eq!(changed["has_secret"], json!(false));
        good(&ground.ask(As::Token(access(&owner)), "DELETE", path, &Value::Null));
        let gone = ground.post(As::Nobody, "/v1/auth/oidc/own/begin", &json!({ "tenant": tenant }));
        assert_eq!(refusal(&gone), (404, "federation.provider_missing".to_owned()));
    });
}

#[test]
fn no_provider_leads_into_this_network_unless_operators_say_so() {
    let closed = [("NSL_IDENTITY__FEDERATION__PRIVATE_ADDRESSES", "false")];
    let ground = Ground::start(false, &mut [], &closed);
    let owner = ground.register("owner@acme.example");
    let (knock, port) = listener();
    for issuer in [
        format!("http://127.0.0.1:{port}"),
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
        format!("https://[::1]:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        format!("https://2130706433:{port}"),
        format!("https://0x7f.1:{port}"),
        format!("https://user:secret@localhost:{port}"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://localhost".to_owned(),
    ] {
        let put = json!({ "issuer": issuer, "client_id": CLIENT });
        let reply = ground.ask(As::Token(access(&owner)), "PUT", "/v1/identity/providers/own", &put);
        assert!(matches!(reply.status, 400 | 503), "{issuer} {}", reply.body);
    }
    assert!(knock.accept().is_err(), "nobody knocked");
}
