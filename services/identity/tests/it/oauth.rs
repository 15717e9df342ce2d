//! Clients and the tokens that they get.

use std::time::Duration;

use nsl_api::{
    Revealed,
    identity::CreateKey,
    oauth::{
        AnswerDevice, AuthorizeDevice, ClientGrant, ClientId, ClientProof, CreateClient, CreatedClient, Discover,
        Grant, GrantTokens, IntrospectToken, Introspection, ListClients, LookDevice, RevokeToken, RotateSecret,
        UpdateClient,
    },
    sessions::{RefreshTokens, TokenReply},
};
use nsl_core::{Clock, Code, Cx, Once, Result};

use crate::{
    ground::{Ground, each, new_key},
    signin::{PASSWORD, claims, from, login, person, register, slug, tokens as signed_in},
    tokens::{events, next, refresh, revocations},
};

const HERE: &str = "192.0.2.7";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn client_of(scopes: &str, grants: &[ClientGrant]) -> CreateClient {
    CreateClient {
        name: "robot".to_owned(),
        scopes: words(scopes),
        grants: Some(grants.to_vec()),
        public: false,
        networks: None,
        expires_at: None,
    }
}

fn shown(client: &CreatedClient) -> ClientProof {
    ClientProof { id: client.client.id.clone(), secret: client.secret.clone() }
}

async fn make(ground: &Ground, cx: &Cx, scopes: &str, grants: &[ClientGrant]) -> CreatedClient {
    ground.all.oauth.create_client(cx, client_of(scopes, grants)).await.unwrap()
}

async fn ask(ground: &Ground, grant: Grant, client: Option<ClientProof>, scope: Option<&str>) -> Result<TokenReply> {
    let request = GrantTokens { grant, client, scope: scope.map(str::to_owned), proof: None };
    ground.all.oauth.grant_tokens(&from(HERE), request).await
}

async fn machine(ground: &Ground, client: &CreatedClient, scope: Option<&str>) -> Result<TokenReply> {
    ask(ground, Grant::ClientCredentials, Some(shown(client)), scope).await
}

async fn look(ground: &Ground, token: &str, client: &CreatedClient) -> Introspection {
    let request = IntrospectToken { token: Revealed(token.to_owned()), client: Some(shown(client)) };
    ground.all.oauth.introspect_token(&from(HERE), request).await.unwrap()
}

fn error_of<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    let error = outcome.unwrap_err();
    error.details.get("error").and_then(|name| name.as_str()).unwrap_or(&error.slug).to_owned()
}

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
        let mut nowhere = from(HERE);
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

struct Acting {
    owner: Cx,
    person: TokenReply,
    robot: CreatedClient,
}

async fn acting(ground: &Ground, scopes: &str) -> Acting {
    let person_of = register(ground, "ann@example.com", HERE).await;
    let owner = person(&person_of, HERE);
    let grants = [ClientGrant::ClientCredentials, ClientGrant::TokenExchange];
    let robot = make(ground, &owner, scopes, &grants).await;
    Acting { owner, person: person_of, robot }
}

async fn exchange(
    ground: &Ground,
    client: &CreatedClient,
    subject: &str,
    actor: &str,
    scope: Option<&str>,
) -> Result<TokenReply> {
    let grant =
        Grant::TokenExchange { subject_token: Revealed(subject.to_owned()), actor_token: Revealed(actor.to_owned()) };
    ask(ground, grant, Some(shown(client)), scope).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acts_for_another_can_do_what_both_can_and_ends_with_either() {
    each(async |ground: Ground| {
        let Acting { owner, person, robot } = acting(&ground, "storage:read identity:read identity:act").await;
        let actor = machine(&ground, &robot, None).await.unwrap().access_token.0;
        ground.clock.advance(Duration::from_secs(300));
        let acts = exchange(&ground, &robot, &person.access_token.0, &actor, None).await.unwrap();
        assert_eq!((acts.scope.as_str(), acts.refresh_token.is_none()), ("storage:read identity:read", true));
        assert_eq!((acts.expires_in, acts.issued_token_type.is_some()), (600, true));
        let said = claims(&acts);
        assert_eq!(
            (said["sub"].as_str(), said["act"]["sub"].as_str()),
            (Some(owner.principal.subject.as_str()), Some(&*robot.client.id))
        );
        assert!(said.get("mfa_time").is_none() && said.get("whole").is_none());
        assert_eq!(said["sid"].as_str(), person.session_id.as_deref());
        let less = exchange(&ground, &robot, &person.access_token.0, &actor, Some("storage:read")).await.unwrap();
        assert_eq!(less.scope, "storage:read");
        assert!(look(&ground, &acts.access_token.0, &robot).await.active);

        let checker = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let suspend = UpdateClient { id: robot.client.id.clone(), suspended: Some(true), ..UpdateClient::default() };
        ground.all.oauth.update_client(&owner, suspend).await.unwrap();
        assert!(!look(&ground, &acts.access_token.0, &checker).await.active, "its actor was suspended");
        assert!(look(&ground, &person.access_token.0, &checker).await.active);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_for_another_unless_all_of_it_is_so() {
    each(async |ground: Ground| {
        let Acting { owner, person, robot } = acting(&ground, "storage:read identity:act").await;
        let eve = register(&ground, "eve@example.com", "198.51.100.9").await;
        let of_eve = crate::signin::person(&eve, HERE);
        let both = [ClientGrant::ClientCredentials, ClientGrant::TokenExchange];
        let plain = make(&ground, &owner, "storage:read", &both).await;
        let barred = make(&ground, &owner, "storage:read identity:act", &[ClientGrant::ClientCredentials]).await;
        let foreign = make(&ground, &of_eve, "storage:read identity:act", &both).await;
        let writes = make(&ground, &owner, "storage:write identity:act", &both).await;
        let token = async |client: &CreatedClient| machine(&ground, client, None).await.unwrap().access_token.0;
        let (actor, person) = (token(&robot).await, &person.access_token.0);
        let acts = exchange(&ground, &robot, person, &actor, None).await.unwrap().access_token.0;
        for (what, client, subject, by, scope, error) in [
            ("no identity:act", &plain, person, &token(&plain).await, None, "access_denied"),
            ("no grant", &barred, person, &token(&barred).await, None, "unauthorized_client"),
            ("other tenant's actor", &foreign, person, &token(&foreign).await, None, "invalid_grant"),
            ("other tenant's subject", &robot, &eve.access_token.0, &actor, None, "invalid_grant"),
            ("another's actor token", &writes, person, &actor, None, "invalid_request"),
            ("a person as the actor", &robot, person, person, None, "invalid_request"),
            ("itself", &robot, &actor, &actor, None, "invalid_request"),
            ("acting as the actor", &robot, person, &acts, None, "invalid_request"),
            ("nothing in common", &robot, &token(&writes).await, &actor, None, "invalid_scope"),
            ("more than both", &robot, person, &actor, Some("storage:write"), "invalid_scope"),
            ("the right to act", &robot, person, &actor, Some("identity:act"), "invalid_scope"),
            ("junk", &robot, &"a.b.c".to_owned(), &actor, None, "invalid_grant"),
        ] {
            assert_eq!(error_of(exchange(&ground, client, subject, by, scope).await), error, "{what}");
        }
        // Three may stand behind each other, and no fourth.
        let mut chain = acts;
        for depth in 2..=4 {
            let further = make(&ground, &owner, "storage:read identity:act", &both).await;
            let by = token(&further).await;
            match exchange(&ground, &further, &chain, &by, None).await {
                Ok(reply) => chain = reply.access_token.0,
                Err(error) => assert_eq!((depth, &*error.slug), (4, "oauth.acting_too_deep")),
            }
        }
        let seen = look(&ground, &chain, &robot).await;
        assert!(seen.act.unwrap().act.unwrap().act.unwrap().act.is_none());
    })
    .await;
}

fn own() -> ClientProof {
    ClientProof { id: "nsl-cli".to_owned(), secret: None }
}

async fn poll(ground: &Ground, code: &str, client: ClientProof) -> Result<TokenReply> {
    ask(ground, Grant::DeviceCode { device_code: Revealed(code.to_owned()) }, Some(client), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_let_in_by_its_user_once() {
    each(async |ground: Ground| {
        let ann = register(&ground, "ann@example.com", HERE).await;
        let owner = person(&ann, HERE);
        let oauth = &ground.all.oauth;
        let begin = AuthorizeDevice { client: own(), scope: Some("storage:read identity:read".to_owned()) };
        let codes = oauth.authorize_device(&from("203.0.113.5"), begin).await.unwrap();
        assert_eq!((codes.interval, codes.expires_in), (5, 600));
        assert!(codes.verification_uri_complete.ends_with(&codes.user_code));
        let device = &codes.device_code.0;
        assert_eq!(error_of(poll(&ground, device, own()).await), "authorization_pending");
        assert_eq!(error_of(poll(&ground, device, own()).await), "slow_down");
        ground.clock.advance(Duration::from_secs(5));
        assert_eq!(error_of(poll(&ground, device, own()).await), "slow_down", "it must wait longer now");
        ground.clock.advance(Duration::from_secs(15));
        assert_eq!(error_of(poll(&ground, device, own()).await), "authorization_pending");

        let look = LookDevice { user_code: codes.user_code.to_lowercase().replace('-', " ") };
        let seen = oauth.look_device(&owner, look).await.unwrap();
        assert_eq!((seen.address.as_deref(), seen.state.as_str()), (Some("203.0.113.5"), "pending"));
        assert_eq!(seen.scope.as_deref(), Some("storage:read identity:read"));
        let answer = || AnswerDevice { user_code: codes.user_code.clone(), approve: true, tenant: None };
        assert_eq!(oauth.answer_device(&owner, answer()).await.unwrap().state, "approved");
        assert_eq!(slug(oauth.answer_device(&owner, answer()).await), "oauth.device_answered");
        ground.clock.advance(Duration::from_secs(15));
        let other = ClientProof { id: "nsl".to_owned(), secret: None };
        assert_eq!(error_of(poll(&ground, device, other).await), "invalid_client");
        let tokens = poll(&ground, device, own()).await.unwrap();
        assert_eq!((tokens.scope.as_str(), &tokens.tenant), ("storage:read identity:read", &ann.tenant));
        assert_eq!(claims(&tokens)["client_id"], "nsl-cli");
        ground.clock.advance(Duration::from_secs(15));
        assert_eq!(error_of(poll(&ground, device, own()).await), "invalid_grant", "it is good once");
        let again = refresh(&ground.all, next(&tokens)).await.unwrap();
        assert_eq!(again.scope, "storage:read identity:read");
        let grant = Grant::RefreshToken { refresh_token: again.refresh_token.clone().unwrap(), tenant: None };
        assert!(ask(&ground, grant, Some(own()), None).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_turned_away_forgotten_or_guessed_in_vain() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let oauth = &ground.all.oauth;
        let begin =
            async || oauth.authorize_device(&from(HERE), AuthorizeDevice { client: own(), scope: None }).await.unwrap();
        let answer = |code: &str, approve| AnswerDevice { user_code: code.to_owned(), approve, tenant: None };
        let denied = begin().await;
        oauth.answer_device(&owner, answer(&denied.user_code, false)).await.unwrap();
        assert_eq!(error_of(poll(&ground, &denied.device_code.0, own()).await), "access_denied");
        let late = begin().await;
        ground.clock.advance(Duration::from_secs(600));
        assert_eq!(error_of(poll(&ground, &late.device_code.0, own()).await), "expired_token");
        assert_eq!(slug(oauth.answer_device(&owner, answer(&late.user_code, true)).await), "oauth.user_code");

        let waiting = begin().await;
        let mut client = owner.clone();
        client.principal.session = None;
        for (cx, expected) in [(from(HERE), "auth.missing"), (client, "auth.person_needed")] {
            assert_eq!(slug(oauth.answer_device(&cx, answer(&waiting.user_code, true)).await), expected);
        }
        let elsewhere = AnswerDevice { tenant: Some(nsl_core::TenantId::fresh()), ..answer(&waiting.user_code, true) };
        assert_eq!(slug(oauth.answer_device(&owner, elsewhere).await), "tokens.not_a_member");
        // Who was let in for less lets nothing in for more.
        let mut narrow = owner.clone();
        narrow.principal.whole = false;
        assert_eq!(slug(oauth.answer_device(&narrow, answer(&waiting.user_code, true)).await), "oauth.device_narrow");
        let mut tries = 0;
        let spent = loop {
            match slug(oauth.look_device(&owner, LookDevice { user_code: "BBBB-BBBB".to_owned() }).await).as_str() {
                "oauth.user_code" => tries += 1,
                other => break other.to_owned(),
            }
        };
        assert_eq!((spent.as_str(), tries), ("oauth.too_many_codes", 19));
        let right = oauth.answer_device(&owner, answer(&waiting.user_code, true)).await.unwrap_err();
        assert_eq!((right.code, &*right.slug), (Code::Exhausted, "oauth.too_many_codes"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_got_through_a_client_is_bound_to_it_and_ends_with_it() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let oauth = &ground.all.oauth;
        let public = CreateClient { public: true, ..client_of("storage:read", &[ClientGrant::DeviceCode]) };
        let app = oauth.create_client(&owner, public).await.unwrap();
        assert!(app.secret.is_none());
        let secret = make(&ground, &owner, "storage:read storage:write", &[ClientGrant::DeviceCode]).await;
        for client in [&app, &secret] {
            let begin = AuthorizeDevice { client: shown(client), scope: Some("storage:read identity:read".to_owned()) };
            let codes = oauth.authorize_device(&from(HERE), begin).await.unwrap();
            let answer = AnswerDevice { user_code: codes.user_code, approve: true, tenant: None };
            assert_eq!(oauth.answer_device(&owner, answer).await.unwrap().scope.as_deref(), Some("storage:read"));
            let tokens = poll(&ground, &codes.device_code.0, shown(client)).await.unwrap();
            assert_eq!(tokens.scope, "storage:read");
            let refresh_by = async |client: Option<ClientProof>, reply: &TokenReply| {
                let grant = Grant::RefreshToken { refresh_token: reply.refresh_token.clone().unwrap(), tenant: None };
                ask(&ground, grant, client, None).await
            };
            for wrong in [None, Some(own())] {
                assert_eq!(error_of(refresh_by(wrong, &tokens).await), "invalid_grant");
            }
            let bare = ClientProof { id: secret.client.id.clone(), secret: None };
            assert_eq!(error_of(refresh_by(Some(bare), &tokens).await), "invalid_client");
            assert_eq!(slug(refresh(&ground.all, next(&tokens)).await), "tokens.refresh_unknown");
            let tokens = refresh_by(Some(shown(client)), &tokens).await.unwrap();

            oauth.delete_client(&owner, ClientId { id: client.client.id.clone() }).await.unwrap();
            assert_eq!(error_of(refresh_by(Some(shown(client)), &tokens).await), "invalid_client");
            let sid = format!("sid:{}", tokens.session_id.as_ref().unwrap());
            assert!(revocations(&ground.all, 0).await.iter().any(|item| item.what == sid));
        }
        // A session of the person's own is none of theirs.
        let own = signed_in(login(&ground, "ann@example.com", PASSWORD, HERE).await.unwrap());
        let robot = make(&ground, &owner, "storage:read", &[ClientGrant::ClientCredentials]).await;
        let grant = Grant::RefreshToken { refresh_token: own.refresh_token.clone().unwrap(), tenant: None };
        assert_eq!(error_of(ask(&ground, grant, Some(shown(&robot)), None).await), "invalid_grant");
        let request = RefreshTokens { client: Some(robot.client.id.clone()), ..crate::tokens::refresh_of(next(&own)) };
        assert_eq!(slug(ground.all.sessions.refresh_tokens(&from(HERE), request).await), "tokens.refresh_unknown");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_let_in_for_less_stays_in_its_tenant() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HERE).await, HERE);
        let public = CreateClient { public: true, ..client_of("storage:read", &[ClientGrant::DeviceCode]) };
        let app = shown(&ground.all.oauth.create_client(&owner, public).await.unwrap());
        let terminal = ClientProof { id: "nsl-cli".to_owned(), secret: None };
        for (email, client, scope) in
            [("bob@example.com", app, None), ("cem@example.com", terminal, Some("storage:read".to_owned()))]
        {
            let bob = crate::people::joins(&ground, &owner, email, &["developer"]).await;
            let request = nsl_api::people::OpenTenant { name: "bob's".to_owned() };
            let elsewhere = ground.all.people.open_tenant(&bob, request).await.unwrap().tenant;
            let begin = AuthorizeDevice { client: client.clone(), scope };
            let codes = ground.all.oauth.authorize_device(&from(HERE), begin).await.unwrap();
            let answer = AnswerDevice { user_code: codes.user_code, approve: true, tenant: None };
            ground.all.oauth.answer_device(&bob, answer).await.unwrap();
            let tokens = poll(&ground, &codes.device_code.0, client.clone()).await.unwrap();
            let refresh_in = async |tokens: &TokenReply, tenant: Option<&nsl_core::TenantId>| {
                let refresh_token = tokens.refresh_token.clone().unwrap();
                let grant = Grant::RefreshToken { refresh_token, tenant: tenant.cloned() };
                ask(&ground, grant, Some(client.clone()), None).await
            };
            assert_eq!(error_of(refresh_in(&tokens, Some(&elsewhere)).await), "invalid_grant");
            let tokens = refresh_in(&tokens, Some(&owner.tenant)).await.unwrap();
            let tokens = refresh_in(&tokens, None).await.unwrap();
            assert_eq!(tokens.tenant, owner.tenant);
            let sql = "DELETE FROM members WHERE tenant_id = $1 AND user_id = $2";
            let user = bob.principal.subject.as_str().to_owned();
            crate::tokens::run(&ground, sql, nsl_sql::args![&owner.tenant, user]).await;
            for tenant in [None, Some(&owner.tenant), Some(&elsewhere)] {
                assert_eq!(error_of(refresh_in(&tokens, tenant).await), "invalid_grant");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_act_is_said_by_the_policies_of_the_actors_tenant() {
    each(async |ground: Ground| {
        nsl_core::judge::appoint(std::sync::Arc::new(nsl_policy::Court::new(ground.clock.clone())));
        let Acting { mut owner, person, robot } = acting(&ground, "storage:read identity:act").await;
        let actor = machine(&ground, &robot, None).await.unwrap().access_token.0;
        let exchange_as = async |cx: &Cx| {
            let grant = Grant::TokenExchange {
                subject_token: Revealed(person.access_token.0.clone()),
                actor_token: Revealed(actor.clone()),
            };
            let request = GrantTokens { grant, client: Some(shown(&robot)), scope: None, proof: None };
            ground.all.oauth.grant_tokens(cx, request).await
        };
        assert!(exchange_as(&from(HERE)).await.is_ok());
        // What the caller's own tenant rules says nothing here.
        let text = "forbid(principal, action == Action::\"identity:act\", resource);";
        let mut caller = crate::people::owner(&ground, "eve@example.com").await;
        caller.rules = Some(std::sync::Arc::new(nsl_core::Rules::new(format!("@id(\"no\")\n{text}"), 1)));
        assert!(exchange_as(&caller).await.is_ok());
        owner.principal.second_factor_at = Some(ground.clock.now());
        let policy = nsl_api::access::PutPolicy {
            name: "no-acting".to_owned(),
            text: text.to_owned(),
            expected_version: None,
            cases: Vec::new(),
            dry_run: false,
        };
        assert!(ground.all.access.put_policy(&owner, policy).await.unwrap().saved);
        caller.rules = None;
        for cx in [&from(HERE), &caller] {
            assert_eq!(error_of(exchange_as(cx).await), "access_denied");
        }
    })
    .await;
}
