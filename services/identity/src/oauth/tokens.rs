//! Reading our own tokens: what they are worth (RFC 7662), and taking them back (RFC 7009).

use nsl_api::{
    oauth::{ActsFor, IntrospectToken, Introspection, RevokeToken, TokenRevoked},
    sessions::{Logout, Sessions, TokenType},
};
use nsl_core::{Cx, Entry, Principal, PrincipalKind, Result, TenantId, Timestamp};
use nsl_sql::{Single, Tx};
use nsl_token::{ACCESS, Access, Actor, Expected, KeySet, Presented};
use serde_json::{Map, json};

use super::{
    Oauth,
    grants::{Known, unauthorized},
    rules::invalid_client,
};
use crate::{
    secrets::digest_of,
    tokens::{Marks, OWN_CLIENT, What, is_refresh_token, is_revoked, revoke, store},
};

impl Oauth {
    /// What one of our access tokens says, if it is good now.
    pub(super) async fn read(&self, token: &str) -> Result<Option<Access>> {
        let Ok(presented) = Presented::parse(token, &[ACCESS]) else { return Ok(None) };
        let ground = &self.tokens.ground;
        let jwks = json!({ "keys": self.tokens.published().await? }).to_string();
        let keys = KeySet::parse(jwks.as_bytes()).map_err(|flaw| nsl_core::Error::internal(anyhow::anyhow!(flaw)))?;
        let expected = Expected {
            issuer: self.tokens.issuer(),
            audience: &ground.config.tokens.audience,
            tenant_claim: "tenant",
            scope_claim: "scope",
            ours: true,
        };
        let Ok(checked) = presented.check(&keys, &expected, ground.clock.now()) else { return Ok(None) };
        let Ok(claims) = presented.verify(&keys) else { return Ok(None) };
        let Ok(access) = serde_json::from_slice::<Access>(&claims) else { return Ok(None) };
        // Others take a token for a moment longer, by clocks that may differ; here it is asked whether it has ended.
        if Timestamp(access.exp.saturating_mul(1_000_000)) <= ground.clock.now() {
            return Ok(None);
        }
        for subject in std::iter::once(&checked.subject).chain(checked.actor.as_ref()) {
            let marks = Marks {
                session: access.sid.as_deref(),
                id: &access.jti,
                subject: subject.as_str(),
                tenant: access.tenant.as_str(),
                rev: access.rev,
            };
            if is_revoked(&ground.db, &marks).await? {
                return Ok(None);
            }
        }
        Ok(Some(access))
    }

    pub(super) async fn introspect(&self, cx: &Cx, request: IntrospectToken) -> Result<Introspection> {
        let tenant: TenantId = match request.client {
            Some(client) => match self.know(cx, &client).await? {
                Known::Client(kept) if !kept.info.public => kept.tenant.clone(),
                _ => return Err(invalid_client()),
            },
            None if cx.principal.kind == PrincipalKind::Anonymous => return Err(invalid_client()),
            None => {
                cx.permit("identity:read")?;
                cx.tenant.clone()
            }
        };
        let said = match is_refresh_token(&request.token.0) {
            true => self.of_refresh(&request.token.0).await?,
            false => self.read(&request.token.0).await?.map(of_access),
        };
        // Of others' tokens nobody learns even that they are some.
        Ok(said.filter(|said| said.tenant.as_ref() == Some(&tenant)).unwrap_or_default())
    }

    async fn of_refresh(&self, token: &str) -> Result<Option<Introspection>> {
        let ground = &self.tokens.ground;
        let found = store::by_token(&ground.db, &digest_of(token)).await?;
        let live = found.filter(|(session, spent)| !spent && session.is_live(ground.clock.now()));
        Ok(live.map(|(session, _)| Introspection {
            active: true,
            client_id: Some(session.client.unwrap_or_else(|| OWN_CLIENT.to_owned())),
            scope: session.scope.map(|scope| scope.join(" ")),
            exp: Some(seconds(session.expires_at)),
            iat: Some(seconds(session.last_used_at)),
            sub: Some(session.user),
            iss: Some(self.tokens.issuer().to_owned()),
            sid: Some(session.id),
            tenant: Some(session.tenant),
            cnf: session.jkt.map(|jkt| json!({ "jkt": jkt })),
            ..Introspection::default()
        }))
    }

    pub(super) async fn revoke(&self, cx: &Cx, request: RevokeToken) -> Result<TokenRevoked> {
        let client = match request.client {
            Some(client) => Some(self.know(cx, &client).await?.id().to_owned()),
            None => None,
        };
        // Who holds a token that came without a client may take it back; a client's is the client's to take back.
        let is_theirs = |of: Option<&str>| match (of, client.as_deref()) {
            (None | Some(OWN_CLIENT | super::DEVICE_CLIENT), None | Some(super::DEVICE_CLIENT)) => true,
            (of, client) => of == client,
        };
        let token = request.token.0;
        if is_refresh_token(&token) {
            let found = store::by_token(&self.tokens.ground.db, &digest_of(&token)).await?;
            if let Some((session, _)) = found {
                if !is_theirs(session.client.as_deref()) {
                    return Err(unauthorized());
                }
                let request = Logout { refresh_token: nsl_api::Revealed(token) };
                self.tokens.logout(cx, request).await?;
            }
            return Ok(TokenRevoked {});
        }
        let Some(access) = self.read(&token).await? else { return Ok(TokenRevoked {}) };
        if !is_theirs(access.client_id.as_deref()) {
            return Err(unauthorized());
        }
        let ground = &self.tokens.ground;
        let now = ground.clock.now();
        let principal = Principal { kind: PrincipalKind::Token, subject: access.sub, ..Principal::anonymous() };
        let cx = Cx { tenant: access.tenant, principal, ..cx.clone() };
        let entry = Entry::new(&cx, "oauth.token_revoked", "identity", "revoke_token", now)
            .request("token", access.jti.as_str());
        let evidence = ground.ledger.seal(&cx, entry, Map::new()).await?;
        self.tokens.write(&cx, TakeBack { token: access.jti, now, evidence }).await?;
        Ok(TokenRevoked {})
    }
}

struct TakeBack {
    token: String,
    now: Timestamp,
    evidence: Entry,
}

impl Single for TakeBack {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        revoke(tx, &[What::Token(self.token.clone())], self.now).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

fn of_access(access: Access) -> Introspection {
    Introspection {
        active: true,
        scope: Some(access.scope),
        client_id: access.client_id,
        token_type: Some(if access.cnf.is_some() { TokenType::Dpop } else { TokenType::Bearer }),
        exp: Some(access.exp),
        iat: Some(access.iat),
        sub: Some(access.sub.to_string()),
        aud: Some(access.aud),
        iss: Some(access.iss),
        jti: Some(access.jti),
        sid: access.sid,
        tenant: Some(access.tenant),
        act: access.act.map(acts_for),
        cnf: access.cnf.map(|cnf| json!({ "jkt": cnf.jkt })),
    }
}

fn acts_for(actor: Actor) -> ActsFor {
    ActsFor { sub: actor.sub, act: actor.act.map(|before| Box::new(acts_for(*before))) }
}

fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}
