//! The token endpoint.

use nsl_api::{
    oauth::{ClientGrant, ClientProof, Grant, GrantTokens},
    sessions::{Proof, RefreshTokens, Sessions, TokenReply},
};
use nsl_core::{Code, Cx, Entry, Error, Network, Principal, PrincipalKind, Result, Secret, Subject};
use serde_json::Map;

use super::{
    DEVICE_CLIENT, Oauth,
    devices::{self, Poll, Polled},
    rules::{invalid_client, invalid_grant, invalid_request, spoken},
    store::{self, Kept, Used},
};
use crate::{
    people::store as people,
    secrets::digest_of,
    tokens::{Basis, Grant as Granted, Proven, Rights, newest, reply, rules},
};

/// A client that has shown what it must.
pub(super) enum Known {
    /// The command line.
    Own,
    Client(Box<Kept>),
}

impl Known {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Own => DEVICE_CLIENT,
            Self::Client(kept) => &kept.info.id,
        }
    }
}

impl Oauth {
    pub(super) async fn grant(&self, cx: &Cx, request: GrantTokens) -> Result<TokenReply> {
        let GrantTokens { grant, client, scope, proof } = request;
        let asked = scope.as_deref().map(words).transpose()?;
        match grant {
            Grant::RefreshToken { refresh_token, tenant } => {
                let client = match client {
                    Some(client) => Some(self.know(cx, &client).await?.id().to_owned()),
                    None => None,
                };
                let request = RefreshTokens { refresh_token, tenant, client, scope, proof };
                self.tokens.refresh_tokens(cx, request).await.map_err(as_grant)
            }
            Grant::ClientCredentials => self.machine(cx, client, asked, proof).await,
            Grant::DeviceCode { device_code } => {
                let client = client.ok_or_else(|| invalid_request("client_id is missing"))?;
                let known = self.know(cx, &client).await?;
                if let Known::Client(kept) = &known {
                    may(kept, ClientGrant::DeviceCode)?;
                }
                self.device(cx, known, &device_code.0, proof).await
            }
            Grant::TokenExchange { subject_token, actor_token } => {
                let kept = self.registered(cx, client, ClientGrant::TokenExchange).await?;
                self.exchange(cx, kept, &subject_token.0, &actor_token.0, asked, proof).await
            }
        }
    }

    /// Whether a client is what it says, and may ask from there and now.
    pub(super) async fn know(&self, cx: &Cx, shown: &ClientProof) -> Result<Known> {
        if shown.id == DEVICE_CLIENT && shown.secret.is_none() {
            return Ok(Known::Own);
        }
        let ground = &self.tokens.ground;
        let now = ground.clock.now();
        let kept = store::find_any(&ground.db, &shown.id).await?.ok_or_else(invalid_client)?;
        let is_right = match (&kept.digest, &shown.secret) {
            (None, None) => true,
            (Some(digest), Some(secret)) => {
                let digest_of_shown = Secret::new(digest_of(&secret.0));
                let old = kept.old_digest.as_ref().filter(|_| kept.info.old_secret_until.is_some_and(|at| now < at));
                let is = |digest: &String| digest_of_shown == Secret::new(digest.as_str());
                // Both are compared: how long it takes tells nothing.
                is(digest) | old.is_some_and(is)
            }
            _ => false,
        };
        if !is_right {
            return Err(invalid_client());
        }
        let info = &kept.info;
        if info.suspended_at.is_some() || info.expires_at.is_some_and(|at| at <= now) {
            return Err(spoken(
                "invalid_client",
                Error::new(Code::Unauthenticated, "oauth.client_suspended", "the client is suspended or has ended"),
            ));
        }
        let within = |ip| info.networks.iter().any(|network| network.parse::<Network>().is_ok_and(|n| n.contains(ip)));
        if !info.networks.is_empty() && !cx.source.ip.is_some_and(within) {
            return Err(spoken(
                "unauthorized_client",
                Error::new(Code::Forbidden, "oauth.client_network", "the client may not ask from this address"),
            ));
        }
        Ok(Known::Client(Box::new(kept)))
    }

    /// A client of a tenant that has proven itself by a secret, and may use the grant.
    async fn registered(&self, cx: &Cx, client: Option<ClientProof>, grant: ClientGrant) -> Result<Box<Kept>> {
        let client = client.ok_or_else(invalid_client)?;
        match self.know(cx, &client).await? {
            Known::Client(kept) if !kept.info.public => may(&kept, grant).map(|()| kept),
            _ => Err(unauthorized()),
        }
    }

    async fn machine(
        &self,
        cx: &Cx,
        client: Option<ClientProof>,
        asked: Option<Vec<String>>,
        proof: Option<Proof>,
    ) -> Result<TokenReply> {
        let ground = &self.tokens.ground;
        // Asked after the newest revocation is known: what changes from here on takes the token back.
        let rev = newest(&ground.db).await?;
        let kept = self.registered(cx, client, ClientGrant::ClientCredentials).await?;
        let scopes = match asked {
            None => kept.info.scopes.clone(),
            Some(asked) => within(&kept.info.scopes, asked)?,
        };
        let jkt = proof.map(|proof| self.tokens.prove(&proof)).transpose()?;
        let subject = Subject::parse(&kept.info.id)?;
        let grant = Granted {
            subject: subject.clone(),
            rights: Rights { tenant: kept.tenant.clone(), scopes, whole: false, rev },
            client: kept.info.id.clone(),
            until: kept.info.expires_at,
            session: None,
            auth_at: None,
            amr: Vec::new(),
            second_factor_at: None,
            actor: None,
            jkt,
        };
        let issued = self.tokens.issue(&grant).await?;
        self.note(cx, &kept, subject, &issued.id, "client_credentials").await?;
        Ok(reply(grant, issued, None))
    }

    /// Puts down that a client has got a token.
    pub(super) async fn note(
        &self,
        cx: &Cx,
        kept: &Kept,
        subject: Subject,
        token: &str,
        grant: &'static str,
    ) -> Result<()> {
        let ground = &self.tokens.ground;
        let at = ground.clock.now();
        let principal = Principal { kind: PrincipalKind::Token, subject, ..Principal::anonymous() };
        let cx = Cx { tenant: kept.tenant.clone(), principal, once: None, ..cx.clone() };
        let entry = Entry::new(&cx, "oauth.token_issued", "identity", "grant_tokens", at)
            .request("client", kept.info.id.as_str())
            .request("grant", grant)
            .response("token", token);
        let evidence = ground.ledger.seal(&cx, entry, Map::new()).await?;
        let used = Used { tenant: kept.tenant.clone(), client: kept.info.id.clone(), at, evidence };
        ground.db.write(&cx, used).await
    }

    async fn device(&self, cx: &Cx, known: Known, code: &str, proof: Option<Proof>) -> Result<TokenReply> {
        let ground = &self.tokens.ground;
        // Before the code is asked for: it is good once.
        let jkt = proof.map(|proof| self.tokens.prove(&proof)).transpose()?;
        let digest = digest_of(code);
        let poll = Poll { digest: digest.clone(), client: known.id().to_owned(), now: ground.clock.now() };
        let (user, works_in, scope) = match self.tokens.write(cx, poll).await? {
            Polled::Approved { user, works_in, scope } => (user, works_in, scope),
            Polled::Unknown => return Err(devices::unknown()),
            Polled::Expired => {
                return Err(spoken(
                    "expired_token",
                    Error::new(Code::Invalid, "oauth.expired_token", "the device code has expired"),
                ));
            }
            Polled::Pending => {
                return Err(spoken(
                    "authorization_pending",
                    Error::new(Code::Invalid, "oauth.authorization_pending", "nobody has answered yet"),
                ));
            }
            Polled::TooSoon => {
                return Err(spoken(
                    "slow_down",
                    Error::new(Code::Invalid, "oauth.slow_down", "the device asks too often: wait 5 seconds longer"),
                ));
            }
            Polled::Denied => {
                return Err(spoken(
                    "access_denied",
                    Error::new(Code::Invalid, "oauth.access_denied", "the device was not let in"),
                ));
            }
        };
        let user = people::user(&ground.db, &user).await?.ok_or_else(|| invalid_grant("the person is gone"))?;
        // What the client may do at this moment, not when it began to ask.
        let most = match &known {
            Known::Own => None,
            Known::Client(kept) => Some(kept.info.scopes.clone()),
        };
        let asked = scope.as_deref().map(words).transpose()?;
        let limit = match (most, asked) {
            (Some(most), Some(asked)) => Some(rules::narrow(&most, &asked)),
            (most, asked) => most.or(asked),
        };
        let proven = Proven {
            user: &user,
            tenant: Some(works_in),
            amr: vec!["mca"],
            second_factor_at: None,
            client: Some(known.id().to_owned()),
            jkt,
            basis: Basis::Device(digest),
        };
        self.tokens.open_limited(cx, proven, limit).await.map_err(as_grant)
    }
}

pub(super) fn words(scope: &str) -> Result<Vec<String>> {
    rules::words(scope).ok_or_else(|| {
        spoken(
            "invalid_scope",
            Error::new(Code::Invalid, "oauth.invalid_scope", "the scope is not words with one space between"),
        )
    })
}

/// What was asked for, all of which must be held.
fn within(held: &[String], asked: Vec<String>) -> Result<Vec<String>> {
    if rules::narrow(held, &asked) != asked {
        let message = "the client may not do all that it asks for";
        return Err(spoken("invalid_scope", Error::new(Code::Invalid, "oauth.invalid_scope", message)));
    }
    Ok(asked)
}

fn may(kept: &Kept, grant: ClientGrant) -> Result<()> {
    if kept.info.grants.contains(&grant) { Ok(()) } else { Err(unauthorized()) }
}

pub(super) fn unauthorized() -> Error {
    spoken(
        "unauthorized_client",
        Error::new(Code::Invalid, "oauth.unauthorized_client", "the client may not get tokens in this way"),
    )
}

/// What is wrong with a session, in the words of the token endpoint.
fn as_grant(error: Error) -> Error {
    match &*error.slug {
        "tokens.refresh_unknown" | "tokens.reuse" | "tokens.suspended" | "tokens.not_a_member" => {
            let message = error.message.clone();
            let mut error = Error::new(Code::Invalid, "oauth.invalid_grant", message).because(error);
            error.details.insert("error".to_owned(), "invalid_grant".into());
            error
        }
        "tokens.key_not_proven" | "oauth.invalid_dpop_proof" => {
            let message = error.message.clone();
            spoken("invalid_dpop_proof", Error::new(Code::Invalid, "oauth.invalid_dpop_proof", message)).because(error)
        }
        _ => error,
    }
}
