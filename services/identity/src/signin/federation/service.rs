use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nsl_api::{
    Page, Revealed,
    federation::{
        BeginAt, FederatedInfo, Federation, ListChoices, NameProvider, OidcCallback, OidcOutcome, OidcRedirect,
        OidcSignOut, ProviderChoice, ProviderInfo, PutProviderAt, SignOutAt, Unlink,
    },
};
use nsl_core::{Code, Cx, Entry, Error, Result, Subject, TenantId, Timestamp, fresh};
use serde_json::Map;

use super::{
    exchange::{self, Asked},
    flow,
    outside::Outside,
    provider::{Providers, Settings},
    registry, rules,
    store::{self, Federated, Link, New, Put, RemoveProvider, Used},
    vouch::Vouched,
};
use crate::{
    ground::Ground,
    people::{
        giving::still_gives,
        store::{self as people, PLATFORM, Status, User},
    },
    secrets::secret,
    signin::{Door, SignUp, person::person, prove_second, store::Right},
};

/// How long somebody may take at a provider.
pub(super) const FLOW: Duration = Duration::from_secs(600);
/// RFC 8176 knows no word for another's word.
const AMR: &[&str] = &["fed"];

/// Signing in at identity providers elsewhere.
pub(crate) struct Federations {
    pub(super) ground: Ground,
    pub(super) door: Door,
    pub(super) providers: Providers,
}

impl Federations {
    pub(crate) fn new(ground: Ground, door: Door) -> anyhow::Result<Self> {
        let outside = Outside::new(ground.config.federation.private_addresses)?;
        let providers = Providers::new(outside, Arc::clone(&ground.clock));
        Ok(Self { ground, door, providers })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ground.clock.now()
    }

    /// A line about what a person did or became, among those of the owner of the provider.
    async fn evidence(
        &self,
        cx: &Cx,
        owner: &TenantId,
        user: &str,
        event: &'static str,
        issuer: &str,
    ) -> Result<Entry> {
        let acting = Cx { tenant: owner.clone(), ..cx.clone() };
        let mut entry = Entry::new(&acting, event, "identity", "finish_oidc", self.now());
        entry.subject = Some(Subject::parse(user)?);
        self.ground.ledger.seal(&acting, entry.request("issuer", issuer), Map::new()).await
    }

    /// A tenant's provider vouches for people of that tenant alone: who belongs elsewhere too would else be signed in
    /// there by the word of somebody who has no say there.
    async fn refuse_strangers(&self, settings: &Settings, user: &str) -> Result<()> {
        let Some(owner) = &settings.owner else { return Ok(()) };
        match store::is_elsewhere(&self.ground.db, owner, user).await? {
            true => Err(store::elsewhere_too()),
            false => Ok(()),
        }
    }

    async fn link(&self, cx: &Cx, settings: &Settings, vouched: Vouched, user: &str) -> Result<FederatedInfo> {
        let owner = owner(settings);
        let info = self.info(settings, vouched.subject);
        let evidence = vec![self.evidence(cx, &owner, user, "federation.linked", &settings.issuer).await?];
        let change = Link { owner, info: info.clone(), user: user.to_owned(), new: None, evidence };
        self.ground.db.write_platform(change).await?;
        Ok(info)
    }

    fn info(&self, settings: &Settings, subject: String) -> FederatedInfo {
        let (issuer, created_at) = (settings.issuer.clone(), self.now());
        FederatedInfo { id: fresh("fed"), issuer, subject, created_at, last_used_at: None }
    }

    /// The person, and the link that they come by.
    async fn known(&self, settings: &Settings, found: Federated) -> Result<(User, String)> {
        self.refuse_strangers(settings, &found.user).await?;
        self.ground.db.write_platform(Used { id: found.info.id.clone(), at: self.now() }).await?;
        let user = people::user(&self.ground.db, &found.user).await?.ok_or_else(unknown)?;
        Ok((user, found.info.id))
    }

    /// Makes an account for somebody who comes for the first time. Never is one found by its email address: who made
    /// that account has not said that this provider may open it.
    async fn sign_up(&self, cx: &Cx, settings: &Settings, vouched: Vouched) -> Result<(User, String)> {
        let joins = settings.owner.clone().or_else(|| settings.tenant.clone());
        let open = joins.is_none() && self.ground.config.signin.sign_up == Some(SignUp::Open);
        if !settings.sign_up && !open {
            return Err(unknown());
        }
        if let (Some(owner), Some(by)) = (&settings.owner, &settings.set_by)
            && !still_gives(&self.ground, owner, by, &settings.default_roles).await?
        {
            return Err(unknown());
        }
        let owner = owner(settings);
        let user = User {
            id: fresh("usr"),
            // Only a provider that operators trust tells whose an address is: a tenant's could take anybody's.
            email: vouched.email.filter(|_| settings.owner.is_none()),
            name: vouched.name,
            status: Status::Active,
            created_at: self.now(),
        };
        let own = joins.is_none().then(|| user.name.clone().unwrap_or_else(|| "my project".to_owned()));
        let tenant = joins.unwrap_or_else(TenantId::fresh);
        let info = self.info(settings, vouched.subject);
        let evidence = vec![self.evidence(cx, &owner, &user.id, "federation.signed_up", &settings.issuer).await?];
        let new = New { user: user.clone(), tenant, own, roles: settings.default_roles.clone() };
        let link = info.id.clone();
        let change = Link { owner, info, user: user.id.clone(), new: Some(new), evidence };
        self.ground.db.write_platform(change).await?;
        Ok((user, link))
    }
}

#[async_trait]
impl Federation for Federations {
    async fn list_choices(&self, _: &Cx, request: ListChoices) -> Result<Page<ProviderChoice>> {
        let choice = |settings: Settings| ProviderChoice { provider: settings.name, title: settings.title };
        let items = self.choices(request.tenant.as_ref()).await?.into_iter().map(choice).collect();
        Ok(Page { items, next: None })
    }

    async fn begin_oidc(&self, cx: &Cx, request: BeginAt) -> Result<OidcRedirect> {
        let BeginAt { provider, begin } = request;
        let link_user = if begin.link { Some(person(cx)?.0.to_owned()) } else { None };
        if let Some(user) = &link_user {
            self.door.prove_sign_in(cx, user).await?;
        }
        let settings = self.settings(begin.tenant.as_ref(), &provider).await?;
        let redirect_uri = self.redirect_uri(&settings, begin.redirect_uri)?;
        let known = self.providers.known(&settings.issuer).await?;
        let (state, flow) = (secret("")?, secret("")?);
        let asked = Asked::fresh()?;
        let url = exchange::address(&settings, &known, &redirect_uri, &state, &asked)?;
        let expires_at = self.keep(&settings, &state, &flow, redirect_uri, link_user, &asked).await?;
        Ok(OidcRedirect { url, state, flow: Some(Revealed(flow)), expires_at })
    }

    async fn finish_oidc(&self, cx: &Cx, request: OidcCallback) -> Result<OidcOutcome> {
        let (taken, asked) = self.take(&request).await?;
        if let Some(user) = &taken.link_user
            && person(cx)?.0 != user
        {
            let message = "another person began to link this identity";
            return Err(Error::new(Code::Forbidden, "federation.other_person", message));
        }
        let tenant = Some(&taken.owner).filter(|owner| owner.as_str() != PLATFORM);
        let settings = self.settings(tenant, &taken.provider).await?;
        if settings.issuer != taken.issuer {
            return Err(flow::gone());
        }
        let known = self.providers.known(&settings.issuer).await?;
        flow::check_origin(&request, &taken, &known)?;
        if let Some(error) = &request.error {
            return Err(flow::refused_there(error));
        }
        let code = request.code.ok_or_else(flow::gone)?;
        let vouched = self.redeem(&settings, known, code, &taken, &asked).await?;
        let found = store::find(&self.ground.db, &taken.owner, &settings.issuer, &vouched.subject).await?;
        let (user, link) = match (taken.link_user, found) {
            (Some(user), None) => {
                let linked = self.link(cx, &settings, vouched, &user).await?;
                return Ok(OidcOutcome::Linked { linked });
            }
            (Some(user), Some(found)) if found.user == user => {
                return Ok(OidcOutcome::Linked { linked: found.info });
            }
            (Some(_), Some(_)) => {
                let message = "somebody has this identity already";
                return Err(Error::new(Code::Conflict, "federation.taken", message));
            }
            (None, Some(found)) => self.known(&settings, found).await?,
            (None, None) => self.sign_up(cx, &settings, vouched).await?,
        };
        let tenant = settings.owner.clone().or(settings.tenant);
        let right = Right { link: Some(link), ..Right::default() };
        self.door.settle(cx, &user, tenant, AMR, right).await.map(OidcOutcome::SignedIn)
    }

    async fn oidc_sign_out(&self, _: &Cx, request: SignOutAt) -> Result<OidcSignOut> {
        let settings = self.settings(request.tenant.as_ref(), &request.provider).await?;
        let known = self.providers.known(&settings.issuer).await?;
        let back = format!("{}/signin", self.ground.config.origin());
        Ok(OidcSignOut { url: exchange::sign_out(&settings, &known, &back, self.providers.outside.is_private()) })
    }

    async fn list_federated(&self, cx: &Cx, (): ()) -> Result<Page<FederatedInfo>> {
        let (user, _) = person(cx)?;
        let items = store::of_user(&self.ground.db, user).await?.into_iter().map(|found| found.info).collect();
        Ok(Page { items, next: None })
    }

    async fn unlink(&self, cx: &Cx, request: Unlink) -> Result<FederatedInfo> {
        let (user, session) = person(cx)?;
        self.door.prove_sign_in(cx, user).await?;
        let all = store::of_user(&self.ground.db, user).await?;
        let found = all.into_iter().find(|found| found.info.id == request.id).ok_or_else(store::link_missing)?;
        let owner = people::platform();
        let evidence = self.evidence(cx, &owner, user, "federation.unlinked", &found.info.issuer).await?;
        // Whoever has a say at the provider may be in already.
        let end = self.door.tokens.end_of_all(cx, user, Some(session));
        let change = store::Unlink { user: user.to_owned(), id: request.id, end, evidence };
        self.ground.db.write_platform(change).await?;
        Ok(found.info)
    }

    async fn list_providers(&self, cx: &Cx, (): ()) -> Result<Page<ProviderInfo>> {
        cx.permit("identity:admin")?;
        let all = store::providers(&self.ground.db, &cx.tenant).await?;
        Ok(Page { items: all.into_iter().map(registry::info).collect(), next: None })
    }

    async fn put_provider(&self, cx: &Cx, request: PutProviderAt) -> Result<ProviderInfo> {
        cx.permit("identity:admin")?;
        prove_second(&self.ground, cx).await?;
        let PutProviderAt { provider: name, put } = request;
        rules::check_name(&name)?;
        let said = self.said(cx, &name, &put).await?;
        let had = store::provider(&self.ground.db, &cx.tenant, &name).await?;
        let secret = match &put.client_secret {
            Some(secret) => Some(self.seal_secret(&cx.tenant, &name, secret.0.as_bytes()).await?),
            // A secret is of one client at one issuer: it goes to no other.
            None => had
                .filter(|had| had.said.issuer == said.issuer && had.said.client_id == said.client_id)
                .and_then(|had| had.secret),
        };
        // Asked anew, so that who sets it up hears at once what is wrong.
        self.providers.anew(&said.issuer).await?;
        let updated_at = self.now();
        let stored = store::Stored { name: name.clone(), said: said.clone(), secret: secret.clone(), updated_at };
        let entry = Entry::new(cx, "federation.provider_set", "identity", "put_provider", updated_at)
            .request("provider", name.as_str())
            .request("issuer", said.issuer.as_str())
            .request("client_id", said.client_id.as_str())
            .request("sign_up", said.sign_up)
            .request("default_roles", said.default_roles.join(" "));
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        let change = Put { tenant: cx.tenant.clone(), name, said, secret, info: registry::info(stored), evidence };
        self.ground.db.write(cx, change).await
    }

    async fn remove_provider(&self, cx: &Cx, request: NameProvider) -> Result<ProviderInfo> {
        cx.permit("identity:admin")?;
        let had = store::provider(&self.ground.db, &cx.tenant, &request.provider).await?;
        let had = had.ok_or_else(store::provider_missing)?;
        let entry = Entry::new(cx, "federation.provider_removed", "identity", "remove_provider", self.now())
            .request("provider", had.name.as_str());
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        let change = RemoveProvider { tenant: cx.tenant.clone(), name: request.provider, evidence };
        self.ground.db.write(cx, change).await?;
        Ok(registry::info(had))
    }
}

/// Whose people the provider vouches for.
pub(super) fn owner(settings: &Settings) -> TenantId {
    settings.owner.clone().unwrap_or_else(people::platform)
}

fn unknown() -> Error {
    Error::new(Code::Forbidden, "federation.unknown", "nobody here is known by this identity, and none is made for it")
}
