//! What the built-in roles allow. Nothing here waits, reads or writes.

/// May do everything, and alone delete the tenant.
pub(crate) const OWNER: &str = "owner";
pub(crate) const ADMIN: &str = "admin";
pub(crate) const DEVELOPER: &str = "developer";
pub(crate) const VIEWER: &str = "viewer";

/// The roles that every tenant has. None of them can be changed.
pub(crate) const BUILT_IN: &[&str] = &[OWNER, ADMIN, DEVELOPER, VIEWER];

/// What only an owner holds: a tenant is deleted with it.
pub(crate) const OF_OWNERS: &str = "identity:owner";

/// The permissions of a built-in role, out of those that some service asks for (`known`); none for another name.
pub(crate) fn built_in(role: &str, known: &[&str]) -> Option<Vec<String>> {
    let verb = |scope: &str| scope.split_once(':').map_or("", |(_, verb)| verb).to_owned();
    let fits: fn(&str, &str) -> bool = match role {
        OWNER => return Some(vec!["*".to_owned()]),
        ADMIN => |scope, _| scope != OF_OWNERS,
        DEVELOPER => |_, verb| matches!(verb, "read" | "write"),
        VIEWER => |_, verb| verb == "read",
        _ => return None,
    };
    Some(known.iter().filter(|scope| fits(scope, &verb(scope))).map(|scope| (*scope).to_owned()).collect())
}

/// What several roles allow together, sorted. A custom role that is gone allows nothing; of what it names, only what
/// some service asks for.
pub(crate) fn permissions(held: &[String], custom: &[(String, Vec<String>)], known: &[&str]) -> Vec<String> {
    let of = |role: &String| {
        built_in(role, known).unwrap_or_else(|| {
            let own = custom.iter().filter(|(name, _)| name == role).flat_map(|(_, granted)| granted);
            own.filter(|scope| known.contains(&scope.as_str())).cloned().collect()
        })
    };
    let mut all: Vec<String> = held.iter().flat_map(of).collect();
    all.sort_unstable();
    all.dedup();
    if all.iter().any(|scope| scope == "*") { vec!["*".to_owned()] } else { all }
}

/// Whether these permissions lack something that was in those of `before`.
pub(super) fn is_less(now: &[String], before: &[String]) -> bool {
    !now.iter().any(|scope| scope == "*") && before.iter().any(|scope| !now.contains(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["identity:admin", "identity:owner", "identity:read", "storage:read", "storage:write"];

    #[test]
    fn each_role_allows_less_than_the_one_above() {
        let of = |role| built_in(role, KNOWN).unwrap().join(" ");
        assert_eq!(of(OWNER), "*");
        assert_eq!(of(ADMIN), "identity:admin identity:read storage:read storage:write");
        assert_eq!(of(DEVELOPER), "identity:read storage:read storage:write");
        assert_eq!(of(VIEWER), "identity:read storage:read");
        assert_eq!(built_in("Owner", KNOWN), None);
    }

    #[test]
    fn roles_add_up_and_unknown_ones_allow_nothing() {
        let custom = [("ops".to_owned(), vec!["storage:write".to_owned(), "gone:read".to_owned()])];
        let of = |held: &[&str]| {
            let held: Vec<_> = held.iter().map(|role| (*role).to_owned()).collect();
            permissions(&held, &custom, KNOWN).join(" ")
        };
        assert_eq!(of(&["viewer", "ops"]), "identity:read storage:read storage:write");
        assert_eq!(of(&["viewer", "owner"]), "*");
        assert_eq!(of(&["nobody"]), "");
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn less_is_what_lacks_something_of_before() {
        let less = |now: &str, before: &str| {
            let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            is_less(&list(now), &list(before))
        };
        assert!(less("storage:read", "storage:read identity:admin") && less("storage:read", "*"));
        assert!(less("", "storage:read") && less("storage:write", "storage:read"));
        assert!(!less("*", "identity:admin") && !less("a:read b:read", "b:read") && !less("*", "*") && !less("", ""));
    }
}
