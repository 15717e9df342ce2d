use serde_json::{Value, json};

use crate::{
    ground::{As, Ground, access, each, good, refusal},
    provider::{CLIENT, Provider, SECRET, begin, callback},
};

fn query(url: &str, name: &str) -> String {
    let found = url.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {url}")).to_owned()
}

#[test]
fn a_person_is_let_in_by_a_real_provider_and_found_again() {
    each(|ground, provider| {
        let begun = begin(ground, As::Nobody, "corp", json!({}));
        let url = begun["url"].as_str().unwrap();
        assert_eq!((query(url, "code_challenge_method"), query(url, "response_type")), ("S256".into(), "code".into()));
        assert_eq!(query(url, "state"), begun["state"].as_str().unwrap());
        assert!(query(url, "nonce").len() >= 43);
        let mut back = provider.visit(url);
        back["flow"] = begun["flow"].clone();
        let first = good(&callback(ground, As::Nobody, &back));
        assert!(first["refresh_token"].is_string() && first["token_type"] == "Bearer", "{first}");

        let asked = provider.asked();
        let (form, shown) = (&asked[0]["form"], asked[0]["authorization"].as_str().unwrap());
        let verifier = form["code_verifier"].as_str().unwrap();
        assert_eq!(
            provider.s256(verifier),
            json!(query(url, "code_challenge")),
            "the code is bound to who asked for it"
        );
        assert!(shown.starts_with("Basic ") && form.get("client_secret").is_none());
        assert_eq!(form["redirect_uri"], json!(format!("{}/signin/callback/corp", ground.origin)));

        // State, flow and code work once, together.
        assert_eq!(refusal(&callback(ground, As::Nobody, &back)), (400, "federation.flow_gone".to_owned()));

        let again = provider.sign_in(ground, "corp", None);
        let second = good(&callback(ground, As::Nobody, &again));
        assert_eq!(ground.subject(&first), ground.subject(&second), "the same person");
        provider.be(Some("unverified"));
        let other = provider.sign_in(ground, "corp", None);
        let other = good(&callback(ground, As::Nobody, &other));
        assert_ne!(ground.subject(&first), ground.subject(&other));

        let own = ground.get(As::Token(access(&first)), "/v1/auth/federated");
        assert_eq!((own["items"].as_array().unwrap().len(), &own["items"][0]["subject"]), (1, &json!("alice")));
        let out = ground.get(As::Nobody, "/v1/auth/oidc/corp/sign-out");
        let out = out["url"].as_str().unwrap();
        assert!(out.contains("/session/end?") && out.contains("client_id=nsl"), "{out}");
        let logged = ground.output();
        for secret in [SECRET, verifier, back["code"].as_str().unwrap(), begun["flow"].as_str().unwrap()] {
            assert!(!logged.contains(secret), "a secret is in the log");
        }
    });
}

#[test]
fn new_keys_of_the_provider_are_followed_and_old_ones_are_forgotten() {
    each(|ground, provider| {
        let mut first = None;
        for alg in ["RS256", "RS256", "ES256", "PS256", "EdDSA", "RS256"] {
            provider.rotate(Some(alg));
            let said = provider.sign_in(ground, "corp", None);
            let tokens = good(&callback(ground, As::Nobody, &said));
            let subject = ground.subject(&tokens);
            assert_eq!(first.get_or_insert(subject.clone()), &subject, "{alg}");
        }
    });
}

#[test]
fn a_sign_in_goes_on_in_the_browser_that_began_it_and_in_no_other() {
    each(|ground, provider| {
        let path = "/v1/auth/oidc/corp/begin";
        let begun = ground.post(As::Nobody, path, &json!({ "bind": "cookie" }));
        let cookie = begun.header("set-cookie").unwrap().to_owned();
        let (pair, how) = cookie.split_once(';').unwrap();
        assert!(pair.starts_with("__Host-nsl-oidc-"), "{cookie}");
        for word in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=600"] {
            assert!(how.contains(word), "{cookie}");
        }
        let begun = good(&begun);
        assert!(begun.get("flow").is_none(), "no script sees what the cookie has");
        let back = provider.visit(begun["url"].as_str().unwrap());

        // Another browser, with no cookie, one of its own, or a guess; then the one that began, which lost nothing.
        let other = ground.post(As::Nobody, path, &json!({ "bind": "cookie" }));
        let other = other.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned();
        let name = pair.split_once('=').unwrap().0;
        let renamed = format!("{name}={}", other.split_once('=').unwrap().1);
        let guess = format!("{name}=AAAA");
        for who in [As::Nobody, As::Cookie(&other), As::Cookie(&renamed), As::Cookie(&guess)] {
            assert_eq!(refusal(&callback(ground, who, &back)).1, "federation.flow_gone");
        }
        let reply = callback(ground, As::Cookie(pair), &back);
        assert!(reply.header("set-cookie").is_some_and(|gone| gone.contains("Max-Age=0")), "{}", reply.head);
        good(&reply);
    });
}

#[test]
fn accounts_are_linked_by_their_owners_and_never_found_by_email() {
    each(|ground, provider| {
        let victim = ground.register("victim@example.com");
        provider.be(Some("mallory"));
        let said = provider.sign_in(ground, "corp", None);
        let mallory = good(&callback(ground, As::Nobody, &said));
        assert_ne!(ground.subject(&mallory), ground.subject(&victim));
        let me = ground.get(As::Token(access(&mallory)), "/v1/users/me");
        assert_eq!(me["email"], Value::Null, "the provider says that mallory has that address, but somebody has it");

        // Another identity there, which nobody has yet.
        provider.be(Some("unverified"));

        // Who is signed in links it, and is signed in by it from then on.
        let token = access(&victim);
        let begun = begin(ground, As::Token(token), "corp", json!({ "link": true }));
        let mut back = provider.visit(begun["url"].as_str().unwrap());
        back["flow"] = begun["flow"].clone();
        let stranger = ground.register("stranger@example.com");
        assert_eq!(refusal(&callback(ground, As::Token(access(&stranger)), &back)).1, "federation.other_person");
        assert_eq!(refusal(&callback(ground, As::Token(token), &back)).1, "federation.flow_gone", "it was spent");
        let begun = begin(ground, As::Token(token), "corp", json!({ "link": true }));
        let mut back = provider.visit(begun["url"].as_str().unwrap());
        back["flow"] = begun["flow"].clone();
        let linked = good(&callback(ground, As::Token(token), &back));
        let id = linked["linked"]["id"].as_str().unwrap().to_owned();
        let said = provider.sign_in(ground, "corp", None);
        let tokens = good(&callback(ground, As::Nobody, &said));
        assert_eq!(ground.subject(&tokens), ground.subject(&victim));

        // One identity has one owner.
        let begun = begin(ground, As::Token(access(&stranger)), "corp", json!({ "link": true }));
        let mut back = provider.visit(begun["url"].as_str().unwrap());
        back["flow"] = begun["flow"].clone();
        assert_eq!(refusal(&callback(ground, As::Token(access(&stranger)), &back)).1, "federation.taken");
        let nobodys = ground.post(As::Nobody, "/v1/auth/oidc/corp/begin", &json!({ "link": true }));
        assert_eq!(nobodys.status, 401, "linking needs somebody");

        let path = format!("/v1/auth/federated/{id}");
        let others = ground.ask(As::Token(access(&stranger)), "DELETE", &path, &Value::Null);
        assert_eq!(refusal(&others).1, "federation.link_missing");
        good(&ground.ask(As::Token(token), "DELETE", &path, &Value::Null));
        let refresh = |tokens: &Value| {
            let body = json!({ "refresh_token": tokens["refresh_token"] });
            ground.post(As::Nobody, "/v1/auth/refresh", &body)
        };
        assert_eq!(refusal(&refresh(&tokens)), (401, "tokens.refresh_unknown".to_owned()), "who came by it is out");
        good(&refresh(&victim));
        let said = provider.sign_in(ground, "corp", None);
        let stranger = good(&callback(ground, As::Nobody, &said));
        assert_ne!(ground.subject(&stranger), ground.subject(&victim), "unlinked, the identity is a stranger's");
    });
}

#[test]
fn people_who_are_not_known_get_in_only_where_sign_up_says_so() {
    let mut provider = Provider::start();
    let closed = [("NSL_IDENTITY__FEDERATION__CORP__SIGN_UP", "false"), ("NSL_IDENTITY__SIGNIN__SIGN_UP", "invited")];
    let ground = Ground::start(false, &mut [("corp", &mut provider)], &closed);
    let said = provider.sign_in(&ground, "corp", None);
    assert_eq!(refusal(&callback(&ground, As::Nobody, &said)), (403, "federation.unknown".to_owned()));
    provider.be(None);
    let said = provider.sign_in(&ground, "corp", None);
    let reply = callback(&ground, As::Nobody, &said);
    assert_eq!(refusal(&reply), (401, "federation.refused_there".to_owned()));
    assert_eq!(reply.json().unwrap()["details"]["reason"], "access_denied", "{said} {}", reply.body);
    let missing = ground.post(As::Nobody, "/v1/auth/oidc/other/begin", &json!({}));
    assert_eq!(refusal(&missing), (404, "federation.provider_missing".to_owned()));
    let elsewhere = json!({ "redirect_uri": "https://evil.example/cb" });
    let refused = ground.post(As::Nobody, "/v1/auth/oidc/corp/begin", &elsewhere);
    assert_eq!(refusal(&refused), (400, "federation.redirect_uri".to_owned()));
    let choices = ground.get(As::Nobody, "/v1/auth/oidc");
    assert_eq!(choices["items"], json!([{ "provider": "corp", "title": "corp" }]));
    assert_eq!(CLIENT, "nsl");
}
