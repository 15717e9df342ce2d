use async_trait::async_trait;
use nsl_api::{
    Page,
    people::{
        AcceptInvite, CreateRole, CreatedInvite, DeleteMe, DeletedUser, FindMe, InviteInfo, InviteUser, ListInvites,
        ListMembers, ListOwnTenants, ListRoles, ListUsers, MemberStatus, NameInvite, NameMember, NameRole, NameTenant,
        NameUser, OpenTenant, OwnTenant, OwnTenants, People, Profile, RenameTenant, RoleInfo, RoleList, SetMember,
        SetRole, UpdateMe, UserInfo,
    },
};
use nsl_core::{Code, Cx, Entry, Error, PrincipalKind, Result};
use serde_json::Map;

use super::{
    accounts::not_a_person,
    custom::Verb,
    members::{Deed, Rule, user_missing},
    reads, roles,
    store::{self, Status, User},
};
use crate::{
    ground::Ground,
    keys::{self, Revoked},
    page::{LONGEST_PAGE, page},
    signin::{Door, person::person, prove_second},
};

pub(super) const ADMIN: &str = "identity:admin";
const READ: &str = "identity:read";

/// Users, tenants and who is what in which.
pub(crate) struct Service {
    pub(super) ground: Ground,
    pub(super) revoked: Revoked,
    pub(super) door: Door,
}

impl Service {
    pub(crate) fn new(ground: Ground, revoked: Revoked, door: Door) -> Self {
        Self { ground, revoked, door }
    }

    pub(super) fn config(&self) -> &super::Config {
        &self.ground.config.people
    }

    /// The user that the credential speaks for: they signed in with it, or made the key for themselves. A key may
    /// name a person as its subject who never saw it, and shows nothing of them.
    pub(super) async fn me(&self, cx: &Cx) -> Result<User> {
        let user = self.account(cx).await?;
        let principal = &cx.principal;
        if !principal.whole {
            cx.permit(READ)?;
        }
        let is_own = match principal.kind {
            PrincipalKind::ApiKey => {
                let key = keys::find_key(&self.ground.db, &cx.tenant, &principal.credential).await?;
                key.is_some_and(|key| key.owner.as_deref() == Some(user.id.as_str()))
            }
            _ => principal.session.is_some(),
        };
        if is_own { Ok(user) } else { Err(not_a_person().detail("refused", true)) }
    }

    /// The user that the credential names.
    async fn account(&self, cx: &Cx) -> Result<User> {
        match cx.principal.kind {
            PrincipalKind::Anonymous => return Err(cx.permit(READ).err().unwrap_or_else(not_a_person)),
            PrincipalKind::System | PrincipalKind::Certificate => return Err(not_a_person()),
            PrincipalKind::ApiKey | PrincipalKind::Token => {}
        }
        let user = store::user(&self.ground.db, cx.principal.subject.as_str()).await?;
        user.filter(|user| user.status == Status::Active).ok_or_else(not_a_person)
    }

    /// The user of a session, who is there in person: no key, and nobody who acts for them.
    pub(super) async fn in_person(&self, cx: &Cx) -> Result<User> {
        let user = self.account(cx).await?;
        person(cx).map(|_| user)
    }

    pub(super) async fn entry(
        &self,
        cx: &Cx,
        event: &'static str,
        method: &'static str,
        about: &[(&str, &str)],
    ) -> Result<Entry> {
        let entry = Entry::new(cx, event, "identity", method, self.ground.clock.now());
        let entry = about.iter().fold(entry, |entry, (name, value)| entry.request(name, *value));
        self.ground.ledger.seal(cx, entry, Map::new()).await
    }

    pub(super) async fn seen(&self, cx: &Cx, user: &str) -> Result<UserInfo> {
        reads::user(&self.ground.db, &cx.tenant, user).await?.ok_or_else(user_missing)
    }

    pub(super) async fn rule(
        &self,
        cx: &Cx,
        user: &str,
        deed: Deed,
        event: &'static str,
        method: &'static str,
    ) -> Result<()> {
        let roles = if let Deed::SetRoles(roles) = &deed { roles.join(" ") } else { String::new() };
        let entry = self.entry(cx, event, method, &[("user", user)]).await?;
        let entry = if roles.is_empty() { entry } else { entry.request("roles", roles) };
        let at = self.ground.clock.now();
        let rule = Rule {
            tenant: cx.tenant.clone(),
            user: user.to_owned(),
            deed,
            by: cx.principal.clone(),
            known: self.ground.scopes.clone(),
            at,
            entry,
        };
        self.ground.db.write_across(cx, rule).await?;
        self.tell_of_keys(user, at).await
    }

    /// Lets this process forget keys that were just revoked; others do by themselves within a second.
    pub(super) async fn tell_of_keys(&self, user: &str, at: nsl_core::Timestamp) -> Result<()> {
        for digest in reads::revoked_keys(&self.ground.db, user, at).await? {
            (self.revoked)(&digest);
        }
        Ok(())
    }
}

/// A key, or a program that was let in for less, is told of the tenant that it works in alone.
fn within_reach(cx: &Cx, tenants: Vec<OwnTenant>) -> Vec<OwnTenant> {
    tenants.into_iter().filter(|own| cx.principal.whole || own.tenant == cx.tenant).collect()
}

#[async_trait]
impl People for Service {
    async fn find_me(&self, cx: &Cx, _: FindMe) -> Result<Profile> {
        let user = self.me(cx).await?;
        let profile = self.profile(user).await?;
        Ok(Profile { tenants: within_reach(cx, profile.tenants), ..profile })
    }

    async fn update_me(&self, cx: &Cx, request: UpdateMe) -> Result<Profile> {
        self.update_account(cx, request).await
    }

    async fn delete_me(&self, cx: &Cx, request: DeleteMe) -> Result<DeletedUser> {
        let user = self.in_person(cx).await?;
        self.door.prove_presence(cx, &user, request.password.as_ref()).await?;
        self.delete_account(cx, &user.id).await
    }

    async fn list_users(&self, cx: &Cx, request: ListUsers) -> Result<Page<UserInfo>> {
        cx.permit(ADMIN)?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let items = reads::users(&self.ground.db, &cx.tenant, &request, limit + 1).await?;
        Ok(page(items, limit, |user| user.id.clone()))
    }

    async fn find_user(&self, cx: &Cx, request: NameUser) -> Result<UserInfo> {
        if request.id != cx.principal.subject.as_str() {
            cx.permit(ADMIN)?;
        }
        self.seen(cx, &request.id).await
    }

    async fn suspend_user(&self, cx: &Cx, request: NameUser) -> Result<UserInfo> {
        if cx.principal.kind == PrincipalKind::System {
            return self.bar(cx, &request.id, true).await;
        }
        cx.permit(ADMIN)?;
        self.rule(cx, &request.id, Deed::Suspend, "identity.member_suspended", "suspend_user").await?;
        self.seen(cx, &request.id).await
    }

    async fn resume_user(&self, cx: &Cx, request: NameUser) -> Result<UserInfo> {
        if cx.principal.kind == PrincipalKind::System {
            return self.bar(cx, &request.id, false).await;
        }
        cx.permit(ADMIN)?;
        self.rule(cx, &request.id, Deed::Resume, "identity.member_resumed", "resume_user").await?;
        self.seen(cx, &request.id).await
    }

    async fn delete_user(&self, cx: &Cx, request: NameUser) -> Result<DeletedUser> {
        if cx.principal.kind != PrincipalKind::System {
            let message = "only the platform deletes the account of another";
            return Err(Error::new(Code::Forbidden, "identity.platform_only", message));
        }
        self.delete_account(cx, &request.id).await
    }

    async fn invite_user(&self, cx: &Cx, request: InviteUser) -> Result<CreatedInvite> {
        cx.permit(ADMIN)?;
        prove_second(&self.ground, cx).await?;
        self.invite(cx, request).await
    }

    async fn list_invites(&self, cx: &Cx, request: ListInvites) -> Result<Page<InviteInfo>> {
        cx.permit(ADMIN)?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let items = reads::invites(&self.ground.db, &cx.tenant, request.after, limit + 1).await?;
        Ok(page(items, limit, |invite| invite.id.clone()))
    }

    async fn withdraw_invite(&self, cx: &Cx, request: NameInvite) -> Result<InviteInfo> {
        cx.permit(ADMIN)?;
        self.withdraw(cx, &request.id).await
    }

    async fn accept_invite(&self, cx: &Cx, request: AcceptInvite) -> Result<OwnTenant> {
        let user = self.in_person(cx).await?;
        self.accept(cx, user, request.token).await
    }

    async fn list_members(&self, cx: &Cx, request: ListMembers) -> Result<Page<UserInfo>> {
        cx.permit(READ)?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let ask = ListUsers { after: request.after, ..ListUsers::default() };
        let mut items = reads::users(&self.ground.db, &cx.tenant, &ask, limit + 1).await?;
        items.iter_mut().for_each(|user| user.email = None);
        Ok(page(items, limit, |user| user.id.clone()))
    }

    async fn set_member(&self, cx: &Cx, request: SetMember) -> Result<UserInfo> {
        cx.permit(ADMIN)?;
        prove_second(&self.ground, cx).await?;
        let deed = Deed::SetRoles(request.roles);
        self.rule(cx, &request.user, deed, "identity.member_changed", "set_member").await?;
        self.seen(cx, &request.user).await
    }

    async fn remove_member(&self, cx: &Cx, request: NameMember) -> Result<UserInfo> {
        if request.user == cx.principal.subject.as_str() {
            self.in_person(cx).await?;
        } else {
            cx.permit(ADMIN)?;
        }
        let before = self.seen(cx, &request.user).await?;
        self.rule(cx, &request.user, Deed::Remove, "identity.member_removed", "remove_member").await?;
        Ok(UserInfo { roles: Vec::new(), member: MemberStatus::Suspended, ..before })
    }

    async fn list_roles(&self, cx: &Cx, _: ListRoles) -> Result<RoleList> {
        cx.permit(READ)?;
        let known = &self.ground.scopes;
        let built_in = roles::BUILT_IN.iter().map(|name| RoleInfo {
            name: (*name).to_owned(),
            permissions: roles::built_in(name, known).unwrap_or_default(),
            built_in: true,
            updated_at: None,
        });
        let mut items: Vec<RoleInfo> = built_in.collect();
        items.extend(reads::roles(&self.ground.db, &cx.tenant).await?);
        Ok(RoleList { items })
    }

    async fn create_role(&self, cx: &Cx, request: CreateRole) -> Result<RoleInfo> {
        cx.permit(ADMIN)?;
        self.define(cx, request.name, Verb::Create(request.permissions)).await
    }

    async fn set_role(&self, cx: &Cx, request: SetRole) -> Result<RoleInfo> {
        cx.permit(ADMIN)?;
        self.define(cx, request.name, Verb::Set(request.permissions)).await
    }

    async fn delete_role(&self, cx: &Cx, request: NameRole) -> Result<RoleInfo> {
        cx.permit(ADMIN)?;
        self.define(cx, request.name, Verb::Delete).await
    }

    async fn list_own_tenants(&self, cx: &Cx, _: ListOwnTenants) -> Result<OwnTenants> {
        let user = self.me(cx).await?;
        Ok(OwnTenants { items: within_reach(cx, reads::tenants(&self.ground.db, &user.id).await?) })
    }

    async fn open_tenant(&self, cx: &Cx, request: OpenTenant) -> Result<OwnTenant> {
        self.open(cx, &request.name).await
    }

    async fn rename_tenant(&self, cx: &Cx, request: RenameTenant) -> Result<OwnTenant> {
        self.rename(cx, request).await
    }

    async fn delete_tenant(&self, cx: &Cx, request: NameTenant) -> Result<OwnTenant> {
        self.close(cx, request).await
    }

    async fn restore_tenant(&self, cx: &Cx, request: NameTenant) -> Result<OwnTenant> {
        self.reopen(cx, request).await
    }
}
