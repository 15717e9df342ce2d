//! What people do to invites, roles and tenants, with the evidence of it.

use nsl_api::{
    Revealed,
    people::{CreatedInvite, InviteInfo, InviteUser, MemberStatus, NameTenant, OwnTenant, RenameTenant, RoleInfo},
};
use nsl_core::{Code, Cx, Error, Result, TenantId, fresh};

use super::{
    custom::{Define, Verb, role_missing},
    giving::invited_to,
    invites::{Accept, AddInvite, Withdraw},
    members::check_given,
    reads, roles, rules,
    service::{ADMIN, Service},
    store::{NewTenant, User, custom_roles},
    tenants::{Decide, Fate, Open, tenant_missing},
};
use crate::{
    names::check_name,
    secrets::{digest_of, secret},
    signin,
};

impl Service {
    pub(super) async fn invite(&self, cx: &Cx, request: InviteUser) -> Result<CreatedInvite> {
        let email = request.email.as_deref().map(signin::rules::email).transpose()?;
        let custom = custom_roles(&self.ground.db, &cx.tenant).await?;
        check_given(&request.roles, &custom, &self.ground.scopes, &cx.principal)?;
        let token = secret("nsi_")?;
        let digest = digest_of(&token);
        let (id, at) = (fresh("inv"), self.ground.clock.now());
        let about = [("invite", id.as_str()), ("roles", &request.roles.join(" "))];
        let entry = self.entry(cx, "identity.user_invited", "invite_user", &about).await?;
        let change = AddInvite {
            tenant: cx.tenant.clone(),
            id: id.clone(),
            digest,
            email,
            roles: request.roles,
            invited_by: cx.principal.subject.to_string(),
            at,
            expires_at: at.plus(self.config().invite),
            most: self.config().invites_per_tenant,
            entry,
        };
        let done = self.ground.db.write(cx, change).await?;
        if done != id {
            let message = "this idempotency key made an invite before, and its token is shown only once";
            return Err(Error::new(Code::Conflict, "people.invite_shown_once", message).detail("id", done));
        }
        let invite = reads::invite(&self.ground.db, &cx.tenant, &id).await?.ok_or_else(invite_missing)?;
        Ok(CreatedInvite { token: Revealed(token), invite })
    }

    pub(super) async fn withdraw(&self, cx: &Cx, id: &str) -> Result<InviteInfo> {
        let find = || reads::invite(&self.ground.db, &cx.tenant, id);
        find().await?.ok_or_else(invite_missing)?;
        let entry = self.entry(cx, "identity.invite_withdrawn", "withdraw_invite", &[("invite", id)]).await?;
        let change = Withdraw { tenant: cx.tenant.clone(), id: id.to_owned(), at: self.ground.clock.now(), entry };
        self.ground.db.write(cx, change).await?;
        find().await?.ok_or_else(invite_missing)
    }

    pub(super) async fn accept(&self, cx: &Cx, user: User, token: Revealed) -> Result<OwnTenant> {
        // Evidence of it belongs to the tenant that the person comes into.
        let there = Cx { tenant: invited_to(&self.ground, &token.0).await?, ..cx.clone() };
        let entry = self.entry(&there, "identity.invite_accepted", "accept_invite", &[("user", &user.id)]).await?;
        let at = self.ground.clock.now();
        let change = Accept { token, user: user.id.clone(), email: user.email, at, entry };
        let tenant = self.ground.db.write_across(cx, change).await?;
        self.own(&user.id, &tenant).await
    }

    pub(super) async fn define(&self, cx: &Cx, name: String, verb: Verb) -> Result<RoleInfo> {
        rules::check_role_name(&name)?;
        let (event, method) = match &verb {
            Verb::Create(_) => ("identity.role_created", "create_role"),
            Verb::Set(_) => ("identity.role_changed", "set_role"),
            Verb::Delete => ("identity.role_deleted", "delete_role"),
        };
        let mut entry = self.entry(cx, event, method, &[("role", &name)]).await?;
        if let Verb::Create(permissions) | Verb::Set(permissions) = &verb {
            signin::prove_second(&self.ground, cx).await?;
            rules::check_permissions(permissions, &self.ground.scopes, &cx.principal)?;
            entry = entry.request("permissions", permissions.join(" "));
        }
        let gone = match verb {
            Verb::Delete => Some(self.role(cx, &name).await?.ok_or_else(role_missing)?),
            _ => None,
        };
        let change = Define {
            tenant: cx.tenant.clone(),
            name: name.clone(),
            verb,
            by: cx.principal.clone(),
            at: self.ground.clock.now(),
            entry,
        };
        self.ground.db.write_across(cx, change).await?;
        match gone {
            Some(role) => Ok(role),
            None => self.role(cx, &name).await?.ok_or_else(role_missing),
        }
    }

    async fn role(&self, cx: &Cx, name: &str) -> Result<Option<RoleInfo>> {
        let all = reads::roles(&self.ground.db, &cx.tenant).await?;
        Ok(all.into_iter().find(|role| role.name == name))
    }

    async fn own(&self, user: &str, tenant: &TenantId) -> Result<OwnTenant> {
        let own = reads::tenants(&self.ground.db, user).await?;
        own.into_iter().find(|own| own.tenant == *tenant).ok_or_else(tenant_missing)
    }

    pub(super) async fn open(&self, cx: &Cx, name: &str) -> Result<OwnTenant> {
        check_name("people.name", name)?;
        let user = self.in_person(cx).await?;
        let new = NewTenant { tenant: TenantId::fresh(), name: name.to_owned(), at: self.ground.clock.now() };
        let there = Cx { tenant: new.tenant.clone(), ..cx.clone() };
        let entry = self.entry(&there, "identity.tenant_created", "open_tenant", &[("owner", &user.id)]).await?;
        let change = Open { new, user: user.id.clone(), most: self.config().tenants_per_user, entry };
        let tenant = self.ground.db.write_across(cx, change).await?;
        self.own(&user.id, &tenant).await
    }

    pub(super) async fn rename(&self, cx: &Cx, request: RenameTenant) -> Result<OwnTenant> {
        within(cx, &request.tenant)?;
        cx.permit(ADMIN)?;
        check_name("people.name", &request.name)?;
        let entry = self.entry(cx, "identity.tenant_renamed", "rename_tenant", &[]).await?;
        self.decide(cx, request.tenant, Fate::Rename(request.name), entry).await
    }

    pub(super) async fn close(&self, cx: &Cx, request: NameTenant) -> Result<OwnTenant> {
        within(cx, &request.tenant)?;
        let now = self.ground.clock.now();
        cx.permit_sensitive(roles::OF_OWNERS, now)?;
        let entry = self.entry(cx, "identity.tenant_closed", "delete_tenant", &[]).await?;
        let erase_at = now.plus(self.config().grace);
        let entry = entry.response("erase_at", erase_at.rfc3339());
        self.decide(cx, request.tenant, Fate::Close(erase_at), entry).await
    }

    pub(super) async fn reopen(&self, cx: &Cx, request: NameTenant) -> Result<OwnTenant> {
        let user = self.in_person(cx).await?;
        cx.second_factor(self.ground.clock.now())?;
        // Nothing is written in a tenant, not even evidence, by one who has no business there.
        let own = self.own(&user.id, &request.tenant).await?;
        if own.member != MemberStatus::Active || !own.roles.iter().any(|role| role == roles::OWNER) {
            return Err(tenant_missing().detail("refused", true));
        }
        let there = Cx { tenant: request.tenant.clone(), ..cx.clone() };
        let entry = self.entry(&there, "identity.tenant_reopened", "restore_tenant", &[]).await?;
        self.decide(cx, request.tenant, Fate::Reopen, entry).await
    }

    async fn decide(&self, cx: &Cx, tenant: TenantId, fate: Fate, entry: nsl_core::Entry) -> Result<OwnTenant> {
        let user = cx.principal.subject.as_str().to_owned();
        let at = self.ground.clock.now();
        let change = Decide { tenant: tenant.clone(), fate, user: user.clone(), at, entry };
        self.ground.db.write_across(cx, change).await?;
        match self.own(&user, &tenant).await {
            // An administrator's key is no member.
            Err(error) if error.code == Code::NotFound => {
                reads::tenant(&self.ground.db, &tenant).await?.ok_or_else(tenant_missing)
            }
            own => own,
        }
    }
}

/// A credential works in its own tenant alone.
fn within(cx: &Cx, tenant: &TenantId) -> Result<()> {
    if *tenant == cx.tenant { Ok(()) } else { Err(tenant_missing().detail("refused", true)) }
}

fn invite_missing() -> Error {
    Error::new(Code::NotFound, "people.invite_missing", "the tenant has no such invite")
}
