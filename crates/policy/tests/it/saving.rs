use nsl_policy::{Policies, Statement, bundle, check};

use crate::ground::schema;

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let schema = schema();
    for (text, line, column, what) in [
        ("", 1, 1, "unexpected end of input"),
        ("forbid(principal, action, resource)", 1, 36, "unexpected end of input"),
        ("forbid(principal, action, resource)\n  when { context.hour = 3 };", 2, 10, "not a valid operator"),
        ("forbid(principal, action, resource) when { context.houre == 3 };", 1, 44, "houre"),
        ("forbid(principal, action, resource) when {\n context.hour == \"3\" };", 2, 2, "types"),
        ("forbid(principal, action == Action::\"storage:wrte\", resource);", 1, 29, "storage:wrte"),
        ("forbid(principal, action, resource) when { context.amount > 1 };", 1, 44, "amount"),
        ("forbid(principal == User::\"a\", action, resource);", 1, 21, "User"),
        ("forbid(principal, action, resource) when { resource.getTag(\"a\") == \"b\" };", 1, 44, "tag"),
        ("forbid(principal, action, resource) when { ip(\"10.0.0.0/99\").isIpv4() };", 1, 44, "IP address"),
        ("forbid(principal == ?principal, action, resource);", 1, 21, "template"),
        ("forbid(principal, action, resource); forbid(principal, action, resource);", 1, 38, "unexpected token"),
        ("@id(\"other\") forbid(principal, action, resource);", 1, 1, "@id"),
        ("permit(principal, action, resource);", 1, 1, "names what it permits"),
        (
            "permit(principal, action == Action::\"identity:admin\", resource);",
            1,
            1,
            "no policy can give identity:admin",
        ),
        (
            "permit(principal, action in [Action::\"storage:read\", Action::\"identity:admin\"], resource);",
            1,
            1,
            "no policy",
        ),
        ("forbid(principal, action, resource) when { false };", 1, 1, "impossible"),
        ("forbid(principal, action, resource) when { resource.id == \"\u{202e}a\" };", 1, 59, "BIDI"),
        ("forbid(principal, action, resource) when { resource.id == \"\u{0}\" };", 1, 1, "control character"),
    ] {
        let faults = check("night", text, &schema).expect_err(text);
        let first = &faults[0];
        assert!(first.what.contains(what), "{text}: {faults:?}");
        assert_eq!((first.line, first.column), (line, column), "{text}: {faults:?}");
        assert!(!first.what.contains("night"), "{text}: {faults:?}");
    }
}

#[test]
fn names_are_such_that_they_hide_nothing() {
    let forbid = "forbid(principal, action, resource);";
    for name in ["", "A", "a b", "a\"b", "a\n", "ä", "a/b", "..", &"a".repeat(65)] {
        assert!(check(name, forbid, &schema()).is_err(), "{name}");
    }
    assert_eq!(check("a-1_b", forbid, &schema()), Ok(Statement { grants: Vec::new() }));
}

#[test]
fn who_saves_learns_what_it_would_give() {
    let text = "permit(principal, action in [Action::\"storage:read\", Action::\"relay:write\"], resource);";
    assert_eq!(check("a", text, &schema()).unwrap().grants, ["storage:read", "relay:write"]);
}

#[test]
fn a_comment_at_the_end_swallows_no_neighbour() {
    let schema = schema();
    let texts = [
        "permit(principal, action == Action::\"storage:read\", resource); //",
        "forbid(principal, action, resource); // \u{85}",
    ];
    let texts = texts.map(|text| text.replace('\u{85}', ""));
    assert!(texts.iter().all(|text| check("a", text, &schema).is_ok()));
    let both = bundle([("a", texts[0].as_str()), ("b", texts[1].as_str())]);
    assert!(Policies::read(&both).is_ok());
    assert!(both.contains("@id(\"b\")"));
}

#[test]
fn two_of_one_name_are_refused() {
    let forbid = "forbid(principal, action, resource);";
    assert!(Policies::read(&bundle([("a", forbid), ("a", forbid)])).is_err());
}
