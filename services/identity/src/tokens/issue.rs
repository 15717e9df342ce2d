//! What an access token says, and the signing of it.

use nsl_api::Revealed;
use nsl_api::sessions::{TokenReply, TokenType};
use nsl_core::{Code, Error, Result, Subject, TenantId, Timestamp};
use nsl_token::{ACCESS, Access, Actor, Confirmation};

use super::{Tokens, revoked, rules, store::Session};
use crate::{oauth::DEVICE_CLIENT, people::store as people};

/// The client that people are taken to use who came without one.
pub(crate) const OWN_CLIENT: &str = "nsl";

/// What somebody may do in a tenant, and the newest revocation that was known before it was looked up.
pub(crate) struct Rights {
    pub(crate) tenant: TenantId,
    pub(crate) scopes: Vec<String>,
    pub(crate) rev: i64,
    /// Whether these are all of them.
    pub(crate) whole: bool,
}

/// What an access token is to say.
pub(crate) struct Grant {
    pub(crate) subject: Subject,
    pub(crate) rights: Rights,
    pub(crate) client: String,
    /// It ends no later than this, where there is a bound.
    pub(crate) until: Option<Timestamp>,
    pub(crate) session: Option<String>,
    pub(crate) auth_at: Option<Timestamp>,
    pub(crate) amr: Vec<String>,
    pub(crate) second_factor_at: Option<Timestamp>,
    pub(crate) actor: Option<Actor>,
    pub(crate) jkt: Option<String>,
}

/// A signed token and what is told beside it.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) id: String,
    pub(crate) expires_in: u64,
}

fn whole(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

impl Grant {
    pub(crate) fn of_session(session: &Session, rights: Rights) -> Result<Self> {
        Ok(Self {
            subject: Subject::parse(&session.user)?,
            rights,
            client: session.client.clone().unwrap_or_else(|| OWN_CLIENT.to_owned()),
            until: Some(session.expires_at),
            session: Some(session.id.clone()),
            auth_at: Some(session.created_at),
            amr: session.amr.clone(),
            second_factor_at: session.second_factor_at,
            actor: None,
            jkt: session.jkt.clone(),
        })
    }
}

impl Tokens {
    pub(crate) fn issuer(&self) -> &str {
        self.ground.config.issuer()
    }

    pub(crate) async fn issue(&self, grant: &Grant) -> Result<Issued> {
        let config = &self.ground.config.tokens;
        let now = self.ground.clock.now();
        let left = grant.until.map_or(config.access_ttl, |until| until.since(now).min(config.access_ttl));
        let rights = &grant.rights;
        let (subject, tenant) = (grant.subject.clone(), rights.tenant.clone());
        let mut access = Access::new(self.issuer(), &config.audience, subject, tenant, now, left);
        access.scope = rights.scopes.join(" ");
        access.rev = rights.rev;
        access.client_id = Some(grant.client.clone());
        access.sid.clone_from(&grant.session);
        access.auth_time = grant.auth_at.map(whole);
        access.amr.clone_from(&grant.amr);
        access.mfa_time = grant.second_factor_at.map(whole);
        access.act.clone_from(&grant.actor);
        let is_own = [OWN_CLIENT, DEVICE_CLIENT].contains(&grant.client.as_str());
        let is_person = grant.session.is_some() && grant.actor.is_none() && is_own;
        access.whole = is_person && rights.whole;
        access.cnf = grant.jkt.clone().map(|jkt| Confirmation { jkt });
        let key = self.signer.current(&self.ground).await?;
        Ok(Issued { token: key.sign(ACCESS, &access)?, id: access.jti, expires_in: left.as_secs() })
    }

    /// What a person may do in a tenant, or where they have been a member longest; narrowed to `limit`.
    pub(crate) async fn rights(
        &self,
        user: &str,
        tenant: Option<&TenantId>,
        limit: Option<&[String]>,
    ) -> Result<Rights> {
        let db = &self.ground.db;
        let rev = revoked::newest(db).await?;
        let tenant = match tenant {
            Some(tenant) => tenant.clone(),
            None => {
                let oldest = people::oldest_membership(db, user).await?;
                oldest.ok_or_else(|| not_a_member("the person is a member of no tenant"))?
            }
        };
        let held = people::permissions(db, &self.ground.scopes, &tenant, user).await?;
        let held = held.ok_or_else(|| not_a_member("the person is no member of the tenant"))?;
        let scopes = limit.map_or_else(|| held.clone(), |limit| rules::narrow(&held, limit));
        Ok(Rights { tenant, scopes, rev, whole: limit.is_none() })
    }

    /// The reply for a session, with or without a refresh token.
    pub(super) async fn reply(&self, session: &Session, rights: Rights, refresh: Option<String>) -> Result<TokenReply> {
        let grant = Grant::of_session(session, rights)?;
        let issued = self.issue(&grant).await?;
        Ok(reply(grant, issued, refresh))
    }
}

pub(crate) fn reply(grant: Grant, issued: Issued, refresh: Option<String>) -> TokenReply {
    TokenReply {
        access_token: Revealed(issued.token),
        refresh_token: refresh.map(Revealed),
        expires_in: issued.expires_in,
        token_type: if grant.jkt.is_some() { TokenType::Dpop } else { TokenType::Bearer },
        scope: grant.rights.scopes.join(" "),
        tenant: grant.rights.tenant,
        session_id: grant.session,
        issued_token_type: None,
    }
}

fn not_a_member(message: &'static str) -> Error {
    Error::new(Code::Forbidden, "tokens.not_a_member", message)
}
