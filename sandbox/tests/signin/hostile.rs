//! What a liar makes of the real provider's answers, and what strangers make of a sign-in that is under way.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    ground::{As, Ground, access, each, good, listener, refusal},
    provider::{Provider, begin, callback},
};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn no_token_is_believed_that_the_provider_did_not_sign_for_this_sign_in() {
    each(|ground, provider| {
        let claims = |claims: Value| json!({ "claims": claims });
        let by = |by: &str, alg: &str| json!({ "by": by, "header": { "alg": alg } });
        let lies = [
            ("another issuer", claims(json!({ "iss": "https://evil.example" })), "issuer"),
            ("an issuer with a slash more", claims(json!({ "iss": "http://127.0.0.1/" })), "issuer"),
            ("no issuer", claims(json!({ "iss": null })), "form"),
            ("another audience", claims(json!({ "aud": "another-client" })), "audience"),
            ("a further audience", claims(json!({ "aud": ["nsl", "another-client"], "azp": "nsl" })), "audience"),
            ("no audience", claims(json!({ "aud": null })), "audience"),
            ("for another party", claims(json!({ "azp": "another-client" })), "authorized_party"),
            ("another nonce", claims(json!({ "nonce": "of another sign-in" })), "nonce"),
            ("no nonce", claims(json!({ "nonce": null })), "nonce"),
            ("expired", claims(json!({ "exp": now() - 5 })), "time"),
            ("no end", claims(json!({ "exp": null })), "form"),
            ("issued long ago", claims(json!({ "iat": now() - 3_600 })), "time"),
            ("issued in the future", claims(json!({ "iat": now() + 3_600 })), "time"),
            ("no time of issue", claims(json!({ "iat": null })), "form"),
            ("no subject", claims(json!({ "sub": null })), "form"),
            ("an empty subject", claims(json!({ "sub": "" })), "subject"),
            ("a subject with a line break", claims(json!({ "sub": "alice\nbob" })), "subject"),
            ("a subject too long", claims(json!({ "sub": "a".repeat(300) })), "subject"),
            (
                "the hash of another access token",
                claims(json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" })),
                "access_token_hash",
            ),
            ("a subject twice", json!({ "raw": "\"sub\":\"admin\"" }), "form"),
            ("signed by nobody", by("nobody", "none"), "algorithm"),
            ("signed by Nobody", by("nobody", "None"), "form"),
            ("RS256 without a signature", by("nobody", "RS256"), "signature"),
            ("HS256 by the public key", by("public", "HS256"), "algorithm"),
            ("HS256 by the public set", by("public-jwk", "HS256"), "algorithm"),
            ("HS256 by the client's secret", by("secret", "HS256"), "algorithm"),
            ("HS512 by the client's secret", by("secret", "HS512"), "algorithm"),
            ("signed by a stranger", json!({ "by": "stranger" }), "signature"),
            ("a stranger's key in the token", json!({ "by": "embedded", "header": { "kid": null } }), "signature"),
            ("another algorithm in the header", json!({ "by": "secret", "header": { "alg": "ES256" } }), "algorithm"),
            ("a critical header", json!({ "header": { "crit": ["exp"] } }), ""),
            ("a token of another kind", json!({ "header": { "typ": "at+jwt" } }), "form"),
            ("a nested token", json!({ "header": { "cty": "JWT" } }), "form"),
        ];
        for (what, lie, part) in &lies {
            // The signing library of the liar refuses to write this one.
            if part.is_empty() {
                continue;
            }
            provider.lie(json!({ "token": lie }));
            let said = provider.sign_in(ground, "corp", None);
            let reply = callback(ground, As::Nobody, &said);
            assert_eq!(refusal(&reply), (401, "federation.token_refused".to_owned()), "{what}: {}", reply.body);
            assert_eq!(reply.json().unwrap()["details"]["part"], json!(part), "{what}");
        }
        provider.lie(json!({ "reply": { "id_token": null } }));
        let said = provider.sign_in(ground, "corp", None);
        assert_eq!(refusal(&callback(ground, As::Nobody, &said)).1, "federation.token_refused");
        provider.lie(json!({}));
        let said = provider.sign_in(ground, "corp", None);
        good(&callback(ground, As::Nobody, &said));
        println!("{} lies were not believed", lies.len());
    });
}

#[test]
fn an_unverified_or_odd_address_is_not_kept() {
    each(|ground, provider| {
        let lies = [
            (json!({ "email": "a@b.example", "email_verified": false }), true),
            (json!({ "email": "c@d.example", "email_verified": "true" }), false),
            (json!({ "email": "e@f.example", "email_verified": null }), true),
            (json!({ "email": "g@h.example\r\nBcc: x@y.example", "email_verified": true }), true),
            (json!({ "email": ["i@j.example"], "email_verified": true }), false),
        ];
        for (number, (mut claims, believed)) in lies.into_iter().enumerate() {
            claims["sub"] = json!(format!("person-{number}"));
            provider.lie(json!({ "token": { "claims": claims } }));
            let said = provider.sign_in(ground, "corp", None);
            let reply = callback(ground, As::Nobody, &said);
            if !believed {
                assert_eq!(refusal(&reply).1, "federation.token_refused", "{claims}");
                continue;
            }
            let me = ground.get(As::Token(access(&good(&reply))), "/v1/users/me");
            assert_eq!(me["email"], Value::Null, "{claims}");
        }
    });
}

#[test]
fn an_answer_of_another_provider_is_no_answer() {
    let (mut honest, mut evil) = (Provider::start(), Provider::start());
    let ground = Ground::start(false, &mut [("honest", &mut honest), ("evil", &mut evil)], &[]);
    // The person chose the evil one, which sends them on to the honest one with this server's own request.
    let asked_evil = begin(&ground, As::Nobody, "evil", json!({}));
    let asked_honest = begin(&ground, As::Nobody, "honest", json!({}));
    let given = honest.visit(asked_honest["url"].as_str().unwrap());
    for (change, what) in [
        (json!({}), "as it came"),
        (json!({ "iss": null }), "without the name of the one who answered"),
        (json!({ "redirect_uri": null }), "without the place where it arrived"),
        (json!({ "iss": null, "redirect_uri": null }), "without both"),
    ] {
        let begun = begin(&ground, As::Nobody, "evil", json!({}));
        let mut back = given.clone();
        back["state"] = begun["state"].clone();
        back["flow"] = begun["flow"].clone();
        for (name, value) in change.as_object().unwrap() {
            back[name] = value.clone();
        }
        back.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(refusal(&callback(&ground, As::Nobody, &back)).1, "federation.mix_up", "{what}");
    }
    assert_eq!(evil.asked(), json!([]), "the evil one never saw the code of the honest one");

    // One that says it names itself and then doesn't is somebody else.
    let mut said = honest.sign_in(&ground, "honest", None);
    said.as_object_mut().unwrap().remove("iss");
    assert_eq!(refusal(&callback(&ground, As::Nobody, &said)).1, "federation.mix_up");
    let mut said = honest.sign_in(&ground, "honest", None);
    said["iss"] = json!("https://evil.example");
    assert_eq!(refusal(&callback(&ground, As::Nobody, &said)).1, "federation.mix_up");

    // The code of one sign-in in another: the verifier is not the one it was asked with.
    let mut said = honest.sign_in(&ground, "honest", None);
    let other = begin(&ground, As::Nobody, "honest", json!({}));
    said["state"] = other["state"].clone();
    said["flow"] = other["flow"].clone();
    assert_eq!(refusal(&callback(&ground, As::Nobody, &said)).1, "federation.code_refused");
    let _ = asked_evil;
}

#[test]
fn a_provider_that_misbehaves_is_away_and_leads_nowhere() {
    let mut provider = Provider::start();
    let ground = Ground::start(false, &mut [("corp", &mut provider)], &[]);
    let (knock, port) = listener();
    let elsewhere = format!("http://127.0.0.1:{port}/token");
    for lie in [
        json!({ "discovery": { "issuer": "https://evil.example" } }),
        json!({ "discovery": { "token_endpoint": null } }),
        json!({ "discovery": { "token_endpoint": "file:///etc/passwd" } }),
        json!({ "discovery": { "authorization_endpoint": "javascript:alert(1)" } }),
        json!({ "discovery": { "code_challenge_methods_supported": ["plain"] } }),
        json!({ "discovery": { "jwks_uri": "ftp://127.0.0.1/jwks" } }),
        json!({ "jwks": "not a set" }),
    ] {
        provider.lie(lie.clone());
        let reply = ground.post(As::Nobody, "/v1/auth/oidc/corp/begin", &json!({}));
        assert_eq!(refusal(&reply), (503, "federation.provider_away".to_owned()), "{lie}");
        assert!(!reply.body.contains("evil"), "what is wrong there is for operators: {}", reply.body);
    }
    for lie in [json!({ "redirect": elsewhere }), json!({ "endless": true })] {
        provider.lie(json!({}));
        let said = provider.sign_in(&ground, "corp", None);
        provider.lie(lie.clone());
        let reply = callback(&ground, As::Nobody, &said);
        assert!(matches!(reply.status, 401 | 503), "{lie} {}", reply.body);
    }
    assert!(knock.accept().is_err(), "nobody followed a redirect with the client's secret");
}
