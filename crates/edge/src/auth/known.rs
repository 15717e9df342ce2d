use std::{net::IpAddr, sync::Arc};

use nsl_api::identity::Authenticated;
use nsl_core::{Code, Error, Network, Principal, PrincipalKind, TenantId, Timestamp};
use nsl_token::Checked;

/// What a valid credential stands for.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) tenant: TenantId,
    pub(crate) principal: Principal,
    pub(crate) expires_at: Option<Timestamp>,
    /// Whose budget its requests are charged to: one for all credentials of a subject.
    pub(crate) budget: String,
    /// Where requests with it may come from; none: from anywhere.
    networks: Option<Vec<Network>>,
    /// The thumbprint of the key that its holder proves to have with each request.
    pub(crate) bound_to: Option<Arc<str>>,
    /// What would take it back, and after which revocation; nothing for what another issuer made. Of a key, it
    /// says when to look it up anew.
    pub(crate) marks: Vec<String>,
    pub(crate) revision: i64,
}

impl Known {
    pub(crate) fn new(tenant: TenantId, principal: Principal, expires_at: Option<Timestamp>) -> Self {
        let budget = format!("p/{tenant}/{}", principal.subject);
        let (networks, bound_to, marks) = (None, None, Vec::new());
        Self { tenant, principal, expires_at, budget, networks, bound_to, marks, revision: 0 }
    }

    pub(super) fn of_key(found: Authenticated) -> Self {
        // A range that can't be read lets nobody in.
        let read = |texts: Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        let networks = (!found.networks.is_empty()).then(|| read(found.networks));
        let (subject, tenant) = (&found.principal.subject, &found.tenant);
        let mut marks = vec![
            format!("key:{}", found.principal.credential),
            format!("sub:{subject}"),
            format!("sub:{subject}@{tenant}"),
        ];
        marks.extend(
            found.owner.iter().flat_map(|owner| [format!("sub:{owner}"), format!("sub:{owner}@{}", found.tenant)]),
        );
        let revision = found.revision;
        Self { networks, marks, revision, ..Self::new(found.tenant, found.principal, found.expires_at) }
    }

    pub(super) fn of_token(token: Checked, ours: bool) -> Self {
        let Checked {
            tenant,
            subject,
            id,
            scopes,
            revision,
            expires_at,
            session,
            second_factor_at,
            actor,
            whole,
            bound_to,
        } = token;
        let mut marks = Vec::new();
        if ours {
            marks.extend([format!("jti:{id}"), format!("sub:{subject}"), format!("sub:{subject}@{tenant}")]);
            marks.extend(session.as_ref().map(|session| format!("sid:{session}")));
            // Who lent its name and who acts in it: the token ends with either.
            marks.extend(actor.iter().flat_map(|actor| [format!("sub:{actor}"), format!("sub:{actor}@{tenant}")]));
        }
        let principal = Principal {
            kind: PrincipalKind::Token,
            subject,
            credential: id,
            scopes,
            expires_at: Some(expires_at),
            session,
            second_factor_at,
            actor,
            whole,
        };
        Self { bound_to, marks, revision, ..Self::new(tenant, principal, Some(expires_at)) }
    }

    /// Refuses a request from an address that the credential is not for.
    pub(crate) fn check_address(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let Some(networks) = &self.networks else { return Ok(()) };
        let fits = address.is_some_and(|address| networks.iter().any(|network| network.contains(address)));
        if fits {
            return Ok(());
        }
        Err(Error::new(Code::Forbidden, "auth.network", "this credential is not for the address that it came from"))
    }
}

#[cfg(test)]
mod tests {
    use nsl_core::Subject;

    use super::*;

    #[test]
    fn a_key_is_looked_up_anew_for_its_owner_and_for_its_subject() {
        let principal = Principal {
            kind: PrincipalKind::ApiKey,
            subject: Subject::parse("usr_1").unwrap(),
            credential: "key_1".into(),
            ..Principal::anonymous()
        };
        let found = Authenticated {
            tenant: TenantId::parse("ten_1").unwrap(),
            principal,
            expires_at: None,
            networks: Vec::new(),
            owner: Some("usr_2".to_owned()),
            revision: 7,
        };
        let known = Known::of_key(found);
        for mark in ["key:key_1", "sub:usr_1", "sub:usr_1@ten_1", "sub:usr_2", "sub:usr_2@ten_1"] {
            assert!(known.marks.iter().any(|held| held == mark), "{mark}");
        }
    }
}
