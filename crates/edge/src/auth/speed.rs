//! What it costs to see a token for the first time, and again: `make bench` writes it down.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_api::{
    identity::IdentityClient,
    sessions::{
        EndOtherSessions, EndSession, EndedSessions, ListSessions, Logout, RefreshTokens, Revocation, Revocations,
        RevokedSince, SessionInfo, SessionList, Sessions, SessionsClient, TokenKeySet, TokenKeys, TokenReply,
    },
};
use nsl_core::{Clock, Cx, Deadline, Error, RequestId, Result, Subject, SystemClock, TenantId, Timestamp, Trace};
use nsl_kit::Loader;
use nsl_rpc::{Client, Settings, Via};
use nsl_token::{ACCESS, Access, SigningKey};
use tokio::time::Instant;

use super::{Authenticator, Glance};

struct Issuer(SigningKey);

fn not_here<T>() -> Result<T> {
    Err(Error::invalid("internal", "this fake does not do that"))
}

#[async_trait]
impl Sessions for Issuer {
    async fn token_keys(&self, _: &Cx, _: TokenKeys) -> Result<TokenKeySet> {
        let jwks = serde_json::json!({ "keys": [self.0.jwk()] }).to_string();
        Ok(TokenKeySet { issuer: "https://nsl.example".into(), audience: "nsl".into(), jwks })
    }

    // Many that have nothing to do with the token.
    async fn revoked_since(&self, _: &Cx, request: RevokedSince) -> Result<Revocations> {
        let until = Timestamp(i64::MAX);
        let item = |seq| Revocation { seq, what: format!("sid:ses_{seq}"), until };
        let items = if request.seq == 0 { (1..=100_000).map(item).collect() } else { Vec::new() };
        Ok(Revocations { items, more: false })
    }

    async fn refresh_tokens(&self, _: &Cx, _: RefreshTokens) -> Result<TokenReply> {
        not_here()
    }

    async fn logout(&self, _: &Cx, _: Logout) -> Result<EndedSessions> {
        not_here()
    }

    async fn list_sessions(&self, _: &Cx, _: ListSessions) -> Result<SessionList> {
        not_here()
    }

    async fn end_session(&self, _: &Cx, _: EndSession) -> Result<SessionInfo> {
        not_here()
    }

    async fn end_other_sessions(&self, _: &Cx, _: EndOtherSessions) -> Result<EndedSessions> {
        not_here()
    }
}

/// The quickest of many turns, each of them shorter than what a busy machine takes away at once.
fn quickest(turns: usize, each: usize, mut work: impl FnMut()) -> Duration {
    let turn = |_| {
        let began = Instant::now();
        (0..each).for_each(|_| work());
        began.elapsed() / each as u32
    };
    (0..turns).map(turn).min().expect("there is a turn")
}

/// The same signature, checked by nothing but the cryptography.
fn bare(key: &serde_json::Value, token: &str) -> Duration {
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let member = |name: &str| part(key[name].as_str().unwrap());
    let key = RsaPublicKeyComponents { n: member("n"), e: member("e") };
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = part(signature);
    quickest(50, 20, || key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).unwrap())
}

#[tokio::test]
#[ignore = "a measurement"]
async fn speed() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = Loader::default().flags(["profile=development"]).load::<crate::Settings>().unwrap().value;
    let dialer = nsl_rpc::Dialer::new(Settings::default(), None, None, Arc::clone(&clock)).unwrap();
    let nowhere = dialer.channel("identity", &["http://127.0.0.1:1".to_owned()]).unwrap();
    let identity = IdentityClient::new(Via::Remote(nowhere));
    let key = SigningKey::generate().unwrap();
    let tokens: Vec<String> = (0..400)
        .map(|number| {
            let (subject, tenant) = (Subject::parse("usr_1").unwrap(), TenantId::parse("ten_1").unwrap());
            let life = Duration::from_secs(900);
            let mut access = Access::new("https://nsl.example", "nsl", subject, tenant, clock.now(), life);
            access.sid = Some(format!("ses_of_{number}"));
            access.scope = "storage:read storage:write relay:send".into();
            key.sign(ACCESS, &access).unwrap()
        })
        .collect();
    let crypto = bare(&key.jwk(), &tokens[0]);
    let sessions = SessionsClient::new(Via::Local(Arc::new(Issuer(key))));
    let auth = Authenticator::new(&settings.auth, identity, Some(sessions), clock, Box::new(|_: &str| {})).unwrap();
    let headers: Vec<HeaderMap> = tokens
        .iter()
        .map(|token| {
            let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
            HeaderMap::from_iter([(header::AUTHORIZATION, value)])
        })
        .collect();
    let trace = Trace { request_id: RequestId::fresh(), traceparent: None, correlation_id: None };
    let mut first = Duration::MAX;
    for headers in &headers {
        let began = Instant::now();
        let Ok(Glance::Unknown { ask, .. }) = auth.glance(headers, &[]) else { panic!("nobody knows it yet") };
        auth.look_up(ask, &trace, Deadline::within(Duration::from_secs(5))).await.unwrap();
        first = first.min(began.elapsed());
    }
    let again = quickest(200, 100, || {
        let glance = auth.glance(&headers[0], &[]);
        assert!(matches!(glance, Ok(Glance::Known(_))));
    });
    println!("measured: an RS256 signature of a 2048-bit key, by the cryptography alone | {crypto:.1?}");
    println!("measured: an access token never seen before ({} bytes) | {first:.1?}", tokens[0].len());
    println!("measured: an access token seen before, beside 100,000 revocations | {again:.1?}");
}
