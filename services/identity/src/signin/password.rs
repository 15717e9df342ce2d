//! New passwords for old ones, and for forgotten ones.

use std::time::Duration;

use nsl_api::signin::{ChangePassword, IssueReset, PasswordChanged, ResetIssued, ResetPassword};
use nsl_core::{Code, Cx, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Row, Scope, Single, Tx, args};
use serde_json::Map;

use super::{
    Door,
    finish::{acting, factors, token},
    gate,
    service::{Person, wrong},
    store,
};
use crate::{
    people::{
        giving::still_gives,
        store::{self as people, PLATFORM, Status},
    },
    secrets::digest_of,
    tokens::store::End,
};

/// How long a reset token works.
const RESET: Duration = Duration::from_secs(3_600);

static ADD: &str = "INSERT INTO reset_tokens (tenant_id, digest, user_id, issued_by, expires_at, belongs_to)
    VALUES ($1, $2, $3, $4, $5, $6)";
static FIND: &str =
    "SELECT user_id, issued_by, belongs_to FROM reset_tokens WHERE tenant_id = $1 AND digest = $2 AND expires_at > $3";
static HAS: &str =
    "SELECT count(*) FROM reset_tokens WHERE tenant_id = $1 AND digest = $2 AND user_id = $3 AND expires_at > $4";
static MEMBERSHIPS: &str = "SELECT tenant_id, roles, status FROM members WHERE user_id = $1 ORDER BY tenant_id";
static END_RESETS: &str = "DELETE FROM reset_tokens WHERE tenant_id = $1 AND user_id = $2";
static END_MFA: &str = "DELETE FROM mfa_tokens WHERE tenant_id = $1 AND user_id = $2";

impl Door {
    pub(super) async fn replace_password(&self, cx: &Cx, request: ChangePassword) -> Result<PasswordChanged> {
        let Person { user, session } = self.person(cx).await?;
        let now = self.ground.clock.now();
        if !factors(&self.ground.db, &user.id).await?.is_empty() {
            cx.second_factor(now)?;
        }
        let email = user.email.clone().unwrap_or_else(|| user.id.clone());
        let right = self.check_password(cx, &email, Some(&user), &request.current_password).await?;
        let password = self.new_password(&request.new_password, user.email.as_deref()).await?;
        let phc = self.place()?.make(password).await?;
        let acting = acting(cx, &user)?;
        let entry = Entry::new(&acting, "signin.password_changed", "identity", "change_password", now);
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let account = self.gate.account_of(&self.ground, &email).await?;
        let end = self.tokens.end_of_all(cx, &user.id, Some(&session));
        let change = SetPassword { user: user.id, phc, reset: None, account, right: Some(right), end, now, evidence };
        Ok(PasswordChanged { sessions_ended: self.ground.db.write_across(&acting, change).await? })
    }

    pub(super) async fn make_reset(&self, cx: &Cx, request: IssueReset) -> Result<ResetIssued> {
        let now = self.ground.clock.now();
        cx.permit_sensitive("identity:admin", now)?;
        let (user, belongs_to) = self.resettable(cx, &request.user).await?;
        let (reset_token, digest) = token("nsp_")?;
        let entry =
            Entry::new(cx, "signin.reset_issued", "identity", "issue_reset", now).request("user", user.as_str());
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        let issued_by = cx.principal.subject.as_str().to_owned();
        let change = AddReset { user, digest, issued_by, expires_at: now.plus(RESET), belongs_to, evidence };
        // Not under a key of idempotency: the token is shown once, and a lost one is issued again.
        self.ground.db.write_across(&Cx { once: None, ..cx.clone() }, change).await?;
        Ok(ResetIssued { reset_token, expires_in: RESET.as_secs() })
    }

    /// A password opens all tenants of its user. So an administrator gives new ones only to those who belong to this
    /// tenant alone, and who may do nothing that the administrator may not. Gives, too, where the user belongs: the
    /// token ends when that changes.
    async fn resettable(&self, cx: &Cx, id: &str) -> Result<(String, String)> {
        let missing = || Error::new(Code::NotFound, "people.user_missing", "there is no such user");
        let user = people::user(&self.ground.db, id).await?.filter(|user| user.status != Status::Erased);
        let Some(user) = user else { return Err(missing()) };
        if cx.principal.kind == nsl_core::PrincipalKind::System {
            return Ok((with_email(user)?, String::new()));
        }
        // Those where the membership rests, too.
        let found = self.ground.db.query(Scope::Platform, MEMBERSHIPS, args![user.id.as_str()]).await?;
        let memberships = memberships(found)?;
        if memberships.iter().all(|(tenant, ..)| *tenant != cx.tenant) {
            return Err(missing().detail("refused", true));
        }
        let held = people::permissions(&self.ground.db, &self.ground.scopes, &cx.tenant, &user.id).await?;
        // What a suspended one may do again tomorrow is not known today.
        let is_below = held.is_some_and(|held| held.iter().all(|permission| cx.principal.holds(permission)));
        if memberships.len() != 1 || !is_below {
            let message = "the user belongs to other tenants too, or may do what you may not";
            return Err(Error::new(Code::Forbidden, "signin.reset_not_yours", message));
        }
        Ok((with_email(user)?, serde_json::to_string(&memberships).map_err(Error::internal)?))
    }

    /// Whether who gave the token out may still.
    async fn still_given(&self, issued_by: &str, belongs_to: &str) -> Result<bool> {
        let memberships: Vec<Membership> = match belongs_to {
            "" => return Ok(true),
            text => serde_json::from_str(text).map_err(Error::internal)?,
        };
        for (tenant, roles, _) in &memberships {
            if !still_gives(&self.ground, tenant, issued_by, roles).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn use_reset(&self, cx: &Cx, request: ResetPassword) -> Result<PasswordChanged> {
        let now = self.ground.clock.now();
        let digest = digest_of(&request.reset_token.0);
        let mut found = self.ground.db.query(Scope::Platform, FIND, args![PLATFORM, digest.clone(), now]).await?;
        let row = found.first_mut().ok_or_else(reset_unknown)?;
        let (id, issued_by, belongs_to): (String, String, String) = (row.take(0)?, row.take(1)?, row.take(2)?);
        if !self.still_given(&issued_by, &belongs_to).await? {
            return Err(reset_unknown());
        }
        let user = self.user(&id).await?;
        let email = user.email.clone().ok_or_else(wrong)?;
        let password = self.new_password(&request.new_password, Some(&email)).await?;
        let phc = self.place()?.make(password).await?;
        let acting = acting(cx, &user)?;
        let entry = Entry::new(&acting, "signin.password_reset", "identity", "reset_password", now);
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let account = self.gate.account_of(&self.ground, &email).await?;
        let end = self.tokens.end_of_all(&acting, &id, None);
        let reset = Some(Reset { digest, belongs_to });
        let change = SetPassword { user: id, phc, reset, account, right: None, end, now, evidence };
        Ok(PasswordChanged { sessions_ended: self.ground.db.write_across(&acting, change).await? })
    }
}

fn with_email(user: people::User) -> Result<String> {
    match user.email {
        Some(_) => Ok(user.id),
        None => Err(Error::new(Code::Conflict, "signin.no_email", "the user has no email address to sign in with")),
    }
}

/// A tenant, the roles there, and whether the membership rests.
type Membership = (TenantId, Vec<String>, String);

fn memberships(rows: Vec<Row>) -> Result<Vec<Membership>> {
    rows.into_iter().map(|mut row| Ok((row.take(0)?, people::list(row.take(1)?)?, row.take(2)?))).collect()
}

fn reset_unknown() -> Error {
    Error::new(Code::Unauthenticated, "signin.reset_token", "the reset token is not valid, any more or at all")
}

struct AddReset {
    user: String,
    digest: String,
    issued_by: String,
    expires_at: Timestamp,
    belongs_to: String,
    evidence: Entry,
}

impl Single for AddReset {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        tx.execute(END_RESETS, args![PLATFORM, self.user.clone()]).await?;
        let (user, by, at) = (self.user.clone(), self.issued_by.clone(), self.expires_at);
        tx.execute(ADD, args![PLATFORM, self.digest.clone(), user, by, at, self.belongs_to.clone()]).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

struct Reset {
    digest: String,
    /// Empty: wherever the user belongs, by the word of the platform.
    belongs_to: String,
}

/// A new password ends whatever the old one began.
struct SetPassword {
    user: String,
    phc: String,
    /// The token that it is set by.
    reset: Option<Reset>,
    account: String,
    right: Option<store::Right>,
    end: End,
    now: Timestamp,
    evidence: Entry,
}

impl Single for SetPassword {
    /// How many sessions it ended.
    type Done = u32;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<u32>> {
        store::take_turn(tx, &self.user).await?;
        if let Some(Reset { digest, belongs_to }) = &self.reset {
            let args = args![PLATFORM, digest.clone(), self.user.clone(), self.now];
            let now = memberships(tx.query(MEMBERSHIPS, args![self.user.as_str()]).await?)?;
            let elsewhere = *belongs_to != serde_json::to_string(&now).map_err(Error::internal)?;
            if store::count(tx, HAS, args).await? == 0 || (elsewhere && !belongs_to.is_empty()) {
                return Ok(Err(reset_unknown()));
            }
        }
        if let Some(right) = &self.right
            && let Err(wrong) = right.check(tx, &self.user).await?
        {
            return Ok(Err(wrong));
        }
        store::set_password(tx, &self.user, &self.phc, self.now).await?;
        tx.execute(END_RESETS, args![PLATFORM, self.user.clone()]).await?;
        tx.execute(END_MFA, args![PLATFORM, self.user.clone()]).await?;
        gate::forget_account(tx, &self.account).await?;
        tx.note(self.evidence.clone());
        Ok(self.end.one(tx).await?.map(|ended| ended.len() as u32))
    }
}
