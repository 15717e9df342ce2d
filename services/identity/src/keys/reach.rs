//! How far a key reaches: what whoever makes it can give, and what it may do now.

use nsl_api::{identity::KeyInfo, oauth::ClientInfo};
use nsl_core::{Cx, Error, PrincipalKind, Result, Subject, TenantId};

use super::{
    rules,
    service::{Service, key_unknown},
    store,
};
use crate::{ground::Ground, oauth, people, signin::prove_second, tokens};

/// What comes with a credential beside what its principal says.
#[derive(Default)]
pub(super) struct Maker {
    pub(super) owner: Option<String>,
    pub(super) networks: Vec<String>,
}

impl Service {
    /// A key is made, widened or rotated within the networks of the key that asks, and belongs to whom that belongs.
    pub(super) async fn maker(&self, cx: &Cx) -> Result<Maker> {
        let principal = &cx.principal;
        match principal.kind {
            PrincipalKind::ApiKey => {
                let key = store::find(&self.ground.db, &cx.tenant, &principal.credential).await?;
                let key = key.ok_or_else(key_unknown)?;
                Ok(Maker { owner: key.owner, networks: key.networks })
            }
            PrincipalKind::Token if principal.session.is_some() => {
                Ok(Maker { owner: Some(principal.subject.to_string()), networks: Vec::new() })
            }
            PrincipalKind::Token => {
                let client = oauth::find_client(&self.ground.db, &cx.tenant, principal.subject.as_str()).await?;
                let own = |client: ClientInfo| Maker { owner: Some(client.id), networks: client.networks };
                Ok(client.map(own).unwrap_or_default())
            }
            _ => Ok(Maker::default()),
        }
    }

    /// What the key may do now: no more than its owner.
    pub(super) async fn rights(&self, found: &store::Found) -> Result<Vec<String>> {
        let Some(owner) = &found.owner else { return Ok(found.scopes.clone()) };
        let held = self.held_by(&found.tenant, owner).await?.ok_or_else(key_unknown)?;
        let administers = || !tokens::rules::narrow(&held, &["identity:admin".to_owned()]).is_empty();
        if found.subject.as_str() != owner && !administers() {
            return Err(key_unknown());
        }
        Ok(tokens::rules::narrow(&held, &found.scopes))
    }

    /// All that a user, or else a client, may do in the tenant; none for one who may not come in at all.
    async fn held_by(&self, tenant: &TenantId, owner: &str) -> Result<Option<Vec<String>>> {
        let Ground { db, scopes, clock, .. } = &self.ground;
        if owner.starts_with("usr_") {
            return people::store::permissions(db, scopes, tenant, owner).await;
        }
        let client = oauth::find_client(db, tenant, owner).await?;
        let is_live = |client: &ClientInfo| {
            client.suspended_at.is_none() && client.expires_at.is_none_or(|end| end > clock.now())
        };
        Ok(client.filter(is_live).map(|client| client.scopes))
    }

    /// A key names a person only where that person is a member.
    pub(super) async fn check_person(&self, cx: &Cx, subject: &Subject) -> Result<()> {
        let is_person = subject.as_str().starts_with("usr_");
        if is_person && self.held_by(&cx.tenant, subject.as_str()).await?.is_none() {
            let message = "the subject is a person, and no member of this tenant";
            return Err(Error::invalid("identity.subject_not_member", message));
        }
        Ok(())
    }

    /// Whoever learns or widens a key could have made it so.
    pub(super) async fn check_reach(&self, cx: &Cx, key: &KeyInfo, maker: &Maker) -> Result<()> {
        prove_second(&self.ground, cx).await?;
        if key.subject != cx.principal.subject {
            cx.permit("identity:admin")?;
        }
        rules::check_reach(key, &cx.principal, &maker.networks, self.ground.clock.now())
    }
}
