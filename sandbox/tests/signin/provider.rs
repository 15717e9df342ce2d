//! An identity provider: a real one, with a liar before it.

use nsl_sandbox::Reply;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    ground::{As, Ground, good},
    peer::Peer,
};

pub(crate) const CLIENT: &str = "nsl";
pub(crate) const SECRET: &str = "a-client-secret-that-nobody-logs";

pub(crate) struct Provider(Peer, String);

impl Provider {
    pub(crate) fn start() -> Self {
        Self(Peer::start("provider.mjs"), String::new())
    }

    /// Lets it answer for one client; gives its issuer.
    pub(crate) fn open(&mut self, redirect_uris: &[String], origin: &str) -> String {
        let client = json!({
            "client_id": CLIENT, "client_secret": SECRET, "redirect_uris": redirect_uris,
            "response_types": ["code"], "grant_types": ["authorization_code"],
            "post_logout_redirect_uris": [format!("{origin}/signin")],
        });
        let opened = self.0.ask("open", json!({ "clients": [client] }));
        self.1 = opened["issuer"].as_str().unwrap().to_owned();
        self.1.clone()
    }

    /// New keys, and no others; signing by `alg` from now on.
    pub(crate) fn rotate(&mut self, alg: Option<&str>) {
        self.0.ask("rotate", json!({ "alg": alg }));
    }

    /// Who sits before the browser; nobody who may sign in when null.
    pub(crate) fn be(&mut self, person: Option<&str>) {
        self.0.ask("be", json!({ "person": person }));
    }

    pub(crate) fn lie(&mut self, lie: Value) {
        self.0.ask("lie", json!({ "lie": lie }));
    }

    /// What it was asked for tokens with, since the last time.
    pub(crate) fn asked(&mut self) -> Value {
        self.0.ask("asked", json!({}))
    }

    pub(crate) fn s256(&mut self, text: &str) -> Value {
        self.0.ask("s256", json!({ "text": text }))
    }

    /// Lets it know nothing of a browser any more: its cookies are gone.
    pub(crate) fn forget(&mut self, browser: &mut Browser) {
        browser.clear_cookies(&self.1);
    }

    /// Goes there as a browser; gives what the person comes back with, as the callback wants it.
    pub(crate) fn visit(&mut self, url: &str) -> Value {
        let arrived = self.0.ask("visit", json!({ "url": url }));
        let url = arrived["url"].as_str().unwrap_or_else(|| panic!("{arrived}")).to_owned();
        let (place, query) = url.split_once('?').unwrap();
        let mut back = json!({ "redirect_uri": place });
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if ["state", "code", "iss", "error"].contains(&name) {
                back[name] = json!(value.replace("%3A", ":").replace("%2F", "/"));
            }
        }
        back
    }

    /// Begins and comes back; gives what the callback is to be asked with.
    pub(crate) fn sign_in(&mut self, ground: &Ground, name: &str, tenant: Option<&str>) -> Value {
        let begun = begin(ground, As::Nobody, name, json!({ "tenant": tenant }));
        let mut back = self.visit(begun["url"].as_str().unwrap());
        back["flow"] = begun["flow"].clone();
        back
    }
}

pub(crate) fn begin(ground: &Ground, who: As<'_>, name: &str, mut body: Value) -> Value {
    if body["tenant"].is_null() {
        body.as_object_mut().unwrap().remove("tenant");
    }
    good(&ground.post(who, &format!("/v1/auth/oidc/{name}/begin"), &body))
}

pub(crate) fn callback(ground: &Ground, who: As<'_>, back: &Value) -> Reply {
    ground.post(who, "/v1/auth/oidc/callback", back)
}
