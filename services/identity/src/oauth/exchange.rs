//! Acting in somebody's name (RFC 8693).
//!
//! Nobody may unless all of this holds: a client with a secret asks, to which the exchange was allowed; both tokens are
//! ours, good now, and of the client's tenant; the actor's is that client's own and allows `identity:act`. What comes
//! out can do no more than either token, ends no later than either, and ends when the person, the session or the client
//! of either does; of those that acted before in a chain, only the newest counts. One token that is taken back alone ends
//! alone: what was made of it before has minutes left.

use nsl_api::sessions::{Proof, TokenReply};
use nsl_core::{Code, Cx, Error, Principal, PrincipalKind, Result, Timestamp};
use nsl_token::Access;

use super::{
    Oauth,
    rules::{acting, invalid_grant, invalid_request, spoken},
    store::Kept,
};
use crate::{
    access,
    tokens::{Grant, Rights, reply, rules},
};

/// The one permission that a token got by exchange never has.
const ACT: &str = "identity:act";
const ISSUED: &str = "urn:ietf:params:oauth:token-type:access_token";

impl Oauth {
    pub(super) async fn exchange(
        &self,
        cx: &Cx,
        kept: Box<Kept>,
        subject_token: &str,
        actor_token: &str,
        asked: Option<Vec<String>>,
        proof: Option<Proof>,
    ) -> Result<TokenReply> {
        let bad = || invalid_grant("one of the tokens is not valid here");
        let subject = self.read(subject_token).await?.ok_or_else(bad)?;
        let actor = self.read(actor_token).await?.ok_or_else(bad)?;
        // Of tokens of other tenants nobody learns that they are good.
        if subject.tenant != kept.tenant || actor.tenant != kept.tenant {
            return Err(bad());
        }
        if actor.sub.as_str() != kept.info.id || actor.act.is_some() || actor.sid.is_some() {
            return Err(invalid_request("the actor token is not one of the client's own"));
        }
        if subject.sub == actor.sub {
            return Err(invalid_request("nobody acts in their own name"));
        }
        self.may_act(cx, &actor).await?;
        let shown = proof.map(|proof| self.tokens.prove(&proof)).transpose()?;
        for bound in [&subject, &actor].into_iter().filter_map(|token| token.cnf.as_ref()) {
            if shown.as_deref() != Some(bound.jkt.as_str()) {
                return Err(spoken(
                    "invalid_dpop_proof",
                    Error::new(
                        Code::Invalid,
                        "oauth.invalid_dpop_proof",
                        "a token is bound to a key, and the request does not prove to have it",
                    ),
                ));
            }
        }
        let chain = acting(actor.sub.clone(), subject.act.as_ref())?;
        let mut scopes = rules::narrow(&list(&subject), &list(&actor));
        if let Some(asked) = asked {
            scopes = rules::narrow(&scopes, &asked);
        }
        scopes = without_act(scopes, &self.tokens.ground.scopes);
        if scopes.is_empty() {
            let message = "the tokens have no such permission in common";
            return Err(spoken("invalid_scope", Error::new(Code::Invalid, "oauth.invalid_scope", message)));
        }
        let end = subject.exp.min(actor.exp);
        let grant = Grant {
            subject: subject.sub.clone(),
            rights: Rights { tenant: kept.tenant.clone(), scopes, whole: false, rev: subject.rev.min(actor.rev) },
            client: kept.info.id.clone(),
            until: Some(Timestamp(end.saturating_mul(1_000_000))),
            session: subject.sid.clone(),
            auth_at: subject.auth_time.map(|at| Timestamp(at.saturating_mul(1_000_000))),
            amr: subject.amr.clone(),
            // A second factor was shown by the person, not by who acts for them.
            second_factor_at: None,
            actor: Some(chain),
            jkt: shown,
        };
        let issued = self.tokens.issue(&grant).await?;
        self.note(cx, &kept, subject.sub, &issued.id, "token_exchange").await?;
        Ok(TokenReply { issued_token_type: Some(ISSUED.to_owned()), ..reply(grant, issued, None) })
    }

    /// Whether the actor may act for others, as the one place that decides sees it.
    async fn may_act(&self, cx: &Cx, actor: &Access) -> Result<()> {
        // Nothing of whoever calls: by the actor's token, and by the policies of its tenant.
        let principal = Principal {
            kind: PrincipalKind::Token,
            subject: actor.sub.clone(),
            credential: actor.jti.as_str().into(),
            scopes: list(actor).into(),
            ..Principal::anonymous()
        };
        let rules = access::rules(&self.tokens.ground.db, &actor.tenant).await?;
        let cx = Cx { tenant: actor.tenant.clone(), principal, rules, ..cx.clone() };
        cx.permit("identity:act").map_err(|refused| {
            let message = "the actor may not act for others: its token lacks identity:act";
            spoken("access_denied", Error::new(Code::Forbidden, "oauth.may_not_act", message)).because(refused)
        })
    }
}

fn list(token: &Access) -> Vec<String> {
    token.scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// All that is said but the right to act for others: who acts does not make further ones who do. Words for much are
/// spelled out, so that it can be left away.
fn without_act(scopes: Vec<String>, known: &[&str]) -> Vec<String> {
    let mut left = Vec::new();
    for scope in scopes {
        match rules::narrow(std::slice::from_ref(&scope), &[ACT.to_owned()]).is_empty() {
            true => left.push(scope),
            false => {
                let all: Vec<String> = known.iter().map(|&scope| scope.to_owned()).collect();
                let spelled = rules::narrow(&[scope], &all);
                left.extend(spelled.into_iter().filter(|scope| scope != ACT));
            }
        }
    }
    left.dedup();
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_act_is_never_handed_on() {
        let known = ["storage:read", "storage:write", "identity:read", "identity:act"];
        for (scopes, left) in [
            ("storage:read identity:act", "storage:read"),
            ("*", "storage:read storage:write identity:read"),
            ("identity:*", "identity:read"),
            ("storage:*", "storage:*"),
            ("identity:act", ""),
        ] {
            let scopes = scopes.split(' ').map(str::to_owned).collect();
            assert_eq!(without_act(scopes, &known).join(" "), left);
        }
    }
}
