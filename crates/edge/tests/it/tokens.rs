use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::hmac;
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    forge::{AUDIENCE, ISSUER, NOW_S, Signer, b64, claims, claims_with},
    rig::{KEY, Rig, problem},
};

struct Keys {
    rsa: Signer,
    p256: Signer,
    ed: Signer,
    _dir: TempDir,
}

fn flags(jwks: &str) -> Vec<String> {
    vec![
        format!("auth.jwt.jwks={jwks}"),
        format!("auth.jwt.issuer={ISSUER}"),
        format!("auth.jwt.audience={AUDIENCE}"),
        "limits.auth_per_15_minutes=1000000".to_owned(),
    ]
}

async fn start(flags: &[String]) -> Rig {
    Rig::start(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn with_file() -> (Rig, Keys) {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys { rsa: Signer::rsa(), p256: Signer::p256(), ed: Signer::ed(), _dir: dir };
    let set = json!({ "keys": [keys.rsa.jwk("rsa"), keys.p256.jwk("p256"), keys.ed.jwk("ed")] });
    let path = keys._dir.path().join("jwks.json");
    std::fs::write(&path, set.to_string()).unwrap();
    (start(&flags(path.to_str().unwrap())).await, keys)
}

#[tokio::test]
async fn good_tokens_of_each_kind_are_their_subject() {
    let (rig, keys) = with_file().await;
    for (signer, id) in [(&keys.rsa, "rsa"), (&keys.p256, "p256"), (&keys.ed, "ed")] {
        let token = signer.token(id, &claims());
        for _ in 0..2 {
            let facts: Value = rig.with_bearer(&token).await.json().await.unwrap();
            assert_eq!((&facts["tenant"], &facts["subject"]), (&"ten_1".into(), &"auth0|alice".into()));
            assert_eq!((&facts["kind"], &facts["credential"]), (&"token".into(), &"token-1".into()));
            assert_eq!(facts["scopes"], json!(["echo:read", "echo:write"]));
        }
    }
    for good in [
        claims_with("aud", json!(["other", AUDIENCE])),
        claims_with("scope", json!(["echo:read"])),
        claims_with("scope", Value::Null),
        claims_with("jti", Value::Null),
        claims_with("nbf", Value::Null),
        claims_with("exp", json!(NOW_S as f64 + 60.5)),
        claims_with("exp", json!(NOW_S - 29)),
        claims_with("nbf", json!(NOW_S + 30)),
        claims_with("more", json!({ "of": ["the", "issuer's"] })),
    ] {
        assert_eq!(rig.with_bearer(&keys.rsa.token("rsa", &good)).await.status(), 200, "{good}");
    }
    let at = json!({ "alg": "EdDSA", "kid": "ed", "typ": "application/at+JWT" }).to_string();
    assert_eq!(rig.with_bearer(&keys.ed.token_of(&at, &claims().to_string())).await.status(), 200);
    rig.stop().await;
}

/// A token of another implementation than the one under test.
#[tokio::test]
async fn tokens_made_elsewhere_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let pkcs8 = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, json!({ "keys": [Signer::Ed(pair).jwk("ed")] }).to_string()).unwrap();
    let rig = start(&flags(path.to_str().unwrap())).await;
    let key = jsonwebtoken::EncodingKey::from_ed_der(pkcs8.as_ref());
    let header =
        jsonwebtoken::Header { kid: Some("ed".into()), ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA) };
    let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert_eq!(rig.with_bearer(&token).await.status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (rig, keys) = with_file().await;
    let Keys { rsa, p256, ed, .. } = &keys;
    let good = claims().to_string();
    let head = |value: Value| value.to_string();
    let rs = |more: Value| {
        let mut header = json!({ "alg": "RS256", "kid": "rsa", "typ": "JWT" });
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        header.to_string()
    };
    let stranger = Signer::rsa();
    let token = rsa.token("rsa", &claims());
    let parts: Vec<&str> = token.split('.').collect();
    let other = rsa.token("rsa", &claims_with("sub", json!("mallory")));
    let others: Vec<&str> = other.split('.').collect();
    let unsigned = |header: Value| format!("{}.{}.", b64(header.to_string()), b64(&good));
    let hmac_with = |secret: &[u8]| {
        let signed = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"rsa","typ":"JWT"}"#), b64(&good));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", b64(tag))
    };
    let modulus = rsa.jwk("rsa")["n"].as_str().unwrap().to_owned();
    let es = {
        // The same signature in DER, as other formats have it: not what RFC 7515 says.
        let signed = format!("{}.{}", b64(r#"{"alg":"ES256","kid":"p256"}"#), b64(&good));
        let raw = p256.sign(signed.as_bytes());
        let integer = |half: &[u8]| [&[2, 33, 0], half].concat();
        let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
        format!("{signed}.{}", b64([&[0x30, body.len() as u8], body.as_slice()].concat()))
    };
    let long = claims_with("more", json!("x".repeat(8_192)));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));

    let forgeries = [
        ("alg none", unsigned(json!({ "alg": "none" }))),
        ("alg none with a key", unsigned(json!({ "alg": "none", "kid": "rsa", "typ": "JWT" }))),
        ("alg nOnE", unsigned(json!({ "alg": "nOnE", "kid": "rsa" }))),
        ("alg none and a signature", rsa.token_of(r#"{"alg":"none","kid":"rsa"}"#, &good)),
        ("no alg", rsa.token_of(r#"{"kid":"rsa"}"#, &good)),
        ("alg null", rsa.token_of(r#"{"alg":null,"kid":"rsa"}"#, &good)),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("HS256 with the modulus", hmac_with(modulus.as_bytes())),
        ("HS256 with the JWK", hmac_with(rsa.jwk("rsa").to_string().as_bytes())),
        ("HS256 with nothing", hmac_with(b"")),
        ("an EdDSA key that claims RS256", ed.token_of(&head(json!({ "alg": "RS256", "kid": "ed" })), &good)),
        ("an RSA key that claims EdDSA", rsa.token_of(&head(json!({ "alg": "EdDSA", "kid": "rsa" })), &good)),
        ("an RSA key that claims ES256", rsa.token_of(&head(json!({ "alg": "ES256", "kid": "p256" })), &good)),
        ("another alg of the family", rsa.token_of(&rs(json!({ "alg": "RS512" })), &good)),
        ("PS256", rsa.token_of(&rs(json!({ "alg": "PS256" })), &good)),
        ("a stranger's key", stranger.token("rsa", &claims())),
        ("an unknown kid", rsa.token("unknown", &claims())),
        ("no kid among many keys", rsa.token_of(r#"{"alg":"RS256"}"#, &good)),
        ("a kid that is a path", rsa.token("../../../../dev/null", &claims())),
        ("a kid that is SQL", rsa.token("x' UNION SELECT 'key", &claims())),
        ("a kid that is a number", rsa.token_of(&rs(json!({ "kid": 7 })), &good)),
        ("jku", stranger.token_of(&rs(json!({ "jku": "http://127.0.0.1:1/jwks" })), &good)),
        ("x5u", stranger.token_of(&rs(json!({ "x5u": "http://127.0.0.1:1/cert" })), &good)),
        ("jwk", stranger.token_of(&rs(json!({ "jwk": stranger.jwk("rsa") })), &good)),
        ("jwk although signed well", rsa.token_of(&rs(json!({ "jwk": rsa.jwk("rsa") })), &good)),
        ("x5c", rsa.token_of(&rs(json!({ "x5c": ["MIIB"] })), &good)),
        ("crit", rsa.token_of(&rs(json!({ "crit": ["exp"] })), &good)),
        ("crit null", rsa.token_of(&rs(json!({ "crit": null })), &good)),
        ("unencoded payload", rsa.token_of(&rs(json!({ "b64": false })), &good)),
        ("compressed", rsa.token_of(&rs(json!({ "zip": "DEF" })), &good)),
        ("nested", rsa.token_of(&rs(json!({ "cty": "JWT" })), &token)),
        ("wrong typ", rsa.token_of(&rs(json!({ "typ": "dpop+jwt" })), &good)),
        ("a logout token", rsa.token_of(&rs(json!({ "typ": "logout+jwt" })), &good)),
        ("a header field twice", rsa.token_of(r#"{"alg":"RS256","kid":"rsa","alg":"none"}"#, &good)),
        ("a claim twice", rsa.token_of(&rs(json!({})), &good.replacen('{', r#"{"sub":"mallory","#, 1))),
        ("a claim twice, escaped", rsa.token_of(&rs(json!({})), &good.replacen('{', r#"{"\u0073ub":"mallory","#, 1))),
        ("spliced payload", format!("{}.{}.{}", parts[0], others[1], parts[2])),
        ("spliced signature", format!("{}.{}.{}", parts[0], parts[1], others[2])),
        ("cut signature", token[..token.len() - 4].to_owned()),
        ("padded signature", format!("{token}==")),
        ("four parts", format!("{token}.{}", parts[2])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("five parts", format!("{token}.a.b")),
        ("empty parts", "..".to_owned()),
        ("a signature in DER", es),
        ("standard base64", format!("{}.{}.{}", parts[0], parts[1], parts[2].replace('-', "+").replace('_', "/"))),
        ("header is a list", rsa.token_of(r#"["RS256"]"#, &good)),
        ("payload is a list", rsa.token_of(&rs(json!({})), "[1]")),
        ("payload is no JSON", rsa.token_of(&rs(json!({})), "sub=alice")),
        ("payload too deep", rsa.token_of(&rs(json!({})), &deep)),
        ("oversized", rsa.token("rsa", &long)),
    ];
    for (name, forged) in &forgeries {
        if *name == "standard base64" && forged == &token {
            continue;
        }
        let (status, code, body) = problem(rig.with_bearer(forged).await).await;
        assert_eq!((status, code.as_str()), (401, "auth.token_invalid"), "{name}");
        assert!(body.get("details").is_none(), "nothing is told of it: {name}");
    }
    assert_eq!(rig.with_bearer(&token).await.status(), 200, "the good one still works");
    assert_eq!(rig.service.was_reached(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn claims_that_do_not_fit_are_named_to_the_holder() {
    let (rig, keys) = with_file().await;
    for (claim, value) in [
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("nbf", json!(NOW_S + 31)),
        ("iat", json!(NOW_S + 3_600)),
        ("iss", json!("https://issuer.example/")),
        ("iss", Value::Null),
        ("iss", json!([ISSUER])),
        ("aud", json!("nsl2")),
        ("aud", json!(["a", "b"])),
        ("aud", json!({ "nsl": true })),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("a,b")),
        ("sub", json!("")),
        ("sub", json!("system")),
        ("sub", json!("anonymous")),
        ("sub", json!("stranger-2026-11")),
        ("tenant", json!("platform")),
        ("tenant", json!("anonymous")),
        ("tenant", Value::Null),
        ("tenant", json!("ten_1' OR 1=1")),
        ("tenant", json!(["ten_1"])),
        ("scope", json!({ "echo": true })),
        ("scope", json!(["echo:read", 7])),
        ("scope", json!(vec!["a"; 257])),
        ("jti", json!(7)),
    ] {
        let token = keys.ed.token("ed", &claims_with(claim, value.clone()));
        let (status, code, body) = problem(rig.with_bearer(&token).await).await;
        assert_eq!((status, code.as_str()), (401, "auth.token_invalid"), "{claim} {value}");
        assert_eq!(body["details"]["claim"], claim, "{value}");
    }
    for past in [json!(NOW_S - 30), json!(0), json!(NOW_S - 100_000)] {
        let token = keys.ed.token("ed", &claims_with("exp", past));
        assert_eq!(problem(rig.with_bearer(&token).await).await.1, "auth.token_expired");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_says() {
    let (rig, keys) = with_file().await;
    let token = keys.p256.token("p256", &claims_with("exp", json!(NOW_S + 100)));
    assert_eq!(rig.with_bearer(&token).await.status(), 200);
    rig.clock.advance(Duration::from_secs(129));
    assert_eq!(rig.with_bearer(&token).await.status(), 200);
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(problem(rig.with_bearer(&token).await).await.1, "auth.token_expired");
    rig.stop().await;
}

#[derive(Default)]
struct Issuer {
    set: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

async fn issuer() -> (String, Arc<Issuer>, tokio::task::JoinSet<()>) {
    let issuer = Arc::new(Issuer::default());
    let answer = |State(issuer): State<Arc<Issuer>>| async move {
        issuer.asked.fetch_add(1, Ordering::SeqCst);
        issuer.set.lock().clone().map(Json).ok_or(StatusCode::SERVICE_UNAVAILABLE)
    };
    let router = Router::new().route("/jwks", get(answer)).with_state(Arc::clone(&issuer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, issuer, tasks)
}

#[tokio::test]
async fn keys_are_fetched_when_needed_and_not_at_a_forgers_pleasure() {
    let (url, issuer, _tasks) = issuer().await;
    let rig = start(&flags(&url)).await;
    let (first, second) = (Signer::ed(), Signer::ed());
    let asked = || issuer.asked.load(Ordering::SeqCst);
    let with = async |signer: &Signer, id: &str| {
        let token = signer.token(id, &claims_with("jti", json!(nsl_core::fresh("jti"))));
        rig.with_bearer(&token).await.status().as_u16()
    };
    assert_eq!(asked(), 0);
    assert_eq!(with(&first, "1").await, 503, "an issuer that is away is not the caller's fault");
    assert_eq!(with(&first, "1").await, 503);
    assert_eq!(asked(), 1, "and is not hammered");
    *issuer.set.lock() = Some(json!({ "keys": [first.jwk("1")] }));
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!((with(&first, "1").await, asked()), (200, 2));

    rig.clock.advance(Duration::from_secs(31));
    for n in 0..20 {
        assert_eq!(with(&second, &format!("made-up-{n}")).await, 401);
    }
    assert_eq!(asked(), 3, "one look for twenty unknown names");

    // The issuer rotates: the new key works at its first token, the old one no longer.
    let kept = first.token("1", &claims());
    assert_eq!(rig.with_bearer(&kept).await.status(), 200);
    *issuer.set.lock() = Some(json!({ "keys": [second.jwk("2")] }));
    rig.clock.advance(Duration::from_secs(31));
    assert_eq!((with(&second, "2").await, asked()), (200, 4));
    assert_eq!(rig.with_bearer(&kept).await.status(), 401, "what was remembered is checked against the new keys");
    rig.stop().await;
}

#[tokio::test]
async fn an_issuer_that_is_away_is_survived_for_a_while() {
    let (url, issuer, _tasks) = issuer().await;
    let rig = start(&flags(&url)).await;
    let signer = Signer::ed();
    *issuer.set.lock() = Some(json!({ "keys": [signer.jwk("1")] }));
    let token = |n: u64| signer.token("1", &claims_with("exp", json!(NOW_S + 100_000 + n as i64)));
    assert_eq!(rig.with_bearer(&token(0)).await.status(), 200);
    *issuer.set.lock() = None;
    rig.clock.advance(Duration::from_secs(3_000));
    assert_eq!(rig.with_bearer(&token(1)).await.status(), 200, "with the old keys");
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
    rig.clock.advance(Duration::from_secs(700));
    let (status, code, _) = problem(rig.with_bearer(&token(2)).await).await;
    assert_eq!((status, code.as_str()), (503, "auth.unavailable"));
    *issuer.set.lock() = Some(json!({ "keys": [signer.jwk("1")] }));
    rig.clock.advance(Duration::from_secs(31));
    assert_eq!(rig.with_bearer(&token(3)).await.status(), 200);
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn without_an_issuer_no_token_is_taken() {
    let rig = Rig::start(&[]).await;
    let token = Signer::ed().token("ed", &claims());
    let (status, code, _) = problem(rig.with_bearer(&token).await).await;
    assert_eq!((status, code.as_str()), (401, "auth.token_invalid"));
    rig.stop().await;
}
