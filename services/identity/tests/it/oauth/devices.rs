//! Devices that a person lets in by a code.

use std::time::Duration;

use nsl_api::{
    oauth::{AnswerDevice, AuthorizeDevice, ClientGrant, ClientId, ClientProof, CreateClient, Grant, LookDevice},
    sessions::{RefreshTokens, TokenReply},
};
use nsl_core::Code;

use super::{HERE, ask, client_of, error_of, make, poll, shown};
use crate::{
    ground::{Ground, each},
    signin::{PASSWORD, claims, from, login, person, register, slug, tokens as signed_in},
    tokens::{next, refresh, revocations},
};

fn own() -> ClientProof {
    ClientProof { id: "nsl-cli".to_owned(), secret: None }
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
