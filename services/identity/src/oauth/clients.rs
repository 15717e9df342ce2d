//! Making, changing and ending clients.

use std::time::Duration;

use nsl_api::{
    Page, Revealed,
    oauth::{ClientGrant, ClientInfo, CreateClient, CreatedClient, ListClients, RotateSecret, UpdateClient},
};
use nsl_core::{Code, Cx, Entry, Error, PrincipalKind, Result, Timestamp, fresh};
use serde_json::Map;

use super::{
    Oauth,
    store::{self, Add, Delete, Rotate, Update, client_missing},
};
use crate::{
    keys::{find_key, rules as keys},
    names::check_name,
    page::{LONGEST_PAGE, page},
    secrets,
    signin::prove_second,
};

const MOST_CLIENTS: u32 = 1_000;
const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 86_400);
const SECRET: &str = "nss_";
/// A client is the tenant's and stays when its maker is gone: who can have its secret, or let it do more, administers.
const MAKES: &str = "identity:admin";

impl Oauth {
    /// From where the caller itself may come; none: from anywhere.
    async fn held_networks(&self, cx: &Cx) -> Result<Vec<String>> {
        let (db, principal) = (&self.tokens.ground.db, &cx.principal);
        match principal.kind {
            PrincipalKind::ApiKey => {
                let key = find_key(db, &cx.tenant, &principal.credential).await?;
                Ok(key.map(|key| key.networks).unwrap_or_default())
            }
            PrincipalKind::Token if principal.session.is_none() || principal.actor.is_some() => {
                let client = principal.actor.as_ref().unwrap_or(&principal.subject);
                let client = store::find(db, &cx.tenant, client.as_str()).await?;
                Ok(client.map(|client| client.networks).unwrap_or_default())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether the caller could have made this client as it is: else it must neither learn its secret nor let it do
    /// more.
    async fn check_reach(&self, cx: &Cx, client: &ClientInfo, held: &[String], now: Timestamp) -> Result<()> {
        prove_second(&self.tokens.ground, cx).await?;
        keys::check_scopes(&client.scopes, &self.tokens.ground.scopes, &cx.principal)?;
        keys::networks(&client.networks, held)?;
        if client.networks.is_empty() && !held.is_empty() {
            let message = "the client may ask from anywhere, and this credential may not";
            return Err(Error::new(Code::Forbidden, "identity.network_not_held", message).detail("held", held.to_vec()));
        }
        let end = keys::expiry(client.expires_at.filter(|at| *at > now), &cx.principal, now)?;
        match (client.expires_at, end) {
            (None, Some(end)) => {
                let message = "the client does not end, and this credential does";
                Err(Error::new(Code::Forbidden, "identity.expiry_not_held", message).detail("latest", end.rfc3339()))
            }
            _ => Ok(()),
        }
    }

    async fn evidence(&self, cx: &Cx, entry: Entry) -> Result<Entry> {
        self.tokens.ground.ledger.seal(cx, entry, Map::new()).await
    }

    fn now(&self) -> Timestamp {
        self.tokens.ground.clock.now()
    }

    pub(super) async fn create(&self, cx: &Cx, request: CreateClient) -> Result<CreatedClient> {
        cx.permit(MAKES)?;
        let ground = &self.tokens.ground;
        prove_second(ground, cx).await?;
        check_name("identity.name", &request.name)?;
        keys::check_scopes(&request.scopes, &ground.scopes, &cx.principal)?;
        let grants = check_grants(request.grants, request.public)?;
        let networks = keys::networks(&request.networks.unwrap_or_default(), &self.held_networks(cx).await?)?;
        let now = self.now();
        let expires_at = keys::expiry(request.expires_at, &cx.principal, now)?;
        let client = ClientInfo {
            id: fresh("cli"),
            name: request.name,
            scopes: request.scopes,
            grants,
            public: request.public,
            networks,
            created_at: now,
            expires_at,
            suspended_at: None,
            last_used_at: None,
            old_secret_until: None,
        };
        let secret = (!request.public).then(|| secrets::secret(SECRET)).transpose()?;
        let entry = Entry::new(cx, "oauth.client_created", "identity", "create_client", now)
            .request("client", client.id.as_str())
            .request("scopes", client.scopes.join(" "))
            .request("public", client.public);
        let change = Add {
            tenant: cx.tenant.clone(),
            client: client.clone(),
            digest: secret.as_deref().map(secrets::digest_of),
            created_by: cx.principal.credential.to_string(),
            most: MOST_CLIENTS,
            evidence: self.evidence(cx, entry).await?,
        };
        let done = ground.db.write(cx, change).await?;
        if done.id != client.id {
            return Err(shown_once(&done.id));
        }
        Ok(CreatedClient { secret: secret.map(Revealed), client: done })
    }

    pub(super) async fn list(&self, cx: &Cx, request: ListClients) -> Result<Page<ClientInfo>> {
        cx.permit("identity:read")?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let items = store::list_clients(&self.tokens.ground.db, &cx.tenant, request.after, limit + 1).await?;
        Ok(page(items, limit, |client| client.id.clone()))
    }

    pub(super) async fn get(&self, cx: &Cx, id: &str) -> Result<ClientInfo> {
        cx.permit("identity:read")?;
        store::find(&self.tokens.ground.db, &cx.tenant, id).await?.ok_or_else(client_missing)
    }

    pub(super) async fn update(&self, cx: &Cx, mut request: UpdateClient) -> Result<ClientInfo> {
        cx.permit("identity:write")?;
        let ground = &self.tokens.ground;
        let before = store::find(&ground.db, &cx.tenant, &request.id).await?.ok_or_else(client_missing)?;
        if let Some(name) = &request.name {
            check_name("identity.name", name)?;
        }
        let now = self.now();
        let held = self.held_networks(cx).await?;
        request.networks = request.networks.map(|networks| keys::networks(&networks, &held)).transpose()?;
        // Who lets it in again, or lets it in from elsewhere, answers for all that it may do; to stop it needs nothing.
        if request.scopes.is_some() || request.networks.is_some() || request.suspended == Some(false) {
            cx.permit(MAKES)?;
            let after = ClientInfo {
                scopes: request.scopes.clone().unwrap_or(before.scopes),
                networks: request.networks.clone().unwrap_or(before.networks),
                ..before
            };
            self.check_reach(cx, &after, &held, now).await?;
        }
        let entry = Entry::new(cx, "oauth.client_changed", "identity", "update_client", now)
            .request("client", request.id.as_str())
            .request("scopes", request.scopes.as_ref().map(|scopes| scopes.join(" ")))
            .request("networks", request.networks.as_ref().map(|networks| networks.join(" ")))
            .request("suspended", request.suspended);
        let evidence = self.evidence(cx, entry).await?;
        let change = Update { cx: cx.clone(), tenant: cx.tenant.clone(), asked: request, at: now, evidence };
        self.tokens.write(cx, change).await
    }

    pub(super) async fn rotate(&self, cx: &Cx, request: RotateSecret) -> Result<CreatedClient> {
        cx.permit(MAKES)?;
        let ground = &self.tokens.ground;
        let before = store::find(&ground.db, &cx.tenant, &request.id).await?.ok_or_else(client_missing)?;
        // Who has the new secret can do all that the client can.
        self.check_reach(cx, &before, &self.held_networks(cx).await?, self.now()).await?;
        let overlap = Duration::from_secs(request.overlap_s);
        if overlap > LONGEST_OVERLAP {
            let error = Error::invalid("oauth.overlap", "the old secret cannot go on working for so long");
            return Err(error.detail("longest_s", LONGEST_OVERLAP.as_secs()));
        }
        let now = self.now();
        let old_until = (!overlap.is_zero()).then(|| now.plus(overlap));
        let secret = secrets::secret(SECRET)?;
        let entry = Entry::new(cx, "oauth.client_secret_rotated", "identity", "rotate_client_secret", now)
            .request("client", before.id.as_str())
            .request("old_until", old_until.map(Timestamp::rfc3339));
        let mark = fresh("rot");
        let change = Rotate {
            cx: cx.clone(),
            tenant: cx.tenant.clone(),
            id: before.id,
            digest: secrets::digest_of(&secret),
            mark: mark.clone(),
            old_until,
            at: now,
            evidence: self.evidence(cx, entry).await?,
        };
        let (done, client) = ground.db.write_across(cx, change).await?;
        if done != mark {
            return Err(shown_once(&client.id));
        }
        Ok(CreatedClient { secret: Some(Revealed(secret)), client })
    }

    pub(super) async fn delete(&self, cx: &Cx, id: &str) -> Result<ClientInfo> {
        cx.permit("identity:write")?;
        let now = self.now();
        let entry = Entry::new(cx, "oauth.client_deleted", "identity", "delete_client", now).request("client", id);
        let evidence = self.evidence(cx, entry).await?;
        let change = Delete { cx: cx.clone(), tenant: cx.tenant.clone(), id: id.to_owned(), at: now, evidence };
        self.tokens.write(cx, change).await
    }
}

fn check_grants(asked: Option<Vec<ClientGrant>>, public: bool) -> Result<Vec<ClientGrant>> {
    let default = if public { ClientGrant::DeviceCode } else { ClientGrant::ClientCredentials };
    let mut grants = asked.unwrap_or_else(|| vec![default]);
    let mut seen = Vec::new();
    grants.retain(|grant| {
        !seen.contains(grant) && {
            seen.push(*grant);
            true
        }
    });
    if grants.is_empty() || (public && grants != [ClientGrant::DeviceCode]) {
        let message = "a client has a grant at least, and one without a secret has device_code alone";
        return Err(Error::invalid("oauth.grants", message));
    }
    Ok(grants)
}

fn shown_once(id: &str) -> Error {
    let message = "this idempotency key made a secret before, and a secret is shown only once";
    Error::new(Code::Conflict, "identity.secret_shown_once", message).detail("id", id)
}
