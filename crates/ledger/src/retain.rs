use nsl_core::{Cx, Entry, Result, Timestamp};
use nsl_sql::{Change, EngineKind, Scope, Statement, Tx, args};

use crate::{
    hash::{self, ChainKey},
    ledger::{KEPT, Ledger},
    verify::{Lane, verify_lane},
};

const AT_ONCE: i64 = 100;

static OLD: &str = "SELECT lane, tenant_id, base, base_hash, length, head, mac FROM audit_lanes l
    WHERE base < length AND lane > $1 AND lane < $2
      AND NOT EXISTS (SELECT 1 FROM audit_logs a WHERE a.lane = l.lane AND a.created_at >= $3)
    ORDER BY lane LIMIT $4";
static ONE: &str = "SELECT lane, tenant_id, base, base_hash, length, head, mac FROM audit_lanes WHERE lane = $1";
static ENTRIES: &str = "SELECT COUNT(*), MIN(sequence), MAX(sequence) FROM audit_logs WHERE lane = $1";
static LAST: &str = "SELECT hash FROM audit_logs WHERE lane = $1 AND sequence = $2";

impl Ledger {
    /// Lets go of what is older than seven years, and says how many entries that were.
    ///
    /// A lane that is not whole stays as it is, and each round says so in the log: its entries are what is
    /// left of the evidence, and a new code over its length would hide the fault.
    pub async fn retain(&self) -> Result<u64> {
        let now = self.clock.now();
        let before = now.minus(KEPT);
        let begun_before = before.month_start(0);
        let (mut gone, mut last) = (0, String::new());
        loop {
            let args = args![last.clone(), first_id(begun_before), before, AT_ONCE];
            let page = self.db.scan(Scope::Platform, OLD, args).await?;
            let full = page.len() as i64 == AT_ONCE;
            for mut row in page {
                let lane = Lane::read(&mut row)?;
                last.clone_from(&lane.id);
                gone += self.retire(lane, begun_before, now).await?;
            }
            if !full {
                break;
            }
        }
        if self.db.kind() == EngineKind::Postgres {
            let sql = "SELECT nsl_audit_drop_months($1)";
            self.db.write_platform(Statement { sql, args: args![before] }).await?;
        }
        Ok(gone)
    }

    async fn retire(&self, lane: Lane, begun_before: Timestamp, now: Timestamp) -> Result<u64> {
        let id = lane.id.clone();
        if begun(&id).is_none_or(|begun| begun >= begun_before) {
            withheld(&id, "it is too young, or its name is none of ours");
            return Ok(0);
        }
        if let Some(fault) = verify_lane(&self.db, &self.key, lane).await?.first() {
            withheld(&id, fault);
            return Ok(0);
        }
        let gone = self.db.write_platform(Retire { key: self.key.clone(), lane: id.clone(), now }).await?;
        if gone.is_none() {
            withheld(&id, "it changed while it was verified");
        }
        Ok(gone.unwrap_or(0))
    }
}

fn withheld(lane: &str, why: &str) {
    metrics::counter!("audit_lanes_withheld_total").increment(1);
    tracing::error!(lane, why, "a lane of the audit trail is past its time and not let go");
}

/// Lets go of one lane: the head stays, the entries go. None, and nothing is done, when the lane is not what
/// its code says.
struct Retire {
    key: ChainKey,
    lane: String,
    now: Timestamp,
}

impl Change for Retire {
    type Done = Option<u64>;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Self::Done>>> {
        let mut done = Vec::with_capacity(group.len());
        for retire in group {
            done.push(Ok(retire.one(tx).await?));
        }
        Ok(done)
    }
}

impl Retire {
    async fn one(&self, tx: &mut Tx<'_>) -> Result<Option<u64>> {
        let found = tx.query(ONE, args![self.lane.clone()]).await?.into_iter().next();
        let Some(lane) = found.map(|mut row| Lane::read(&mut row)).transpose()? else { return Ok(None) };
        if !lane.is_signed(&self.key) || !is_complete(&lane, tx).await? {
            return Ok(None);
        }
        let Lane { id, tenant, length, head, .. } = lane;
        let entries = tx.execute("DELETE FROM audit_logs WHERE lane = $1", args![id.clone()]).await?;
        let code = self.key.code(&hash::lane(&id, &tenant, length, &head, length, &head));
        tx.execute(
            "UPDATE audit_lanes SET base = length, base_hash = head, mac = $1 WHERE lane = $2",
            args![code, id.clone()],
        )
        .await?;
        let cx = Cx::system(tenant, std::time::Duration::ZERO);
        let entry = Entry::new(&cx, "audit.lane_retired", "audit", "retain", self.now);
        tx.note(entry.request("lane", id).response("entries", entries));
        Ok(Some(entries))
    }
}

// Every entry that the length promises, none beyond it, and the last one is the head.
async fn is_complete(lane: &Lane, tx: &mut Tx<'_>) -> Result<bool> {
    let Some(mut row) = tx.query(ENTRIES, args![lane.id.clone()]).await?.into_iter().next() else { return Ok(false) };
    let (count, least, most): (i64, Option<i64>, Option<i64>) = (row.take(0)?, row.take(1)?, row.take(2)?);
    if (count, least, most) != (lane.length - lane.base, Some(lane.base + 1), Some(lane.length)) {
        return Ok(false);
    }
    let last = tx.query(LAST, args![lane.id.clone(), lane.length]).await?.into_iter().next();
    Ok(last.map(|mut row| row.take::<Vec<u8>>(0)).transpose()?.is_some_and(|hash| hash == lane.head))
}

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// When a lane was begun: its id is `lan_` and a UUIDv7 in Crockford base 32, which opens with 48 bits of
/// milliseconds. The code covers the id, while whoever has the database can change the times of entries.
fn begun(lane: &str) -> Option<Timestamp> {
    let digits = lane.strip_prefix("lan_").filter(|digits| digits.len() == 26)?;
    let mut id = 0u128;
    for digit in digits.bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        id = id.checked_mul(32)? | value as u128;
    }
    i64::try_from(id >> 80).ok().map(|millis| Timestamp(millis * 1_000))
}

// Below every id of a lane that was begun then or later.
fn first_id(at: Timestamp) -> String {
    let millis = u128::try_from(at.0.div_euclid(1_000)).unwrap_or(0);
    let mut rest = millis << 80;
    let mut digits = [0u8; 26];
    for place in digits.iter_mut().rev() {
        *place = DIGITS[(rest & 31) as usize];
        rest >>= 5;
    }
    format!("lan_{}", String::from_utf8_lossy(&digits))
}

#[cfg(test)]
mod tests {
    use nsl_core::{Clock, SystemClock, fresh};

    use super::*;

    #[test]
    fn a_lane_tells_when_it_was_begun() {
        let before = SystemClock.now();
        let lane = fresh("lan");
        let at = begun(&lane).unwrap();
        assert!(at.0 >= before.0 - 1_000 && at.0 <= SystemClock.now().0, "{at:?}");
        assert!(first_id(at) <= lane && first_id(Timestamp(at.0 + 1_000)) > lane);
        assert_eq!(begun(&first_id(at)), Some(at));
        for bad in [
            "",
            "lan_",
            "ten_01",
            &lane[..29],
            &format!("{lane}0"),
            &lane.to_uppercase(),
            &format!("lan_{}", "z".repeat(26)),
        ] {
            assert_eq!(begun(bad), None, "{bad}");
        }
    }
}
