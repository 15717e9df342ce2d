//! The platform as the issuer of its own tokens, and a holder of keys that they are bound to.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nsl_api::sessions::{
    EndOtherSessions, EndSession, EndedSessions, ListSessions, Logout, RefreshTokens, Revocation, Revocations,
    RevokedSince, SessionInfo, SessionList, Sessions, TokenKeySet, TokenKeys, TokenReply,
};
use nsl_core::{Code, Cx, Error, PrincipalKind, Result, Subject, TenantId, Timestamp};
use nsl_token::{ACCESS, Access, Confirmation, SigningKey, dpop, thumbprint};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    forge::{NOW_S, Signer, b64},
    rig::{START, not_here},
};

pub(crate) const OURS: &str = "https://nsl.example";

pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());
/// A key that signs once the rotation is told.
pub(crate) static NEXT: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

/// A sessions service that tells what it was told, and can be away.
#[derive(Default)]
pub(crate) struct FakeSessions {
    pub(crate) revoked: Mutex<Vec<Revocation>>,
    pub(crate) away: AtomicBool,
    pub(crate) rotated: AtomicBool,
    pub(crate) keys_asked: AtomicUsize,
    pub(crate) news_asked: AtomicUsize,
}

impl FakeSessions {
    pub(crate) fn revoke(&self, seq: i64, what: &str) {
        self.revoked.lock().push(Revocation {
            seq,
            what: what.to_owned(),
            until: START.plus(Duration::from_secs(900)),
        });
    }

    fn here(&self, cx: &Cx) -> Result<()> {
        assert_eq!(cx.principal.kind, PrincipalKind::System);
        match self.away.load(Ordering::SeqCst) {
            true => Err(Error::new(Code::Unavailable, "peer.unreachable", "identity is away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Sessions for FakeSessions {
    async fn token_keys(&self, cx: &Cx, _: TokenKeys) -> Result<TokenKeySet> {
        self.keys_asked.fetch_add(1, Ordering::SeqCst);
        self.here(cx)?;
        let mut keys = vec![KEY.jwk()];
        if self.rotated.load(Ordering::SeqCst) {
            keys.insert(0, NEXT.jwk());
        }
        let jwks = json!({ "keys": keys }).to_string();
        Ok(TokenKeySet { issuer: OURS.into(), audience: "nsl-api".into(), jwks })
    }

    // Two at a time, so that readers have to come again.
    async fn revoked_since(&self, cx: &Cx, request: RevokedSince) -> Result<Revocations> {
        self.news_asked.fetch_add(1, Ordering::SeqCst);
        self.here(cx)?;
        let after: Vec<_> = self.revoked.lock().iter().filter(|item| item.seq > request.seq).cloned().collect();
        Ok(Revocations { more: after.len() > 2, items: after.into_iter().take(2).collect() })
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

/// Alice's access token in the session `ses_1`.
pub(crate) fn access() -> Access {
    let (alice, tenant) = (Subject::parse("usr_alice").unwrap(), TenantId::parse("ten_1").unwrap());
    let mut access = Access::new(OURS, "nsl-api", alice, tenant, START, Duration::from_secs(900));
    access.scope = "echo:read echo:write".into();
    access.sid = Some("ses_1".into());
    access
}

pub(crate) fn signed(access: &Access) -> String {
    KEY.sign(ACCESS, access).unwrap()
}

/// One who has a key and proves it.
pub(crate) struct Holder {
    pub(crate) key: Signer,
    pub(crate) jwk: Value,
}

impl Holder {
    pub(crate) fn fresh() -> Self {
        let key = Signer::p256();
        let jwk = key.jwk("");
        let jwk = json!({ "kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"] });
        Self { key, jwk }
    }

    pub(crate) fn confirmation(&self) -> Confirmation {
        Confirmation { jkt: thumbprint(&self.jwk).unwrap() }
    }

    pub(crate) fn proof(&self, method: &str, url: &str, token: &str, change: impl FnOnce(&mut Value)) -> String {
        let header = json!({ "alg": "ES256", "typ": dpop::KIND, "jwk": self.jwk });
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let mut claims = json!({
            "jti": nsl_core::fresh("p"), "htm": method, "htu": url, "iat": NOW_S, "ath": b64(hash),
        });
        change(&mut claims);
        self.key.token_of(&header.to_string(), &claims.to_string())
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp(second * 1_000_000)
}
