//! Users, tenants, members and their roles.
