use std::time::Duration;

use nsl_core::{Cx, Facts, PrincipalKind, Subject, judge::Verdict};
use nsl_policy::{check, grantable};
use proptest::{prelude::*, sample::select};

use crate::ground::{PERMISSIONS, decide, is_allowed, morning, person, schema};

const TEXT: &[(&str, &str)] = &[
    ("never", "forbid(principal, action, resource);"),
    (
        "night",
        "forbid(principal, action == Action::\"storage:write\", resource) when { context.hour >= 20 || context.hour < 6 };",
    ),
    ("weekend", "forbid(principal, action, resource) when { context.weekday >= 6 };"),
    ("after", "forbid(principal, action, resource) when { context.now >= datetime(\"2026-11-21T08:30:00Z\") };"),
    (
        "office",
        "forbid(principal, action, resource) unless { context has ip && context.ip.isInRange(ip(\"10.0.0.0/8\")) };",
    ),
    (
        "secret",
        "forbid(principal, action, resource) when { resource.hasTag(\"class\") && resource.getTag(\"class\") == \"secret\" };",
    ),
    (
        "large",
        "forbid(principal, action == Action::\"relay:write\", resource) when { context has amount && context.amount > 100000000 };",
    ),
    ("chain", "forbid(principal, action, resource) when { context has chain && context.chain == \"neo-x\" };"),
    ("others", "forbid(principal, action, resource) when { resource has owner && resource.owner != principal };"),
    ("bob", "forbid(principal == Subject::\"bob\", action, resource);"),
    (
        "keys",
        "forbid(principal, action in [Action::\"storage:write\", Action::\"relay:write\"], resource) when { principal.kind == \"api_key\" };",
    ),
    (
        "prefix",
        "forbid(principal, action, resource) when { resource.kind == \"item\" && resource.id like \"prod:*\" };",
    ),
    (
        "factor",
        "forbid(principal, action, resource) unless { context has second_factor_age_s && context.second_factor_age_s < 60 };",
    ),
    ("give", "permit(principal, action == Action::\"storage:write\", resource) when { resource.kind == \"item\" };"),
    ("broken", "forbid(principal, action, resource) when { principal.missing == 1 };"),
    ("brokengive", "permit(principal, action == Action::\"storage:write\", resource) when { principal.missing == 1 };"),
];

fn text(name: &str) -> &'static str {
    TEXT.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn all_that_works_here_may_also_be_saved() {
    let schema = schema();
    for (name, text) in TEXT {
        let found = check(name, text, &schema);
        assert_eq!(found.is_err(), name.starts_with("broken"), "{name}: {found:?}");
    }
}

#[test]
fn decisions_are_as_the_table_says() {
    let tags = [("class".to_owned(), "secret".to_owned())];
    let plain = Facts::of("item", "prod:a");
    let owned = |owner| Facts { owner: Some(owner), ..Facts::of("item", "a") };
    let amount = |amount| Facts { amount: Some(amount), chain: Some("neo-n3"), ..Facts::of("transaction", "") };
    let secret = Facts { tags: &tags, ..Facts::of("item", "a") };
    let none = Facts::default();
    let (read, write, relay) = ("storage:read", "storage:write", "relay:write");
    let morning = morning();
    let at = |text: &str| nsl_core::Timestamp::parse(text).unwrap();
    let monday = at("2026-11-23T12:00:00Z");
    for (policies, permission, facts, now, expected) in [
        (&[][..], read, none, morning, true),
        (&["never"], read, none, morning, false),
        (&["night"], write, none, morning, true),
        (&["night"], write, none, at("2026-11-21T20:00:00Z"), false),
        (&["night"], write, none, at("2026-11-21T19:59:59.999999Z"), true),
        (&["night"], write, none, at("2026-11-21T05:59:59Z"), false),
        (&["night"], read, none, at("2026-11-21T22:00:00Z"), true),
        (&["weekend"], read, none, morning, false),
        (&["weekend"], read, none, at("2026-11-22T23:59:59Z"), false),
        (&["weekend"], read, none, monday, true),
        (&["after"], read, none, at("2026-11-21T08:29:59.999Z"), true),
        (&["after"], read, none, morning, false),
        (&["office"], read, none, morning, true),
        (&["secret"], read, secret, morning, false),
        (&["secret"], read, plain, morning, true),
        (&["secret"], read, none, morning, true),
        (&["large"], relay, amount("1"), morning, true),
        (&["large"], relay, amount("1.000000000000000001"), morning, false),
        (&["large"], relay, amount("99999999999999999999"), morning, false),
        (&["large"], relay, amount("what"), morning, false),
        (&["large"], relay, none, morning, true),
        (&["chain"], relay, amount("1"), morning, true),
        (&["others"], read, owned("alice"), morning, true),
        (&["others"], read, owned("bob"), morning, false),
        (&["bob"], read, none, morning, true),
        (&["keys"], write, none, morning, true),
        (&["prefix"], read, plain, morning, false),
        (&["prefix"], read, Facts::of("item", "dev:a"), morning, true),
        (&["factor"], read, none, morning, false),
        (&["broken"], read, none, morning, false),
        (&["brokengive"], read, none, morning, true),
        (&["give", "weekend"], write, plain, morning, false),
        (&["night", "large"], write, plain, morning, true),
    ] {
        let texts: Vec<_> = policies.iter().map(|name| text(name)).collect();
        let cx = person(&["storage:*", "relay:write"]);
        let verdict = decide(&texts, &cx, permission, &facts, now);
        assert_eq!(is_allowed(&verdict), expected, "{policies:?} {permission} {facts:?} {now}: {verdict:?}");
    }
}

#[test]
fn addresses_are_compared_as_people_write_them() {
    for (address, expected) in [
        ("10.255.0.1", true),
        ("::ffff:10.0.0.1", true),
        ("11.0.0.1", false),
        ("::ffff:11.0.0.1", false),
        ("::1", false),
    ] {
        let mut cx = person(&["*"]);
        cx.source.ip = Some(address.parse().unwrap());
        let verdict = decide(&[text("office")], &cx, "storage:read", &Facts::default(), morning());
        assert_eq!(is_allowed(&verdict), expected, "{address}");
    }
    let mut cx = person(&["*"]);
    cx.source.ip = None;
    assert!(!is_allowed(&decide(&[text("office")], &cx, "storage:read", &Facts::default(), morning())));
}

#[test]
fn a_second_factor_has_an_age() {
    for (before, expected) in [(0, true), (59, true), (60, false)] {
        let mut cx = person(&["*"]);
        cx.principal.second_factor_at = Some(morning().minus(Duration::from_secs(before)));
        assert_eq!(is_allowed(&decide(&[text("factor")], &cx, "audit:read", &Facts::default(), morning())), expected);
    }
}

#[test]
fn a_permit_widens_people_and_no_key_and_nobody_who_acts_for_another() {
    let item = Facts::of("item", "a");
    let may = |cx: &Cx| is_allowed(&decide(&[text("give")], cx, "storage:write", &item, morning()));
    assert!(may(&person(&["storage:read"])));
    assert!(!is_allowed(&decide(&[text("give")], &person(&[]), "storage:write", &Facts::default(), morning())));
    assert!(!may(&person(&[])), "whose roles allow nothing, as in a tenant that is being deleted");
    let mut acted = person(&["storage:read"]);
    acted.principal.actor = Some(Subject::parse("carol").unwrap());
    assert!(!may(&acted));
    let mut outside = person(&["storage:read"]);
    outside.principal.session = None;
    assert!(!may(&outside));
    let mut narrowed = person(&["storage:read"]);
    narrowed.principal.whole = false;
    assert!(!may(&narrowed));
    for kind in [PrincipalKind::ApiKey, PrincipalKind::Certificate] {
        let mut key = person(&["storage:read"]);
        key.principal.kind = kind;
        assert!(!may(&key), "{kind:?}");
    }
    let administers = "permit(principal, action == Action::\"identity:admin\", resource);";
    let verdict = decide(&[administers], &person(&["storage:read"]), "identity:admin", &item, morning());
    assert_eq!(verdict, Verdict::NotGranted, "even where such a text got past the check");
}

#[test]
fn those_that_forbid_are_named_with_their_explanation() {
    let told = "@explain(\"not on a weekend\") forbid(principal, action, resource) when { context.weekday >= 6 };";
    let Verdict::Forbidden(grounds) =
        decide(&[text("never"), told, text("bob")], &person(&["*"]), "audit:read", &Facts::default(), morning())
    else {
        panic!("it is forbidden")
    };
    let named: Vec<_> = grounds.iter().map(|ground| (ground.policy.as_str(), ground.explain.as_deref())).collect();
    assert_eq!(named, [("p0", None), ("p1", Some("not on a weekend"))]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_forbid_never_allows_more(
        before in prop::collection::vec(select(TEXT), 0..6),
        more in select(TEXT),
        permission in select(PERMISSIONS),
        held in prop::collection::vec(select(PERMISSIONS), 0..3),
        (kind, id) in (select(vec!["item", "transaction", ""]), select(vec!["prod:1", "x", ""])),
        amount in prop::option::of(select(vec!["0.5", "2", "x"])),
        hour in 0..200i64,
        is_key in any::<bool>(),
    ) {
        let mut cx = person(&held);
        if is_key {
            cx.principal.kind = PrincipalKind::ApiKey;
        }
        let facts = Facts { amount, owner: Some("bob"), ..Facts::of(kind, id) };
        let now = nsl_core::Timestamp(morning().0 + hour * 3_600_000_000);
        let texts: Vec<_> = before.iter().map(|(_, text)| *text).collect();
        let first = decide(&texts, &cx, permission, &facts, now);
        if more.1.starts_with("forbid") {
            let all: Vec<_> = texts.iter().copied().chain([more.1]).collect();
            let second = decide(&all, &cx, permission, &facts, now);
            prop_assert!(is_allowed(&first) || !is_allowed(&second), "{all:?}: {first:?} then {second:?}");
        }
        // Only people get more than they hold, and never what no policy can give.
        if is_allowed(&first) && !cx.principal.holds(permission) {
            prop_assert!(!is_key && grantable(permission));
        }
        // The order in which they were saved says nothing.
        let turned: Vec<_> = texts.iter().rev().copied().collect();
        prop_assert_eq!(is_allowed(&decide(&turned, &cx, permission, &facts, now)), is_allowed(&first));
    }
}
