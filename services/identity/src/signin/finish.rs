//! What every way to sign in ends in.

use nsl_api::{
    Revealed,
    sessions::TokenReply,
    signin::{Factor, SecondFactor, SignedIn},
};
use nsl_core::{Code, Cx, Entry, Error, Principal, PrincipalKind, Result, Subject, TenantId, Timestamp};
use nsl_sql::Db;
use serde_json::Map;

use super::{
    Door,
    passkey::has_passkey,
    store::{self, Await, Awaiting, Enter, Right, Show, Spent},
};
use crate::{
    people::store::{self as people, Status, User},
    secrets::{digest_of, secret},
    tokens::{Basis, Proven},
};

/// How long a second factor is awaited.
const AWAITED_SECONDS: u64 = 300;

/// How somebody proved who they are, in words of RFC 8176 and `fed` for an identity provider's word. Who says `mfa`
/// proved two factors at once, as a passkey with a fingerprint does, and is asked for no other.
pub(crate) type Amr = [&'static str];

const KNOWN_AMR: [&str; 7] = ["pwd", "otp", "hwk", "swk", "user", "mfa", "fed"];

/// What a user can show beside what they sign in with; none where they set up no authenticator app. A passkey by
/// itself makes no password ask for more: it is there to sign in without one.
pub(crate) async fn factors(db: &Db, user: &str) -> Result<Vec<Factor>> {
    let mut factors = Vec::new();
    if store::totp(db, user, "active").await?.is_some() {
        factors.push(Factor::Totp);
        if store::codes_left(db, user).await? > 0 {
            factors.push(Factor::RecoveryCode);
        }
        if has_passkey(db, user).await? {
            factors.push(Factor::Passkey);
        }
    }
    Ok(factors)
}

impl Door {
    /// Lets a person in whose first factor was right, or asks for the second one where they have one. `tenant`: the
    /// one that was asked for.
    pub(crate) async fn finish(&self, cx: &Cx, user: &User, tenant: Option<TenantId>, amr: &Amr) -> Result<SignedIn> {
        self.settle(cx, user, tenant, amr, Right::default()).await
    }

    pub(super) async fn settle(
        &self,
        cx: &Cx,
        user: &User,
        tenant: Option<TenantId>,
        amr: &Amr,
        right: Right,
    ) -> Result<SignedIn> {
        refuse_suspended(user)?;
        let now = self.ground.clock.now();
        let acting = acting(cx, user)?;
        let factors = if amr.contains(&"mfa") { Vec::new() } else { factors(&self.ground.db, &user.id).await? };
        if factors.is_empty() {
            let entry = Entry::new(&acting, "signin.ok", "identity", "sign_in", now).request("amr", amr.join(" "));
            let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
            let network = self.gate.known_network(&self.ground, cx, &user.id).await?;
            let basis = right.basis();
            let change = Enter { user: user.id.clone(), right, network, now, evidence };
            self.ground.db.write(&acting, change).await?;
            let second_factor_at = amr.contains(&"mfa").then_some(now);
            return self.open(cx, user, tenant, amr.to_vec(), second_factor_at, basis).await.map(SignedIn::Tokens);
        }
        let entry =
            Entry::new(&acting, "signin.first_factor", "identity", "sign_in", now).request("amr", amr.join(" "));
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let (mfa_token, digest) = token("nsm_")?;
        let change = Await {
            user: user.id.clone(),
            right,
            digest,
            tenant,
            amr: amr.iter().map(|word| (*word).to_owned()).collect(),
            expires_at: now.plus(std::time::Duration::from_secs(AWAITED_SECONDS)),
            evidence,
        };
        self.ground.db.write(&acting, change).await?;
        Ok(SignedIn::SecondFactor(SecondFactor { mfa_required: true, mfa_token, expires_in: AWAITED_SECONDS, factors }))
    }

    /// Whose second factor an `mfa_token` awaits; for those who check one of another kind, who then [`Self::complete`].
    pub(crate) async fn awaiting(&self, mfa_token: &Revealed) -> Result<Awaiting> {
        store::awaiting(&self.ground.db, &digest_of(&mfa_token.0), self.ground.clock.now()).await
    }

    /// Ends a sign-in whose second factor was right, once: `amr` is that factor's.
    pub(crate) async fn complete(&self, cx: &Cx, mfa_token: &Revealed, amr: &'static str) -> Result<TokenReply> {
        let awaiting = self.awaiting(mfa_token).await?;
        self.complete_with(cx, mfa_token, awaiting, amr, Spent::Elsewhere, None).await
    }

    pub(super) async fn complete_with(
        &self,
        cx: &Cx,
        mfa_token: &Revealed,
        awaiting: Awaiting,
        shown: &'static str,
        spent: Spent,
        who: Option<super::gate::Who>,
    ) -> Result<TokenReply> {
        let user = self.user(&awaiting.user).await?;
        refuse_suspended(&user)?;
        let now = self.ground.clock.now();
        let first = awaiting.amr.iter().filter_map(|word| KNOWN_AMR.into_iter().find(|known| known == word));
        let mut amr: Vec<&'static str> = first.collect();
        amr.extend([shown, "mfa"].into_iter().filter(|word| !awaiting.amr.iter().any(|had| had == word)));
        let acting = acting(cx, &user)?;
        let entry = Entry::new(&acting, "signin.ok", "identity", "sign_in", now).request("amr", amr.join(" "));
        let evidence = self.ground.ledger.seal(&acting, entry, Map::new()).await?;
        let network = self.gate.known_network(&self.ground, cx, &user.id).await?;
        let mfa = Some(digest_of(&mfa_token.0));
        let change = Show { user: user.id.clone(), spent, mfa, who, network, now, evidence };
        // The wait would have ended with the password: so that one is still the one that was shown, if one was.
        let times_set = self.ground.db.write(&acting, change).await?;
        self.open(cx, &user, awaiting.tenant, amr, Some(now), Basis::Password(times_set)).await
    }

    async fn open(
        &self,
        cx: &Cx,
        user: &User,
        tenant: Option<TenantId>,
        amr: Vec<&'static str>,
        second_factor_at: Option<Timestamp>,
        basis: Basis,
    ) -> Result<TokenReply> {
        // What a key of idempotency keeps is no place for tokens, and strangers share theirs: a request that is sent
        // again signs in again.
        let cx = Cx { once: None, ..cx.clone() };
        self.tokens.open(&cx, Proven { user, tenant, amr, second_factor_at, client: None, jkt: None, basis }).await
    }

    pub(super) async fn user(&self, id: &str) -> Result<User> {
        let found = people::user(&self.ground.db, id).await?;
        found.ok_or_else(|| Error::new(Code::Unauthenticated, "signin.wrong", "the account is gone"))
    }
}

fn refuse_suspended(user: &User) -> Result<()> {
    match user.status {
        Status::Active => Ok(()),
        Status::Suspended => Err(Error::new(Code::Forbidden, "signin.suspended", "the account is suspended")),
        Status::Erased => Err(super::service::wrong()),
    }
}

/// The context of what a person does who is not signed in yet.
pub(super) fn acting(cx: &Cx, user: &User) -> Result<Cx> {
    let subject = Subject::parse(&user.id)?;
    let principal = Principal { kind: PrincipalKind::Token, subject, ..Principal::anonymous() };
    Ok(Cx { tenant: people::platform(), principal, once: None, rules: None, ..cx.clone() })
}

/// A token that is shown once, and what is kept of it.
pub(super) fn token(prefix: &str) -> Result<(Revealed, String)> {
    let token = secret(prefix)?;
    let digest = digest_of(&token);
    Ok((Revealed(token), digest))
}
