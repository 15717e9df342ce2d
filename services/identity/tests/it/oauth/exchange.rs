//! Clients that act for a person.

use std::time::Duration;

use nsl_api::{
    Revealed,
    oauth::{ClientGrant, CreatedClient, Grant, GrantTokens, UpdateClient},
    sessions::TokenReply,
};
use nsl_core::{Clock, Cx, Result};

use super::{HERE, ask, error_of, look, machine, make, shown};
use crate::{
    ground::{Ground, each},
    signin::{claims, from, person, register},
};

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
