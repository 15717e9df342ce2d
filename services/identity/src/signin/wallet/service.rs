use async_trait::async_trait;
use nsl_api::{
    Chain, Page,
    signin::SignedIn,
    wallet::{AskWallet, LoginWallet, UnlinkWallet, Wallet, WalletChallenge, WalletInfo, WalletProof},
};
use nsl_core::{Code, Cx, Entry, Error, Result, TenantId, Timestamp, fresh};
use nsl_signin::wallet::{Message, n3, x};
use serde_json::{Map, json};

use super::{
    rules::{self, LIFETIME, Origin, Origins},
    store::{self, AddChallenge, Challenge, Comes, Enter, Entered, Link, Newcomer, Unlink},
};
use crate::{
    ground::Ground,
    names::check_name,
    people::store::{self as people, NewTenant, Status, User},
    secrets::random,
    signin::{Door, SignUp, finish::acting, person::person},
};

/// By a key that a program holds (RFC 8176): whether a device holds it is not seen.
const AMR: &[&str] = &["swk"];

pub(crate) struct Wallets {
    ground: Ground,
    door: Door,
}

impl Wallets {
    pub(crate) fn new(ground: Ground, door: Door) -> Self {
        Self { ground, door }
    }

    fn origins(&self) -> Origins {
        let config = &self.ground.config;
        let local = config.is_local() && config.wallet.takes_local;
        let own = Origin::read(config.origin()).filter(|_| local || !config.is_local());
        let further = config.wallet.origins.iter().filter_map(|text| Origin::read(text));
        Origins { known: own.into_iter().chain(further).collect(), local }
    }

    fn networks(&self, chain: Chain) -> Vec<u64> {
        let config = &self.ground.config.wallet;
        match chain {
            Chain::NeoN3 => config.neo_n3_networks.iter().copied().map(u64::from).collect(),
            Chain::NeoX => config.neo_x_chain_ids.clone(),
        }
    }

    async fn ask(&self, cx: &Cx, ask: AskWallet, link_user: Option<String>) -> Result<WalletChallenge> {
        let origin = self.origins().find(ask.domain.as_deref())?;
        let network = rules::network(&self.networks(ask.chain), ask.network)?;
        let issued_at = self.ground.clock.now();
        let challenge = Challenge {
            nonce: nonce()?,
            chain: ask.chain,
            address: rules::address(ask.chain, &ask.address)?,
            network,
            domain: origin.domain.clone(),
            link_user,
            issued_at,
            expires_at: issued_at.plus(LIFETIME),
        };
        let message = rules::message(&challenge, &origin).write().map_err(Error::internal)?;
        let context = match ask.chain {
            Chain::NeoN3 => Some(n3::context(&message, n3::account(&challenge.address)?, magic(network)?)?),
            Chain::NeoX => None,
        };
        let asked_from = self.door.gate.known_network(&self.ground, cx, &challenge.address).await?;
        self.ground.db.write_platform(AddChallenge { challenge: challenge.clone(), network: asked_from }).await?;
        let Challenge { nonce, domain, expires_at, .. } = challenge;
        Ok(WalletChallenge { message, nonce, domain, network, issued_at, expires_at, context })
    }

    /// The challenge that the account proved to have signed. It is not spent thereby.
    async fn proven(&self, proof: WalletProof, link_user: Option<&str>) -> Result<Challenge> {
        let message = Message::parse(rules::kind(proof.chain), &proof.message)?;
        if message.address != rules::address(proof.chain, &proof.address)? {
            return Err(unproven("wallet.address_other", "the message is of another account"));
        }
        let found = store::challenge(&self.ground.db, &message.nonce).await?;
        let unknown = || unproven("wallet.nonce_unknown", "the nonce of the message was never given, or long ago");
        let (challenge, is_spent) = found.ok_or_else(unknown)?;
        if challenge.link_user.as_deref() != link_user {
            return Err(unproven("wallet.nonce_other", "the nonce was given for something else"));
        }
        let origin = self.origins().find(Some(&challenge.domain))?;
        rules::check(&message, &challenge, &origin, self.ground.clock.now())?;
        if is_spent {
            return Err(store::nonce_spent());
        }
        let network = challenge.network;
        // Up to some dozens of signatures: not on a thread that others wait for.
        tokio::task::spawn_blocking(move || prove(proof, &message, network)).await.map_err(Error::internal)??;
        Ok(challenge)
    }

    async fn enter(&self, cx: &Cx, login: &LoginWallet, challenge: &Challenge) -> Result<User> {
        let now = self.ground.clock.now();
        let mut newcomer = None;
        // Somebody may tie or untie the account between the look and the write.
        for _ in 0..3 {
            if newcomer.is_none() && store::owner(&self.ground.db, challenge.chain, &challenge.address).await?.is_none()
            {
                newcomer = Some(self.newcomer(cx, login, challenge, now).await?);
            }
            let new_user = newcomer.as_ref().map(|newcomer: &Newcomer| newcomer.user.clone());
            let Challenge { nonce, chain, address, .. } = challenge.clone();
            let enter = Enter { nonce, chain, address, at: now, newcomer: newcomer.take() };
            match (self.ground.db.write_platform(enter).await?, new_user) {
                (Entered::Known(id), _) => return self.user(&id).await,
                (Entered::New, Some(user)) => return Ok(user),
                (Entered::Nobody | Entered::New, _) => {}
            }
        }
        Err(Error::internal(anyhow::anyhow!("a wallet is tied and untied all the time")))
    }

    async fn user(&self, id: &str) -> Result<User> {
        let gone = || unproven("signin.wrong", "the account is gone");
        people::user(&self.ground.db, id).await?.ok_or_else(gone)
    }

    /// Who is made for an account that nobody has.
    async fn newcomer(&self, cx: &Cx, login: &LoginWallet, challenge: &Challenge, at: Timestamp) -> Result<Newcomer> {
        let id = fresh("usr");
        let user = User { id, email: None, name: None, status: Status::Active, created_at: at };
        let acting = acting(cx, &user)?;
        let comes = match &login.invite {
            Some(invite) => {
                crate::people::giving::invited_to(&self.ground, &invite.0).await?;
                Comes::Invited(invite.0.clone())
            }
            None if self.ground.config.signin.sign_up != Some(SignUp::Open) => {
                let message = "accounts are made by invitation here";
                return Err(Error::new(Code::Forbidden, "signin.invite_needed", message));
            }
            None => {
                let name = login.tenant_name.clone().unwrap_or_else(|| short(&challenge.address));
                check_name("signin.name", &name)?;
                Comes::Alone(NewTenant { tenant: TenantId::fresh(), name, at })
            }
        };
        let entry = Entry::new(&acting, "signin.registered", "identity", "wallet_login", at)
            .request("user", user.id.as_str())
            .request("invited", login.invite.is_some());
        let personal = personal(challenge.chain, &challenge.address);
        let evidence = self.ground.ledger.seal(&acting, entry, personal).await?;
        Ok(Newcomer { user, wallet: fresh("wal"), comes, evidence })
    }

    /// The person who is signed in. They must be there now before anything changes: who stole a token shall not make
    /// themselves at home.
    async fn person(&self, cx: &Cx, changes: bool) -> Result<String> {
        let (user, _) = person(cx)?;
        if changes {
            self.door.prove_sign_in(cx, user).await?;
        }
        Ok(user.to_owned())
    }
}

#[async_trait]
impl Wallet for Wallets {
    async fn wallet_challenge(&self, cx: &Cx, ask: AskWallet) -> Result<WalletChallenge> {
        self.ask(cx, ask, None).await
    }

    async fn wallet_login(&self, cx: &Cx, login: LoginWallet) -> Result<SignedIn> {
        let challenge = self.proven(login.proof.clone(), None).await?;
        let user = self.enter(cx, &login, &challenge).await?;
        self.door.finish(cx, &user, login.tenant, AMR).await
    }

    async fn wallet_link_challenge(&self, cx: &Cx, ask: AskWallet) -> Result<WalletChallenge> {
        let user = self.person(cx, true).await?;
        self.ask(cx, ask, Some(user)).await
    }

    async fn link_wallet(&self, cx: &Cx, proof: WalletProof) -> Result<WalletInfo> {
        let user = self.person(cx, true).await?;
        let Challenge { nonce, chain, address, .. } = self.proven(proof, Some(&user)).await?;
        let created_at = self.ground.clock.now();
        let wallet = WalletInfo { id: fresh("wal"), chain, address, created_at, last_used_at: None };
        let entry = Entry::new(cx, "signin.wallet_linked", "identity", "link_wallet", created_at)
            .request("wallet", wallet.id.as_str())
            .request("chain", chain.as_str());
        let evidence = self.ground.ledger.seal(cx, entry, personal(chain, &wallet.address)).await?;
        self.ground.db.write_across(cx, Link { nonce, user, wallet, evidence }).await
    }

    async fn list_wallets(&self, cx: &Cx, (): ()) -> Result<Page<WalletInfo>> {
        let user = self.person(cx, false).await?;
        Ok(Page { items: store::wallets(&self.ground.db, &user).await?, next: None })
    }

    async fn unlink_wallet(&self, cx: &Cx, request: UnlinkWallet) -> Result<WalletInfo> {
        let user = self.person(cx, true).await?;
        let now = self.ground.clock.now();
        let entry = Entry::new(cx, "signin.wallet_unlinked", "identity", "unlink_wallet", now)
            .request("wallet", request.id.as_str());
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        self.ground.db.write_across(cx, Unlink { user, id: request.id, evidence }).await
    }
}

fn prove(proof: WalletProof, message: &Message, network: u64) -> Result<()> {
    let (text, address) = (&proof.message, &message.address);
    let missing = |what| Error::invalid("wallet.proof", what);
    if proof.chain == Chain::NeoX {
        let alone = proof.public_key.is_none() && proof.salt.is_none() && proof.verification_script.is_none();
        let signature = proof.signature.filter(|_| alone && proof.signatures.is_empty() && proof.context.is_none());
        let signature = signature.ok_or_else(|| missing("an account of Neo X is proven by `signature` alone"))?;
        return x::prove(text, x::Address::parse(address)?, &signature);
    }
    let account = n3::account(address)?;
    match proof {
        WalletProof {
            context: Some(context),
            signature: None,
            public_key: None,
            salt: None,
            verification_script: None,
            signatures,
            ..
        } if signatures.is_empty() => n3::prove_context(text, account, magic(network)?, context),
        WalletProof {
            verification_script: Some(script),
            signatures,
            signature: None,
            public_key: None,
            salt: None,
            context: None,
            ..
        } => {
            let read = |one: &nsl_api::wallet::WalletSignature| {
                n3::Signed::read(&one.public_key, &one.signature, one.salt.as_deref())
            };
            let signed = signatures.iter().map(read).collect::<Result<Vec<_>>>()?;
            n3::prove_several(text, &account, &script, &signed)
        }
        WalletProof {
            signature: Some(signature),
            public_key: Some(key),
            salt,
            verification_script: None,
            signatures,
            context: None,
            ..
        } if signatures.is_empty() => n3::prove(text, &account, &n3::Signed::read(&key, &signature, salt.as_deref())?),
        _ => Err(missing(
            "an account of Neo N3 is proven by `signature` and `public_key`, by `verification_script` and `signatures`, or by `context`",
        )),
    }
}

fn magic(network: u64) -> Result<u32> {
    u32::try_from(network).map_err(Error::internal)
}

fn nonce() -> Result<String> {
    random::<16>().map(hex::encode)
}

fn short(address: &str) -> String {
    format!("{}...{}", &address[..6], &address[address.len() - 4..])
}

fn personal(chain: Chain, address: &str) -> Map<String, serde_json::Value> {
    Map::from_iter([("chain".to_owned(), json!(chain.as_str())), ("address".to_owned(), json!(address))])
}

fn unproven(slug: &'static str, message: &str) -> Error {
    Error::new(Code::Unauthenticated, slug, message)
}
