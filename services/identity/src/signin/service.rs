use async_trait::async_trait;
use nsl_api::{
    Revealed,
    sessions::TokenReply,
    signin::{
        ChangePassword, ConfirmTotp, EnrolTotp, Factors, IssueReset, Login, Nothing, PasswordChanged, RecoveryCodes,
        Register, ResetIssued, ResetPassword, ShowMfa, SignedIn, Signin, StepUp, TotpSeed,
    },
};
use nsl_core::{Code, Cx, Entry, Error, Principal, Result};
use nsl_signin::password::{Busy, Password, Place, Verdict, Weak};
use serde_json::Map;

use super::{
    Door,
    gate::{At, Failed, Turn},
    person::person,
    store::{self, Right},
};
use crate::people::store::{self as people, User};

/// Alike for an unknown account and a wrong password.
pub(crate) fn wrong() -> Error {
    Error::new(Code::Unauthenticated, "signin.wrong", "the email address or the password is wrong")
}

fn busy(busy: Busy) -> Error {
    Error::new(Code::Unavailable, "signin.busy", "too many passwords are being checked").retry_after(busy.retry_after)
}

/// The person who asks: one who signed in, nobody in their name, and no program that they let in for less.
pub(super) struct Person {
    pub(super) user: User,
    pub(super) session: String,
}

impl Door {
    pub(super) fn place(&self) -> Result<Place> {
        self.pool.place().map_err(|line| {
            metrics::counter!("signin_refused_total", "reason" => "busy").increment(1);
            busy(line)
        })
    }

    pub(super) async fn person(&self, cx: &Cx) -> Result<Person> {
        let (user, session) = person(cx)?;
        Ok(Person { user: self.user(user).await?, session: session.to_owned() })
    }

    /// Whether this is the password of the account at this address; `user` is the one who has it, if there is one.
    /// The work is the same in any case. Whoever waits for their turn at an account holds no place in the line of
    /// hashing meanwhile: they keep nobody else out.
    pub(super) async fn check_password(
        &self,
        cx: &Cx,
        email: &str,
        user: Option<&User>,
        typed: &Revealed,
    ) -> Result<Right> {
        let id = user.map_or("", |user| &user.id);
        let turn = self.gate.enter(&self.ground, cx, At::Password(email), id).await?;
        let place = self.place()?;
        let (kept, times_set) = store::password(&self.ground.db, id).await?.unzip();
        // What can't be a password at all costs a hash, too.
        let password = Password::typed(&typed.0);
        let kept = kept.filter(|_| password.is_some());
        let password = password.or_else(|| Password::typed("no password")).ok_or_else(wrong)?;
        match place.check(password, kept.clone()).await? {
            Verdict::Right { rehashed } => {
                let rehash = kept.zip(rehashed).map(|(before, after)| (id.to_owned(), before, after));
                Ok(Right { who: Some(turn.who.clone()), rehash, times_set, link: None })
            }
            Verdict::Wrong => {
                self.count(cx, turn, user, "password").await?;
                Err(wrong())
            }
        }
    }

    /// Counts a wrong try, and says so in the audit trail: under the key of strangers, whoever it was meant for, so
    /// that an account that is there costs no more than one that is not.
    pub(super) async fn count(&self, cx: &Cx, turn: Turn, user: Option<&User>, factor: &'static str) -> Result<()> {
        let now = self.ground.clock.now();
        let cx =
            Cx { tenant: people::platform(), principal: Principal::anonymous(), once: None, rules: None, ..cx.clone() };
        let subject = user.map(|user| nsl_core::Subject::parse(&user.id)).transpose()?;
        let entry = |event| {
            let entry = Entry::new(&cx, event, "identity", "sign_in", now).request("factor", factor);
            Entry { subject: subject.clone(), ..entry }
        };
        let evidence = self.ground.ledger.seal(&cx, entry("signin.failed"), Map::new()).await?;
        let locked = self.ground.ledger.seal(&cx, entry("signin.locked"), Map::new()).await?;
        let change = Failed { who: turn.who.clone(), now, evidence, locked };
        self.ground.db.write(&cx, change).await
    }

    /// What a new password must be.
    pub(super) async fn new_password(&self, text: &Revealed, email: Option<&str>) -> Result<Password> {
        let weak = |weak: Weak| {
            let message = match weak {
                Weak::TooShort => "a password has at least 8 characters",
                Weak::TooLong => "a password has at most 256 characters",
                Weak::IsEmail => "the email address is no password",
                Weak::Breached => "this password is in a list of stolen ones",
            };
            Error::invalid("signin.password_weak", message).detail("reason", weak.reason())
        };
        let password = Password::new(&text.0, email).map_err(weak)?;
        if let Some(list) = self.breached.clone() {
            let wanted = password.clone();
            let found = tokio::task::spawn_blocking(move || list.has(&wanted)).await.map_err(Error::internal)?;
            if found.map_err(Error::internal)? {
                return Err(weak(Weak::Breached));
            }
        }
        Ok(password)
    }
}

#[async_trait]
impl Signin for Door {
    async fn register(&self, cx: &Cx, request: Register) -> Result<SignedIn> {
        self.make_account(cx, request).await
    }

    async fn login(&self, cx: &Cx, request: Login) -> Result<SignedIn> {
        let email = super::rules::email(&request.email)?;
        let user = people::user_by_email(&self.ground.db, &email).await?;
        let right = self.check_password(cx, &email, user.as_ref(), &request.password).await?;
        let user = user.ok_or_else(wrong)?;
        self.settle(cx, &user, request.tenant, &["pwd"], right).await
    }

    async fn show_mfa(&self, cx: &Cx, request: ShowMfa) -> Result<TokenReply> {
        self.second_of_sign_in(cx, request).await
    }

    async fn step_up(&self, cx: &Cx, request: StepUp) -> Result<TokenReply> {
        self.second_of_session(cx, request).await
    }

    async fn change_password(&self, cx: &Cx, request: ChangePassword) -> Result<PasswordChanged> {
        self.replace_password(cx, request).await
    }

    async fn issue_reset(&self, cx: &Cx, request: IssueReset) -> Result<ResetIssued> {
        self.make_reset(cx, request).await
    }

    async fn reset_password(&self, cx: &Cx, request: ResetPassword) -> Result<PasswordChanged> {
        self.use_reset(cx, request).await
    }

    async fn enrol_totp(&self, cx: &Cx, request: EnrolTotp) -> Result<TotpSeed> {
        self.enrol(cx, request).await
    }

    async fn confirm_totp(&self, cx: &Cx, request: ConfirmTotp) -> Result<RecoveryCodes> {
        self.confirm(cx, request).await
    }

    async fn remove_totp(&self, cx: &Cx, _: Nothing) -> Result<Factors> {
        self.remove(cx).await
    }

    async fn renew_recovery_codes(&self, cx: &Cx, _: Nothing) -> Result<RecoveryCodes> {
        self.renew_codes(cx).await
    }

    async fn list_factors(&self, cx: &Cx, _: Nothing) -> Result<Factors> {
        let person = self.person(cx).await?;
        self.factors_of(&person.user).await
    }
}
