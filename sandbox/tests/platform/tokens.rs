use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_sandbox::http;
use serde_json::{Value, json};

use crate::ground::{both, dev, ok, problem};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

fn rs256(key: &RsaKeyPair) -> impl Fn(&[u8]) -> Vec<u8> {
    |message| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

#[test]
fn only_tokens_that_the_issuer_signed_for_us_and_now_are_taken() {
    let (key, other) =
        (RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let n = b64(key.public_key().modulus().big_endian_without_leading_zero());
    let e = b64(key.public_key().exponent().big_endian_without_leading_zero());
    let set = json!({ "keys": [{ "kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": n, "e": e }] });
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("jwks.json");
    std::fs::write(&file, set.to_string()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" });
    let claims = json!({
        "iss": "https://issuer.example", "aud": "nsl", "sub": "alice", "tenant": "ten_tokens",
        "scope": "storage:read storage:write", "exp": now + 600, "iat": now - 5, "jti": "j1",
    });
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        token(&header, &claims, rs256(&key))
    };
    let public = key.public_key().as_ref().to_vec();
    let hs256 = |secret: Vec<u8>| {
        move |message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message).as_ref().to_vec()
    };
    let good = token(&header, &claims, rs256(&key));
    let mut bent = good.clone();
    let last = if bent.pop() == Some('A') { 'B' } else { 'A' };
    bent.push(last);
    let bad = [
        ("wrong key", token(&header, &claims, rs256(&other)), "auth.token_invalid"),
        ("bent signature", bent, "auth.token_invalid"),
        ("expired", changed("exp", json!(now - 3_600)), "auth.token_expired"),
        ("not yet", changed("nbf", json!(now + 3_600)), "auth.token_invalid"),
        ("other issuer", changed("iss", json!("https://evil.example")), "auth.token_invalid"),
        ("other audience", changed("aud", json!("shop")), "auth.token_invalid"),
        ("none", token(&json!({ "alg": "none", "typ": "JWT" }), &claims, |_| Vec::new()), "auth.token_invalid"),
        ("None", token(&json!({ "alg": "None", "kid": "k1" }), &claims, |_| Vec::new()), "auth.token_invalid"),
        ("confused", token(&json!({ "alg": "HS256", "kid": "k1" }), &claims, hs256(public)), "auth.token_invalid"),
        (
            "confused by JWK",
            token(&json!({ "alg": "HS256", "kid": "k1" }), &claims, hs256(set.to_string().into_bytes())),
            "auth.token_invalid",
        ),
    ];
    for database in both() {
        let launch = dev(database.as_ref())
            .env("NSL_AUTH__JWT__JWKS", &file)
            .env("NSL_AUTH__JWT__ISSUER", "https://issuer.example")
            .env("NSL_AUTH__JWT__AUDIENCE", "nsl");
        let nsl = launch.start().unwrap();
        let ask = |token: &str, method: &str, path: &str, body: &str| {
            let headers = [format!("Authorization: Bearer {token}"), "Content-Type: application/json".to_owned()];
            http(method, nsl.public(), path, &headers, body).unwrap()
        };
        let body = json!({ "key": "by-token", "value": 1, "encrypted": true }).to_string();
        ok(&ask(&good, "POST", "/v1/storage/store/neo-n3", &body));
        for (what, token, code) in &bad {
            for (method, path, body) in
                [("GET", "/v1/storage/retrieve/neo-n3/by-token", ""), ("POST", "/v1/storage/store/neo-n3", &body)]
            {
                let reply = ask(token, method, path, body);
                assert_eq!(reply.status, 401, "{what}: {}", reply.body);
                problem(&reply, 401, code);
            }
        }
        assert_eq!(ok(&ask(&good, "GET", "/v1/storage/retrieve/neo-n3/by-token?fresh=true", ""))["version"], json!(1));
        // A token's tenant is its own: the first tenant's key sees nothing of it.
        assert_eq!(nsl.request("GET", "/v1/storage/retrieve/neo-n3/by-token", "").unwrap().status, 404);
    }
}
