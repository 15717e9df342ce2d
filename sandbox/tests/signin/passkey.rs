//! Passkeys in a real browser, on the page of a running server.

use nsl_sandbox::free_port;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    ground::{As, Ground, good, refusal},
    neighbour::Neighbour,
};

fn both(test: impl Fn(&Ground, &mut Browser)) {
    for split in [false, true] {
        let ground = Ground::start(split, &mut [], &[]);
        test(&ground, &mut Browser::start());
    }
}

/// Asks for a challenge, has the browser's authenticator answer with `bent` options, and gives what the server is to
/// be sent.
const ANSWER: &str = "async ({ begun, bent }) => {
    const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\\+/g, '-').replace(/\\//g, '_').replace(/=+$/, '');
    const options = { ...begun.options, ...bent, challenge: bytes(begun.options.challenge) };
    delete options.extensions;
    let credential;
    if (options.user) {
        options.user = { ...options.user, id: bytes(options.user.id) };
        options.excludeCredentials = [];
        credential = await navigator.credentials.create({ publicKey: options });
    } else {
        options.allowCredentials = [];
        credential = await navigator.credentials.get({ publicKey: options });
    }
    const response = { clientDataJSON: text(credential.response.clientDataJSON) };
    for (const part of ['attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
        if (credential.response[part]) response[part] = text(credential.response[part]);
    }
    return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
}";

fn begin(ground: &Ground) -> Value {
    good(&ground.post(As::Nobody, "/v1/auth/passkey/login/begin", &json!({})))
}

fn finish(ground: &Ground, begun: &Value, credential: &Value) -> nsl_sandbox::Reply {
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    ground.post(As::Nobody, "/v1/auth/passkey/login/finish", &body)
}

/// What the authenticator answers to a fresh challenge, honestly or not.
fn answer(ground: &Ground, browser: &mut Browser, bent: Value) -> (Value, Value) {
    let begun = begin(ground);
    let credential = browser.run(ANSWER, json!({ "begun": begun, "bent": bent }));
    (begun, credential)
}

fn add_passkey(browser: &mut Browser) {
    browser.fill("Name of a new passkey", "my key");
    browser.press_within("add-passkey");
    browser.see("The passkey is registered.");
}

fn sign_out(browser: &mut Browser) {
    browser.press("Sign out");
    browser.see("You are signed out.");
}

#[test]
fn a_passkey_made_on_the_page_signs_in_there_with_two_factors() {
    both(|ground, browser| {
        browser.register(&ground.origin, "alice@example.com");
        let who = ground.get(As::Token(&browser.token()), "/v1/identity/whoami");
        add_passkey(browser);
        let made = browser.credentials();
        assert_eq!((made.as_array().unwrap().len(), &made[0]["rpId"]), (1, &json!("localhost")));
        assert_eq!(made[0]["isResidentCredential"], json!(true), "it is found without a name");
        sign_out(browser);
        browser.sent();
        browser.press("With a passkey");
        browser.heading("Your account");
        let token = browser.token();
        assert_eq!(ground.get(As::Token(&token), "/v1/identity/whoami")["subject"], who["subject"]);

        // Two factors were shown: what asks for a second one is done at once.
        let listed = ground.get(As::Token(&token), "/v1/auth/passkeys");
        let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
        assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
        let path = format!("/v1/auth/passkeys/{id}");
        let renamed = ground.ask(As::Token(&token), "PATCH", &path, &json!({ "name": "another name" }));
        assert_eq!(good(&renamed)["name"], "another name");

        // What was sent once does not work again, neither as it was nor for another challenge.
        let sent = browser.sent();
        let sent = sent.iter().find(|sent| sent["url"].as_str().unwrap().ends_with("/login/finish")).unwrap();
        let body: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
        let replayed = ground.post(As::Nobody, "/v1/auth/passkey/login/finish", &body);
        assert_eq!(refusal(&replayed), (400, "passkey.challenge_gone".to_owned()));
        let other = finish(ground, &begin(ground), &body["credential"]);
        assert_eq!(refusal(&other), (401, "passkey.refused".to_owned()));

        // Of a stranger nothing is told.
        let stranger = ground.register("stranger@example.com");
        let theirs = As::Token(stranger["access_token"].as_str().unwrap());
        assert_eq!(ground.get(theirs, "/v1/auth/passkeys")["items"], json!([]));
        assert_eq!(refusal(&ground.ask(theirs, "PATCH", &path, &json!({ "name": "x" }))).1, "passkey.missing");
        assert_eq!(refusal(&ground.ask(theirs, "DELETE", &path, &Value::Null)).1, "auth.step_up");
        good(&ground.ask(As::Token(&token), "DELETE", &path, &Value::Null));
        sign_out(browser);
        browser.press("With a passkey");
        assert!(browser.problem().contains("does not prove"), "it was removed");
    });
}

#[test]
fn who_has_a_passkey_shows_it_before_what_is_sensitive() {
    both(|ground, browser| {
        browser.register(&ground.origin, "bob@example.com");
        add_passkey(browser);
        // The session is of a password alone: a further passkey takes the first one, which the page asks for by itself.
        let begun = ground.post(As::Token(&browser.token()), "/v1/auth/passkey/register/begin", &json!({}));
        assert_eq!(refusal(&begun), (401, "auth.step_up".to_owned()));
        browser.press("Remove my key");
        browser.see("The passkey is removed.");
        let sent = browser.sent();
        assert!(sent.iter().any(|sent| sent["url"].as_str().unwrap().ends_with("/step-up/finish")), "{sent:?}");

        // Now that there is none, none can be shown.
        let none = ground.post(As::Token(&browser.token()), "/v1/auth/passkey/step-up/begin", &json!({}));
        assert_eq!(refusal(&none), (409, "passkey.none".to_owned()));
    });
}

#[test]
fn a_copied_authenticator_is_noticed() {
    both(|ground, browser| {
        browser.register(&ground.origin, "carol@example.com");
        add_passkey(browser);
        let copied = browser.credentials();
        sign_out(browser);
        for _ in 0..2 {
            browser.press("With a passkey");
            browser.heading("Your account");
            sign_out(browser);
        }
        // Whoever copied it signs with a count that was used before.
        browser.restore(&copied);
        browser.press("With a passkey");
        assert!(browser.problem().contains("may have been copied"));
        let (begun, credential) = answer(ground, browser, json!({}));
        assert_eq!(refusal(&finish(ground, &begun, &credential)), (401, "passkey.cloned".to_owned()));
    });
}

#[test]
fn two_answers_with_one_count_let_one_in() {
    both(|ground, browser| {
        browser.register(&ground.origin, "dave@example.com");
        add_passkey(browser);
        let before = browser.credentials();
        let (one, first) = answer(ground, browser, json!({}));
        browser.restore(&before);
        let (other, second) = answer(ground, browser, json!({}));
        let replies: Vec<_> = std::thread::scope(|scope| {
            let tries = [(&one, &first), (&other, &second)]
                .map(|(begun, credential)| scope.spawn(move || finish(ground, begun, credential).status));
            tries.into_iter().map(|tried| tried.join().unwrap()).collect()
        });
        assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1, "{replies:?}");
        assert_eq!(replies.iter().filter(|status| **status == 401).count(), 1, "{replies:?}");
    });
}

#[test]
fn what_was_signed_elsewhere_or_without_its_owner_lets_nobody_in() {
    both(|ground, browser| {
        browser.register(&ground.origin, "erin@example.com");
        add_passkey(browser);
        let token = browser.token();
        let refused = (401, "passkey.refused".to_owned());

        // An authenticator that does not ask its owner, and a page that asks it not to.
        browser.verified(false);
        let (begun, credential) = answer(ground, browser, json!({ "userVerification": "discouraged" }));
        assert_eq!(refusal(&finish(ground, &begun, &credential)), refused, "nobody was asked");
        browser.verified(true);
        let (begun, credential) = answer(ground, browser, json!({}));
        good(&finish(ground, &begun, &credential));

        // Another site on the same domain: the browser lets it use the passkey, and says where it was.
        let neighbour = Neighbour::start(free_port().unwrap());
        browser.open(&format!("http://localhost:{}/", neighbour.port));
        let (begun, credential) = answer(ground, browser, json!({}));
        assert_eq!(refusal(&finish(ground, &begun, &credential)), refused, "of another origin");

        // A passkey of another domain, made with this server's challenges.
        browser.open(&format!("http://sub.localhost:{}/", neighbour.port));
        let register = good(&ground.post(
            As::Token(&token_with_passkey(ground, browser, &token)),
            "/v1/auth/passkey/register/begin",
            &json!({}),
        ));
        let bent = json!({ "rp": { "id": "sub.localhost", "name": "another" } });
        let made = browser.run(ANSWER, json!({ "begun": register, "bent": bent }));
        let body = json!({ "ceremony": register["ceremony"], "credential": made });
        let reply = ground.post(As::Token(&token), "/v1/auth/passkey/register/finish", &body);
        assert_eq!(refusal(&reply), refused, "for another domain");
        let (begun, credential) = answer(ground, browser, json!({ "rpId": "sub.localhost" }));
        assert_eq!(refusal(&finish(ground, &begun, &credential)), refused, "of another domain");

        // Bytes that nobody signed, and no bytes.
        let (begun, mut credential) = answer_at_home(ground, browser);
        let signature = credential["response"]["signature"].as_str().unwrap();
        let other = if signature.as_bytes()[12] == b'A' { "B" } else { "A" };
        credential["response"]["signature"] = json!(format!("{}{other}{}", &signature[..12], &signature[13..]));
        assert_eq!(refusal(&finish(ground, &begun, &credential)), refused, "a bent signature");
        let (begun, mut credential) = answer_at_home(ground, browser);
        credential["response"]["userHandle"] = json!("AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(refusal(&finish(ground, &begun, &credential)), refused, "in another's name");
        for odd in [json!(null), json!({}), json!("x"), json!({ "id": "a", "rawId": "!", "type": "public-key" })] {
            assert_eq!(refusal(&finish(ground, &begin(ground), &odd)), (400, "passkey.form".to_owned()));
        }
        // A challenge of one kind answers for no other, and nobody's for somebody.
        let login = begin(ground);
        let body = json!({ "ceremony": login["ceremony"], "credential": made });
        let reply = ground.post(As::Token(&token), "/v1/auth/passkey/register/finish", &body);
        assert_eq!(refusal(&reply).1, "passkey.challenge_gone");
    });
}

fn answer_at_home(ground: &Ground, browser: &mut Browser) -> (Value, Value) {
    browser.open(&format!("{}/signin", ground.origin));
    answer(ground, browser, json!({}))
}

/// A token of the same person whose second factor is fresh, shown at home.
fn token_with_passkey(ground: &Ground, browser: &mut Browser, token: &str) -> String {
    let here = browser.url();
    browser.open(&format!("{}/signin", ground.origin));
    let begun = good(&ground.post(As::Token(token), "/v1/auth/passkey/step-up/begin", &json!({})));
    let credential = browser.run(ANSWER, json!({ "begun": begun, "bent": {} }));
    let body = json!({ "ceremony": begun["ceremony"], "credential": credential });
    let raised = good(&ground.post(As::Token(token), "/v1/auth/passkey/step-up/finish", &body));
    browser.open(&here);
    raised["access_token"].as_str().unwrap().to_owned()
}
