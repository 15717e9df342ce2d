//! Reads from a replica that say how stale they may be.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use nsl_core::Result;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    postgres::Postgres,
    value::{Row, Value},
};

// Where a server stands in the log, and whether row-level security does not bind us there.
static STANDS: &str = "SELECT
        CAST(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0') AS bigint),
        rolsuper OR rolbypassrls
    FROM pg_roles WHERE rolname = current_user";
const EVERY: Duration = Duration::from_millis(250);
const MOST_SAMPLES: usize = 1_024;

/// A server that follows the primary. How far behind it is, is seen from outside: what it has replayed is
/// compared with where the primary was known to be, so that a replica that was cut off does not pass for one
/// that is up to date, and no clock but ours counts.
pub(crate) struct Replica {
    server: Postgres,
    caught_up: Arc<Mutex<Option<Instant>>>,
    watch: tokio::task::JoinHandle<()>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Replica {
    pub(crate) fn follow(primary: Postgres, server: Postgres) -> Self {
        let caught_up = Arc::new(Mutex::new(None));
        let (seen, asked) = (Arc::clone(&caught_up), server.clone());
        #[allow(clippy::disallowed_methods, reason = "aborted when the replica is dropped")]
        let watch = tokio::spawn(async move {
            let mut samples = VecDeque::new();
            loop {
                let at = Instant::now();
                if let Ok((written, _)) = stands(&primary).await {
                    samples.push_back((at, written));
                }
                if samples.len() > MOST_SAMPLES {
                    samples.pop_front();
                }
                *seen.lock() = match stands(&asked).await {
                    Ok((replayed, false)) => newest(&mut samples, replayed),
                    Ok((_, true)) => {
                        tracing::error!(
                            "sql.read_only_url names a role that row-level security does not bind: it is not read from"
                        );
                        None
                    }
                    Err(_) => None,
                };
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { server, caught_up, watch }
    }

    /// Whether it holds all that was committed up to this long ago.
    pub(crate) fn is_within(&self, most: Duration) -> bool {
        self.caught_up.lock().is_some_and(|at| at.elapsed() <= most)
    }

    pub(crate) async fn read(&self, tenants: &str, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        self.server.read(tenants, sql, args).await
    }
}

async fn stands(server: &Postgres) -> Result<(i64, bool)> {
    let mut rows = server.read("*", STANDS, &[]).await?;
    let Some(row) = rows.first_mut() else { return Ok((0, true)) };
    Ok((row.take(0)?, row.take(1)?))
}

// The last moment at which the primary had written no more than this. Older samples have told what they could.
fn newest(samples: &mut VecDeque<(Instant, i64)>, replayed: i64) -> Option<Instant> {
    let reached = samples.iter().rposition(|(_, written)| *written <= replayed)?;
    samples.drain(..reached);
    samples.front().map(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_as_fresh_as_the_newest_moment_it_has_reached() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut samples: VecDeque<_> = [(at(0), 100), (at(1), 100), (at(2), 150), (at(3), 200)].into();
        assert_eq!(newest(&mut samples, 99), None);
        assert_eq!(newest(&mut samples, 100), Some(at(1)));
        assert_eq!(newest(&mut samples, 149), Some(at(1)));
        assert_eq!(newest(&mut samples, 170), Some(at(2)));
        assert_eq!(newest(&mut samples, 170), Some(at(2)), "a replica that stands still ages");
        assert_eq!(newest(&mut samples, 500), Some(at(3)));
        assert_eq!(samples.len(), 1);
    }
}
