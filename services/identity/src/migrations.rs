use nsl_sql::{Migrations, Step};

macro_rules! step {
    ($version:literal, $name:literal, $file:literal) => {
        Step {
            version: $version,
            name: $name,
            breaking: false,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $file, ".sql")),
        }
    };
}

/// The tables of this service.
pub static MIGRATIONS: Migrations = Migrations {
    owner: "identity",
    steps: &[
        step!(1, "keys", "1_keys"),
        step!(2, "people", "2_people"),
        step!(3, "tokens", "3_tokens"),
        step!(4, "signin", "4_signin"),
        step!(5, "wallets", "5_wallets"),
        step!(6, "passkeys", "6_passkeys"),
        step!(7, "oauth", "7_oauth"),
        step!(8, "policies", "8_access"),
        step!(9, "keys of owners", "9_keys"),
        step!(10, "privacy", "10_privacy"),
        step!(11, "bases of sessions", "11_bases"),
    ],
};
