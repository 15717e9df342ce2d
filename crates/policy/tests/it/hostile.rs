use nsl_core::Facts;
use nsl_policy::{LONGEST_POLICY, MOST_POLICIES, Policies, Schema, bundle, check};
use proptest::prelude::*;

use crate::ground::{decide, morning, person, schema};

/// On a stack as threads that serve requests have it.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
}

fn try_all(text: &str, schema: &Schema) {
    if check("x", text, schema).is_ok() {
        decide(&[text], &person(&["*"]), "storage:read", &Facts::default(), morning());
    }
    // A text that was never checked comes to no harm either.
    drop(Policies::read(text));
}

#[test]
fn no_nesting_breaks_the_stack() {
    on_a_small_stack(|| {
        let schema = schema();
        let around = |inner: String| format!("forbid(principal, action, resource) when {{ {inner} }};");
        for n in [8, 30, 60, 120, 250, 500, 1_000, 4_000, 10_000] {
            for inner in [
                format!("{}true{}", "(".repeat(n), ")".repeat(n)),
                format!("{}true", "!".repeat(n)),
                format!("{}1 == 1", "-".repeat(n)),
                format!("{}true", "true && ".repeat(n)),
                format!("{}true", "true || ".repeat(n)),
                format!("{}1 == 1", "1 + ".repeat(n)),
                format!("{}1 == 1", "1 * ".repeat(n)),
                format!("{}true", "if true then false else ".repeat(n)),
                format!("{}true{}", "if ".repeat(n), " then true else true".repeat(n)),
                format!("context{}", ".a".repeat(n)),
                format!("context{}", "[\"a\"]".repeat(n)),
                format!("{}1{} == 1", "[".repeat(n), "]".repeat(n)),
                format!("{}1{} == 1", "{a:".repeat(n), "}".repeat(n)),
                format!("[{}1].contains(1)", "1,".repeat(n)),
                format!("resource.id like \"{}\"", "*a".repeat(n)),
                "\"".repeat(n),
                "/".repeat(n),
            ] {
                try_all(&around(inner), &schema);
            }
            try_all(&format!("{}forbid(principal, action, resource);", "@a(\"b\") ".repeat(n)), &schema);
            try_all(&format!("forbid(principal, action, resource){};", " when { true }".repeat(n)), &schema);
            try_all(&"forbid(principal, action, resource);".repeat(n), &schema);
            try_all(&"(".repeat(n), &schema);
        }
    });
}

#[test]
fn what_is_allowed_at_most_is_still_read_and_asked() {
    on_a_small_stack(|| {
        let (schema, cx) = (schema(), person(&["*"]));
        let long =
            format!("forbid(principal, action, resource) when {{ resource.id like \"{}\" }};", "*a".repeat(1_900));
        assert!(long.len() < LONGEST_POLICY && check("x", &long, &schema).is_ok());
        let id = "a".repeat(4_096);
        decide(&[&long], &cx, "storage:read", &Facts::of("item", &id), morning());
        let chain =
            format!("forbid(principal, action, resource) when {{ {}true }};", "context.hour > 1 || ".repeat(200));
        let found = check("x", &chain, &schema);
        assert!(found.is_ok(), "{found:?}");
        let verdict = decide(&[&chain], &cx, "storage:read", &Facts::default(), morning());
        assert!(matches!(verdict, nsl_core::judge::Verdict::Forbidden(_)), "{verdict:?}");
        let names: Vec<_> = (0..=MOST_POLICIES).map(|number| format!("p{number}")).collect();
        let of = |count: usize| {
            bundle(
                names
                    .iter()
                    .take(count)
                    .map(|name| (name.as_str(), "forbid(principal, action, resource) when { context.hour > 24 };")),
            )
        };
        assert!(Policies::read(&of(MOST_POLICIES)).is_ok() && Policies::read(&of(MOST_POLICIES + 1)).is_err());
        assert!(Policies::read(&" ".repeat(100_000)).is_err());
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_it(text in "\\PC{0,200}") {
        try_all(&text, &schema());
    }

    #[test]
    fn no_text_of_its_words_breaks_it(words in prop::collection::vec(prop::sample::select(vec![
        "permit", "forbid", "(", ")", "principal", "action", "resource", ",", ";", "when", "unless", "{", "}", "==", "in",
        "[", "]", "context", ".", "hour", "has", "like", "\"a\"", "1", "-", "!", "&&", "||", "if", "then", "else", "is",
        "Subject", "::", "ip", "datetime", "@", "id", "?principal", "*", "+", "<", "true", "\n", "//", "\"", "'",
    ]), 0..40)) {
        try_all(&words.join(" "), &schema());
        let body = words.join(" ");
        try_all(&format!("forbid(principal, action, resource) when {{ {body} }};"), &schema());
    }
}
