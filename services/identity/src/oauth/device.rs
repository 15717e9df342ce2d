//! Letting a device in (RFC 8628).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use nsl_api::{
    Revealed,
    oauth::{AnswerDevice, AuthorizeDevice, ClientGrant, DeviceAuthorization, DeviceRequest},
};
use nsl_core::{Code, Cx, Entry, Error, Result, Subject};
use nsl_keyring::bind;
use serde_json::Map;

use super::{
    Oauth,
    devices::{self, Answer, Begin, INTERVAL_S, LIFE, Waiting},
    grants::{Known, unauthorized, words},
    rules::{typed, user_code},
};
use crate::{
    people::store::{PLATFORM, platform},
    secrets::{digest_of, secret},
    signin::{person::signed_in, prove_second},
    tokens::{
        origin::{self, Origin},
        rules,
    },
};

/// How many codes that are none a person may type within this time.
const MOST_MISSES: u32 = 20;
pub(super) const WINDOW: Duration = Duration::from_secs(900);
const TRIES: usize = 5;

impl Oauth {
    pub(super) async fn begin_device(&self, cx: &Cx, request: AuthorizeDevice) -> Result<DeviceAuthorization> {
        let known = self.know(cx, &request.client).await?;
        let asked = request.scope.as_deref().map(words).transpose()?;
        let (name, tenant, scope) = match &known {
            Known::Own => ("nsl on the command line".to_owned(), None, asked),
            Known::Client(kept) => {
                if !kept.info.grants.contains(&ClientGrant::DeviceCode) {
                    return Err(unauthorized());
                }
                let scope = match asked {
                    Some(asked) => rules::narrow(&kept.info.scopes, &asked),
                    None => kept.info.scopes.clone(),
                };
                (kept.info.name.clone(), Some(kept.tenant.clone()), Some(scope))
            }
        };
        let ground = &self.tokens.ground;
        for _ in 0..TRIES {
            let now = ground.clock.now();
            let (code, user_code) = (secret("nsd_")?, user_code()?);
            let digest = digest_of(&code);
            let (origin, seal_key) = origin::seal(&ground.keyring, cx, &asker(), &place(&digest)).await?;
            let waiting = Waiting {
                digest,
                client: known.id().to_owned(),
                client_name: name.clone(),
                client_tenant: tenant.clone(),
                scope: scope.as_ref().map(|scope| scope.join(" ")),
                state: String::new(),
                user: None,
                works_in: None,
                interval_s: INTERVAL_S,
                polled_at: None,
                origin,
                seal_key,
                created_at: now,
                expires_at: now.plus(LIFE),
            };
            let of = Cx { tenant: tenant.clone().unwrap_or_else(platform), ..cx.clone() };
            let entry = Entry::new(&of, "oauth.device_asked", "identity", "authorize_device", now)
                .request("client", known.id())
                .request("scope", waiting.scope.clone());
            let evidence = ground.ledger.seal(&of, entry, Map::new()).await?;
            let kept = typed(&user_code).ok_or_else(|| Error::internal(anyhow::anyhow!("a code of ours is none")))?;
            // Two codes may be the same by chance; then another is made.
            if self.tokens.write(cx, Begin { waiting, user_code: kept, evidence }).await? {
                let at = format!("{}/device", self.tokens.issuer());
                return Ok(DeviceAuthorization {
                    device_code: Revealed(code),
                    verification_uri_complete: format!("{at}?user_code={user_code}"),
                    verification_uri: at,
                    user_code,
                    expires_in: LIFE.as_secs(),
                    interval: INTERVAL_S.unsigned_abs(),
                });
            }
        }
        Err(Error::internal(anyhow::anyhow!("no user code is free")))
    }

    pub(super) async fn look(&self, cx: &Cx, user_code: &str) -> Result<DeviceRequest> {
        signed_in(cx)?;
        let (_, waiting) = self.waiting(cx, user_code).await?;
        self.request(waiting).await
    }

    pub(super) async fn answer(&self, cx: &Cx, request: AnswerDevice) -> Result<DeviceRequest> {
        signed_in(cx)?;
        // A credential that was narrowed lets nothing in that is not.
        if request.approve && !cx.principal.whole {
            let message = "this needs a sign-in of the person's own, not one that was let in for less";
            return Err(Error::new(Code::Forbidden, "oauth.device_narrow", message));
        }
        let (code, waiting) = self.waiting(cx, &request.user_code).await?;
        let works_in = request.tenant.unwrap_or_else(|| cx.tenant.clone());
        if waiting.client_tenant.as_ref().is_some_and(|tenant| *tenant != works_in) {
            let message = "the device's client belongs to another tenant";
            return Err(Error::new(Code::Forbidden, "oauth.device_tenant", message));
        }
        let user = cx.principal.subject.as_str();
        if request.approve {
            // Nobody lets a device in where they are not themselves.
            self.tokens.rights(user, Some(&works_in), None).await?;
            prove_second(&self.tokens.ground, cx).await?;
        }
        let now = self.tokens.ground.clock.now();
        let state = if request.approve { "approved" } else { "denied" };
        let of = Cx { tenant: works_in.clone(), ..cx.clone() };
        let entry = Entry::new(&of, "oauth.device_answered", "identity", "answer_device", now)
            .request("client", waiting.client.as_str())
            .request("answer", state);
        let evidence = self.tokens.ground.ledger.seal(&of, entry, Map::new()).await?;
        let session = cx.principal.session.as_deref().map(str::to_owned);
        let change = Answer { user_code: code, state, user: user.to_owned(), session, works_in, now, evidence };
        if !self.tokens.write(cx, change).await? {
            return Err(Error::new(Code::Conflict, "oauth.device_answered", "the device was answered before"));
        }
        let mut answered = self.request(waiting).await?;
        state.clone_into(&mut answered.state);
        Ok(answered)
    }

    /// What waits under a code, for one who has not typed too many that are none.
    async fn waiting(&self, cx: &Cx, user_code: &str) -> Result<(String, Waiting)> {
        let misses = self.misses.get_with(cx.principal.subject.to_string(), Arc::default);
        if misses.load(Ordering::Acquire) >= MOST_MISSES {
            let message = "too many codes were typed that are none";
            return Err(Error::new(Code::Exhausted, "oauth.too_many_codes", message).retry_after(WINDOW));
        }
        let ground = &self.tokens.ground;
        let code = typed(user_code);
        let found = match &code {
            Some(code) => devices::by_user_code(&ground.db, code, ground.clock.now()).await?,
            None => None,
        };
        match (code, found.filter(|waiting| waiting.state != "used")) {
            (Some(code), Some(waiting)) => Ok((code, waiting)),
            _ => {
                misses.fetch_add(1, Ordering::AcqRel);
                Err(Error::new(Code::NotFound, "oauth.user_code", "no device waits under this code"))
            }
        }
    }

    async fn request(&self, waiting: Waiting) -> Result<DeviceRequest> {
        let (sealed, key) = (waiting.origin.as_deref(), waiting.seal_key.as_deref());
        let keyring = &self.tokens.ground.keyring;
        let Origin { address, agent } = origin::open(keyring, &place(&waiting.digest), sealed, key).await?;
        Ok(DeviceRequest {
            address,
            agent,
            client: waiting.client,
            client_name: waiting.client_name,
            scope: waiting.scope,
            state: waiting.state,
            asked_at: waiting.created_at,
            expires_at: waiting.expires_at,
        })
    }
}

fn asker() -> Subject {
    Subject::parse("devices").expect("a fixed valid id")
}

fn place(digest: &str) -> Vec<u8> {
    bind(&[PLATFORM.as_bytes(), b"device_codes", digest.as_bytes()])
}
