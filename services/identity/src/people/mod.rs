//! Users, tenants, members, roles and invites.

pub(crate) mod roles;
pub(crate) mod store;
