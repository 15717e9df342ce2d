//! What a decision costs: `make bench` writes it down.

use std::{hint::black_box, time::Instant};

use nsl_core::{Facts, judge::Question};
use nsl_policy::{Policies, bundle};

use crate::ground::{morning, person};

#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "a measurement")]
fn speed() {
    let one = "forbid(principal, action == Action::\"storage:read\", resource) when { resource.hasTag(\"class\") && \
               resource.getTag(\"class\") == \"secret\" && context.hour > 24 };";
    let elsewhere = "forbid(principal, action == Action::\"relay:write\", resource) when { context has amount && \
                     context.amount > 5 };";
    let tags = [("class".to_owned(), "secret".to_owned()), ("team".to_owned(), "blue".to_owned())];
    let facts = Facts { owner: Some("alice"), tags: &tags, chain: Some("neo-n3"), ..Facts::of("item", "a") };
    let cx = person(&["storage:read", "storage:write", "identity:read"]);
    let question = Question { cx: &cx, permission: "storage:read", granted: true, facts: &facts };
    for (what, count, text) in [
        ("one policy", 1, one),
        ("ten policies", 10, one),
        ("a hundred policies", 100, one),
        ("a hundred policies on another action", 100, elsewhere),
    ] {
        let names: Vec<_> = (0..count).map(|number| format!("p{number}")).collect();
        let policies = Policies::read(&bundle(names.iter().map(|name| (name.as_str(), text)))).unwrap();
        let (now, rounds) = (morning(), 2_000);
        let began = Instant::now();
        for _ in 0..rounds {
            black_box(policies.decide(black_box(&question), now));
        }
        println!("measured: a decision of a tenant with {what} | {:.1?}", began.elapsed() / rounds);
    }
}
