//! Making an account.

use nsl_api::{
    Revealed,
    signin::{Register, SignedIn},
};
use nsl_core::{Code, Cx, Entry, Error, Result, TenantId, Timestamp, fresh};
use nsl_sql::{Single, Tx};
use serde_json::Map;

use super::{Door, SignUp, finish::acting, rules, store};
use crate::{
    names::check_name,
    people::{
        giving::invited_to,
        invites,
        store::{self as people, NewTenant, Status, User},
    },
};

impl Door {
    pub(super) async fn make_account(&self, cx: &Cx, request: Register) -> Result<SignedIn> {
        let email = rules::email(&request.email)?;
        for name in [&request.name, &request.tenant_name].into_iter().flatten() {
            check_name("signin.name", name)?;
        }
        if self.ground.config.signin.sign_up != Some(SignUp::Open) && request.invite.is_none() {
            let message = "accounts are made by invitation here";
            return Err(Error::new(Code::Forbidden, "signin.invite_needed", message));
        }
        if let Some(invite) = &request.invite {
            invited_to(&self.ground, &invite.0).await?;
        }
        let password = self.new_password(&request.password, Some(&email)).await?;
        let phc = self.place()?.make(password).await?;
        let now = self.ground.clock.now();
        let user = User {
            id: fresh("usr"),
            email: Some(email),
            name: request.name.clone(),
            status: Status::Active,
            created_at: now,
        };
        let acting = acting(cx, &user)?;
        let entry = Entry::new(&acting, "signin.registered", "identity", "register", now)
            .request("user", user.id.as_str())
            .request("invited", request.invite.is_some());
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let into = match request.invite {
            Some(invite) => Into::Invited(invite),
            None => {
                let name = request.tenant_name.or(request.name).unwrap_or_else(|| "personal".to_owned());
                Into::Own(NewTenant { tenant: TenantId::fresh(), name, at: now })
            }
        };
        self.ground.db.write_across(&acting, AddAccount { user: user.clone(), phc, into, now, evidence }).await?;
        self.finish(cx, &user, None, &["pwd"]).await
    }
}

/// Where the account works.
enum Into {
    Own(NewTenant),
    Invited(Revealed),
}

struct AddAccount {
    user: User,
    phc: String,
    into: Into,
    now: Timestamp,
    evidence: Entry,
}

impl Single for AddAccount {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let user = &self.user;
        let tenant = match &self.into {
            Into::Own(new) => {
                if let Err(taken) = people::insert_user(tx, user).await {
                    return Ok(Err(taken));
                }
                people::insert_tenant(tx, new, &user.id).await?;
                new.tenant.clone()
            }
            Into::Invited(token) => {
                // The invite first: whether an address is taken is told to who holds a good one, and to nobody else.
                match invites::accept(tx, &token.0, &user.id, user.email.as_deref(), self.now).await? {
                    Ok(tenant) => {
                        people::insert_user(tx, user).await?;
                        tenant
                    }
                    Err(refused) => return Ok(Err(refused)),
                }
            }
        };
        store::set_password(tx, &user.id, &self.phc, self.now).await?;
        tx.note(self.evidence.clone());
        let made = Entry { tenant, id: fresh("aud"), ..self.evidence.clone() };
        tx.note(unsealed(made));
        Ok(Ok(()))
    }
}

// What was sealed is bound to its entry: the one for the tenant says who came, not from where.
fn unsealed(entry: Entry) -> Entry {
    Entry { seal_key: None, ip_address: None, user_agent: None, personal: None, ..entry }
}
