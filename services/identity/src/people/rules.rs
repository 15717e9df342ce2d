//! What is asked of roles and grants. Nothing here waits, reads or writes.

use nsl_core::{Code, Error, Principal, Result};

use super::roles;

const LONGEST_ROLE: usize = 40;
const MOST_ROLES: usize = 20;
const MOST_PERMISSIONS: usize = 100;

/// The end of all texts that begin so.
pub(super) fn above(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

pub(super) fn check_role_name(name: &str) -> Result<()> {
    if roles::BUILT_IN.contains(&name) {
        let message = format!("{name} is a built-in role and stays as it is");
        return Err(Error::new(Code::Conflict, "people.role_built_in", message));
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > LONGEST_ROLE || !name.chars().all(fits) {
        let message = format!("a role's name has 1 to {LONGEST_ROLE} lower-case letters, digits, '-' and '_'");
        return Err(Error::invalid("people.role_name", message));
    }
    Ok(())
}

/// Whether roles may be given at all; that they are there is asked where they are read.
pub(super) fn check_roles(names: &[String]) -> Result<()> {
    let mut distinct: Vec<&String> = names.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if names.is_empty() || names.len() > MOST_ROLES || distinct.len() != names.len() {
        let message = format!("a member has 1 to {MOST_ROLES} roles, none of them twice");
        return Err(Error::invalid("people.roles", message));
    }
    Ok(())
}

/// Whether some service asks for each permission, and the granting principal holds it.
pub(super) fn check_permissions(permissions: &[String], known: &[&str], granted_by: &Principal) -> Result<()> {
    if permissions.is_empty() || permissions.len() > MOST_PERMISSIONS {
        let message = format!("a role has 1 to {MOST_PERMISSIONS} permissions");
        return Err(Error::invalid("people.permissions", message));
    }
    if let Some(unknown) = permissions.iter().find(|permission| !known.contains(&permission.as_str())) {
        let message = format!("nothing asks for the permission {unknown}: known are {}", known.join(", "));
        let error = Error::invalid("people.permission_unknown", message);
        return Err(error.detail("permission", unknown.as_str()).detail("known", known.to_vec()));
    }
    check_grant(permissions, granted_by)
}

/// Nobody gives, takes or rules over what they lack.
pub(super) fn check_grant(permissions: &[String], granted_by: &Principal) -> Result<()> {
    let Some(lacks) = permissions.iter().find(|permission| !granted_by.holds(permission)) else { return Ok(()) };
    let message = format!("this credential lacks {lacks}, so it cannot give it nor rule over who has it");
    Err(Error::new(Code::Forbidden, "people.grant_not_held", message).detail("permission", lacks.as_str()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const KNOWN: &[&str] = &["storage:read", "storage:write", "identity:admin"];

    fn holding(scopes: &[&str]) -> Principal {
        let scopes: Arc<[String]> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Principal { scopes, ..Principal::anonymous() }
    }

    fn all(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn roles_have_plain_names_that_are_not_built_in() {
        assert!(check_role_name("ops-2").is_ok());
        assert_eq!(check_role_name("owner").unwrap_err().slug, "people.role_built_in");
        for bad in ["", "Ops", "a b", "a\"b", "ü", &"x".repeat(41)] {
            assert_eq!(check_role_name(bad).unwrap_err().slug, "people.role_name", "{bad:?}");
        }
        assert!(check_roles(&all(&["a", "b"])).is_ok());
        for bad in [&[][..], &["a", "a"]] {
            assert_eq!(check_roles(&all(bad)).unwrap_err().slug, "people.roles");
        }
    }

    #[test]
    fn nobody_grants_what_they_lack_or_what_nothing_asks_for() {
        for (held, asked, slug) in [
            (&["*"][..], &["storage:read"][..], None),
            (&["storage:*"], &["storage:read", "storage:write"], None),
            (&["storage:read"], &["storage:write"], Some("people.grant_not_held")),
            (&["identity:admin"], &["storage:read"], Some("people.grant_not_held")),
            (&["*"], &["*"], Some("people.permission_unknown")),
            (&["*"], &["storage:*"], Some("people.permission_unknown")),
            (&["*"], &["orders:read"], Some("people.permission_unknown")),
            (&["*"], &[], Some("people.permissions")),
        ] {
            let refused = check_permissions(&all(asked), KNOWN, &holding(held)).err();
            assert_eq!(refused.as_ref().map(|error| &*error.slug), slug, "{held:?} grants {asked:?}");
        }
        assert!(check_grant(&all(&["*"]), &holding(&["storage:*", "identity:*"])).is_err());
        assert!(check_grant(&all(&["*"]), &holding(&["*"])).is_ok());
    }
}
