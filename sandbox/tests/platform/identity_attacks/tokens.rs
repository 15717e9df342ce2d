use serde_json::{Value, json};

use super::{
    Person, Siege, bearer,
    forge::{AUDIENCE, OUTSIDE, Rsa, b64, hs256, now, text_of, token},
};
use crate::ground::ok;

const INVALID: &str = "auth.token_invalid";

/// What can be made of a good token, and of the public keys, by who has no private one.
pub(super) fn forged(siege: &Siege, alice: &Person, bob: &Person) {
    let set = ok(&siege.ask("GET", "/.well-known/jwks.json", &[], &Value::Null));
    let jwk = &set["keys"][0];
    let parts: Vec<&str> = alice.access.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("a token has three parts") };
    let (header, claims): (Value, Value) =
        (serde_json::from_str(&text_of(head)).unwrap(), serde_json::from_str(&text_of(body)).unwrap());
    let said = claims.to_string();
    let id = header["kid"].as_str().unwrap();
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("RS256")));
    assert!(set["keys"].as_array().unwrap().iter().any(|key| key["kid"] == id && key.get("d").is_none()));
    assert_eq!(siege.show(&[bearer(&alice.access)]).status, 200);
    let with = |more: Value| {
        let mut changed = header.clone();
        for (name, value) in more.as_object().unwrap() {
            changed[name] = value.clone();
        }
        changed.to_string()
    };
    let other = Rsa::fresh();
    let mine = |header: String| token(&header, &said, |message| other.sign(message));

    for name in ["none", "None", "NONE", "nOnE", ""] {
        let naked = token(&with(json!({ "alg": name })), &said, |_| Vec::new());
        siege.repels(&format!("alg {name:?} without a signature"), &naked, 401, INVALID);
    }
    let kept = format!("{}.{body}.{signature}", b64(with(json!({ "alg": "none" }))));
    siege.repels("alg none beside the signature", &kept, 401, INVALID);
    let n = jwk["n"].as_str().unwrap();
    for (what, secret) in [
        ("the JWK", jwk.to_string()),
        ("the key set", set.to_string()),
        ("the modulus", n.to_owned()),
        ("the name of the key", id.to_owned()),
        ("nothing", String::new()),
    ] {
        let confused = token(&with(json!({ "alg": "HS256" })), &said, hs256(secret.as_bytes()));
        siege.repels(&format!("HS256 with {what} for a secret"), &confused, 401, INVALID);
    }
    for name in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS512", "rs256", "RS256 "] {
        let relabelled = format!("{}.{body}.{signature}", b64(with(json!({ "alg": name }))));
        siege.repels(&format!("relabelled {name:?}"), &relabelled, 401, INVALID);
    }
    let pss = token(&with(json!({})), &said, |message| other.sign_pss(message));
    siege.repels("PSS under the name RS256", &pss, 401, INVALID);
    for (what, value) in [("a list", json!(["RS256"])), ("null", Value::Null), ("a number", json!(256))] {
        siege.repels(&format!("alg as {what}"), &mine(with(json!({ "alg": value }))), 401, INVALID);
    }

    siege.repels("our key's name on another key", &mine(with(json!({}))), 401, INVALID);
    let url = "https://evil.example/jwks.json";
    for (what, value) in [
        ("unknown", json!("mallory-1")),
        ("a path", json!("../../../../dev/null")),
        ("a path with a NUL", json!("/dev/null\u{0}.pem")),
        ("an address", json!(url)),
        ("SQL", json!("' OR '1'='1' --")),
        ("a command", json!("$(id)|id;`id`")),
        ("of the outside issuer", json!("out-1")),
        ("a number", json!(1)),
        ("an object", json!({ "$ne": "" })),
        ("null", Value::Null),
        ("a novel", json!("k".repeat(6_000))),
    ] {
        siege.repels(&format!("a kid that is {what}"), &mine(with(json!({ "kid": value }))), 401, INVALID);
    }
    let traversal = token(&with(json!({ "alg": "HS256", "kid": "/dev/null" })), &said, hs256(b""));
    siege.repels("a kid that is an empty file, by HS256", &traversal, 401, INVALID);
    for (name, value) in [
        ("jwk", other.jwk(id)),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
    ] {
        siege.repels(&format!("{name} in the header"), &mine(with(json!({ name: value }))), 401, INVALID);
    }
    for kind in ["JWT", "dpop+jwt", "logout+jwt", "secevent+jwt"] {
        let renamed = format!("{}.{body}.{signature}", b64(with(json!({ "typ": kind }))));
        siege.repels(&format!("typ {kind}"), &renamed, 401, INVALID);
    }

    let others: Vec<&str> = bob.access.split('.').collect();
    siege.repels("alice's claims with bob's signature", &format!("{head}.{body}.{}", others[2]), 401, INVALID);
    siege.repels("bob's claims with alice's signature", &format!("{head}.{}.{signature}", others[1]), 401, INVALID);
    for (name, value) in [
        ("sub", json!("usr_root")),
        ("tenant", json!(bob.tenant)),
        ("exp", json!(now() + 86_400)),
        ("mfa_time", json!(now())),
        ("jti", json!("jti_other")),
        ("sid", json!(bob.session)),
        ("rev", json!(i64::MAX)),
    ] {
        let mut changed = claims.clone();
        changed[name] = value;
        let bent = format!("{head}.{}.{signature}", b64(changed.to_string()));
        siege.repels(&format!("{name} changed under the signature"), &bent, 401, INVALID);
    }
    let spaced = format!("{head}.{}.{signature}", b64(format!(" {}", text_of(body))));
    siege.repels("a space before the claims", &spaced, 401, INVALID);
    let cut = |count: usize| &alice.access[..alice.access.len() - count];
    let flipped = format!("{}{}", cut(5), if cut(4).ends_with('A') { "BAAAA" } else { "AAAAA" });
    for (what, bad) in [
        ("without a signature", format!("{head}.{body}.")),
        ("without a signature and its dot", format!("{head}.{body}")),
        ("with half a signature", cut(signature.len() / 2).to_owned()),
        ("with a signature that lacks an end", cut(1).to_owned()),
        ("with a bent signature", flipped),
        ("with a padded signature", format!("{}==", alice.access)),
        ("with its signature twice", format!("{}.{signature}", alice.access)),
        ("without claims", format!("{head}..{signature}")),
        ("without a header", format!(".{body}.{signature}")),
        ("of dots", "..".to_owned()),
        ("as JSON", json!({ "protected": head, "payload": body, "signature": signature }).to_string() + "."),
        ("in five parts", format!("{head}.{body}.{signature}.AA.AA")),
        (
            "of more than 8 KiB",
            token(&with(json!({})), &format!("{{\"a\":\"{}\"}}", "a".repeat(9_000)), |m| other.sign(m)),
        ),
        ("in a token", token(&with(json!({})), &json!({ "jwt": alice.access }).to_string(), |m| other.sign(m))),
        ("in standard Base64", alice.access.replace('-', "+").replace('_', "/") + "+"),
    ] {
        siege.repels(&format!("a token {what}"), &bad, 401, INVALID);
    }
    let twice = format!("{{\"alg\":\"none\",{}", &header.to_string()[1..]);
    siege.repels("a header that names alg twice", &mine(twice), 401, INVALID);
    siege.repels("a header that is a list", &mine("[\"RS256\",\"at+jwt\"]".to_owned()), 401, INVALID);
    siege.repels("a header that is no JSON", &mine("alg: RS256".to_owned()), 401, INVALID);
}

/// What one can claim who has an account at an issuer that is trusted.
pub(super) fn claimed(siege: &Siege) {
    let outside = &siege.outside;
    assert_eq!(siege.show(&[bearer(&outside.signed(&outside.claims().to_string()))]).status, 200);
    let ours = ok(&siege.ask("GET", "/.well-known/openid-configuration", &[], &Value::Null));
    let own_name = ours["issuer"].as_str().unwrap().to_owned();
    let with = |name: &str, value: Value| {
        let mut claims = outside.claims();
        claims[name] = value;
        outside.signed(&claims.to_string())
    };
    siege.repels("expired", &with("exp", json!(now() - 31)), 401, "auth.token_expired");
    siege.repels("expired long ago", &with("exp", json!(0)), 401, "auth.token_expired");
    for (what, name, value) in [
        ("not valid yet", "nbf", json!(now() + 60)),
        ("from tomorrow", "iat", json!(now() + 86_400)),
        ("without an end", "exp", Value::Null),
        ("with an end in words", "exp", json!("tomorrow")),
        ("with an end before all time", "exp", json!(-1)),
        ("with an end after all time", "exp", json!(1e300)),
        ("for another audience", "aud", json!("shop")),
        ("for an audience that begins like ours", "aud", json!(format!("{AUDIENCE}.evil.example"))),
        ("for nobody", "aud", json!([])),
        ("for an object", "aud", json!({ "0": AUDIENCE })),
        ("of another issuer", "iss", json!("https://evil.example")),
        ("of an issuer that begins alike", "iss", json!(format!("{OUTSIDE}.evil.example"))),
        ("of us, with another's key", "iss", json!(own_name)),
        ("of two issuers", "iss", json!([OUTSIDE])),
        ("of the system", "sub", json!("system")),
        ("of the platform", "sub", json!("platform")),
        ("of no name", "sub", json!("")),
        ("of a name with a slash", "sub", json!("../alice")),
        ("for the tenant of the platform", "tenant", json!("platform")),
        ("for no tenant", "tenant", Value::Null),
        ("for two tenants", "tenant", json!(["ten_outside", "ten_other"])),
        ("with a name of two lines", "jti", json!("a\nb")),
        ("bound by a certificate", "cnf", json!({ "x5t#S256": "A".repeat(43) })),
        ("acting as the system", "act", json!({ "sub": "system" })),
        ("with scopes in an object", "scope", json!({ "*": true })),
    ] {
        siege.repels(&format!("an outside token {what}"), &with(name, value), 401, INVALID);
    }
    let claims = outside.claims().to_string();
    for (what, more) in [
        ("sub", "{\"sub\":\"alice\","),
        ("tenant in another spelling", "{\"\\u0074enant\":\"ten_other\","),
        ("exp", "{\"exp\":9999999999,"),
    ] {
        let twice = outside.signed(&claims.replacen('{', more, 1));
        siege.repels(&format!("an outside token that names {what} twice"), &twice, 401, INVALID);
    }
    let deep = format!("{{\"a\":{}1{},{}", "[".repeat(100), "]".repeat(100), &claims[1..]);
    siege.repels("an outside token nested a hundred levels deep", &outside.signed(&deep), 401, INVALID);
    for (what, text) in
        [("a list", format!("[{claims}]")), ("two objects", claims.repeat(2)), ("nothing", String::new())]
    {
        siege.repels(&format!("an outside token whose claims are {what}"), &outside.signed(&text), 401, INVALID);
    }
    // It may say so, but a session of ours it has not.
    let mut person = outside.claims();
    (person["sid"], person["mfa_time"], person["amr"]) = (json!("ses_1"), json!(now()), json!(["mfa"]));
    let headers = [bearer(&outside.signed(&person.to_string()))];
    let policy = json!({ "text": "permit(principal, action, resource);" });
    let reply = siege.ask("PUT", "/v1/access/policies/open", &headers, &policy);
    siege.repelled("an outside token that claims a session and a second factor", &reply, 403, "auth.person_needed");
}

/// Good credentials in wrong places.
pub(super) fn shown_wrongly(siege: &Siege, alice: &Person) {
    let (token, key) = (&alice.access, &siege.ground.key);
    siege.repels("a refresh token as a bearer's", &alice.refresh, 401, "auth.malformed");
    for (what, headers) in [
        ("Basic", vec![format!("Authorization: Basic {}", b64(format!("alice:{token}")))]),
        ("an unknown scheme", vec![format!("Authorization: Token {token}")]),
        ("no scheme", vec![format!("Authorization: {token}")]),
        ("X-API-Key", vec![format!("X-API-Key: {token}")]),
        ("DPoP, a key", vec![format!("Authorization: DPoP {key}")]),
    ] {
        siege.repelled(&format!("by {what}"), &siege.show(&headers), 401, "auth.malformed");
    }
    for (what, headers) in [
        ("two tokens", vec![bearer(token), bearer(token)]),
        ("a token and a key", vec![bearer(token), format!("X-API-Key: {key}")]),
        ("two keys", vec![format!("X-API-Key: {key}"), format!("X-API-Key: {key}")]),
    ] {
        siege.repelled(what, &siege.show(&headers), 400, "auth.ambiguous");
    }
    let headers = [format!("Authorization: DPoP {token}")];
    siege.repelled("by DPoP, a token that is bound to nothing", &siege.show(&headers), 401, INVALID);
    for (what, header) in
        [("a cookie", format!("Cookie: access_token={token}")), ("a header of its own", format!("X-Token: {token}"))]
    {
        siege.repelled(&format!("in {what}"), &siege.show(&[header]), 401, "auth.missing");
    }
    let reply = siege.ask("GET", &format!("{DOOR_WITH}{token}"), &[], &Value::Null);
    siege.repelled("in the URL", &reply, 401, "auth.missing");
    let forms = json!({ "access_token": token });
    let reply = siege.post("/v1/storage/store/neo-n3", &forms);
    siege.repelled("in the body", &reply, 401, "auth.missing");
    for (what, shown, code) in [
        ("an access token", token.as_str(), "tokens.refresh_unknown"),
        ("an API key", key.as_str(), "tokens.refresh_unknown"),
        ("a session's id", alice.session.as_str(), "tokens.refresh_unknown"),
    ] {
        let reply = siege.post("/v1/auth/refresh", &json!({ "refresh_token": shown }));
        siege.repelled(&format!("{what} as a refresh token"), &reply, 401, code);
    }
}

const DOOR_WITH: &str = "/v1/storage/usage?access_token=";
