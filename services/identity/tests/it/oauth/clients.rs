//! Clients of OAuth 2.0: what they get, for how long, and who may have them.

use std::time::Duration;

use nsl_api::{
    Revealed,
    identity::CreateKey,
    oauth::{
        AnswerDevice, AuthorizeDevice, ClientGrant, ClientId, ClientProof, CreateClient, CreatedClient, Discover,
        Grant, GrantTokens, IntrospectToken, ListClients, RevokeToken, RotateSecret, UpdateClient,
    },
};
use nsl_core::{Clock, Once};

use super::{HERE, ask, client_of, error_of, look, machine, make, poll, shown, words};
use crate::{
    ground::{Ground, each, lasting, new_key},
    signin::{claims, from, person, register, slug},
    tokens::{events, next, refresh, revocations},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_tokens_for_what_it_may_and_no_more() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let client = make(&ground, &owner, "storage:read storage:write", &[ClientGrant::ClientCredentials]).await;
        assert!(client.client.id.starts_with("cli_") && client.secret.as_ref().unwrap().0.starts_with("nss_"));
        let all = machine(&ground, &client, None).await.unwrap();
        assert_eq!((all.scope.as_str(), all.refresh_token.is_none()), ("storage:read storage:write", true));
        let said = claims(&all);
        assert_eq!(
            (said["sub"].as_str(), said["client_id"].as_str()),
            (Some(&*client.client.id), Some(&*client.client.id))
        );
        assert!(said.get("sid").is_none() && said.get("whole").is_none());
        assert_eq!(machine(&ground, &client, Some("storage:read")).await.unwrap().scope, "storage:read");
        for (scope, error) in [("identity:read", "invalid_scope"), ("*", "invalid_scope"), ("a  b", "invalid_scope")] {
            assert_eq!(error_of(machine(&ground, &client, Some(scope)).await), error, "{scope}");
        }
        let wrong = |secret: Option<&str>| {
            Some(ClientProof { id: client.client.id.clone(), secret: secret.map(|text| Revealed(text.to_owned())) })
        };
        let unknown = Some(ClientProof { id: "cli_0".to_owned(), secret: client.secret.clone() });
        for proof in [wrong(Some("nss_wrong")), wrong(None), wrong(Some("")), unknown, None] {
            let refused = ask(&ground, Grant::ClientCredentials, proof, None).await;
            assert_eq!(error_of(refused), "invalid_client");
        }
        let seen = ground.all.oauth.get_client(&owner, ClientId { id: client.client.id.clone() }).await.unwrap();
        assert_eq!(seen.last_used_at, Some(ground.clock.now()));
        assert_eq!(events(&ground, &owner.tenant, "oauth.token_issued").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_or_changes_a_client_beyond_their_own_rights_or_tenant() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let eve = person(&register(&ground, "eve@example.com", HERE).await, HERE);
        let mut writer = owner.clone();
        writer.principal.scopes = words("identity:admin identity:write identity:read storage:read").into();
        let oauth = &ground.all.oauth;
        let beyond = oauth.create_client(&writer, client_of("storage:write", &[ClientGrant::ClientCredentials])).await;
        assert_eq!(slug(beyond), "identity.scope_not_held");
        let client = make(&ground, &owner, "storage:write", &[ClientGrant::ClientCredentials]).await;
        let id = client.client.id.clone();
        // Its secret would be more than the writer has.
        assert_eq!(
            slug(oauth.rotate_client_secret(&writer, RotateSecret { id: id.clone(), overlap_s: 0 }).await),
            "identity.scope_not_held"
        );
        let wider = UpdateClient { id: id.clone(), networks: Some(vec![]), ..UpdateClient::default() };
        assert_eq!(slug(oauth.update_client(&writer, wider).await), "identity.scope_not_held");
        let stop = UpdateClient { id: id.clone(), suspended: Some(true), ..UpdateClient::default() };
        assert!(oauth.update_client(&writer, stop.clone()).await.is_ok(), "to stop a client needs no more");
        let go_on = UpdateClient { suspended: Some(false), ..stop };
        assert_eq!(slug(oauth.update_client(&writer, go_on).await), "identity.scope_not_held");
        for outcome in [
            slug(oauth.get_client(&eve, ClientId { id: id.clone() }).await),
            slug(oauth.delete_client(&eve, ClientId { id: id.clone() }).await),
            slug(oauth.rotate_client_secret(&eve, RotateSecret { id: id.clone(), overlap_s: 0 }).await),
            slug(oauth.update_client(&eve, UpdateClient { id: id.clone(), ..UpdateClient::default() }).await),
        ] {
            assert_eq!(outcome, "oauth.client_missing");
        }
        let listed = oauth.list_clients(&eve, ListClients { limit: 50, after: None }).await.unwrap();
        assert!(listed.items.is_empty());
        // What may only come from here makes nothing that comes from anywhere, and learns no secret of such.
        let key = CreateKey {
            networks: vec!["192.0.2.0/24".to_owned()],
            ..new_key("near", &["identity:admin", "identity:write", "storage:write"])
        };
        let key = ground.as_key(&ground.identity.create_key(&owner, key).await.unwrap()).await;
        let near =
            oauth.create_client(&key, client_of("storage:write", &[ClientGrant::ClientCredentials])).await.unwrap();
        assert_eq!(near.client.networks, ["192.0.2.0/24"]);
        let anywhere = UpdateClient { id: id.clone(), suspended: Some(false), ..UpdateClient::default() };
        assert_eq!(slug(oauth.update_client(&key, anywhere).await), "identity.network_not_held");
        assert_eq!(
            slug(oauth.rotate_client_secret(&key, RotateSecret { id, overlap_s: 0 }).await),
            "identity.network_not_held"
        );
        let public = CreateClient { public: true, ..client_of("storage:read", &[ClientGrant::ClientCredentials]) };
        assert_eq!(slug(oauth.create_client(&owner, public).await), "oauth.grants");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_rotate_with_an_overlap_and_are_shown_once() {
    each(async |ground: Ground| {
        let mut owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        owner.once = Some(Once { key: "make".into(), fingerprint: "f".into() });
        let old = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let again =
            ground.all.oauth.create_client(&owner, client_of("storage:read", &[ClientGrant::ClientCredentials])).await;
        assert_eq!(slug(again), "identity.secret_shown_once");
        owner.once = Some(Once { key: "rotate".into(), fingerprint: "f".into() });
        let rotate = |overlap_s| RotateSecret { id: old.client.id.clone(), overlap_s };
        let new = ground.all.oauth.rotate_client_secret(&owner, rotate(60)).await.unwrap();
        assert_eq!(slug(ground.all.oauth.rotate_client_secret(&owner, rotate(60)).await), "identity.secret_shown_once");
        assert!(machine(&ground, &old, None).await.is_ok() && machine(&ground, &new, None).await.is_ok());
        ground.clock.advance(Duration::from_secs(60));
        assert_eq!(error_of(machine(&ground, &old, None).await), "invalid_client");
        assert!(machine(&ground, &new, None).await.is_ok());
        owner.once = None;
        let newest = ground.all.oauth.rotate_client_secret(&owner, rotate(0)).await.unwrap();
        assert_eq!(error_of(machine(&ground, &new, None).await), "invalid_client");
        assert!(machine(&ground, &newest, None).await.is_ok());
        assert_eq!(slug(ground.all.oauth.rotate_client_secret(&owner, rotate(8 * 86_400)).await), "oauth.overlap");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_held_to_its_networks_its_end_and_its_suspension() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let oauth = &ground.all.oauth;
        let near = CreateClient {
            networks: Some(vec!["192.0.2.0/24".to_owned()]),
            expires_at: Some(ground.clock.now().plus(Duration::from_secs(100))),
            ..client_of("storage:read", &[ClientGrant::ClientCredentials])
        };
        let client = oauth.create_client(&owner, near).await.unwrap();
        let token = machine(&ground, &client, None).await.unwrap();
        assert_eq!(token.expires_in, 100, "no token outlives its client");
        let request =
            || GrantTokens { grant: Grant::ClientCredentials, client: Some(shown(&client)), scope: None, proof: None };
        for address in ["198.51.100.1", "::1"] {
            assert_eq!(
                error_of(oauth.grant_tokens(&from(address), request()).await),
                "unauthorized_client",
                "{address}"
            );
        }
        let mut nowhere = lasting(from(HERE));
        nowhere.source.ip = None;
        assert_eq!(error_of(oauth.grant_tokens(&nowhere, request()).await), "unauthorized_client");

        let before = revocations(&ground.all, 0).await.len();
        let change = |suspended| UpdateClient {
            id: client.client.id.clone(),
            suspended: Some(suspended),
            ..UpdateClient::default()
        };
        assert!(oauth.update_client(&owner, change(true)).await.unwrap().suspended_at.is_some());
        assert_eq!(error_of(machine(&ground, &client, None).await), "invalid_client");
        let revoked = revocations(&ground.all, 0).await;
        let mark = revoked.last().unwrap();
        assert_eq!(
            (revoked.len(), mark.what.clone()),
            (before + 1, format!("sub:{}@{}", client.client.id, owner.tenant))
        );
        assert!(claims(&token)["rev"].as_i64().unwrap() < mark.seq);
        oauth.update_client(&owner, change(false)).await.unwrap();
        let later = machine(&ground, &client, None).await.unwrap();
        assert!(claims(&later)["rev"].as_i64().unwrap() >= mark.seq, "what comes after is good");
        let checker = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        assert!(!look(&ground, &token.access_token.0, &checker).await.active);
        assert!(look(&ground, &later.access_token.0, &checker).await.active);
        ground.clock.advance(Duration::from_secs(100));
        assert_eq!(error_of(machine(&ground, &client, None).await), "invalid_client");
        assert!(!look(&ground, &later.access_token.0, &checker).await.active);
        oauth.delete_client(&owner, ClientId { id: checker.client.id.clone() }).await.unwrap();
        assert_eq!(error_of(machine(&ground, &checker, None).await), "invalid_client");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_knows_tokens_of_the_own_tenant_only() {
    each(async |ground: Ground| {
        let ann = register(&ground, "ann@example.com", HERE).await;
        let eve = register(&ground, "eve@example.com", HERE).await;
        let (of_ann, of_eve) = (person(&ann, HERE), person(&eve, HERE));
        let here = make(&ground, &of_ann, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let there = make(&ground, &of_eve, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let seen = look(&ground, &ann.access_token.0, &here).await;
        assert_eq!(
            (seen.active, seen.tenant.as_ref(), seen.sid.clone()),
            (true, Some(&ann.tenant), ann.session_id.clone())
        );
        assert!(look(&ground, next(&ann), &here).await.active);
        for token in [&ann.access_token.0, next(&ann)] {
            let hidden = serde_json::to_value(look(&ground, token, &there).await).unwrap();
            assert_eq!(hidden, serde_json::json!({ "active": false }));
        }
        for junk in ["", "a.b.c", &ann.access_token.0[..40], &format!("{}x", ann.access_token.0), "nsr_x"] {
            assert!(!look(&ground, junk, &here).await.active, "{junk}");
        }
        let request = |client| IntrospectToken { token: ann.access_token.clone(), client };
        let oauth = &ground.all.oauth;
        assert!(oauth.introspect_token(&of_ann, request(None)).await.unwrap().active);
        assert!(!oauth.introspect_token(&of_eve, request(None)).await.unwrap().active);
        assert_eq!(error_of(oauth.introspect_token(&from(HERE), request(None)).await), "invalid_client");
        let mut small = of_ann.clone();
        small.principal.scopes = words("storage:read").into();
        assert_eq!(slug(oauth.introspect_token(&small, request(None)).await), "auth.scope_missing");
        let own = ClientProof { id: "nsl-cli".to_owned(), secret: None };
        assert_eq!(error_of(oauth.introspect_token(&from(HERE), request(Some(own))).await), "invalid_client");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_taken_back_by_who_holds_them_or_whose_client_they_came_by() {
    each(async |ground: Ground| {
        let ann = register(&ground, "ann@example.com", HERE).await;
        let owner = person(&ann, HERE);
        let one = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let other = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let revoke = async |token: &str, client: Option<&CreatedClient>| {
            let request = RevokeToken { token: Revealed(token.to_owned()), client: client.map(shown) };
            ground.all.oauth.revoke_token(&from(HERE), request).await.map(drop)
        };
        let token = machine(&ground, &one, None).await.unwrap().access_token.0;
        assert_eq!(error_of(revoke(&token, Some(&other)).await), "unauthorized_client");
        assert_eq!(error_of(revoke(&token, None).await), "unauthorized_client");
        assert!(look(&ground, &token, &one).await.active);
        revoke(&token, Some(&one)).await.unwrap();
        assert!(!look(&ground, &token, &one).await.active);
        for again in [&token, "junk", "nsr_junk"] {
            revoke(again, Some(&one)).await.unwrap();
        }
        revoke(&ann.access_token.0, None).await.unwrap();
        assert!(!look(&ground, &ann.access_token.0, &one).await.active);
        revoke(next(&ann), None).await.unwrap();
        assert_eq!(slug(refresh(&ground.all, next(&ann)).await), "tokens.refresh_unknown");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_names_what_exists_under_the_issuer() {
    let ground = Ground::on(None, 1_000).await;
    let document = ground.all.oauth.discover(&from(HERE), Discover {}).await.unwrap().document;
    let said: serde_json::Value = serde_json::from_str(&document).unwrap();
    let issuer = said["issuer"].as_str().unwrap();
    for (name, value) in said.as_object().unwrap() {
        if name.ends_with("_endpoint") || name.ends_with("_uri") {
            assert!(value.as_str().unwrap().starts_with(&format!("{issuer}/")), "{name}");
        }
    }
    assert!(said.get("authorization_endpoint").is_none() && said["response_types_supported"] == serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_administers_can_have_a_client_that_stays_when_they_are_gone() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let developer = crate::people::joins(&ground, &owner, "dev@example.com", &["developer"]).await;
        let oauth = &ground.all.oauth;
        let machines = [ClientGrant::ClientCredentials];
        assert_eq!(
            slug(oauth.create_client(&developer, client_of("storage:read", &machines)).await),
            "auth.scope_missing"
        );
        let id = make(&ground, &owner, "storage:read", &machines).await.client.id;
        let rotate = RotateSecret { id: id.clone(), overlap_s: 60 };
        assert_eq!(slug(oauth.rotate_client_secret(&developer, rotate).await), "auth.scope_missing");
        let change = UpdateClient { id: id.clone(), ..UpdateClient::default() };
        for wider in [
            UpdateClient { scopes: Some(words("storage:read storage:write")), ..change.clone() },
            UpdateClient { networks: Some(Vec::new()), ..change.clone() },
            UpdateClient { suspended: Some(false), ..change.clone() },
        ] {
            assert_eq!(slug(oauth.update_client(&developer, wider).await), "auth.scope_missing");
        }
        let stop = UpdateClient { suspended: Some(true), ..change };
        assert!(oauth.update_client(&developer, stop).await.is_ok());
        assert!(oauth.delete_client(&developer, ClientId { id }).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_without_overlap_ends_all_that_the_old_secret_got() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let oauth = &ground.all.oauth;
        let both = [ClientGrant::ClientCredentials, ClientGrant::DeviceCode];
        let old = make(&ground, &owner, "storage:read", &both).await;
        let checker = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let token = machine(&ground, &old, None).await.unwrap().access_token.0;
        let begin = AuthorizeDevice { client: shown(&old), scope: None };
        let codes = oauth.authorize_device(&from(HERE), begin).await.unwrap();
        let answer = AnswerDevice { user_code: codes.user_code, approve: true, tenant: None };
        oauth.answer_device(&owner, answer).await.unwrap();
        let of_person = poll(&ground, &codes.device_code.0, shown(&old)).await.unwrap();
        let rotate = |overlap_s| RotateSecret { id: old.client.id.clone(), overlap_s };
        oauth.rotate_client_secret(&owner, rotate(60)).await.unwrap();
        assert!(look(&ground, &token, &checker).await.active, "with an overlap all goes on");
        let new = oauth.rotate_client_secret(&owner, rotate(0)).await.unwrap();
        for token in [&token, &of_person.access_token.0, next(&of_person)] {
            assert!(!look(&ground, token, &checker).await.active);
        }
        let token = machine(&ground, &new, None).await.unwrap().access_token.0;
        assert!(look(&ground, &token, &checker).await.active, "what the new one gets is good");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_tenant_that_is_being_deleted_get_nothing() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let client = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        for (status, outcome) in [("deleting", "invalid_client"), ("active", "fine")] {
            let sql = "UPDATE tenants SET status = $2 WHERE tenant_id = $1";
            crate::tokens::run(&ground, sql, nsl_sql::args![&owner.tenant, status]).await;
            let got = machine(&ground, &client, None).await;
            assert_eq!(got.map_or_else(|error| error_of::<()>(Err(error)), |_| "fine".to_owned()), outcome);
        }
    })
    .await;
}
