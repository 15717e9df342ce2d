//! The traits of the identity service: it is one service, so all of them run here or none.

use std::sync::Arc;

use nsl_api::{
    access::AccessClient, federation::FederationClient, identity::IdentityClient, oauth::OauthClient,
    passkey::PasskeyClient, people::PeopleClient, privacy::PrivacyClient, sessions::SessionsClient,
    signin::SigninClient, wallet::WalletClient,
};
use nsl_identity::{Built, Clients, Parts, Revoked};
use nsl_kit::Tasks;
use nsl_rpc::{Client, Handle, Wire};

use crate::{engines::Engines, settings::Settings, wire};

/// What the service stands on, wherever it is built.
pub(crate) fn parts(engines: &Engines, revoked: Revoked) -> Parts {
    let Engines { db, ledger, keyring, clock, queue, blobs, .. } = engines.clone();
    Parts { db, ledger, keyring, clock, queue, blobs, scopes: wire::scopes(), revoked }
}

/// The ways to its parts, as far as this process has them.
pub(crate) struct Identities {
    pub(crate) identity: Handle<IdentityClient>,
    pub(crate) sessions: Handle<SessionsClient>,
    pub(crate) oauth: Handle<OauthClient>,
    pub(crate) signin: Handle<SigninClient>,
    pub(crate) wallet: Handle<WalletClient>,
    pub(crate) passkey: Handle<PasskeyClient>,
    pub(crate) federation: Handle<FederationClient>,
    pub(crate) access: Handle<AccessClient>,
    pub(crate) people: Handle<PeopleClient>,
    pub(crate) privacy: Handle<PrivacyClient>,
}

impl Identities {
    pub(crate) async fn wire(
        wire: &mut Wire,
        settings: &Settings,
        engines: &Engines,
        tasks: &Tasks,
        revoked: Revoked,
    ) -> Self {
        let mut built = None;
        let identity: Handle<IdentityClient> = wire
            .add(async || {
                let made = nsl_identity::build(settings.identity.clone(), parts(engines, revoked), tasks)?;
                let erased = made.duties.replay_erasures().await?;
                if erased > 0 {
                    tracing::warn!(persons = erased, "a restored database held accounts that were erased: gone again");
                }
                Ok(Arc::clone(&built.insert(made).identity))
            })
            .await;
        let sessions = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.sessions)).await;
        let oauth = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.oauth)).await;
        let signin = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.signin)).await;
        let wallet = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.wallet)).await;
        let passkey = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.passkey)).await;
        let federation = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.federation)).await;
        let access = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.access)).await;
        let people = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.people)).await;
        let privacy = further(wire, &identity, built.as_ref(), |built| Arc::clone(&built.privacy)).await;
        Self { identity, sessions, oauth, signin, wallet, passkey, federation, access, people, privacy }
    }

    /// All of them, or nothing where the service is out of reach.
    pub(crate) fn clients(&self) -> Option<Clients> {
        Some(Clients {
            identity: self.identity.get()?,
            sessions: self.sessions.get()?,
            oauth: self.oauth.get()?,
            signin: self.signin.get()?,
            wallet: self.wallet.get()?,
            passkey: self.passkey.get()?,
            federation: self.federation.get()?,
            access: self.access.get()?,
            people: self.people.get()?,
            privacy: self.privacy.get()?,
        })
    }
}

/// A further trait of what was built with the first.
async fn further<C: Client>(
    wire: &mut Wire,
    first: &Handle<IdentityClient>,
    built: Option<&Built>,
    part: impl FnOnce(&Built) -> Arc<C::Service>,
) -> Handle<C> {
    wire.add(async || {
        first.need()?;
        Ok(part(built.expect("what has started was built")))
    })
    .await
}
