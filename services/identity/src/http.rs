//! What the parts show to the public.

use nsl_api::{
    access::AccessClient, federation::FederationClient, identity::IdentityClient, oauth::OauthClient,
    passkey::PasskeyClient, people::PeopleClient, privacy::PrivacyClient, sessions::SessionsClient,
    signin::SigninClient, wallet::WalletClient,
};
use nsl_edge::Face;

use crate::{access, keys, oauth, people, signin, tokens};

/// The clients of the parts, wherever they run.
#[derive(Clone)]
pub struct Clients {
    pub identity: IdentityClient,
    pub sessions: SessionsClient,
    pub oauth: OauthClient,
    pub signin: SigninClient,
    pub wallet: WalletClient,
    pub passkey: PasskeyClient,
    pub federation: FederationClient,
    pub access: AccessClient,
    pub people: PeopleClient,
    pub privacy: PrivacyClient,
}

/// The public routes of the service, wherever it runs.
pub fn faces(clients: Clients) -> Vec<Face> {
    vec![
        keys::face(clients.identity),
        tokens::face(clients.sessions),
        oauth::face(clients.oauth),
        signin::face(clients.signin),
        signin::wallet::face(clients.wallet),
        signin::passkey::face(clients.passkey),
        signin::federation::face(clients.federation),
        signin::page::face(),
        access::face(clients.access),
        people::face(clients.people),
        people::privacy::face(clients.privacy),
    ]
}
