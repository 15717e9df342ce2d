use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_api::{
    Page,
    passkey::{
        BeginPasskey, FinishPasskeyLogin, FinishPasskeyRegistration, FinishPasskeyStepUp, Passkey, PasskeyChallenge,
        PasskeyInfo, RemovePasskey, RenamePasskey,
    },
    sessions::TokenReply,
    signin::SignedIn,
};
use nsl_core::{Code, Cx, Entry, Error, Result, Subject, fresh};
use serde_json::{Map, Value};
use uuid::Uuid;
use webauthn_rs::{
    Webauthn,
    prelude::{
        AuthenticationResult, DiscoverableAuthentication, PasskeyAuthentication, PasskeyRegistration,
        PublicKeyCredential, WebauthnError,
    },
};

use super::{
    rules,
    store::{self, Add, Begin, Edit, Kept, Note, Take, Taken, Used},
};
use crate::{
    ground::Ground,
    names::check_name,
    people::store::{self as people, User},
    signin::{Door, person::person},
    tokens::Tokens,
};

const CHALLENGE: Duration = Duration::from_secs(300);
const REGISTER: &str = "register";
const LOGIN: &str = "login";
const STEP_UP: &str = "step_up";
/// RFC 8176: a key that hardware keeps, and a person whom it asked: two factors.
const AMR: &[&str] = &["hwk", "user", "mfa"];

/// Passkeys of people.
pub(crate) struct Passkeys {
    ground: Ground,
    door: Door,
    tokens: Arc<Tokens>,
    /// None where the server has no domain.
    site: Option<Webauthn>,
}

impl Passkeys {
    pub(crate) fn new(ground: Ground, door: Door, tokens: Arc<Tokens>) -> Self {
        let site = rules::site(&ground.config);
        Self { ground, door, tokens, site }
    }

    fn site(&self) -> Result<&Webauthn> {
        self.site.as_ref().ok_or_else(rules::no_domain)
    }

    async fn user(&self, id: &str) -> Result<User> {
        people::user(&self.ground.db, id).await?.ok_or_else(rules::refused)
    }

    async fn begin(
        &self,
        kind: &'static str,
        user: Option<&str>,
        state: &(impl serde::Serialize + Sync),
        options: Value,
    ) -> Result<PasskeyChallenge> {
        let now = self.ground.clock.now();
        let (id, expires_at) = (fresh("pkc"), now.plus(CHALLENGE));
        let state = serde_json::to_value(state).map_err(Error::internal)?;
        let change = Begin { id: id.clone(), kind, user: user.map(str::to_owned), state, now, expires_at };
        self.ground.db.write_platform(change).await?;
        Ok(PasskeyChallenge { ceremony: id, expires_at, options })
    }

    /// The state of a challenge, which nobody gets again.
    async fn take<T: serde::de::DeserializeOwned>(&self, id: String, kind: &str, user: Option<&str>) -> Result<T> {
        let taken = self.ground.db.write_platform(Take { id }).await?;
        let now = self.ground.clock.now();
        let fits = |taken: &Taken| taken.kind == kind && taken.user.as_deref() == user && taken.expires_at > now;
        let taken = taken.filter(fits).ok_or_else(rules::challenge_gone)?;
        serde_json::from_value(taken.state).map_err(Error::internal)
    }

    /// Keeps that a passkey was used. One that does not count on from its last use is refused, with evidence.
    async fn used(&self, cx: &Cx, kept: Kept, shown: Result<AuthenticationResult, WebauthnError>) -> Result<()> {
        let mut passkey = kept.passkey;
        let shown = match shown {
            Ok(shown) if shown.user_verified() => shown,
            Err(WebauthnError::CredentialPossibleCompromise) => return self.cloned(cx, &kept.user, &kept.info).await,
            Ok(_) => return Err(rules::refused()),
            Err(error) => {
                tracing::debug!(%error, "a passkey was refused");
                return Err(rules::refused());
            }
        };
        passkey.update_credential(&shown);
        let change = Used {
            id: kept.info.id.clone(),
            credential: serde_json::to_value(&passkey).map_err(Error::internal)?,
            sign_count: shown.counter(),
            backed_up: shown.backup_state(),
            at: self.ground.clock.now(),
        };
        match self.ground.db.write_platform(change).await? {
            true => Ok(()),
            false => self.cloned(cx, &kept.user, &kept.info).await,
        }
    }

    async fn cloned(&self, cx: &Cx, user: &str, info: &PasskeyInfo) -> Result<()> {
        let entry = self.evidence(cx, user, "passkey.clone_suspected", "finish_passkey_login", &info.id).await?;
        self.ground.db.write_platform(Note(entry)).await?;
        Err(rules::cloned())
    }

    /// A line about a person's passkey. It is a matter of the platform, where people are.
    async fn evidence(
        &self,
        cx: &Cx,
        user: &str,
        event: &'static str,
        method: &'static str,
        passkey: &str,
    ) -> Result<Entry> {
        let acting = Cx { tenant: people::platform(), ..cx.clone() };
        let mut entry = Entry::new(&acting, event, "identity", method, self.ground.clock.now());
        entry.subject = Some(Subject::parse(user)?);
        self.ground.ledger.seal(&acting, entry.request("passkey", passkey), Map::new()).await
    }
}

#[async_trait]
impl Passkey for Passkeys {
    async fn begin_passkey(&self, cx: &Cx, _: BeginPasskey) -> Result<PasskeyChallenge> {
        let (id, _) = person(cx)?;
        let (user, had) = (self.user(id).await?, store::of_user(&self.ground.db, id).await?);
        // Who took over a session must not become able to stay.
        self.door.prove_sign_in(cx, id).await?;
        let handle = had.first().and_then(|kept| Uuid::parse_str(&kept.handle).ok()).unwrap_or_else(Uuid::new_v4);
        let called = user.email.as_deref().unwrap_or(&user.id);
        let shown = user.name.as_deref().unwrap_or(called);
        let known = had.iter().map(|kept| kept.passkey.cred_id().clone()).collect();
        let (challenge, state) = self
            .site()?
            .start_passkey_registration(handle, called, shown, Some(known))
            .map_err(|error| Error::internal(anyhow::anyhow!("no passkey challenge: {error}")))?;
        self.begin(REGISTER, Some(id), &(handle, state), rules::creation(&challenge)?).await
    }

    async fn finish_passkey(&self, cx: &Cx, request: FinishPasskeyRegistration) -> Result<PasskeyInfo> {
        let (user, _) = person(cx)?;
        let name = request.name.unwrap_or_else(|| "passkey".to_owned());
        check_name("passkey.name", &name)?;
        let credential = rules::read(request.credential)?;
        let (handle, state): (Uuid, PasskeyRegistration) = self.take(request.ceremony, REGISTER, Some(user)).await?;
        let made = self.site()?.finish_passkey_registration(&credential, &state).map_err(|error| {
            tracing::debug!(%error, "a new passkey was refused");
            rules::refused()
        })?;
        let kept = serde_json::to_value(&made).map_err(Error::internal)?;
        let info = PasskeyInfo {
            id: fresh("pky"),
            name,
            created_at: self.ground.clock.now(),
            last_used_at: None,
            backed_up: kept["cred"]["backup_state"].as_bool().unwrap_or(false),
        };
        let sign_count = kept["cred"]["counter"].as_u64().and_then(|count| u32::try_from(count).ok());
        let evidence = self.evidence(cx, user, "passkey.added", "finish_passkey", &info.id).await?;
        let change = Add {
            user: user.to_owned(),
            handle: handle.to_string(),
            credential_id: URL_SAFE_NO_PAD.encode(made.cred_id()),
            sign_count: sign_count.ok_or_else(|| Error::internal(anyhow::anyhow!("a passkey without a count")))?,
            credential: kept,
            info,
            evidence,
        };
        self.ground.db.write_platform(change).await
    }

    async fn begin_passkey_login(&self, _: &Cx, _: BeginPasskey) -> Result<PasskeyChallenge> {
        let started = self.site()?.start_discoverable_authentication();
        let (challenge, state) =
            started.map_err(|error| Error::internal(anyhow::anyhow!("no passkey challenge: {error}")))?;
        self.begin(LOGIN, None, &state, rules::public_key(&challenge)?).await
    }

    async fn finish_passkey_login(&self, cx: &Cx, request: FinishPasskeyLogin) -> Result<SignedIn> {
        let credential: PublicKeyCredential = rules::read(request.credential)?;
        let state: DiscoverableAuthentication = self.take(request.ceremony, LOGIN, None).await?;
        let site = self.site()?;
        let named = site.identify_discoverable_authentication(&credential);
        let (handle, id) = named.map_err(|_| rules::refused())?;
        let kept = store::by_credential(&self.ground.db, URL_SAFE_NO_PAD.encode(id)).await?;
        let kept = kept.filter(|kept| kept.handle == handle.to_string()).ok_or_else(rules::refused)?;
        let shown = site.finish_discoverable_authentication_v2(&credential, state, &kept.passkey);
        let user = self.user(&kept.user).await?;
        self.used(cx, kept, shown).await?;
        match request.mfa_token {
            // The second factor of a sign-in that began with a password.
            Some(mfa_token) if self.door.awaiting(&mfa_token).await?.user == user.id => {
                self.door.complete(cx, &mfa_token, "hwk").await.map(SignedIn::Tokens)
            }
            Some(_) => Err(rules::refused()),
            None => self.door.finish(cx, &user, request.tenant, AMR).await,
        }
    }

    async fn begin_passkey_step_up(&self, cx: &Cx, _: BeginPasskey) -> Result<PasskeyChallenge> {
        let (user, _) = person(cx)?;
        let had = store::of_user(&self.ground.db, user).await?;
        if had.is_empty() {
            return Err(Error::new(Code::Conflict, "passkey.none", "the account has no passkey"));
        }
        let passkeys: Vec<_> = had.into_iter().map(|kept| kept.passkey).collect();
        let started = self.site()?.start_passkey_authentication(&passkeys);
        let (challenge, state) =
            started.map_err(|error| Error::internal(anyhow::anyhow!("no passkey challenge: {error}")))?;
        self.begin(STEP_UP, Some(user), &state, rules::public_key(&challenge)?).await
    }

    async fn finish_passkey_step_up(&self, cx: &Cx, request: FinishPasskeyStepUp) -> Result<TokenReply> {
        let (user, session) = person(cx)?;
        let credential: PublicKeyCredential = rules::read(request.credential)?;
        let state: PasskeyAuthentication = self.take(request.ceremony, STEP_UP, Some(user)).await?;
        let id = URL_SAFE_NO_PAD.encode(credential.get_credential_id());
        let kept = store::by_credential(&self.ground.db, id).await?;
        let kept = kept.filter(|kept| kept.user == user).ok_or_else(rules::refused)?;
        let shown = self.site()?.finish_passkey_authentication(&credential, &state);
        self.used(cx, kept, shown).await?;
        self.tokens.raise(cx, session, "hwk").await
    }

    async fn list_passkeys(&self, cx: &Cx, (): ()) -> Result<Page<PasskeyInfo>> {
        let (user, _) = person(cx)?;
        let had = store::of_user(&self.ground.db, user).await?;
        Ok(Page { items: had.into_iter().map(|kept| kept.info).collect(), next: None })
    }

    async fn rename_passkey(&self, cx: &Cx, request: RenamePasskey) -> Result<PasskeyInfo> {
        let (user, _) = person(cx)?;
        check_name("passkey.name", &request.name)?;
        let info = self.own(user, &request.id).await?;
        let evidence = self.evidence(cx, user, "passkey.renamed", "rename_passkey", &info.id).await?;
        let name = Some(request.name.clone());
        let change = Edit { user: user.to_owned(), id: info.id.clone(), name, evidence };
        self.ground.db.write_platform(change).await?;
        Ok(PasskeyInfo { name: request.name, ..info })
    }

    async fn remove_passkey(&self, cx: &Cx, request: RemovePasskey) -> Result<PasskeyInfo> {
        let (user, _) = person(cx)?;
        cx.second_factor(self.ground.clock.now())?;
        let info = self.own(user, &request.id).await?;
        let evidence = self.evidence(cx, user, "passkey.removed", "remove_passkey", &info.id).await?;
        let change = Edit { user: user.to_owned(), id: info.id.clone(), name: None, evidence };
        self.ground.db.write_platform(change).await?;
        Ok(info)
    }
}

impl Passkeys {
    async fn own(&self, user: &str, id: &str) -> Result<PasskeyInfo> {
        let had = store::of_user(&self.ground.db, user).await?;
        had.into_iter().map(|kept| kept.info).find(|info| info.id == id).ok_or_else(store::missing)
    }
}
