//! All SQL of the service.

mod known;
mod updates;

use nsl_core::{Error, Result};
use nsl_sql::{Migrations, Row, Step as Migration};
use serde_json::Value as Json;

pub(crate) use known::{
    AddDeployment, Describe, Known, SettleDeployment, by_hash, by_request, list, open_deployments, open_of,
};
pub(crate) use updates::{AddUpdate, KeptUpdate, SettleUpdate, last_update, open_updates};

pub static MIGRATIONS: Migrations = Migrations {
    owner: "contracts",
    steps: &[Migration {
        version: 1,
        name: "contracts",
        breaking: false,
        sqlite: include_str!("../../migrations/sqlite/1_contracts.sql"),
        postgres: include_str!("../../migrations/postgres/1_contracts.sql"),
    }],
};

/// How many open ones are taken up at once.
const ROUND: u32 = 64;

/// Text of a chain or of a caller, as a column takes it.
pub(crate) fn plain(text: Option<String>) -> Option<String> {
    text.map(|text| text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(2_000).collect())
}

fn first<T>(rows: Vec<Row>, read: impl Fn(Row) -> Result<T>) -> Result<Option<T>> {
    rows.into_iter().next().map(read).transpose()
}

fn all<T>(rows: Vec<Row>, read: impl Fn(Row) -> Result<T>) -> Result<Vec<T>> {
    rows.into_iter().map(read).collect()
}

fn json(text: Option<String>) -> Result<Option<Json>> {
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::internal)
}
