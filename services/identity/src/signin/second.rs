//! The second factor: setting it up, showing it, and being without it.

use std::sync::Arc;

use nsl_api::{
    Revealed,
    sessions::TokenReply,
    signin::{ConfirmTotp, EnrolTotp, Factors, RecoveryCodes, ShowMfa, StepUp, TotpSeed},
};
use nsl_core::{Code, Cx, Entry, Error, PrincipalKind, Result, SECOND_FACTOR_AGE, Subject, Timestamp};
use nsl_keyring::bind;
use nsl_signin::totp::{RecoveryCode, Seed};
use nsl_sql::{Single, Tx, args};
use serde_json::Map;

use super::{
    Door,
    finish::{acting, factors},
    gate::At,
    passkey::has_passkey,
    service::{Person, wrong},
    store::{self, Show, Spent, Try, code_wrong},
};
use crate::{
    ground::Ground,
    people::store::{PLATFORM, User, platform},
    secrets::digest_of,
    tokens,
};

/// Whom authenticator apps show above the code.
const ISSUER: &str = "Neo Service Layer";

static ADD_PENDING: &str = "INSERT INTO totps (tenant_id, user_id, state, sealed, seal_key, last_step, created_at)
    VALUES ($1, $2, 'pending', $3, $4, -1, $5)
    ON CONFLICT (tenant_id, user_id, state) DO UPDATE SET sealed = excluded.sealed, seal_key = excluded.seal_key,
        created_at = excluded.created_at";
static HAS_PENDING: &str =
    "SELECT count(*) FROM totps WHERE tenant_id = $1 AND user_id = $2 AND state = 'pending' AND sealed = $3";
static END_ACTIVE: &str = "DELETE FROM totps WHERE tenant_id = $1 AND user_id = $2 AND state = 'active'";
static ACTIVATE: &str = "UPDATE totps SET state = 'active', last_step = $3
    WHERE tenant_id = $1 AND user_id = $2 AND state = 'pending'";
static END_ALL: &str = "DELETE FROM totps WHERE tenant_id = $1 AND user_id = $2";
static END_CODES: &str = "DELETE FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2";
static ADD_CODE: &str = "INSERT INTO recovery_codes (tenant_id, user_id, digest, created_at) VALUES ($1, $2, $3, $4)";

/// Refuses a person who has an authenticator app and did not use it in the last minutes: before they get, or let in,
/// what goes on when their session is over. Machines answer for themselves.
pub(crate) async fn prove_second(ground: &Ground, cx: &Cx) -> Result<()> {
    let principal = &cx.principal;
    let is_person = principal.kind == PrincipalKind::Token && principal.session.is_some();
    if is_person && !factors(&ground.db, principal.subject.as_str()).await?.is_empty() {
        return cx.second_factor(ground.clock.now());
    }
    Ok(())
}

impl Door {
    pub(super) async fn second_of_sign_in(&self, cx: &Cx, request: ShowMfa) -> Result<TokenReply> {
        let shown = one_of(request.code, request.recovery_code)?;
        let now = self.ground.clock.now();
        let looked = self.awaiting(&request.mfa_token).await?;
        let turn = self.gate.enter(&self.ground, cx, At::SecondFactor(&looked.user), &looked.user).await?;
        let digest = digest_of(&request.mfa_token.0);
        let user = self.user(&looked.user).await?;
        let acting = acting(cx, &user)?;
        let awaiting = self.ground.db.write(&acting, Try { digest, now }).await?;
        let tries_left = awaiting.tries_left();
        let Some((spent, amr)) = self.judge(&user, &shown, now).await? else {
            self.count(cx, turn, Some(&user), shown.factor()).await?;
            return Err(code_wrong().detail("tries_left", tries_left));
        };
        self.complete_with(cx, &request.mfa_token, awaiting, amr, spent, Some(turn.who.clone())).await
    }

    pub(super) async fn second_of_session(&self, cx: &Cx, request: StepUp) -> Result<TokenReply> {
        let Person { user, session } = self.person(cx).await?;
        let shown = one_of(request.code, request.recovery_code)?;
        let now = self.ground.clock.now();
        if factors(&self.ground.db, &user.id).await?.is_empty() {
            let message = "the account has no second factor to show";
            return Err(Error::new(Code::Conflict, "signin.no_second_factor", message));
        }
        let turn = self.gate.enter(&self.ground, cx, At::SecondFactor(&user.id), &user.id).await?;
        let Some((spent, amr)) = self.judge(&user, &shown, now).await? else {
            self.count(cx, turn, Some(&user), shown.factor()).await?;
            return Err(code_wrong());
        };
        let acting = acting(cx, &user)?;
        let entry = Entry::new(&acting, "signin.stepped_up", "identity", "step_up", now).request("amr", amr);
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let network = self.gate.known_network(&self.ground, cx, &user.id).await?;
        let who = Some(turn.who.clone());
        let change = Show { user: user.id.clone(), spent, mfa: None, who, network, now, evidence };
        self.ground.db.write(&acting, change).await?;
        self.tokens.raise(&Cx { once: None, ..cx.clone() }, &session, amr).await
    }

    /// What a code that is right takes, and how it is called in tokens.
    async fn judge(&self, user: &User, shown: &Shown, now: Timestamp) -> Result<Option<(Spent, &'static str)>> {
        match shown {
            Shown::Code(code) => {
                let Some(kept) = store::totp(&self.ground.db, &user.id, "active").await? else { return Ok(None) };
                let last = kept.last_step;
                let seed = self.open_seed(user, kept).await?;
                Ok(seed.check(&code.0, now, last).map(|step| (Spent::Step(step), "otp")))
            }
            Shown::Recovery(code) => {
                let Some(typed) = RecoveryCode::typed(&code.0) else { return Ok(None) };
                let digest = typed.digest(&user.id);
                let is_there = store::has_code(&self.ground.db, &user.id, &digest).await?;
                Ok(is_there.then_some((Spent::Code(digest), "otp")))
            }
        }
    }

    pub(super) async fn factors_of(&self, user: &User) -> Result<Factors> {
        let db = &self.ground.db;
        Ok(Factors {
            password: store::password(db, &user.id).await?.is_some(),
            factors: factors(db, &user.id).await?,
            recovery_codes_left: store::codes_left(db, &user.id).await?,
        })
    }

    /// Refuses unless the person is there now, and not somebody who got hold of their session: by a fresh second
    /// factor, by the password where there is none, or by having signed in just now.
    pub(crate) async fn prove_presence(&self, cx: &Cx, user: &User, password: Option<&Revealed>) -> Result<()> {
        let (db, now) = (&self.ground.db, self.ground.clock.now());
        let fresh = cx.second_factor(now);
        if fresh.is_ok() || !factors(db, &user.id).await?.is_empty() {
            return fresh;
        }
        if store::password(db, &user.id).await?.is_some() {
            let typed = password.ok_or_else(|| {
                Error::invalid("signin.password_needed", "the password of the account is needed for this")
            })?;
            let email = user.email.as_deref().unwrap_or(&user.id);
            return self.check_password(cx, email, Some(user), typed).await.map(drop);
        }
        self.prove_sign_in(cx, &user.id).await
    }

    /// Refuses unless a fresh second factor was shown, or, where there is none to show, the person signed in just now:
    /// before they get a further way to sign in, by which whoever took over their session would stay.
    pub(crate) async fn prove_sign_in(&self, cx: &Cx, user: &str) -> Result<()> {
        let (db, now) = (&self.ground.db, self.ground.clock.now());
        let fresh = cx.second_factor(now);
        if fresh.is_ok() || has_passkey(db, user).await? || !factors(db, user).await?.is_empty() {
            return fresh;
        }
        let session = cx.principal.session.as_deref().unwrap_or_default();
        let session = tokens::store::find(db, session).await?;
        // What a client was let in for is not a sign-in of the person's.
        let signed_in = session.filter(|session| session.client.is_none()).map(|session| session.created_at);
        match signed_in.is_some_and(|at| now.since(at) <= SECOND_FACTOR_AGE) {
            true => Ok(()),
            false => Err(Error::new(Code::Unauthenticated, "signin.again", "this needs a sign-in of the last minutes")),
        }
    }

    /// Whoever takes over a session for a moment must not bind the account to an app of their own.
    pub(super) async fn enrol(&self, cx: &Cx, request: EnrolTotp) -> Result<TotpSeed> {
        let Person { user, .. } = self.person(cx).await?;
        let now = self.ground.clock.now();
        self.prove_presence(cx, &user, request.password.as_ref()).await?;
        let seed = Seed::fresh()?;
        let account = user.email.as_deref().or(user.name.as_deref()).unwrap_or(&user.id);
        let reply = TotpSeed { secret: Revealed(seed.base32()), uri: Revealed(seed.uri(ISSUER, account)) };
        let key = self.ground.keyring.current(&platform(), &Subject::parse(&user.id)?).await?;
        let sealed = key.seal(&place(&user.id), seed.bytes())?;
        let acting = acting(cx, &user)?;
        let entry = Entry::new(&acting, "signin.totp_begun", "identity", "enrol_totp", now);
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let change = Enrol { user: user.id, sealed, seal_key: Arc::clone(key.id()), now, evidence };
        self.ground.db.write(&acting, change).await?;
        Ok(reply)
    }

    pub(super) async fn confirm(&self, cx: &Cx, request: ConfirmTotp) -> Result<RecoveryCodes> {
        let Person { user, .. } = self.person(cx).await?;
        let now = self.ground.clock.now();
        if !factors(&self.ground.db, &user.id).await?.is_empty() {
            cx.second_factor(now)?;
        }
        let kept = store::totp(&self.ground.db, &user.id, "pending").await?.ok_or_else(|| {
            Error::new(Code::Conflict, "signin.totp_not_begun", "no authenticator app is being set up")
        })?;
        let turn = self.gate.enter(&self.ground, cx, At::SecondFactor(&user.id), &user.id).await?;
        let sealed = kept.sealed.clone();
        let Some(step) = self.open_seed(&user, kept).await?.check(&request.code.0, now, -1) else {
            self.count(cx, turn, Some(&user), "totp").await?;
            return Err(code_wrong());
        };
        self.give_codes(cx, &user, now, Some((sealed, step)), "signin.totp_set").await
    }

    pub(super) async fn renew_codes(&self, cx: &Cx) -> Result<RecoveryCodes> {
        let Person { user, .. } = self.person(cx).await?;
        let now = self.ground.clock.now();
        cx.second_factor(now)?;
        self.give_codes(cx, &user, now, None, "signin.recovery_codes_renewed").await
    }

    pub(super) async fn remove(&self, cx: &Cx) -> Result<Factors> {
        let Person { user, .. } = self.person(cx).await?;
        let now = self.ground.clock.now();
        cx.second_factor(now)?;
        let acting = acting(cx, &user)?;
        let entry = Entry::new(&acting, "signin.totp_removed", "identity", "remove_totp", now);
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        self.ground.db.write(&acting, Remove { user: user.id.clone(), evidence }).await?;
        self.factors_of(&user).await
    }

    async fn give_codes(
        &self,
        cx: &Cx,
        user: &User,
        now: Timestamp,
        activate: Option<(Vec<u8>, i64)>,
        event: &'static str,
    ) -> Result<RecoveryCodes> {
        let codes = (0..RecoveryCode::COUNT).map(|_| RecoveryCode::fresh()).collect::<Result<Vec<_>>>()?;
        let acting = acting(cx, user)?;
        let entry = Entry::new(&acting, event, "identity", "recovery_codes", now).request("codes", codes.len() as i64);
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let digests = codes.iter().map(|code| code.digest(&user.id)).collect();
        self.ground.db.write(&acting, GiveCodes { user: user.id.clone(), digests, activate, now, evidence }).await?;
        Ok(RecoveryCodes { recovery_codes: codes.iter().map(|code| Revealed(code.shown())).collect() })
    }

    async fn open_seed(&self, user: &User, kept: store::Totp) -> Result<Seed> {
        let key = self.ground.keyring.find(&platform(), &kept.seal_key.into()).await?;
        let key = key.ok_or_else(wrong)?;
        Seed::read(key.open(&place(&user.id), &kept.sealed)?)
    }
}

fn place(user: &str) -> Vec<u8> {
    bind(&[PLATFORM.as_bytes(), user.as_bytes(), b"totp"])
}

/// What somebody shows as second factor.
enum Shown {
    Code(Revealed),
    Recovery(Revealed),
}

impl Shown {
    fn factor(&self) -> &'static str {
        match self {
            Self::Code(_) => "totp",
            Self::Recovery(_) => "recovery_code",
        }
    }
}

fn one_of(code: Option<Revealed>, recovery: Option<Revealed>) -> Result<Shown> {
    match (code, recovery) {
        (Some(code), None) => Ok(Shown::Code(code)),
        (None, Some(code)) => Ok(Shown::Recovery(code)),
        _ => Err(Error::invalid("signin.one_code", "send either code or recovery_code")),
    }
}

struct Enrol {
    user: String,
    sealed: Vec<u8>,
    seal_key: Arc<str>,
    now: Timestamp,
    evidence: Entry,
}

impl Single for Enrol {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let args = args![PLATFORM, self.user.clone(), self.sealed.clone(), Arc::clone(&self.seal_key), self.now];
        tx.execute(ADD_PENDING, args).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

struct GiveCodes {
    user: String,
    digests: Vec<String>,
    /// The sealed seed that was confirmed, and the step of the code that did.
    activate: Option<(Vec<u8>, i64)>,
    now: Timestamp,
    evidence: Entry,
}

impl Single for GiveCodes {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        store::take_turn(tx, &self.user).await?;
        let user = || args![PLATFORM, self.user.clone()];
        if let Some((sealed, step)) = &self.activate {
            // Not one that was begun anew in the meantime.
            let args = args![PLATFORM, self.user.clone(), sealed.clone()];
            if store::count(tx, HAS_PENDING, args).await? == 0 {
                return Ok(Err(code_wrong()));
            }
            tx.execute(END_ACTIVE, user()).await?;
            tx.execute(ACTIVATE, args![PLATFORM, self.user.clone(), *step]).await?;
        }
        tx.execute(END_CODES, user()).await?;
        for digest in &self.digests {
            tx.execute(ADD_CODE, args![PLATFORM, self.user.clone(), digest.clone(), self.now]).await?;
        }
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

struct Remove {
    user: String,
    evidence: Entry,
}

impl Single for Remove {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        store::take_turn(tx, &self.user).await?;
        tx.execute(END_ALL, args![PLATFORM, self.user.clone()]).await?;
        tx.execute(END_CODES, args![PLATFORM, self.user.clone()]).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}
