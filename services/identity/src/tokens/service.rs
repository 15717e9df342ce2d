use async_trait::async_trait;
use nsl_api::sessions::{
    EndOtherSessions, EndSession, EndedSessions, ListSessions, Logout, RefreshTokens, Revocations, RevokedSince,
    SessionInfo, SessionList, Sessions, TokenKeySet, TokenKeys, TokenReply,
};
use nsl_core::{Code, Cx, Entry, Error, PrincipalKind, Result, Secret, TenantId};
use serde_json::{Map, json};

use super::{
    Tokens, as_user, check_status,
    issue::OWN_CLIENT,
    origin::Origin,
    revoked, rules, session_missing,
    store::{self, End, Session, Turn, Turned, Which},
};
use crate::{
    oauth::{DEVICE_CLIENT, find_any_client},
    people::store as people,
    secrets::{digest_of, random},
    signin::person::person,
};

#[async_trait]
impl Sessions for Tokens {
    async fn token_keys(&self, _: &Cx, _: TokenKeys) -> Result<TokenKeySet> {
        let keys = self.published().await?;
        Ok(TokenKeySet {
            issuer: self.issuer().to_owned(),
            audience: self.ground.config.tokens.audience.clone(),
            jwks: json!({ "keys": keys }).to_string(),
        })
    }

    async fn revoked_since(&self, cx: &Cx, request: RevokedSince) -> Result<Revocations> {
        if cx.principal.kind != PrincipalKind::System {
            return Err(Error::new(
                Code::Forbidden,
                "identity.platform_only",
                "only the platform asks for revocations",
            ));
        }
        let (items, more) = revoked::since(&self.ground.db, request.seq).await?;
        Ok(Revocations { items, more })
    }

    async fn refresh_tokens(&self, cx: &Cx, request: RefreshTokens) -> Result<TokenReply> {
        let shown = Secret::new(request.refresh_token.0.as_str());
        let text = request.refresh_token.0;
        if !rules::is_refresh_token(&text) {
            return Err(unknown());
        }
        let db = &self.ground.db;
        let (session, spent) = store::by_token(db, &digest_of(&text)).await?.ok_or_else(unknown)?;
        let now = self.ground.clock.now();
        if !session.is_live(now) {
            return Err(unknown());
        }
        check_client(&session, request.client.as_deref())?;
        self.check_key(&session, request.proof.as_ref())?;
        let user = people::user(db, &session.user).await?.ok_or_else(unknown)?;
        check_status(user.status)?;
        let asked = request.scope.as_deref().map(|scope| rules::words(scope).ok_or_else(scope_form)).transpose()?;
        let home = self.home(&session).await?;
        let rights = match (&request.tenant, &home) {
            (Some(tenant), Some(home)) if tenant != home => Err(elsewhere()),
            (_, Some(home)) => self.rights(&user.id, Some(home), session.scope.as_deref()).await,
            (Some(tenant), None) => self.rights(&user.id, Some(tenant), session.scope.as_deref()).await,
            (None, None) => match self.rights(&user.id, Some(&session.tenant), session.scope.as_deref()).await {
                // They were put out of that tenant: what they have elsewhere goes on.
                Err(error) if error.code == Code::Forbidden => {
                    self.rights(&user.id, None, session.scope.as_deref()).await
                }
                found => found,
            },
        };
        // Who shows a spent token learns nothing about rights first, and ends the session either way.
        let mut rights = match (rights, spent) {
            (Err(error), false) => return Err(error),
            (Ok(rights), _) => rights,
            (Err(_), true) => {
                super::Rights { tenant: session.tenant.clone(), scopes: Vec::new(), rev: 0, whole: false }
            }
        };
        if let Some(asked) = asked {
            rights.scopes = rules::narrow(&rights.scopes, &asked);
            rights.whole = false;
        }
        let config = &self.ground.config.tokens;
        let once = match &cx.once {
            Some(once) => Some((once.key.to_string(), random::<32>()?)),
            None => None,
        };
        let next = match &once {
            Some((key, salt)) => rules::successor(&text, salt, key),
            None => rules::refresh_token()?,
        };
        let cx = as_user(cx, &rights.tenant, &user.id)?;
        let entry = |event| {
            let entry = Entry::new(&cx, event, "identity", "refresh_tokens", now);
            entry.request("session", session.id.as_str())
        };
        let evidence = self.ground.ledger.seal(&cx, entry("tokens.refreshed"), Map::new()).await?;
        let theft = self.ground.ledger.seal(&cx, entry("tokens.reuse"), Map::new()).await?;
        let expires_at = now.plus(config.refresh_ttl).min(session.ends_at);
        let session = Session { tenant: rights.tenant.clone(), last_used_at: now, expires_at, ..session };
        // Signed before the old token is spent: who gets no reply still has a token to show.
        let mut reply = self.reply(&session, rights, Some(next.clone())).await?;
        let tenant = session.tenant.clone();
        let change = Turn {
            cx: cx.clone(),
            session,
            spent: shown,
            next,
            once: once.clone(),
            tenant,
            expires_at,
            now,
            evidence,
            theft,
        };
        match self.write(&cx, change).await? {
            Turned::Done => Ok(reply),
            Turned::Again(salt) => {
                let key = once.map(|(key, _)| key).unwrap_or_default();
                reply.refresh_token = Some(nsl_api::Revealed(rules::successor(&text, &salt, &key)));
                Ok(reply)
            }
            Turned::Over => Err(unknown()),
            Turned::Reused => Err(Error::new(
                Code::Unauthenticated,
                "tokens.reuse",
                "the refresh token was used before, so its session has ended",
            )),
        }
    }

    async fn logout(&self, cx: &Cx, request: Logout) -> Result<EndedSessions> {
        let text = request.refresh_token.0;
        if !rules::is_refresh_token(&text) {
            return Ok(EndedSessions::default());
        }
        let found = store::by_token(&self.ground.db, &digest_of(&text)).await?;
        let Some((session, _)) = found else { return Ok(EndedSessions::default()) };
        let cx = as_user(cx, &session.tenant, &session.user)?;
        self.end_one(&cx, &session, "signed_out").await
    }

    async fn list_sessions(&self, cx: &Cx, request: ListSessions) -> Result<SessionList> {
        let own = cx.principal.subject.as_str();
        let user = request.user.as_deref().unwrap_or(own);
        let is_own = is_own(cx, user);
        if !is_own {
            cx.permit("identity:admin")?;
        }
        let mut items = Vec::new();
        for session in store::live(&self.ground.db, user, self.ground.clock.now()).await? {
            if is_own || session.tenant == cx.tenant {
                items.push(self.info(cx, session, is_own).await?);
            }
        }
        Ok(SessionList { items })
    }

    async fn end_session(&self, cx: &Cx, request: EndSession) -> Result<SessionInfo> {
        let now = self.ground.clock.now();
        let found = store::find(&self.ground.db, &request.id).await?.filter(|session| session.is_live(now));
        let session = found.ok_or_else(session_missing)?;
        let is_own = is_own(cx, &session.user);
        if !is_own && (session.tenant != cx.tenant || cx.permit("identity:admin").is_err()) {
            // It looks like one that is not there, and is counted as what it is.
            return Err(session_missing().detail("refused", true));
        }
        let info = self.info(cx, session.clone(), is_own).await?;
        self.end_one(cx, &session, "ended").await?;
        Ok(info)
    }

    async fn end_other_sessions(&self, cx: &Cx, _: EndOtherSessions) -> Result<EndedSessions> {
        let (user, session) = person(cx)?;
        let end = self.end_of_all(cx, user, Some(session));
        Ok(EndedSessions { ended: self.write(cx, end).await?.len() as u32 })
    }
}

impl Tokens {
    async fn end_one(&self, cx: &Cx, session: &Session, why: &'static str) -> Result<EndedSessions> {
        let which = Which::One(session.id.clone());
        let change = End { cx: cx.clone(), which, why, now: self.ground.clock.now() };
        Ok(EndedSessions { ended: self.write(cx, change).await?.len() as u32 })
    }

    /// The one tenant that a session works in which was opened through a client of that tenant, or for less than all.
    async fn home(&self, session: &Session) -> Result<Option<TenantId>> {
        if session.scope.is_some() {
            return Ok(Some(session.tenant.clone()));
        }
        let registered = session.client.as_deref().filter(|client| ![OWN_CLIENT, DEVICE_CLIENT].contains(client));
        let Some(client) = registered else { return Ok(None) };
        Ok(Some(find_any_client(&self.ground.db, client).await?.ok_or_else(unknown)?.tenant))
    }

    /// Tokens of a session that is bound to a key go to nobody who lacks it.
    fn check_key(&self, session: &Session, proof: Option<&nsl_api::sessions::Proof>) -> Result<()> {
        let shown = proof.map(|proof| self.prove(proof)).transpose()?;
        match &session.jkt {
            Some(jkt) if shown.as_ref() != Some(jkt) => Err(Error::new(
                Code::Unauthenticated,
                "tokens.key_not_proven",
                "the session is bound to a key, and the request does not prove to have it",
            )),
            _ => Ok(()),
        }
    }

    async fn info(&self, cx: &Cx, session: Session, is_own: bool) -> Result<SessionInfo> {
        // Where somebody signs in from is theirs to see.
        let Origin { address, agent } = if is_own { self.origin(&session).await? } else { Origin::default() };
        Ok(SessionInfo {
            address,
            agent,
            current: cx.principal.session.as_deref() == Some(session.id.as_str()),
            id: session.id,
            user: session.user,
            tenant: session.tenant,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            amr: session.amr,
            second_factor_at: session.second_factor_at,
            client: session.client,
        })
    }
}

/// Sessions are their person's own business: not that of a key of theirs, of one who acts for them, or of a program
/// that they let in for less.
fn is_own(cx: &Cx, user: &str) -> bool {
    person(cx).is_ok_and(|(own, _)| own == user)
}

fn check_client(session: &Session, client: Option<&str>) -> Result<()> {
    let of = |client: Option<&str>| {
        client.filter(|&client| client != OWN_CLIENT && client != DEVICE_CLIENT).map(str::to_owned)
    };
    if of(session.client.as_deref()) == of(client) { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> Error {
    Error::new(Code::Unauthenticated, "tokens.refresh_unknown", "the refresh token is not valid")
}

fn elsewhere() -> Error {
    Error::new(Code::Forbidden, "tokens.not_a_member", "the client of the session works in its own tenant alone")
}

fn scope_form() -> Error {
    Error::invalid("tokens.scope", "the scope is not words with one space between")
}
