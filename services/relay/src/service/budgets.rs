//! What tenants may spend on fees.

use nsl_api::{
    Chain,
    relay::{Budget, Limits, SetBudget},
};
use nsl_core::{Cx, Entry, Result};

use super::Service;
use crate::{
    rules,
    store::{Allow, budget, day},
};

impl Service {
    pub(super) async fn budget_of(&self, cx: &Cx, chain: Chain) -> Result<Budget> {
        let (limits, spent) = budget(&self.db, &cx.tenant, chain.as_str(), day(self.clock.now())).await?;
        let Limits { per_transaction, per_day } = limits;
        Ok(Budget { per_transaction, per_day, spent_today: spent.to_string() })
    }

    pub(super) async fn allow(&self, cx: &Cx, set: SetBudget) -> Result<Budget> {
        let amount = |what: &str, text: &Option<String>| {
            let text = text.as_deref().map(|text| rules::amount(what, text));
            text.transpose().map(|amount| amount.map(|amount| amount.to_string()))
        };
        let limits = Limits {
            per_transaction: amount("per_transaction", &set.limits.per_transaction)?,
            per_day: amount("per_day", &set.limits.per_day)?,
        };
        let (now, chain) = (self.clock.now(), set.chain.as_str());
        let entry = Entry::new(cx, "relay.budget_changed", "relay", "set_budget", now)
            .request("chain", chain)
            .request("per_transaction", limits.per_transaction.clone())
            .request("per_day", limits.per_day.clone());
        let entry = self.ledger.seal(cx, entry, serde_json::Map::new()).await?;
        let (tenant, by) = (cx.tenant.clone(), cx.principal.subject.clone());
        self.db.write(cx, Allow { tenant, chain, limits, by, now, entry }).await?;
        self.budget_of(cx, set.chain).await
    }
}
