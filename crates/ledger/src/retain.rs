use nsl_core::Result;
use nsl_sql::{EngineKind, Statement, args};

use crate::{
    checkpoint::Retire,
    ledger::{KEPT, Ledger},
};

impl Ledger {
    /// Lets go of what is older than seven years, and says how many entries that were.
    pub async fn retain(&self) -> Result<u64> {
        let now = self.clock.now();
        let before = now.minus(KEPT);
        let mut gone = 0;
        loop {
            let round = self.db.write_platform(Retire { key: self.key.clone(), before, now }).await?;
            gone += round;
            if round == 0 {
                break;
            }
        }
        if self.db.kind() == EngineKind::Postgres {
            let sql = "SELECT nsl_audit_drop_months($1)";
            self.db.write_platform(Statement { sql, args: args![before] }).await?;
        }
        Ok(gone)
    }
}
