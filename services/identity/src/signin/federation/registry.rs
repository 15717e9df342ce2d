//! Which providers there are: those of the configuration, and those that tenants set.

use std::sync::Arc;

use nsl_api::federation::{ProviderInfo, PutProvider};
use nsl_core::{Code, Cx, Error, Result, Secret, Subject, TenantId};
use nsl_keyring::bind;
use url::{Host, Url};

use super::{
    config::Operated,
    provider::Settings,
    rules,
    service::Federations,
    store::{self, Said, Stored},
};
use crate::people::{roles, store::custom_roles};

const LONGEST_TEXT: usize = 200;
const LONGEST_SECRET: usize = 1_024;
const MOST_ROLES: usize = 20;

impl Federations {
    pub(super) async fn settings(&self, tenant: Option<&TenantId>, name: &str) -> Result<Settings> {
        let Some(tenant) = tenant else {
            let operated = self.ground.config.federation.providers.get(name).ok_or_else(store::provider_missing)?;
            return Ok(of_operators(name, operated));
        };
        let stored = store::provider(&self.ground.db, tenant, name).await?.ok_or_else(store::provider_missing)?;
        let secret = match &stored.secret {
            Some((sealed, key)) => Some(self.open_secret(tenant, name, sealed, key).await?),
            None => None,
        };
        Ok(Settings { client_secret: secret, ..of_tenant(tenant, stored) })
    }

    /// What a sign-in page offers; without secrets.
    pub(super) async fn choices(&self, tenant: Option<&TenantId>) -> Result<Vec<Settings>> {
        Ok(match tenant {
            None => {
                let all = &self.ground.config.federation.providers;
                all.iter().map(|(name, operated)| of_operators(name, operated)).collect()
            }
            Some(tenant) => {
                let all = store::providers(&self.ground.db, tenant).await?;
                all.into_iter().map(|stored| of_tenant(tenant, stored)).collect()
            }
        })
    }

    /// What an administrator asks for, checked.
    pub(super) async fn said(&self, cx: &Cx, name: &str, put: &PutProvider) -> Result<Said> {
        let private = self.providers.outside.is_private();
        rules::check_issuer(&put.issuer, private)?;
        rules::check_redirects(&put.redirect_uris, private)?;
        let title = put.title.clone().unwrap_or_else(|| name.to_owned());
        let claim = |which: &str| put.claims.get(which).cloned().unwrap_or_else(|| which.to_owned());
        let (email_claim, name_claim) = (claim("email"), claim("name"));
        for text in [&title, &put.client_id, &email_claim, &name_claim] {
            if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
                let message = format!("title, client_id and claims are 1 to {LONGEST_TEXT} bytes of visible text");
                return Err(rules::unfit(&message));
            }
        }
        if put.claims.keys().any(|claim| claim != "email" && claim != "name") {
            return Err(rules::unfit("claims are told for email and name"));
        }
        if put.client_secret.as_ref().is_some_and(|secret| secret.0.is_empty() || secret.0.len() > LONGEST_SECRET) {
            return Err(rules::unfit(&format!("a client secret has 1 to {LONGEST_SECRET} bytes")));
        }
        let scopes = put.scopes.clone().unwrap_or_else(|| vec!["email".to_owned(), "profile".to_owned()]);
        rules::check_scopes(&scopes)?;
        let default_roles = put.default_roles.clone().unwrap_or_else(|| vec![roles::VIEWER.to_owned()]);
        self.check_roles(cx, &default_roles).await?;
        Ok(Said {
            title,
            issuer: put.issuer.clone(),
            client_id: put.client_id.clone(),
            scopes,
            email_claim,
            name_claim,
            redirect_uris: put.redirect_uris.clone(),
            sign_up: put.sign_up,
            default_roles,
            set_by: Some(cx.principal.subject.to_string()),
        })
    }

    /// Roles that are there and allow no more than who gives them holds.
    async fn check_roles(&self, cx: &Cx, names: &[String]) -> Result<()> {
        if names.is_empty() || names.len() > MOST_ROLES {
            return Err(rules::unfit(&format!("1 to {MOST_ROLES} default roles")));
        }
        let custom = custom_roles(&self.ground.db, &cx.tenant).await?;
        let is_there =
            |name: &String| roles::BUILT_IN.contains(&name.as_str()) || custom.iter().any(|(role, _)| role == name);
        if let Some(name) = names.iter().find(|name| !is_there(name)) {
            return Err(rules::unfit("a default role is not there").detail("role", name.as_str()));
        }
        let given = roles::permissions(names, &custom, &self.ground.scopes);
        match given.iter().find(|permission| !cx.principal.holds(permission)) {
            None => Ok(()),
            Some(lacks) => {
                let message = format!("this credential lacks {lacks}, so it cannot give it to those who come");
                Err(Error::new(Code::Forbidden, "federation.grant_not_held", message)
                    .detail("permission", lacks.as_str()))
            }
        }
    }

    /// Where the provider sends the person back to: this server's own page, or a place that the provider's owner
    /// named.
    pub(super) fn redirect_uri(&self, settings: &Settings, asked: Option<String>) -> Result<String> {
        let config = &self.ground.config;
        let path = match &settings.owner {
            None => format!("/signin/callback/{}", settings.name),
            Some(owner) => format!("/signin/callback/{owner}/{}", settings.name),
        };
        let own = format!("{}{path}", config.origin());
        let Some(asked) = asked else { return Ok(own) };
        // A server that knows no address of its own is found on this machine alone, at whatever port.
        let here = || {
            config.is_local()
                && Url::parse(&asked).is_ok_and(|url| is_here(&url) && url.path() == path && url.query().is_none())
        };
        if asked == own || settings.redirect_uris.contains(&asked) || here() {
            return Ok(asked);
        }
        let message = "the provider's settings do not allow to send people back there";
        Err(Error::invalid("federation.redirect_uri", message))
    }

    pub(super) async fn seal_secret(&self, tenant: &TenantId, name: &str, plain: &[u8]) -> Result<(Vec<u8>, String)> {
        let key = self.ground.keyring.current(tenant, &keeper()?).await?;
        Ok((key.seal(&place(tenant, name), plain)?, key.id().to_string()))
    }

    pub(super) async fn open_secret(&self, tenant: &TenantId, name: &str, sealed: &[u8], key: &str) -> Result<Secret> {
        let key = self.ground.keyring.find(tenant, &Arc::from(key)).await?.ok_or_else(nsl_keyring::key_gone)?;
        key.open(&place(tenant, name), sealed).map(Secret::new)
    }
}

/// Under whose data key secrets of providers are sealed: no person's.
fn keeper() -> Result<Subject> {
    Subject::parse("identity-providers")
}

fn place(tenant: &TenantId, name: &str) -> Vec<u8> {
    bind(&[b"identity_providers", tenant.as_str().as_bytes(), name.as_bytes()])
}

fn is_here(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

fn of_operators(name: &str, operated: &Operated) -> Settings {
    let title = if operated.title.is_empty() { name } else { &operated.title };
    Settings {
        owner: None,
        name: name.to_owned(),
        title: title.to_owned(),
        issuer: operated.issuer.clone(),
        client_id: operated.client_id.clone(),
        client_secret: Some(operated.client_secret.clone()).filter(|secret| !secret.is_empty()),
        scopes: operated.scopes.clone(),
        email_claim: operated.email_claim.clone(),
        name_claim: operated.name_claim.clone(),
        redirect_uris: operated.redirect_uris.clone(),
        set_by: None,
        sign_up: operated.sign_up,
        tenant: TenantId::parse(&operated.tenant).ok(),
        default_roles: operated.default_roles.clone(),
    }
}

fn of_tenant(tenant: &TenantId, stored: Stored) -> Settings {
    let Stored { name, said, .. } = stored;
    Settings {
        owner: Some(tenant.clone()),
        name,
        title: said.title,
        issuer: said.issuer,
        client_id: said.client_id,
        client_secret: None,
        scopes: said.scopes,
        email_claim: said.email_claim,
        name_claim: said.name_claim,
        redirect_uris: said.redirect_uris,
        set_by: said.set_by,
        sign_up: said.sign_up,
        tenant: Some(tenant.clone()),
        default_roles: said.default_roles,
    }
}

/// As administrators see it.
pub(super) fn info(stored: Stored) -> ProviderInfo {
    let Stored { name, said, secret, updated_at } = stored;
    ProviderInfo {
        provider: name,
        title: said.title,
        issuer: said.issuer,
        client_id: said.client_id,
        has_secret: secret.is_some(),
        scopes: said.scopes,
        claims: [("email".to_owned(), said.email_claim), ("name".to_owned(), said.name_claim)].into(),
        redirect_uris: said.redirect_uris,
        sign_up: said.sign_up,
        default_roles: said.default_roles,
        updated_at,
    }
}
