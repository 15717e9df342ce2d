//! What persons do to their own account, and operators to that of others.

use nsl_api::people::{DeletedUser, Profile, UpdateMe, UserInfo, UserStatus};
use nsl_core::{Code, Cx, Error, Result};

use super::{
    accounts::{Bar, Update},
    members::user_missing,
    reads,
    service::Service,
    store::{self, Status, User},
};
use crate::{names::check_name, signin};

impl Service {
    pub(super) async fn profile(&self, user: User) -> Result<Profile> {
        let tenants = reads::tenants(&self.ground.db, &user.id).await?;
        let User { id, email, name, status, created_at } = user;
        Ok(Profile { id, email, name, status: reads::shown(status), created_at, tenants })
    }

    pub(super) async fn update_account(&self, cx: &Cx, request: UpdateMe) -> Result<Profile> {
        let user = self.in_person(cx).await?;
        if let Some(name) = &request.name {
            check_name("people.name", name)?;
        }
        let email = request.email.as_deref().map(signin::rules::email).transpose()?;
        let email = email.filter(|email| user.email.as_ref() != Some(email));
        let mut changed = Vec::new();
        if email.is_some() {
            // Whoever has the address has the account in the end.
            self.door.prove_presence(cx, &user, request.password.as_ref()).await?;
            changed.push("email");
        }
        if request.name.is_some() {
            changed.push("name");
        }
        if !changed.is_empty() {
            let about = [("changed", changed.join(" "))];
            let about = about.each_ref().map(|(name, value)| (*name, value.as_str()));
            let entry = self.entry(cx, "identity.profile_changed", "update_me", &about).await?;
            let change = Update { user: user.id.clone(), name: request.name, email, entry };
            self.ground.db.write_across(cx, change).await?;
        }
        let user = store::user(&self.ground.db, &user.id).await?.ok_or_else(user_missing)?;
        self.profile(user).await
    }

    /// For operators: keeps a person out of all tenants, or lets them in again.
    pub(super) async fn bar(&self, cx: &Cx, id: &str, out: bool) -> Result<UserInfo> {
        let find = || async { store::user(&self.ground.db, id).await?.ok_or_else(user_missing) };
        if find().await?.status == Status::Erased {
            return Err(Error::new(Code::Conflict, "people.user_erased", "the account is erased"));
        }
        let (event, method) = match out {
            true => ("identity.user_suspended", "suspend_user"),
            false => ("identity.user_resumed", "resume_user"),
        };
        let entry = self.entry(cx, event, method, &[("user", id)]).await?;
        let change = Bar { user: id.to_owned(), out, at: self.ground.clock.now(), entry };
        self.ground.db.write_across(cx, change).await?;
        let user = find().await?;
        Ok(UserInfo {
            id: user.id,
            email: user.email,
            name: user.name,
            status: reads::shown(user.status),
            roles: Vec::new(),
            member: nsl_api::people::MemberStatus::Active,
            since: user.created_at,
            created_at: user.created_at,
        })
    }

    pub(super) async fn delete_account(&self, cx: &Cx, id: &str) -> Result<DeletedUser> {
        let privacy_request = self.erase_account(cx, id).await?;
        Ok(DeletedUser { id: id.to_owned(), status: UserStatus::Erased, privacy_request })
    }
}
