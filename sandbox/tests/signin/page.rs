//! The page itself, as a browser has it.

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    ground::{As, Ground, good},
    provider::Provider,
};

#[test]
fn the_page_runs_nothing_but_its_own_script_and_names_all_that_can_be_used() {
    let ground = Ground::start(false, &mut [], &[]);
    for path in ["/signin", "/signin?tenant=ten_x", "/signin/callback/corp?state=x&code=y", "/device"] {
        let page = ground.ask(As::Nobody, "GET", path, &Value::Null);
        assert_eq!(page.status, 200, "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'none'"), "{policy}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        for inline in ["<script>", "<style", "style=", "onclick", "javascript:"] {
            assert!(!page.body.contains(inline), "{inline}");
        }
    }
    let script = ground.ask(As::Nobody, "GET", "/signin.js", &Value::Null);
    assert!(script.header("content-type").unwrap().starts_with("text/javascript"));
    for loose in ["innerHTML", "eval(", "localStorage", "document.cookie", "document.write"] {
        assert!(!script.body.contains(loose), "{loose}");
    }

    let mut browser = Browser::start();
    browser.open(&format!("{}/signin", ground.origin));
    browser.heading("Sign in");
    assert_eq!(browser.nameless(), json!([]));
    browser.press("With a Neo X wallet");
    assert_eq!(browser.problem(), "There is no wallet of Neo X in this browser.");
    browser.fill("Email", "nobody@example.com");
    browser.fill("Password", "a wrong password of a test");
    browser.press_within("login");
    let script = "() => new Promise((done) => { const look = () => document.getElementById('problem').textContent
        .includes('password is wrong') ? done(true) : setTimeout(look, 20); look(); })";
    assert_eq!(browser.run(script, json!(null)), json!(true));
    browser.register(&ground.origin, "page@example.com");
    // The tab keeps who is in; another tab, or what outlives the browser, does not.
    browser.open(&format!("{}/signin", ground.origin));
    browser.heading("Your account");
    let kept = browser.run("() => [localStorage.length, document.cookie, location.href]", json!(null));
    assert_eq!(kept, json!([0, "", format!("{}/signin", ground.origin)]));
    let said = browser.said().to_string();
    assert!(!said.contains("Content Security Policy") && !said.contains("Error"), "{said}");
}

#[test]
fn a_person_goes_from_the_page_to_a_provider_and_back() {
    for split in [false, true] {
        let mut provider = Provider::start();
        let ground = Ground::start(split, &mut [("corp", &mut provider)], &[]);
        let mut browser = Browser::start();
        browser.open(&format!("{}/signin", ground.origin));
        browser.press("With corp");
        browser.heading("Your account");
        assert_eq!(browser.url(), format!("{}/signin", ground.origin), "no code stays in the address");
        let token = browser.token();
        let own = ground.get(As::Token(&token), "/v1/auth/federated");
        assert_eq!(own["items"][0]["subject"], "alice");
        let names = browser.run("() => document.cookie", json!(null));
        assert_eq!(names, json!(""), "the flow's cookie is gone, and no script saw it");

        // Another identity, linked to the same person.
        provider.be(Some("unverified"));
        browser.open(&format!("{}/signin", ground.origin));
        browser.heading("Your account");
        provider.forget(&mut browser);
        browser.press("Link corp");
        browser.see("The identity is linked.");
        let own = ground.get(As::Token(&browser.token()), "/v1/auth/federated");
        assert_eq!(own["items"].as_array().unwrap().len(), 2, "{own}");

        // A provider that says no.
        browser.press("Sign out");
        browser.see("You are signed out.");
        provider.be(None);
        provider.forget(&mut browser);
        browser.open(&format!("{}/signin", ground.origin));
        browser.press("With corp");
        assert_eq!(browser.problem(), "the identity provider did not let the person in");
    }
}

#[test]
fn a_second_factor_is_asked_for_on_the_page() {
    let ground = Ground::start(false, &mut [], &[]);
    let mut browser = Browser::start();
    browser.register(&ground.origin, "codes@example.com");
    let token = browser.token();
    let password = json!({ "password": "a long password of a test" });
    let seed = good(&ground.post(As::Token(&token), "/v1/auth/totp", &password));
    let code = json!({ "code": browser.app(&seed["secret"], 0) });
    let codes = good(&ground.post(As::Token(&token), "/v1/auth/totp/confirm", &code));
    let recovery = codes["recovery_codes"][0].as_str().unwrap().to_owned();
    browser.press("Sign out");
    browser.see("You are signed out.");
    let app = browser.app(&seed["secret"], 1);
    for shown in [app, recovery] {
        browser.fill("Email", "codes@example.com");
        browser.fill("Password", "a long password of a test");
        browser.press_within("login");
        browser.heading("One more step");
        browser.fill("Code of your", &shown);
        browser.press("Go on");
        browser.heading("Your account");
        browser.press("Sign out");
        browser.see("You are signed out.");
    }
}

#[test]
fn a_wallet_of_each_chain_signs_in_on_the_page() {
    let ground = Ground::start(false, &mut [], &[]);
    let mut browser = Browser::start();
    let accounts = browser.wallets();
    for (button, account) in [("With a Neo X wallet", &accounts["x"]), ("With a Neo N3 wallet", &accounts["n3"])] {
        browser.open(&format!("{}/signin", ground.origin));
        browser.press(button);
        browser.heading("Your account");
        let own = ground.get(As::Token(&browser.token()), "/v1/auth/wallets");
        assert_eq!(own["items"][0]["address"].as_str().map(str::to_lowercase), account.as_str().map(str::to_lowercase));
        browser.press("Sign out");
        browser.see("You are signed out.");
    }
}

#[test]
fn a_device_is_let_in_on_the_page_by_who_is_signed_in() {
    let ground = Ground::start(true, &mut [], &[]);
    let mut browser = Browser::start();
    browser.register(&ground.origin, "device@example.com");
    for answer in ["Let it in", "Refuse"] {
        let asked = ground.form("/oauth2/device_authorization", &format!("client_id={}", "nsl-cli"));
        let asked = good(&asked);
        let place = asked["verification_uri_complete"].as_str().unwrap();
        assert!(place.starts_with(&format!("{}/device?user_code=", ground.origin)), "{place}");
        browser.open(place);
        browser.heading("Let a device in");
        browser.press("Look it up");
        browser.see("Only go on if you started this yourself");
        browser.press(answer);
        browser.see(if answer == "Refuse" { "The device is refused." } else { "The device is let in." });
        let code = asked["device_code"].as_str().unwrap();
        let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
        let reply = ground.form("/oauth2/token", &format!("{grant}&client_id=nsl-cli&device_code={code}"));
        assert_eq!(reply.status == 200, answer == "Let it in", "{}", reply.body);
    }
}
