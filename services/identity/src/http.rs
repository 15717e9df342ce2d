//! What the parts show to the public.

use nsl_api::{
    access::AccessClient, federation::FederationClient, identity::IdentityClient, oauth::OauthClient,
    passkey::PasskeyClient, people::PeopleClient, privacy::PrivacyClient, sessions::SessionsClient,
    signin::SigninClient, wallet::WalletClient,
};
use nsl_edge::{Face, Limit};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{access, keys, oauth, page::LONGEST_PAGE, people, signin, tokens};

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

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// 1 to 100; 50 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit<LONGEST_PAGE>>,
    /// `next` of the page before.
    pub(crate) after: Option<String>,
}

impl Paging {
    pub(crate) fn limit(&self) -> u32 {
        Limit::or(self.limit, 50)
    }
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
