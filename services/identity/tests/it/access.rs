//! Policies: what may be saved, what they decide, and whether what is explained is what is decided.

use std::{sync::Arc, time::Duration};

use nsl_api::{
    access::{
        AskRules, Case, Circumstances, Explain, FindPolicy, ListPermissions, ListPolicies, ListPolicyVersions,
        PolicyReply, PutPolicy, RemovePolicy, Thing, WhoCan,
    },
    sessions::RevokedSince,
};
use nsl_core::{
    Clock, Code, Cx, Error, Facts, Once, Principal, PrincipalKind, Result, Rules, Subject, TenantId, judge,
};
use nsl_ledger::Search;
use nsl_policy::Court;
use nsl_sql::{Statement, args};

use crate::ground::{BUDGET, Ground, each, lasting};

type Saving = std::pin::Pin<Box<dyn Future<Output = Result<PolicyReply>> + Send>>;

const NIGHT: &str = "forbid(principal, action == Action::\"storage:write\", resource) when { context.hour >= 20 };";
const NEVER: &str = "forbid(principal, action == Action::\"storage:read\", resource);";

async fn member(ground: &Ground, tenant: &TenantId, role: &str) -> String {
    let user = nsl_core::fresh("usr");
    let now = ground.clock.now();
    for statement in [
        Statement {
            sql: "INSERT INTO users (tenant_id, id, status, created_at) VALUES ('platform', $1, 'active', $2)",
            args: args![user.as_str(), now],
        },
        Statement {
            sql: "INSERT INTO members (tenant_id, user_id, roles, status, since) VALUES ($1, $2, $3, 'active', $4)",
            args: args![tenant, user.as_str(), &serde_json::json!([role]), now],
        },
    ] {
        ground.db.write_platform(statement).await.unwrap();
    }
    user
}

/// A person who showed a second factor now.
fn signed_in(ground: &Ground, tenant: &TenantId, user: &str, scopes: &[&str]) -> Cx {
    let mut cx = lasting(Cx::system(tenant.clone(), BUDGET));
    cx.principal = Principal {
        kind: PrincipalKind::Token,
        subject: Subject::parse(user).unwrap(),
        credential: "jti_1".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        session: Some("ses_1".into()),
        second_factor_at: Some(ground.clock.now()),
        whole: true,
        ..Principal::anonymous()
    };
    cx
}

async fn owner(ground: &Ground) -> Cx {
    let tenant = ground.tenant().await.tenant;
    let user = member(ground, &tenant, "owner").await;
    signed_in(ground, &tenant, &user, &["*"])
}

fn put(name: &str, text: &str) -> PutPolicy {
    let (name, text) = (name.to_owned(), text.to_owned());
    PutPolicy { name, text, expected_version: None, cases: Vec::new(), dry_run: false }
}

async fn save(ground: &Ground, cx: &Cx, name: &str, text: &str) -> Result<PolicyReply> {
    ground.all.access.put_policy(cx, put(name, text)).await
}

fn slug<T>(outcome: Result<T>) -> String {
    outcome.map_or_else(|error: Error| error.slug.into_owned(), |_| "fine".to_owned())
}

async fn text_of(ground: &Ground, tenant: &TenantId) -> Option<String> {
    let cx = Cx::system(tenant.clone(), BUDGET);
    ground.all.access.rules_of(&cx, AskRules { tenant: tenant.clone() }).await.unwrap().text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_has_versions_and_leaves_its_digests_in_the_trail() {
    each(async |ground: Ground| {
        let (access, cx) = (&ground.all.access, owner(&ground).await);
        assert_eq!(text_of(&ground, &cx.tenant).await, None);
        let platform = lasting(Cx::system(cx.tenant.clone(), BUDGET));
        let first = save(&ground, &cx, "night", NIGHT).await.unwrap();
        assert!(first.saved && first.policy.version == 1);
        let second = save(&ground, &cx, "night", &NIGHT.replace("20", "22")).await.unwrap();
        assert_eq!(second.policy.version, 2);
        save(&ground, &cx, "other", NEVER).await.unwrap();
        let text = text_of(&ground, &cx.tenant).await.unwrap();
        assert!(text.contains("@id(\"night\")") && text.contains("@id(\"other\")") && text.contains("22"), "{text}");
        let news = ground.all.sessions.revoked_since(&platform, RevokedSince { seq: 0 }).await.unwrap();
        let told = format!("policy:{}", cx.tenant);
        assert_eq!(news.items.iter().filter(|item| item.what == told).count(), 3);

        let gone = RemovePolicy { name: "night".to_owned(), expected_version: Some(2) };
        assert_eq!(access.remove_policy(&cx, gone.clone()).await.unwrap().version, 3);
        assert_eq!(
            slug(access.remove_policy(&cx, RemovePolicy { expected_version: None, ..gone }).await),
            "access.policy_missing"
        );
        assert_eq!(
            slug(access.find_policy(&cx, FindPolicy { name: "night".to_owned() }).await),
            "access.policy_missing"
        );
        assert_eq!(save(&ground, &cx, "night", NIGHT).await.unwrap().policy.version, 4, "no number comes twice");
        let list = ListPolicyVersions { name: "night".to_owned(), limit: 3, after: None };
        let page = access.list_policy_versions(&cx, list.clone()).await.unwrap();
        let seen: Vec<_> = page.items.iter().map(|policy| (policy.version, policy.removed)).collect();
        assert_eq!(seen, [(4, false), (3, true), (2, false)]);
        let rest = access.list_policy_versions(&cx, ListPolicyVersions { after: page.next, ..list }).await.unwrap();
        assert_eq!((rest.items[0].version, rest.items.len(), rest.next), (1, 1, None));
        let all = access.list_policies(&cx, ListPolicies { limit: 1, after: None }).await.unwrap();
        assert_eq!((all.items[0].name.as_str(), all.next.as_deref()), ("night", Some("night")));

        let search = Search { event_type: Some("access.policy_saved".to_owned()), limit: 10, ..Search::default() };
        let mut entries = ground.ledger.search(&cx.tenant, search).await.unwrap();
        entries.reverse();
        let digests: Vec<_> = entries
            .iter()
            .map(|entry| entry.request_data.as_ref().map(|data| (&data["before"], &data["after"])).unwrap())
            .collect();
        assert_eq!(digests[0].0, &serde_json::Value::Null);
        assert_eq!(digests[1].0, first.policy.digest.as_str());
        assert_eq!(digests[1].1, second.policy.digest.as_str());
        assert_eq!(entries.len(), 4);
        // Another tenant sees nothing of it.
        let other = owner(&ground).await;
        assert!(access.list_policies(&other, ListPolicies { limit: 9, after: None }).await.unwrap().items.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_person_who_administers_and_showed_a_second_factor_changes_policies() {
    each(async |ground: Ground| {
        let (access, cx) = (&ground.all.access, owner(&ground).await);
        let change = |change: fn(&mut Principal)| {
            let mut other = cx.clone();
            change(&mut other.principal);
            other
        };
        let none = change(|principal| principal.second_factor_at = None);
        assert_eq!(slug(save(&ground, &none, "a", NIGHT).await), "auth.step_up");
        assert_eq!(
            slug(access.remove_policy(&none, RemovePolicy { name: "a".to_owned(), expected_version: None }).await),
            "auth.step_up"
        );
        let key = change(|principal| principal.kind = PrincipalKind::ApiKey);
        assert_eq!(slug(save(&ground, &key, "a", NIGHT).await), "auth.person_needed");
        let acting = change(|principal| principal.actor = Some(Subject::fresh()));
        assert_eq!(slug(save(&ground, &acting, "a", NIGHT).await), "auth.person_needed");
        let less = signed_in(&ground, &cx.tenant, cx.principal.subject.as_str(), &["identity:read", "identity:write"]);
        assert_eq!(slug(save(&ground, &less, "a", NIGHT).await), "auth.scope_missing");
        assert_eq!(
            slug(access.list_policies(&less, ListPolicies { limit: 1, after: None }).await),
            "auth.scope_missing"
        );
        let dry = PutPolicy { dry_run: true, ..put("a", NIGHT) };
        assert!(!access.put_policy(&none, dry.clone()).await.unwrap().saved);
        assert_eq!(slug(access.put_policy(&less, dry).await), "auth.scope_missing");
        assert_eq!(text_of(&ground, &cx.tenant).await, None);
        ground.clock.advance(Duration::from_secs(301));
        assert_eq!(slug(save(&ground, &cx, "a", NIGHT).await), "auth.step_up");
        assert_eq!(slug(access.rules_of(&cx, AskRules { tenant: cx.tenant.clone() }).await), "identity.platform_only");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_policy_is_told_and_nothing_is_saved() {
    each(async |ground: Ground| {
        let cx = owner(&ground).await;
        let refused = save(&ground, &cx, "night", "forbid(principal, action, resource)\nwhen { context.houre > 3 };")
            .await
            .unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Invalid, "access.policy_invalid"));
        assert_eq!(
            (&refused.details["faults"][0]["line"], &refused.details["faults"][0]["column"]),
            (&2.into(), &8.into())
        );
        assert!(
            refused.message.contains("line 2, column 8") && refused.message.contains("houre"),
            "{}",
            refused.message
        );
        assert_eq!(slug(save(&ground, &cx, "Night", NIGHT).await), "access.policy_name");
        let everyone = "forbid(principal, action, resource);";
        let refused = save(&ground, &cx, "all", everyone).await.unwrap_err();
        assert_eq!((&*refused.slug, &refused.details["policies"][0]), ("access.locks_out", &"all".into()));
        let admin = signed_in(&ground, &cx.tenant, cx.principal.subject.as_str(), &["identity:admin", "storage:read"]);
        let gives = |permission: &str| format!("permit(principal, action == Action::\"{permission}\", resource);");
        assert_eq!(slug(save(&ground, &admin, "give", &gives("storage:write")).await), "access.permission_not_held");
        assert_eq!(slug(save(&ground, &admin, "give", &gives("storage:read")).await), "fine");
        assert_eq!(slug(save(&ground, &cx, "give", &gives("identity:admin")).await), "access.policy_invalid");
        // Too much of it.
        let long = format!("{NIGHT} // {}", "x".repeat(3_900));
        for number in 0..8 {
            assert_eq!(slug(save(&ground, &cx, &format!("long-{number}"), &long).await), "fine");
        }
        assert_eq!(slug(save(&ground, &cx, "long-8", &long).await), "access.policies_exhausted");
        assert_eq!(slug(save(&ground, &cx, "long-7", NIGHT).await), "fine");
        let conflict = PutPolicy { expected_version: Some(1), ..put("long-7", NIGHT) };
        assert_eq!(slug(ground.all.access.put_policy(&cx, conflict).await), "access.version_conflict");
        let made = PutPolicy { expected_version: Some(0), ..put("new", NIGHT) };
        let access = &ground.all.access;
        assert_eq!(slug(access.put_policy(&cx, made.clone()).await), "fine");
        assert_eq!(slug(access.put_policy(&cx, made).await), "access.version_conflict");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_no_more_than_a_hundred() {
    let ground = Ground::on(None, 10).await;
    let cx = owner(&ground).await;
    for number in 0..100 {
        save(&ground, &cx, &format!("p{number}"), NIGHT).await.unwrap();
    }
    assert_eq!(slug(save(&ground, &cx, "p100", NIGHT).await), "access.policies_exhausted");
    assert_eq!(slug(save(&ground, &cx, "p99", NEVER).await), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_are_decided_before_anything_is_saved() {
    each(async |ground: Ground| {
        let cx = owner(&ground).await;
        let viewer = member(&ground, &cx.tenant, "viewer").await;
        let now = nsl_core::Timestamp::parse("2026-11-21T21:00:00Z");
        let case = |allowed: bool, now| Case {
            permission: "storage:write".to_owned(),
            subject: None,
            resource: Thing::default(),
            context: Circumstances { now, ..Circumstances::default() },
            allowed: Some(allowed),
        };
        let of_viewer = Case { subject: Some(Subject::parse(&viewer).unwrap()), ..case(false, None) };
        let right = vec![case(true, None), case(false, now), of_viewer];
        let dry = PutPolicy { cases: right.clone(), dry_run: true, ..put("night", NIGHT) };
        let tried = ground.all.access.put_policy(&cx, dry).await.unwrap();
        assert!(!tried.saved && tried.failed.is_empty());
        let found: Vec<_> = tried.decisions.iter().map(|decision| decision.code.as_deref()).collect();
        assert_eq!(found, [None, Some("auth.policy_denied"), Some("auth.scope_missing")]);
        let wrong = PutPolicy { cases: vec![case(true, None), case(true, now)], dry_run: true, ..put("night", NIGHT) };
        assert_eq!(ground.all.access.put_policy(&cx, wrong.clone()).await.unwrap().failed, [1]);
        let refused = ground.all.access.put_policy(&cx, PutPolicy { dry_run: false, ..wrong }).await.unwrap_err();
        assert_eq!((&*refused.slug, &refused.details["cases"][0]["case"]), ("access.case_failed", &1.into()));
        assert_eq!(text_of(&ground, &cx.tenant).await, None);
        let good = PutPolicy { cases: right, ..put("night", NIGHT) };
        assert!(ground.all.access.put_policy(&cx, good).await.unwrap().saved);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_changes_nothing_again_and_writers_do_not_lose_each_other() {
    each(async |ground: Ground| {
        let mut cx = owner(&ground).await;
        cx.once = Some(Once { key: "k1".into(), fingerprint: "f".into() });
        let made = PutPolicy { expected_version: Some(0), ..put("night", NIGHT) };
        let first = ground.all.access.put_policy(&cx, made.clone()).await.unwrap();
        assert_eq!(ground.all.access.put_policy(&cx, made).await.unwrap(), first);
        cx.once = None;
        let further = if ground.is_shared() { ground.all_beside().await } else { ground.all.clone() };
        let names: Vec<_> = (0..3).map(|number| format!("p{number}")).collect();
        let writes = names.iter().flat_map(|name| {
            let other = format!("o{name}");
            let (one, two) = (ground.all.access.clone(), further.access.clone());
            let (cx, name) = (cx.clone(), name.clone());
            let cx2 = cx.clone();
            let first: Saving = Box::pin(async move { one.put_policy(&cx, put(&name, NIGHT)).await });
            let second: Saving = Box::pin(async move { two.put_policy(&cx2, put(&other, NEVER)).await });
            [first, second]
        });
        let mut saved = 0;
        for written in futures_util::future::join_all(writes).await {
            match written {
                Ok(_) => saved += 1,
                Err(error) => assert_eq!(&*error.slug, "access.changed_meanwhile"),
            }
        }
        let all = ground.all.access.list_policies(&cx, ListPolicies { limit: 100, after: None }).await.unwrap();
        assert_eq!(all.items.len(), saved + 1, "what was said to be saved is there");
        assert!(saved >= 2);
    })
    .await;
}

/// All that the two sides are asked.
fn questions() -> Vec<(Thing, Circumstances)> {
    let tags = [("class".to_owned(), "secret".to_owned())].into();
    let item = Thing { kind: "item".to_owned(), id: "a".to_owned(), owner: Some("bob".to_owned()), tags };
    let plain = Circumstances::default();
    let far = Circumstances { ip: Some("192.0.2.1".parse().unwrap()), ..plain.clone() };
    let large = Circumstances { amount: Some("7.5".to_owned()), chain: Some("neo-x".to_owned()), ..plain.clone() };
    let late = Circumstances { second_factor_age_s: Some(400), ..plain.clone() };
    [Thing::default(), item]
        .into_iter()
        .flat_map(|thing| [&plain, &far, &large, &late].map(|context| (thing.clone(), context.clone())))
        .collect()
}

const POLICIES: &[(&str, &str)] = &[
    (
        "tagged",
        "@explain(\"it is secret\") forbid(principal, action == Action::\"storage:read\", resource) when { resource.hasTag(\"class\") && resource.getTag(\"class\") == \"secret\" };",
    ),
    (
        "far",
        "forbid(principal, action == Action::\"storage:write\", resource) when { context has ip && context.ip.isInRange(ip(\"192.0.2.0/24\")) };",
    ),
    (
        "large",
        "forbid(principal, action, resource) when { context has amount && context.amount > 500000000 && principal.kind != \"certificate\" } unless { action == Action::\"identity:admin\" };",
    ),
    (
        "stale",
        "forbid(principal, action == Action::\"identity:write\", resource) unless { context has second_factor_age_s && context.second_factor_age_s < 300 };",
    ),
    (
        "items",
        "permit(principal, action in [Action::\"storage:read\", Action::\"storage:write\"], resource) when { resource.kind == \"item\" };",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_explained_is_what_is_decided() {
    each(async |ground: Ground| {
        let (access, cx) = (&ground.all.access, owner(&ground).await);
        for (name, text) in POLICIES {
            assert_eq!(slug(save(&ground, &cx, name, text).await), "fine", "{name}");
        }
        judge::appoint(Arc::new(Court::new(ground.clock.clone())));
        let rules = Arc::new(Rules::new(text_of(&ground, &cx.tenant).await.unwrap(), 1));
        let names = access.list_permissions(&cx, ListPermissions {}).await.unwrap();
        assert!(names.schema.contains("\"storage:write\"") && names.items.iter().any(|found| !found.grantable));
        let (mut allowed, mut denied) = (0, 0);
        for kind in [PrincipalKind::Token, PrincipalKind::ApiKey] {
            for scopes in [&["*"][..], &["storage:read", "identity:write"], &[]] {
                let mut asker = signed_in(&ground, &cx.tenant, "somebody", scopes);
                asker.principal.kind = kind;
                asker.rules = Some(Arc::clone(&rules));
                for permission in &names.items {
                    for (resource, context) in questions() {
                        let asked = Explain { permission: permission.name.clone(), subject: None, resource, context };
                        let said = access.explain_access(&asker, asked.clone()).await.unwrap();
                        let decided = decided(&ground, &asker, &asked);
                        assert_eq!(said.allowed, decided.is_ok(), "{asked:?} {said:?}");
                        assert_eq!(said.code.unwrap_or("fine".to_owned()), slug(decided), "{asked:?}");
                        assert_eq!(said.needs.is_empty(), said.allowed);
                        *(if said.allowed { &mut allowed } else { &mut denied }) += 1;
                    }
                }
            }
        }
        assert!(allowed > 50 && denied > 50, "{allowed} {denied}");
    })
    .await;
}

/// What the one place says that all services ask.
fn decided(ground: &Ground, asker: &Cx, asked: &Explain) -> Result<()> {
    let mut cx = asker.clone();
    let (thing, context) = (&asked.resource, &asked.context);
    cx.source.ip = context.ip;
    if let Some(age) = context.second_factor_age_s {
        cx.principal.second_factor_at = Some(ground.clock.now().minus(Duration::from_secs(age)));
    }
    let tags: Vec<_> = thing.tags.clone().into_iter().collect();
    let facts = Facts {
        owner: thing.owner.as_deref(),
        tags: &tags,
        chain: context.chain.as_deref(),
        amount: context.amount.as_deref(),
        ..Facts::of(&thing.kind, &thing.id)
    };
    cx.permit_on(&asked.permission, &facts)
}

#[tokio::test(flavor = "multi_thread")]
async fn grounds_are_told_to_those_who_may_know_them() {
    each(async |ground: Ground| {
        let (access, cx) = (&ground.all.access, owner(&ground).await);
        let viewer = member(&ground, &cx.tenant, "viewer").await;
        for (name, text) in POLICIES {
            save(&ground, &cx, name, text).await.unwrap();
        }
        save(&ground, &cx, "silent", NEVER).await.unwrap();
        let (resource, context) = questions().remove(4);
        let asked = Explain { permission: "storage:read".to_owned(), subject: None, resource, context };
        let theirs = Explain { subject: Some(Subject::parse(&viewer).unwrap()), ..asked.clone() };
        let told = access.explain_access(&cx, theirs.clone()).await.unwrap();
        let steps: Vec<_> = told.steps.iter().map(|step| (step.effect.as_str(), step.name.as_deref())).collect();
        let all = [
            ("grants", Some("viewer")),
            ("permits", Some("items")),
            ("forbids", Some("silent")),
            ("forbids", Some("tagged")),
        ];
        assert_eq!(steps, all);
        assert!(told.needs[1].contains("it is secret"), "{:?}", told.needs);

        let seen = signed_in(&ground, &cx.tenant, &viewer, &["storage:read", "identity:read"]);
        let own = access.explain_access(&seen, asked.clone()).await.unwrap();
        let text = serde_json::to_string(&own).unwrap();
        assert!(!text.contains("silent") && !text.contains("items") && text.contains("it is secret"), "{text}");
        assert_eq!(
            slug(
                access
                    .explain_access(&seen, Explain { subject: Some(cx.principal.subject.clone()), ..asked.clone() })
                    .await
            ),
            "auth.scope_missing"
        );
        let nobody = Explain { subject: Some(Subject::fresh()), ..asked.clone() };
        assert_eq!(slug(access.explain_access(&cx, nobody).await), "access.subject_unknown");
        assert_eq!(
            slug(access.explain_access(&cx, Explain { permission: "storage:raed".to_owned(), ..asked.clone() }).await),
            "access.permission_unknown"
        );
        // A key's scopes are a ceiling: what a policy would give it is shown as ignored.
        let mut key = signed_in(&ground, &cx.tenant, "ci", &["identity:admin"]);
        key.principal.kind = PrincipalKind::ApiKey;
        let (resource, context) = questions().remove(4);
        let asked = Explain { permission: "storage:write".to_owned(), subject: None, resource, context };
        let found = access.explain_access(&key, asked).await.unwrap();
        assert_eq!((found.allowed, found.steps[0].effect.as_str()), (false, "ignored"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_permission_is_found_by_role() {
    each(async |ground: Ground| {
        let (access, cx) = (&ground.all.access, owner(&ground).await);
        let developer = member(&ground, &cx.tenant, "developer").await;
        let viewer = member(&ground, &cx.tenant, "viewer").await;
        let ask = |permission: &str| WhoCan { permission: permission.to_owned(), limit: 100, after: None };
        let who = async |permission: &str| -> Vec<String> {
            let found = access.who_can(&cx, ask(permission)).await.unwrap();
            found.items.into_iter().map(|holder| holder.subject.to_string()).collect()
        };
        let mut expected = vec![cx.principal.subject.to_string(), developer.clone()];
        expected.sort();
        assert_eq!(who("storage:write").await, expected);
        assert_eq!(who("identity:admin").await, [cx.principal.subject.to_string()]);
        assert!(who("storage:read").await.contains(&viewer));
        let give =
            format!("permit(principal == Subject::\"{viewer}\", action == Action::\"storage:write\", resource);");
        save(&ground, &cx, "give", &give).await.unwrap();
        assert!(who("storage:write").await.contains(&viewer));
        save(&ground, &cx, "no", NEVER).await.unwrap();
        let found = access.who_can(&cx, ask("storage:read")).await.unwrap();
        assert!(found.items.iter().all(|holder| !holder.decision.allowed && !holder.roles.is_empty()));
        assert_eq!(slug(access.who_can(&cx, ask("*")).await), "access.permission_unknown");
    })
    .await;
}
