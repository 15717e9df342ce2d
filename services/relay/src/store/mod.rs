//! All SQL of the service.

mod accounts;
mod budgets;
mod lanes;
mod moves;
mod parcels;
mod requests;
mod revoke;
pub(crate) mod sponsored;
pub(crate) mod sponsors;

use std::collections::HashMap;

use nsl_core::{Code, Cx, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Kind, Many, Migrations, Step as Migration, Tx, args};

pub(crate) use accounts::{ACCOUNT_TAKEN, Add, KeptAccount, account, accounts};
pub(crate) use budgets::{Allow, Cost, Over, Purse, budget, day};
pub use lanes::LaneKey;
pub(crate) use lanes::{Held, Take, load, open_lanes, raws, waiting};
pub(crate) use moves::{NewTry, Step, step};
pub(crate) use parcels::{ALONE, NewParcelTry, Parcels, Wanted, load_parcels, wanted};
pub(crate) use requests::{Accept, Kept, Passed, find, list, news, steps};
pub(crate) use revoke::{Cancel, Order, Revoked, end_revoked, last_settled, last_states, orders, revoked};

pub static MIGRATIONS: Migrations = Migrations {
    owner: "relay",
    steps: &[
        Migration {
            version: 1,
            name: "relay",
            breaking: false,
            sqlite: include_str!("../../migrations/sqlite/1_relay.sql"),
            postgres: include_str!("../../migrations/postgres/1_relay.sql"),
        },
        Migration {
            version: 2,
            name: "sponsor",
            breaking: false,
            sqlite: include_str!("../../migrations/sqlite/2_sponsor.sql"),
            postgres: include_str!("../../migrations/postgres/2_sponsor.sql"),
        },
        Migration {
            version: 3,
            name: "indexes",
            breaking: false,
            sqlite: include_str!("../../migrations/sqlite/3_indexes.sql"),
            postgres: include_str!("../../migrations/postgres/3_indexes.sql"),
        },
    ],
};

/// Another process holds the lane by now: whatever was decided here is void.
pub(crate) const LANE_LOST: &str = "relay.lane_lost";

pub(crate) fn lane_lost() -> Error {
    Error::new(Code::Unavailable, LANE_LOST, "another process sends for this account now")
}

/// Characters of a reason that are kept.
const LONGEST_REASON: usize = 400;

/// A change of a request's state.
#[derive(Clone, Debug)]
pub(crate) struct Became {
    pub(crate) request: std::sync::Arc<str>,
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) hash: Option<String>,
    pub(crate) height: Option<i64>,
    /// What the chain took, in its smallest unit.
    pub(crate) fee: Option<u128>,
    /// What its test run failed by, as [`crate::explain`] reads it.
    pub(crate) trouble: Option<serde_json::Value>,
}

impl Became {
    pub(crate) fn told(request: std::sync::Arc<str>, state: &'static str, reason: Option<String>) -> Self {
        let reason = reason.as_deref().map(plain);
        Self { request, state, reason, hash: None, height: None, fee: None, trouble: None }
    }

    /// The evidence of an end.
    pub(crate) fn entry(&self, cx: &Cx, now: Timestamp) -> Entry {
        Entry::new(cx, "relay.request_settled", "relay", "settle", now)
            .request("id", &*self.request)
            .response("state", self.state)
            .response("tx", self.hash.clone())
            .response("fee", self.fee.map(|fee| fee.to_string()))
    }

    pub(crate) fn is_end(&self) -> bool {
        is_end(self.state)
    }

    /// Whether the chain took something for it.
    pub(crate) fn is_in_block(&self) -> bool {
        self.height.is_some()
    }
}

/// A reason as it is kept: contracts and nodes choose its words, and not every engine takes all characters.
fn plain(reason: &str) -> String {
    let mut plain: String =
        reason.chars().map(|one| if one.is_control() { ' ' } else { one }).take(LONGEST_REASON).collect();
    if reason.chars().nth(LONGEST_REASON).is_some() {
        plain.pop();
        plain.push('…');
    }
    plain
}

pub(crate) fn is_end(state: &str) -> bool {
    matches!(state, "final" | "failed" | "replaced" | "expired")
}

static MARK: Many = Many {
    one: "UPDATE relay_requests SET state = $3, reason = $4, hash = coalesce($5, hash), height = $6,
            fee = coalesce($7, fee), trouble = coalesce($8, trouble), updated_at = $9, settled_at = $10
          WHERE tenant_id = $1 AND id = $2 AND settled_at IS NULL",
    many: "UPDATE relay_requests r SET state = n.state, reason = n.reason, hash = coalesce(n.hash, r.hash),
             height = n.height, fee = coalesce(n.fee, r.fee), trouble = coalesce(n.trouble, r.trouble),
             updated_at = n.at, settled_at = n.settled
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
             $8::text[], $9::timestamptz[], $10::timestamptz[])
             AS n (tenant_id, id, state, reason, hash, height, fee, trouble, at, settled)
           WHERE r.tenant_id = n.tenant_id AND r.id = n.id AND r.settled_at IS NULL",
    kinds: &[
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Time,
        Kind::Time,
    ],
};

/// A request that goes to and fro tells the same so often, and so much in all; its end is always told. What it is now
/// stands in the request itself.
macro_rules! is_worth_a_step {
    ($tenant:literal, $id:literal, $state:literal, $reason:literal) => {
        concat!(
            "(",
            $state,
            " IN ('final', 'failed', 'replaced', 'expired') OR (
               (SELECT count(*) FROM relay_steps o WHERE o.tenant_id = ",
            $tenant,
            " AND o.request_id = ",
            $id,
            ") < 1000
               AND (SELECT count(*) FROM relay_steps o WHERE o.tenant_id = ",
            $tenant,
            " AND o.request_id = ",
            $id,
            "
                 AND o.state = ",
            $state,
            " AND coalesce(o.reason, '') = coalesce(",
            $reason,
            ", '')) < 20))"
        )
    };
}

static STEP: Many = Many {
    one: concat!(
        "INSERT INTO relay_steps (tenant_id, request_id, number, state, reason, hash, at)
          SELECT $1, $2, 1 + (SELECT count(*) FROM relay_steps WHERE tenant_id = $1 AND request_id = $2), $3, $4, $5, $6
          WHERE ",
        is_worth_a_step!("$1", "$2", "$3", "$4")
    ),
    many: concat!(
        "INSERT INTO relay_steps (tenant_id, request_id, number, state, reason, hash, at)
           SELECT n.tenant_id, n.id,
             (SELECT count(*) FROM relay_steps s WHERE s.tenant_id = n.tenant_id AND s.request_id = n.id)
               + row_number() OVER (PARTITION BY n.tenant_id, n.id ORDER BY n.place),
             n.state, n.reason, n.hash, n.at
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
             WITH ORDINALITY AS n (tenant_id, id, state, reason, hash, at, place)
           WHERE ",
        is_worth_a_step!("n.tenant_id", "n.id", "n.state", "n.reason")
    ),
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Time],
};

/// Writes new states and their steps. A request that came to its end stays there.
fn mark(tenant: &TenantId, became: &[Became], now: Timestamp, tx: &mut Tx<'_>) -> Result<()> {
    // Of several states of one request the last holds; each is a step.
    let lasts: HashMap<&str, &Became> = became.iter().map(|one| (&*one.request, one)).collect();
    let lasts = became.iter().filter(|one| std::ptr::eq(lasts[&*one.request], *one));
    let rows = lasts.map(|one| {
        let settled = one.is_end().then_some(now);
        args![
            tenant,
            one.request.as_ref(),
            one.state,
            one.reason.clone(),
            one.hash.clone(),
            one.height,
            one.fee.map(|fee| fee.to_string()),
            one.trouble.as_ref().map(ToString::to_string),
            now,
            settled
        ]
    });
    tx.ask(&MARK, rows.collect())?;
    let rows = became
        .iter()
        .map(|one| args![tenant, one.request.as_ref(), one.state, one.reason.clone(), one.hash.clone(), now]);
    tx.ask(&STEP, rows.collect()).map(drop)
}

#[cfg(test)]
pub(crate) mod ground;

#[cfg(test)]
mod schema_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_plain_and_bounded() {
        let of = |reason: &str| Became::told("one".into(), "failed", Some(reason.to_owned())).reason.unwrap();
        assert_eq!(of("odd\0 \u{1b}[2J\r\n \u{85} é"), "odd   [2J     é");
        let most = "é".repeat(LONGEST_REASON);
        assert_eq!(of(&most), most);
        let cut = of(&format!("{most}é"));
        assert!(cut.chars().count() == LONGEST_REASON && cut.ends_with("é…"), "{cut}");
    }
}
