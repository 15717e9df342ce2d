//! What a real client of OAuth 2.0 makes of the platform: by its discovery document alone.

use nsl_sandbox::http;
use serde_json::{Value, json};

use crate::{
    ground::{As, Ground, access, good},
    peer::Peer,
};

/// On SQLite in one process, and on PostgreSQL with identity apart from the edge.
fn each(test: impl Fn(&Ground, &mut Peer)) {
    for split in [false, true] {
        let ground = Ground::start(split, &mut [], &[]);
        test(&ground, &mut Peer::start("client.mjs"));
    }
}

fn make(ground: &Ground, owner: &Value, body: Value) -> Value {
    good(&ground.post(As::Token(access(owner)), "/v1/oauth/clients", &body))
}

fn discover(ground: &Ground, peer: &mut Peer, client: &Value, by: &str, algorithm: &str) -> Value {
    let told = json!({
        "issuer": ground.origin, "algorithm": algorithm, "by": by,
        "client": client["id"], "secret": client["secret"],
    });
    peer.ask("discover", told)
}

#[test]
fn a_machine_finds_its_way_by_discovery() {
    each(|ground, peer| {
        let ann = ground.register("ann@example.com");
        let grants = json!(["client_credentials", "token_exchange"]);
        let scopes = json!(["storage:read", "identity:read", "identity:act"]);
        let robot = make(ground, &ann, json!({ "name": "robot", "scopes": scopes, "grants": grants }));
        let url = format!("{}/v1/identity/whoami", ground.origin);
        for (by, algorithm) in [("basic", "oidc"), ("post", "oauth2")] {
            let said = discover(ground, peer, &robot, by, algorithm);
            assert_eq!(said["issuer"].as_str(), Some(ground.origin.as_str()));
            let tokens = peer.ask("machine", json!({ "scope": "storage:read" }));
            assert_eq!((&tokens["scope"], &tokens["token_type"]), (&json!("storage:read"), &json!("bearer")));
            let shown = peer.ask("show", json!({ "token": tokens["access_token"], "url": url }));
            assert_eq!((&shown["status"], &shown["body"]["subject"]), (&json!(200), &robot["id"]), "{shown}");
            let seen = peer.ask("introspect", json!({ "token": tokens["access_token"] }));
            assert_eq!((&seen["active"], &seen["client_id"]), (&json!(true), &robot["id"]));
            let refused = peer.ask("machine", json!({ "scope": "storage:write" }));
            assert_eq!((&refused["error"], &refused["status"]), (&json!("invalid_scope"), &json!(400)));
            peer.ask("revoke", json!({ "token": tokens["access_token"] }));
            let seen = peer.ask("introspect", json!({ "token": tokens["access_token"] }));
            assert_eq!(seen, json!({ "active": false }));
        }
        // In a person's name, whose name it is then.
        let actor = peer.ask("machine", json!({}));
        let told = json!({ "subject": access(&ann), "actor": actor["access_token"], "scope": "storage:read" });
        let acts = peer.ask("exchange", told);
        let shown = peer.ask("show", json!({ "token": acts["access_token"], "url": url }));
        assert_eq!(shown["body"]["subject"].as_str(), Some(ground.subject(&ann).as_str()), "{shown}");
        let seen = peer.ask("introspect", json!({ "token": acts["access_token"] }));
        assert_eq!(seen["act"], json!({ "sub": robot["id"] }));

        let wrong = json!({ "id": robot["id"], "secret": "nss_wrong" });
        discover(ground, peer, &wrong, "basic", "oauth2");
        // The challenge of the answer is what this library reports first.
        let body = "grant_type=client_credentials";
        let form = "Content-Type: application/x-www-form-urlencoded".to_owned();
        let basic = "Authorization: Basic Y2xpXzA6bnNzX3g=".to_owned();
        let reply = http("POST", &ground.origin, "/oauth2/token", &[form, basic], body).unwrap();
        assert_eq!((reply.status, &reply.json().unwrap()["error"]), (401, &json!("invalid_client")), "{}", reply.body);
        assert!(reply.head.to_ascii_lowercase().contains("www-authenticate: basic"), "{}", reply.head);
        assert!(reply.head.to_ascii_lowercase().contains("cache-control: no-store"), "{}", reply.head);
    });
}

#[test]
fn a_key_holder_shows_its_tokens_only_with_its_key() {
    each(|ground, peer| {
        let ann = ground.register("ann@example.com");
        let robot = make(ground, &ann, json!({ "name": "robot", "scopes": ["storage:read"] }));
        discover(ground, peer, &robot, "basic", "oauth2");
        let tokens = peer.ask("machine", json!({ "key": "own" }));
        assert_eq!(tokens["token_type"], "dpop");
        let url = format!("{}/v1/identity/whoami", ground.origin);
        let shown = peer.ask("show", json!({ "token": tokens["access_token"], "url": url, "key": "own" }));
        assert_eq!(shown["status"], 200, "{shown}");
        let bare = ground.ask(As::Token(access(&tokens)), "GET", "/v1/identity/whoami", &Value::Null);
        assert_eq!(bare.status, 401, "{}", bare.body);
    });
}

#[test]
fn a_device_is_let_in_and_its_tokens_are_bound_to_its_key() {
    each(|ground, peer| {
        let ann = ground.register("ann@example.com");
        let app = json!({ "name": "app", "scopes": ["storage:read", "identity:read"], "public": true });
        let app = make(ground, &ann, app);
        discover(ground, peer, &app, "none", "oauth2");
        let codes = peer.ask("begin", json!({ "scope": "storage:read" }));
        let code = json!({ "user_code": codes["user_code"] });
        let seen = good(&ground.post(As::Token(access(&ann)), "/v1/auth/device/look", &code));
        assert_eq!((&seen["client_name"], &seen["scope"]), (&json!("app"), &json!("storage:read")));
        good(&ground.post(As::Token(access(&ann)), "/v1/auth/device/approve", &code));
        let tokens = peer.ask("wait", json!({ "key": "device" }));
        assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("dpop"), &json!("storage:read")), "{tokens}");
        let stolen = peer.ask("refresh", json!({ "token": tokens["refresh_token"], "key": "thief" }));
        assert_eq!(stolen["error"], "invalid_dpop_proof", "{stolen}");
        let bare = peer.ask("refresh", json!({ "token": tokens["refresh_token"] }));
        assert_eq!(bare["error"], "invalid_dpop_proof", "{bare}");
        let next = peer.ask("refresh", json!({ "token": tokens["refresh_token"], "key": "device" }));
        assert_eq!(next["token_type"], "dpop", "{next}");
        let spent = peer.ask("refresh", json!({ "token": tokens["refresh_token"], "key": "device" }));
        assert_eq!(spent["error"], "invalid_grant");

        let codes = peer.ask("begin", json!({}));
        let code = json!({ "user_code": codes["user_code"] });
        good(&ground.post(As::Token(access(&ann)), "/v1/auth/device/deny", &code));
        assert_eq!(peer.ask("wait", json!({}))["error"], "access_denied");
    });
}
