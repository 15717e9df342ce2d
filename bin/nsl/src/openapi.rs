use clap::Args;
use nsl_api::{
    access::AccessClient, audit::AuditClient, contracts::ContractsClient, federation::FederationClient,
    identity::IdentityClient, oauth::OauthClient, passkey::PasskeyClient, people::PeopleClient, privacy::PrivacyClient,
    relay::RelayClient, sessions::SessionsClient, signin::SigninClient, storage::StorageClient, wallet::WalletClient,
};
use nsl_edge::Face;
use nsl_rpc::{Channel, Client, Dialer, Settings, Via};

use crate::{commands::Done, engines, exit::Failure, wire};

#[derive(Args)]
pub(crate) struct Openapi {}

impl Openapi {
    pub(crate) fn run(self) -> Result<Done, Failure> {
        let whole = nsl_edge::openapi(&faces()?, env!("CARGO_PKG_VERSION"));
        let text = serde_json::to_string_pretty(&whole).map_err(anyhow::Error::from)?;
        Ok(Done { json: whole.to_string(), shown: format!("{text}\n") })
    }
}

/// What all services show to the public. The faces only need clients to exist; nobody is called.
pub(crate) fn faces() -> anyhow::Result<Vec<Face>> {
    let dialer = Dialer::new(Settings::default(), None, None, engines::clock())?;
    let nowhere = |name: &str| dialer.channel(name, &["http://127.0.0.1:1".to_owned()]);
    let identity = nsl_identity::Clients {
        identity: client::<IdentityClient>(&nowhere)?,
        sessions: client::<SessionsClient>(&nowhere)?,
        oauth: client::<OauthClient>(&nowhere)?,
        signin: client::<SigninClient>(&nowhere)?,
        wallet: client::<WalletClient>(&nowhere)?,
        passkey: client::<PasskeyClient>(&nowhere)?,
        federation: client::<FederationClient>(&nowhere)?,
        access: client::<AccessClient>(&nowhere)?,
        people: client::<PeopleClient>(&nowhere)?,
        privacy: client::<PrivacyClient>(&nowhere)?,
    };
    let audit = client::<AuditClient>(&nowhere)?;
    let (storage, relay) = (client::<StorageClient>(&nowhere)?, client::<RelayClient>(&nowhere)?);
    Ok(wire::faces(Some(audit), Some(identity), Some(storage), Some(relay), Some(client::<ContractsClient>(&nowhere)?)))
}

fn client<C: Client>(nowhere: &impl Fn(&str) -> anyhow::Result<Channel>) -> anyhow::Result<C> {
    Ok(C::new(Via::Remote(nowhere(C::NAME)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_committed_description_is_what_the_code_says() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let said = Openapi {}.run().unwrap().shown;
        assert!(std::fs::read_to_string(file).unwrap() == said, "docs/openapi.json is behind: cargo xtask openapi");
    }
}
