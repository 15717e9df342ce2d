//! Sessions, their tokens, and the keys that sign them.

mod config;
mod http;
mod issue;
pub(crate) mod origin;
mod revoked;
pub(crate) mod rules;
mod service;
mod signer;
pub(crate) mod store;
mod worker;

use nsl_api::sessions::TokenReply;
use nsl_core::{Code, Cx, Entry, Error, Principal, PrincipalKind, Result, Subject, TenantId, Timestamp, fresh};
use nsl_keyring::bind;
use nsl_token::dpop;
use serde_json::Map;

pub(crate) use self::config::Config;
pub(crate) use self::{
    http::{face, proof},
    issue::{Grant, OWN_CLIENT, Rights, reply},
    revoked::{Marks, What, is_revoked, newest, revoke},
    rules::is_refresh_token,
    store::Basis,
    worker::start,
};
use self::{
    origin::Origin,
    signer::Signer,
    store::{End, Open, Raise, Session, Which},
};
use crate::{
    ground::Ground,
    people::store::{PLATFORM, Status, User},
    secrets::digest_of,
};

/// Who has proven to be whom, and how.
pub(crate) struct Proven<'a> {
    pub(crate) user: &'a User,
    /// None: where they have been a member longest.
    pub(crate) tenant: Option<TenantId>,
    /// In words of RFC 8176 (pwd, otp, hwk, swk, user, mfa), and fed.
    pub(crate) amr: Vec<&'static str>,
    pub(crate) second_factor_at: Option<Timestamp>,
    /// The client through which they came.
    pub(crate) client: Option<String>,
    /// The key that all tokens of the session are bound to.
    pub(crate) jkt: Option<String>,
    pub(crate) basis: Basis,
}

/// Gives out tokens and takes them back.
pub(crate) struct Tokens {
    pub(crate) ground: Ground,
    signer: Signer,
    /// DPoP proofs that were shown to us.
    shown: moka::sync::Cache<[u8; 32], ()>,
}

const MOST_PROOFS: u64 = 100_000;

impl Tokens {
    pub(crate) fn new(ground: Ground) -> Self {
        let shown = moka::sync::Cache::builder().max_capacity(MOST_PROOFS).time_to_live(dpop::REMEMBERED).build();
        Self { ground, signer: Signer::new(), shown }
    }

    /// Opens a session for somebody who has proven who they are.
    pub(crate) async fn open(&self, cx: &Cx, proven: Proven<'_>) -> Result<TokenReply> {
        self.open_limited(cx, proven, None).await
    }

    /// As [`Self::open`], for no more than `scope`.
    pub(crate) async fn open_limited(
        &self,
        cx: &Cx,
        proven: Proven<'_>,
        scope: Option<Vec<String>>,
    ) -> Result<TokenReply> {
        let user = proven.user;
        check_status(user.status)?;
        let rights = self.rights(&user.id, proven.tenant.as_ref(), scope.as_deref()).await?;
        let (config, now) = (&self.ground.config.tokens, self.ground.clock.now());
        let id = fresh("ses");
        let cx = as_user(cx, &rights.tenant, &user.id)?;
        let (origin, seal_key) = origin::seal(&self.ground.keyring, &cx, &cx.principal.subject, &place(&id)).await?;
        let session = Session {
            user: user.id.clone(),
            tenant: rights.tenant.clone(),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(config.refresh_ttl),
            ends_at: now.plus(config.session_ttl),
            amr: proven.amr.iter().map(|&method| method.to_owned()).collect(),
            second_factor_at: proven.second_factor_at,
            client: proven.client,
            jkt: proven.jkt,
            scope,
            origin,
            seal_key,
            ended_at: None,
            id,
        };
        let entry = Entry::new(&cx, "tokens.session_opened", "identity", "sign_in", now)
            .request("session", session.id.as_str())
            .request("amr", session.amr.join(" "))
            .request("client", session.client.clone());
        let evidence = self.ground.ledger.seal(&cx, entry, Map::new()).await?;
        let token = rules::refresh_token()?;
        let digest = digest_of(&token);
        // Signed before anything is written: who gets no reply has no session.
        let reply = self.reply(&session, rights, Some(token)).await?;
        let most = config.sessions_per_user;
        let change = Open { cx: cx.clone(), session, basis: proven.basis, digest, most, evidence };
        self.write(&cx, change).await?;
        Ok(reply)
    }

    /// The person of a session has shown a second factor now: it is remembered, and told in a new access token.
    pub(crate) async fn raise(&self, cx: &Cx, session: &str, amr: &'static str) -> Result<TokenReply> {
        let now = self.ground.clock.now();
        let found = store::find(&self.ground.db, session).await?.filter(|session| session.is_live(now));
        let mut session = found.ok_or_else(session_missing)?;
        let rights = self.rights(&session.user, Some(&session.tenant), session.scope.as_deref()).await?;
        for method in [amr, "mfa"] {
            if !session.amr.iter().any(|known| known == method) {
                session.amr.push(method.to_owned());
            }
        }
        session.second_factor_at = Some(now);
        let cx = as_user(cx, &session.tenant, &session.user)?;
        let entry = Entry::new(&cx, "tokens.session_raised", "identity", "step_up", now)
            .request("session", session.id.as_str())
            .request("amr", amr);
        let evidence = self.ground.ledger.seal(&cx, entry, Map::new()).await?;
        let reply = self.reply(&session, rights, None).await?;
        let change = Raise { session: session.id, amr: session.amr, now, evidence };
        if !self.write(&cx, change).await? {
            return Err(session_missing());
        }
        Ok(reply)
    }

    /// Ends all sessions of a person, but one if it is named; in effect within a second in all processes. Without an
    /// exception every token of theirs is refused, also those of others who act for them.
    pub(crate) fn end_of_all(&self, cx: &Cx, user: &str, but: Option<&str>) -> End {
        let which = Which::All { user: user.to_owned(), but: but.map(str::to_owned) };
        End { cx: cx.clone(), which, why: "ended_all", now: self.ground.clock.now() }
    }

    /// The public halves of the keys whose tokens may be about.
    pub(crate) async fn published(&self) -> Result<Vec<serde_json::Value>> {
        self.signer.published(&self.ground).await
    }

    /// The thumbprint of the key that a DPoP proof proves.
    pub(crate) fn prove(&self, proof: &nsl_api::sessions::Proof) -> Result<String> {
        let url = format!("{}{}", self.issuer(), proof.path);
        let request = dpop::Request { method: &proof.method, url: &url, token: None, now: self.ground.clock.now() };
        let first = |mark| self.shown.entry(mark).or_insert(()).is_fresh();
        dpop::check(&proof.jwt.0, &request, first)
            .map_err(|why| Error::invalid("oauth.invalid_dpop_proof", format!("the DPoP proof is not taken: {why}")))
    }

    /// A write of the platform's, given up at the caller's deadline.
    pub(crate) async fn write<C: nsl_sql::Change>(&self, cx: &Cx, change: C) -> Result<C::Done> {
        let deadline = tokio::time::Instant::from_std(cx.deadline.instant());
        let late = |_| Error::new(Code::Timeout, "deadline", "the work took longer than the request may");
        tokio::time::timeout_at(deadline, self.ground.db.write_platform(change)).await.map_err(late)?
    }

    /// Where a session was opened from.
    async fn origin(&self, session: &Session) -> Result<Origin> {
        let (sealed, key) = (session.origin.as_deref(), session.seal_key.as_deref());
        origin::open(&self.ground.keyring, &place(&session.id), sealed, key).await
    }
}

fn place(session: &str) -> Vec<u8> {
    bind(&[PLATFORM.as_bytes(), b"sessions", session.as_bytes()])
}

/// What a person does in a tenant with what they have just shown.
pub(crate) fn as_user(cx: &Cx, tenant: &TenantId, user: &str) -> Result<Cx> {
    let subject = Subject::parse(user)?;
    let principal = Principal { kind: PrincipalKind::Token, subject, ..Principal::anonymous() };
    Ok(Cx { tenant: tenant.clone(), principal, ..cx.clone() })
}

fn check_status(status: Status) -> Result<()> {
    match status {
        Status::Active => Ok(()),
        _ => Err(Error::new(Code::Forbidden, "tokens.suspended", "the person may not sign in")),
    }
}

fn session_missing() -> Error {
    Error::new(Code::NotFound, "tokens.session_missing", "there is no such session")
}
