//! What it costs to see a token again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderValue, header};
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

#[tokio::test]
async fn a_token_seen_before_costs_less_than_five_microseconds() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = Loader::default().flags(["profile=development"]).load::<crate::Settings>().unwrap().value;
    let dialer = nsl_rpc::Dialer::new(Settings::default(), None, None, Arc::clone(&clock)).unwrap();
    let nowhere = dialer.channel("identity", &["http://127.0.0.1:1".to_owned()]).unwrap();
    let identity = IdentityClient::new(Via::Remote(nowhere));
    let key = SigningKey::generate().unwrap();
    let (subject, tenant) = (Subject::parse("usr_1").unwrap(), TenantId::parse("ten_1").unwrap());
    let mut access = Access::new("https://nsl.example", "nsl", subject, tenant, clock.now(), Duration::from_secs(900));
    (access.sid, access.scope) = (Some("ses_mine".into()), "storage:read storage:write relay:send".into());
    let token = key.sign(ACCESS, &access).unwrap();
    let sessions = SessionsClient::new(Via::Local(Arc::new(Issuer(key))));
    let auth = Authenticator::new(&settings.auth, identity, Some(sessions), clock, Box::new(|_: &str| {})).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());

    let trace = Trace { request_id: RequestId::fresh(), traceparent: None, correlation_id: None };
    let began = Instant::now();
    let Ok(Glance::Unknown { ask, .. }) = auth.glance(&headers, &[]) else { panic!("nobody knows it yet") };
    auth.look_up(ask, &trace, Deadline::within(Duration::from_secs(5))).await.unwrap();
    let first = began.elapsed();
    let again = quickest(200, 100, || {
        let glance = auth.glance(&headers, &[]);
        assert!(matches!(glance, Ok(Glance::Known(_))));
    });
    println!("a token of {} bytes: {first:?} with keys and revocations, then {again:?}", token.len());
    // Without optimisation there is no promise, only a bound.
    let most = if cfg!(debug_assertions) { 25 } else { 5 };
    assert!(again < Duration::from_micros(most), "{again:?}");
}
