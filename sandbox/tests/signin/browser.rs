//! A browser without a screen, and the authenticators in its user's hands.

use serde_json::{Value, json};

use crate::peer::Peer;

pub(crate) struct Browser(Peer);

impl Browser {
    /// With nothing of earlier visits, and an authenticator that knows its owner.
    pub(crate) fn start() -> Self {
        let mut browser = Self(Peer::start("browser.mjs"));
        browser.0.ask("fresh", json!({}));
        browser.0.ask("authenticator", json!({}));
        browser
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.0.ask("open", json!({ "url": url }));
    }

    pub(crate) fn press(&mut self, name: &str) {
        self.0.ask("press", json!({ "name": name }));
    }

    pub(crate) fn fill(&mut self, label: &str, value: &str) {
        self.0.ask("fill", json!({ "label": label, "value": value }));
    }

    /// Waits until it is shown.
    pub(crate) fn see(&mut self, text: &str) {
        self.0.ask("see", json!({ "text": text }));
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.0.ask("heading", json!({ "text": text }));
    }

    /// Waits for what the page complains about.
    pub(crate) fn problem(&mut self) -> String {
        self.0.ask("problem", json!({})).as_str().unwrap().to_owned()
    }

    /// What a function of the page's own language gives for this argument.
    pub(crate) fn run(&mut self, script: &str, argument: Value) -> Value {
        self.0.ask("run", json!({ "script": script, "argument": argument }))
    }

    pub(crate) fn credentials(&mut self) -> Value {
        self.0.ask("credentials", json!({}))
    }

    /// Makes the authenticator hold these and no others.
    pub(crate) fn restore(&mut self, credentials: &Value) {
        self.0.ask("restore", json!({ "credentials": credentials }));
    }

    /// Whether the authenticator finds that its owner is there.
    pub(crate) fn verified(&mut self, is: bool) {
        self.0.ask("verified", json!({ "is": is }));
    }

    pub(crate) fn url(&mut self) -> String {
        self.0.ask("url", json!({})).as_str().unwrap().to_owned()
    }

    /// What the page posted since the last time, each `{url, body}`.
    pub(crate) fn sent(&mut self) -> Vec<Value> {
        self.0.ask("sent", json!({})).as_array().unwrap().clone()
    }

    /// What it wrote to its console since the last time.
    pub(crate) fn said(&mut self) -> Value {
        self.0.ask("said", json!({}))
    }

    /// Lets the site at this address find nothing that it left here.
    pub(crate) fn clear_cookies(&mut self, url: &str) {
        self.0.ask("forget", json!({ "url": url }));
    }

    /// Gives pages that are opened from now on a wallet of each chain; gives its accounts, `{x, n3}`.
    pub(crate) fn wallets(&mut self) -> Value {
        self.0.ask("wallets", json!({}))
    }

    /// The code of an authenticator app, some steps of 30 seconds from now.
    pub(crate) fn app(&mut self, secret: &Value, later: i32) -> String {
        self.0.ask("app", json!({ "secret": secret, "later": later })).as_str().unwrap().to_owned()
    }

    /// Fields and buttons that have no name for who cannot see them.
    pub(crate) fn nameless(&mut self) -> Value {
        self.0.ask("names", json!({}))
    }

    /// Registers an account on the page, and waits until it is in.
    pub(crate) fn register(&mut self, origin: &str, email: &str) {
        self.open(&format!("{origin}/signin"));
        self.press("Register");
        self.heading("Register");
        self.fill("Email", email);
        self.fill("Password", "a long password of a test");
        self.press_within("register");
        self.heading("Your account");
    }

    /// The button that sends a form: two may have one name.
    pub(crate) fn press_within(&mut self, form: &str) {
        let script = "(form) => document.getElementById(form).requestSubmit()";
        self.run(script, json!(form));
    }

    /// The access token of this tab.
    pub(crate) fn token(&mut self) -> String {
        let script = "() => JSON.parse(sessionStorage.getItem('nsl.tokens')).access_token";
        self.run(script, json!(null)).as_str().unwrap().to_owned()
    }
}
