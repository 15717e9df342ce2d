use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use nsl_api::{
    Page, Revealed,
    identity::{
        Authenticate, Authenticated, CreateKey, CreateTenant, CreatedKey, CreatedTenant, Identity, KeyInfo, ListKeys,
        ListTenants, RevokeKey, RotateKey, TenantInfo, UpdateKey,
    },
};
use nsl_core::{Code, Cx, Entry, Error, Facts, Principal, PrincipalKind, Result, Subject, TenantId, Timestamp, fresh};
use parking_lot::Mutex;
use serde_json::Map;

use super::{
    change::{Revoke, Rotate, Stale, Update, key_ended, key_missing},
    rules::{self, Fresh},
    store::{self, AddKey, Touch},
};
use crate::{
    config::Config,
    ground::Ground,
    names::check_name,
    page::{LONGEST_PAGE, page},
    signin::prove_second,
    tokens,
};

/// Hears the digest of each key that is revoked or changed in this process.
pub type Revoked = Arc<dyn Fn(&str) + Send + Sync>;

/// Most keys whose use is remembered between two writes; of further ones a use is noted next time.
const MOST_REMEMBERED: usize = 50_000;

pub(crate) struct Service {
    pub(super) ground: Ground,
    revoked: Revoked,
    used: Mutex<HashMap<(TenantId, String), Timestamp>>,
}

impl Service {
    pub(crate) fn new(ground: Ground, revoked: Revoked) -> Self {
        Self { ground, revoked, used: Mutex::default() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.ground.config
    }

    fn remember(&self, tenant: &TenantId, id: &str) {
        let mut used = self.used.lock();
        let key = (tenant.clone(), id.to_owned());
        if used.len() < MOST_REMEMBERED || used.contains_key(&key) {
            used.insert(key, self.ground.clock.now());
        }
    }

    /// Writes down which keys were used since the last time. What could not be written is kept.
    pub(crate) async fn write_last_used(&self) -> Result<()> {
        let taken = std::mem::take(&mut *self.used.lock());
        if taken.is_empty() {
            return Ok(());
        }
        let used = taken.iter().map(|((tenant, id), at)| (tenant.clone(), id.clone(), *at)).collect();
        let written = self.ground.db.write_platform(Touch { used }).await;
        if written.is_err() {
            let mut used = self.used.lock();
            for (key, at) in taken {
                used.entry(key).and_modify(|newer| *newer = at.max(*newer)).or_insert(at);
            }
        }
        written
    }

    /// The key, if the caller may see it.
    async fn own(&self, cx: &Cx, id: &str) -> Result<KeyInfo> {
        let key = store::find(&self.ground.db, &cx.tenant, id).await?.ok_or_else(key_missing)?;
        match is_others(cx, &key) {
            // It looks like a key that is not there, and is counted as what it is.
            true => Err(key_missing().detail("refused", true)),
            false => Ok(key),
        }
    }

    fn forget(&self, stale: &Stale) {
        stale.lock().iter().for_each(|digest| (self.revoked)(digest));
    }

    fn has_ended(&self, key: &KeyInfo) -> bool {
        key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= self.ground.clock.now())
    }

    async fn add(&self, cx: &Cx, new: NewKey<'_>) -> Result<CreatedKey> {
        let Fresh { secret, prefix, digest } = rules::fresh()?;
        let now = self.ground.clock.now();
        let key = KeyInfo {
            id: fresh("key"),
            name: new.name.to_owned(),
            prefix,
            subject: new.subject,
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
            description: new.description,
            networks: new.networks,
            owner: new.owner,
            rotated_at: None,
            overlap_until: None,
        };
        let mut evidence = Vec::new();
        if new.tenant.is_some() {
            let entry = Entry::new(cx, "identity.tenant_created", "identity", "create_tenant", now);
            evidence.push(self.ground.ledger.seal(cx, entry, Map::new()).await?);
        }
        let entry = Entry::new(cx, "identity.key_created", "identity", new.method, now)
            .request("key", key.id.as_str())
            .request("scopes", key.scopes.join(" "))
            .request("expires_at", key.expires_at.map(Timestamp::rfc3339))
            .request("networks", key.networks.join(" "));
        evidence.push(self.ground.ledger.seal(cx, entry, Map::new()).await?);
        let change = AddKey {
            tenant: cx.tenant.clone(),
            new_tenant: new.tenant.map(str::to_owned),
            key: key.clone(),
            digest,
            created_by: cx.principal.credential.to_string(),
            most: self.ground.config.keys_per_tenant,
            evidence,
        };
        let done = self.ground.db.write(cx, change).await?;
        if done.id != key.id {
            return Err(shown_once(&done));
        }
        Ok(CreatedKey { secret: Revealed(secret), key: done })
    }
}

/// A key as it is asked for.
struct NewKey<'a> {
    tenant: Option<&'a str>,
    method: &'static str,
    name: &'a str,
    subject: Subject,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    description: Option<String>,
    networks: Vec<String>,
    owner: Option<String>,
}

fn shown_once(key: &KeyInfo) -> Error {
    Error::new(
        Code::Conflict,
        "identity.secret_shown_once",
        "this idempotency key made a key before, and a key is shown only once",
    )
    .detail("id", key.id.as_str())
}

pub(super) fn key_unknown() -> Error {
    Error::new(Code::Unauthenticated, "auth.key_unknown", "the API key is not valid")
}

/// Others' keys are seen and ended only by those who administer the tenant.
fn is_others(cx: &Cx, key: &KeyInfo) -> bool {
    let own = key.subject == cx.principal.subject || key.owner.as_deref() == Some(cx.principal.subject.as_str());
    !own && cx.permit("identity:admin").is_err()
}

fn platform_only(cx: &Cx) -> Result<()> {
    match cx.principal.kind {
        PrincipalKind::System => Ok(()),
        _ => Err(Error::new(Code::Forbidden, "identity.platform_only", "only the platform makes and lists tenants")),
    }
}

#[async_trait]
impl Identity for Service {
    async fn authenticate(&self, _: &Cx, request: Authenticate) -> Result<Authenticated> {
        if !rules::is_digest(&request.digest) {
            return Err(key_unknown());
        }
        let revision = tokens::newest(&self.ground.db).await?;
        let found = store::by_digest(&self.ground.db, &request.digest).await?.ok_or_else(key_unknown)?;
        if found.revoked_at.is_some() || found.expires_at.is_some_and(|at| at <= self.ground.clock.now()) {
            return Err(key_unknown());
        }
        let scopes = self.rights(&found).await?;
        self.remember(&found.tenant, &found.id);
        Ok(Authenticated {
            tenant: found.tenant,
            principal: Principal {
                kind: PrincipalKind::ApiKey,
                subject: found.subject,
                credential: found.id.into(),
                scopes: scopes.into(),
                expires_at: found.expires_at,
                session: None,
                second_factor_at: None,
                actor: None,
                whole: false,
            },
            expires_at: found.expires_at,
            networks: found.networks,
            owner: found.owner,
            revision,
        })
    }

    async fn create_key(&self, cx: &Cx, request: CreateKey) -> Result<CreatedKey> {
        cx.permit_on("identity:write", &Facts::of("key", ""))?;
        prove_second(&self.ground, cx).await?;
        check_name("identity.name", &request.name)?;
        request.description.as_deref().map_or(Ok(()), rules::check_description)?;
        rules::check_scopes(&request.scopes, &self.ground.scopes, &cx.principal)?;
        let expires_at = rules::expiry(request.expires_at, &cx.principal, self.ground.clock.now())?;
        let subject = request.subject.unwrap_or_else(|| cx.principal.subject.clone());
        if subject != cx.principal.subject {
            cx.permit("identity:admin")?;
        }
        rules::check_subject(&subject)?;
        if subject != cx.principal.subject {
            self.check_person(cx, &subject).await?;
        }
        let maker = self.maker(cx).await?;
        let new = NewKey {
            tenant: None,
            method: "create_key",
            name: &request.name,
            subject,
            scopes: request.scopes,
            expires_at,
            description: request.description,
            networks: rules::networks(&request.networks, &maker.networks)?,
            owner: maker.owner,
        };
        self.add(cx, new).await
    }

    async fn update_key(&self, cx: &Cx, request: UpdateKey) -> Result<KeyInfo> {
        cx.permit_on("identity:write", &Facts::of("key", &request.id))?;
        let seen = self.own(cx, &request.id).await?;
        if self.has_ended(&seen) {
            return Err(key_ended());
        }
        let (change, maker, now) = (request.change, self.maker(cx).await?, self.ground.clock.now());
        change.name.as_deref().map_or(Ok(()), |name| check_name("identity.name", name))?;
        change.description.iter().flatten().try_for_each(|text| rules::check_description(text))?;
        let networks = change.networks.map(|asked| rules::networks(&asked, &maker.networks)).transpose()?;
        let expires_at = change.expires_at.map(|asked| rules::expiry(asked, &cx.principal, now)).transpose()?;
        if rules::widens(&seen, networks.as_deref(), expires_at) {
            self.check_reach(cx, &seen, &maker).await?;
        }
        let mut entry = Entry::new(cx, "identity.key_changed", "identity", "update_key", now)
            .request("key", seen.id.as_str())
            .request("name", change.name.clone());
        if let Some(networks) = &networks {
            entry = entry.request("networks", networks.join(" "));
        }
        if let Some(end) = expires_at {
            entry = entry.request("expires_at", end.map_or_else(|| "never".to_owned(), Timestamp::rfc3339));
        }
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        let (tenant, stale) = (cx.tenant.clone(), Stale::default());
        let (name, description) = (change.name, change.description);
        let change = Update {
            tenant,
            seen,
            name,
            description,
            networks,
            expires_at,
            at: now,
            evidence,
            stale: Arc::clone(&stale),
        };
        let key = self.ground.db.write(cx, change).await?;
        self.forget(&stale);
        Ok(key)
    }

    async fn rotate_key(&self, cx: &Cx, request: RotateKey) -> Result<CreatedKey> {
        cx.permit_on("identity:write", &Facts::of("key", &request.id))?;
        let seen = self.own(cx, &request.id).await?;
        if self.has_ended(&seen) {
            return Err(key_ended());
        }
        let maker = self.maker(cx).await?;
        // Whoever learns it is that person to others.
        if seen.owner.as_deref().is_some_and(|owner| owner.starts_with("usr_") && maker.owner.as_deref() != Some(owner))
        {
            let message = "the key belongs to another person, who alone may learn its secret";
            return Err(Error::new(Code::Forbidden, "identity.key_of_another", message));
        }
        self.check_reach(cx, &seen, &maker).await?;
        let now = self.ground.clock.now();
        let overlap = rules::overlap(request.overlap_s, &self.ground.config.keys)?;
        let until = overlap.map(|overlap| now.plus(overlap));
        let Fresh { secret, prefix, digest } = rules::fresh()?;
        let entry = Entry::new(cx, "identity.key_rotated", "identity", "rotate_key", now)
            .request("key", seen.id.as_str())
            .request("overlap_until", until.map(Timestamp::rfc3339));
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        let (tenant, stale) = (cx.tenant.clone(), Stale::default());
        let change = Rotate {
            tenant,
            seen,
            digest,
            prefix: prefix.clone(),
            at: now,
            until,
            evidence,
            stale: Arc::clone(&stale),
        };
        let key = self.ground.db.write(cx, change).await?;
        self.forget(&stale);
        if key.prefix != prefix {
            return Err(shown_once(&key));
        }
        Ok(CreatedKey { secret: Revealed(secret), key })
    }

    async fn list_keys(&self, cx: &Cx, request: ListKeys) -> Result<Page<KeyInfo>> {
        cx.permit_on("identity:read", &Facts::of("key", ""))?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let only = cx.permit("identity:admin").is_err().then_some(&cx.principal.subject);
        let items = store::list(&self.ground.db, &cx.tenant, only, request.after, limit + 1).await?;
        Ok(page(items, limit, |key| key.id.clone()))
    }

    async fn revoke_key(&self, cx: &Cx, request: RevokeKey) -> Result<KeyInfo> {
        cx.permit_on("identity:write", &Facts::of("key", &request.id))?;
        let key = self.own(cx, &request.id).await?;
        let now = self.ground.clock.now();
        let entry =
            Entry::new(cx, "identity.key_revoked", "identity", "revoke_key", now).request("key", key.id.as_str());
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        let stale = Stale::default();
        // What a key made outlasts it only where it administers the tenant.
        let administers = !tokens::rules::narrow(&key.scopes, &["identity:admin".to_owned()]).is_empty();
        let (tenant, stale_too) = (cx.tenant.clone(), Arc::clone(&stale));
        let change = Revoke { tenant, id: key.id, with_made: !administers, at: now, evidence, stale: stale_too };
        let ended = self.ground.db.write(cx, change).await?;
        self.forget(&stale);
        Ok(ended)
    }

    async fn create_tenant(&self, cx: &Cx, request: CreateTenant) -> Result<CreatedTenant> {
        platform_only(cx)?;
        check_name("identity.name", &request.name)?;
        rules::check_subject(&request.subject)?;
        let tenant = TenantId::fresh();
        let cx = Cx { tenant: tenant.clone(), ..cx.clone() };
        let new = NewKey {
            tenant: Some(&request.name),
            method: "create_tenant",
            name: "first key",
            subject: request.subject,
            scopes: vec!["*".to_owned()],
            expires_at: None,
            description: None,
            networks: Vec::new(),
            owner: None,
        };
        Ok(CreatedTenant { tenant, key: self.add(&cx, new).await? })
    }

    async fn list_tenants(&self, cx: &Cx, request: ListTenants) -> Result<Page<TenantInfo>> {
        platform_only(cx)?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let items = store::list_tenants(&self.ground.db, request.after, limit + 1).await?;
        Ok(page(items, limit, |found| found.tenant.to_string()))
    }
}
