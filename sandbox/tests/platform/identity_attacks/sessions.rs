use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    PASSWORD, Person, Siege, bearer,
    forge::{Holder, now},
};
use crate::ground::ok;

/// A token that was taken back is refused everywhere within a second.
#[track_caller]
fn ends(siege: &Siege, what: &str, token: &str) {
    let began = Instant::now();
    let reply = loop {
        let reply = siege.show(&[bearer(token)]);
        if reply.status != 200 || began.elapsed() > Duration::from_secs(5) {
            break reply;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    siege.repelled(what, &reply, 401, "auth.token_revoked");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{what}: it took {took:?}");
}

fn refresh(siege: &Siege, token: &str) -> nsl_sandbox::Reply {
    siege.post("/v1/auth/refresh", &json!({ "refresh_token": token }))
}

pub(super) fn spent_and_ended(siege: &Siege, bob: &Person) {
    let email = "bob@example.com";
    let first = siege.login(email);
    let second = Person::of(&ok(&refresh(siege, &first.refresh)));
    assert_eq!(siege.show(&[bearer(&second.access)]).status, 200);
    siege.repelled("a spent refresh token", &refresh(siege, &first.refresh), 401, "tokens.reuse");
    let reply = refresh(siege, &second.refresh);
    siege.repelled("the next one of a session that theft has ended", &reply, 401, "tokens.refresh_unknown");
    ends(siege, "an access token of a session that theft has ended", &second.access);
    siege.repels("the first access token of that session", &first.access, 401, "auth.token_revoked");

    let left = siege.login(email);
    assert_eq!(siege.show(&[bearer(&left.access)]).status, 200);
    ok(&siege.post("/v1/auth/logout", &json!({ "refresh_token": left.refresh })));
    ends(siege, "an access token after signing out", &left.access);
    siege.repelled("a refresh token after signing out", &refresh(siege, &left.refresh), 401, "tokens.refresh_unknown");

    let far = siege.login(email);
    assert_eq!(siege.show(&[bearer(&far.access)]).status, 200);
    let path = format!("/v1/auth/sessions/{}", far.session);
    ok(&siege.ask("DELETE", &path, &[bearer(&bob.access)], &Value::Null));
    ends(siege, "an access token of a session ended from elsewhere", &far.access);

    let single = siege.login(email);
    assert_eq!(siege.show(&[bearer(&single.access)]).status, 200);
    let reply = siege.form("/oauth2/revoke", &[], &[("token", &single.access)]);
    assert_eq!(reply.status, 200, "{}", reply.body);
    ends(siege, "an access token that was taken back alone", &single.access);
    let next = Person::of(&ok(&refresh(siege, &single.refresh)));
    assert_eq!(siege.show(&[bearer(&next.access)]).status, 200, "its session goes on");

    let oldest = siege.register("carol@example.com");
    assert_eq!(siege.show(&[bearer(&oldest.access)]).status, 200);
    let newer: Vec<_> = (0..5).map(|_| siege.login("carol@example.com")).collect();
    ends(siege, "an access token of the oldest of six sessions", &oldest.access);

    let changer = &newer[4];
    assert_eq!(siege.show(&[bearer(&newer[3].access)]).status, 200);
    let body = json!({ "current_password": PASSWORD, "new_password": "another horse battery staple" });
    ok(&siege.ask("POST", "/v1/auth/password/change", &[bearer(&changer.access)], &body));
    ends(siege, "an access token of another session after a change of password", &newer[3].access);
    let reply = siege.post("/v1/auth/login", &json!({ "email": "carol@example.com", "password": PASSWORD }));
    siege.repelled("the old password", &reply, 401, "signin.wrong");
}

pub(super) fn of_other_tenants(siege: &Siege, alice: &Person, bob: &Person) {
    let reply = siege.post(
        "/v1/auth/refresh",
        &json!({ "refresh_token": siege.login("alice@example.com").refresh, "tenant": bob.tenant }),
    );
    siege.repelled("going on in another's tenant", &reply, 403, "tokens.not_a_member");
    let body = json!({ "email": "alice@example.com", "password": PASSWORD, "tenant": bob.tenant });
    siege.repelled("signing in to another's tenant", &siege.post("/v1/auth/login", &body), 403, "tokens.not_a_member");
    let own = [bearer(&alice.access)];
    let path = format!("/v1/auth/sessions/{}", bob.session);
    let reply = siege.ask("DELETE", &path, &own, &Value::Null);
    siege.repelled("ending another's session", &reply, 404, "tokens.session_missing");
    let value = json!({ "key": "secret", "value": "of bob", "encrypted": true });
    ok(&siege.ask("POST", "/v1/storage/store/neo-n3", &[bearer(&bob.access)], &value));
    let reply = siege.ask("GET", "/v1/storage/retrieve/neo-n3/secret", &own, &Value::Null);
    siege.repelled("reading another tenant's value", &reply, 404, "storage.not_found");
    let reply = siege.form("/oauth2/introspect", &own, &[("token", &bob.access)]);
    assert_eq!((reply.status, &reply.json().unwrap()["active"]), (200, &json!(false)), "{}", reply.body);

    // Who is suspended is out, with all that they hold.
    let invite = ok(&siege.ask(
        "POST",
        "/v1/users/invites",
        &own,
        &json!({ "email": "dave@example.com", "roles": ["developer"] }),
    ));
    let token = invite["token"].as_str().unwrap_or_else(|| panic!("{invite}"));
    let body = json!({ "email": "dave@example.com", "password": PASSWORD, "invite": token });
    let dave = Person::of(&ok(&siege.post("/v1/auth/register", &body)));
    assert_eq!(dave.tenant, alice.tenant);
    assert_eq!(siege.show(&[bearer(&dave.access)]).status, 200);
    let me = ok(&siege.ask("GET", "/v1/users/me", &[bearer(&dave.access)], &Value::Null));
    let id = me["id"].as_str().unwrap();
    let reply = siege.ask("POST", &format!("/v1/users/{id}/suspend"), &[bearer(&dave.access)], &Value::Null);
    siege.repelled("a member who suspends", &reply, 403, "auth.scope_missing");
    ok(&siege.ask("POST", &format!("/v1/users/{id}/suspend"), &own, &Value::Null));
    ends(siege, "an access token of a suspended member", &dave.access);
    siege.repelled("a refresh token of a suspended member", &refresh(siege, &dave.refresh), 403, "tokens.not_a_member");
}

pub(super) fn without_a_second_factor(siege: &Siege, alice: &Person) {
    let policy = json!({ "text": "forbid(principal, action, resource);" });
    let put = |headers: &[String]| siege.ask("PUT", "/v1/access/policies/shut", headers, &policy);
    let reply = put(&[bearer(&alice.access)]);
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    for part in ["insufficient_user_authentication", "max_age=300", "acr_values=\"urn:nsl:mfa\""] {
        assert!(challenge.contains(part), "{}", reply.head);
    }
    siege.repelled("a sensitive deed without a second factor", &reply, 401, "auth.step_up");
    let reply = put(&[bearer(&siege.ground.key)]);
    siege.repelled("a sensitive deed by a key", &reply, 403, "auth.person_needed");
}

pub(super) fn bound_to_a_key(siege: &Siege) {
    let key = [bearer(&siege.ground.key)];
    let client =
        ok(&siege.ask("POST", "/v1/oauth/clients", &key, &json!({ "name": "bot", "scopes": ["storage:read"] })));
    let (id, secret) = (client["id"].as_str().unwrap(), client["secret"].as_str().unwrap());
    let found = ok(&siege.ask("GET", "/.well-known/openid-configuration", &[], &Value::Null));
    let (holder, thief) = (Holder::fresh(), Holder::fresh());
    let at = found["token_endpoint"].as_str().unwrap();
    let credentials = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    let proof = holder.proof("POST", at, None, |_| {});
    let header = [format!("DPoP: {proof}")];
    let reply = siege.form("/oauth2/token", &header, &credentials);
    let given = ok(&reply);
    assert_eq!(given["token_type"], "DPoP");
    let token = given["access_token"].as_str().unwrap();
    let reply = siege.form("/oauth2/token", &header, &credentials);
    siege.repelled("a proof that got a token before", &reply, 400, "oauth.invalid_dpop_proof");

    let url = format!("{}{}", siege.edge(), super::DOOR);
    let dpop = |proofs: &[String]| {
        let mut headers = vec![format!("Authorization: DPoP {token}")];
        headers.extend(proofs.iter().map(|proof| format!("DPoP: {proof}")));
        siege.show(&headers)
    };
    let good = holder.proof("GET", &url, Some(token), |_| {});
    assert_eq!(dpop(std::slice::from_ref(&good)).status, 200);
    let made = |change: fn(&mut Value)| holder.proof("GET", &url, Some(token), change);
    for (what, proofs) in [
        ("without a proof", vec![]),
        ("with a replayed proof", vec![good]),
        ("with two proofs", vec![made(|_| {}), made(|_| {})]),
        ("with a thief's proof", vec![thief.proof("GET", &url, Some(token), |_| {})]),
        ("with a proof for another token", vec![holder.proof("GET", &url, Some("a.b.c"), |_| {})]),
        ("with a proof for no token", vec![holder.proof("GET", &url, None, |_| {})]),
        ("with a proof for POST", vec![holder.proof("POST", &url, Some(token), |_| {})]),
        (
            "with a proof for another host",
            vec![holder.proof("GET", "https://evil.example/v1/storage/usage", Some(token), |_| {})],
        ),
        ("with a proof for another path", vec![holder.proof("GET", &format!("{url}/more"), Some(token), |_| {})]),
        ("with an old proof", vec![made(|claims| claims["iat"] = json!(now() - 120))]),
        ("with a proof of tomorrow", vec![made(|claims| claims["iat"] = json!(now() + 86_400))]),
        ("with a proof without a name", vec![made(|claims| claims["jti"] = json!(""))]),
        ("with itself for a proof", vec![token.to_owned()]),
    ] {
        siege.repelled(&format!("a bound token {what}"), &dpop(&proofs), 401, "auth.proof_invalid");
    }
    siege.repels("a bound token as a bearer's", token, 401, "auth.proof_invalid");
    let reply = siege.form(
        "/oauth2/token",
        &[],
        &[("grant_type", "client_credentials"), ("client_id", id), ("client_secret", "wrong")],
    );
    siege.repelled("a client with a wrong secret", &reply, 401, "oauth.invalid_client");
    assert_eq!(reply.json().unwrap()["error"], "invalid_client");
    let wide = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
        ("scope", "storage:write"),
    ];
    siege.repelled("a client that asks for more", &siege.form("/oauth2/token", &[], &wide), 400, "oauth.invalid_scope");
}

/// Who knows what was taken back is away: tokens may be good no longer, and nobody is let in by one.
pub(super) fn in_the_dark(siege: &mut Siege, alice: &Person) {
    siege.ground.nodes[1].kill();
    let began = Instant::now();
    let wait = |status: u16| loop {
        let reply = siege.show(&[bearer(&alice.access)]);
        if reply.status == status || began.elapsed() > Duration::from_secs(30) {
            break reply;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let reply = wait(503);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(reply.header("retry-after").is_some(), "{}", reply.head);
    siege.repelled("a token while nobody knows what was taken back", &reply, 503, "auth.unavailable");
    siege.ground.nodes[1].start_again().unwrap();
    let began = Instant::now();
    while siege.show(&[bearer(&alice.access)]).status != 200 {
        assert!(began.elapsed() < Duration::from_secs(15), "alice is let in again");
        std::thread::sleep(Duration::from_millis(100));
    }
}
