//! Requests taken on, and what they would cost.

use nsl_api::{
    Chain,
    relay::{Estimate, Submit, Transaction},
};
use nsl_core::{Code, Cx, Entry, Error, Result, fresh};

use super::{Service, shown};
use crate::{
    amounts::told,
    facts::Seen,
    rules::{self, Asked},
    sponsor,
    store::{Accept, Kept, LaneKey, budget, day},
};

impl Service {
    pub(super) async fn take_on(&self, cx: &Cx, submit: Submit) -> Result<Transaction> {
        let asked = rules::asked(&submit)?;
        let seen = Seen::of(submit.chain, &asked.call);
        seen.permit(cx)?;
        seen.check_large(cx, self.config.large(submit.chain), self.clock.now())?;
        let lane = self.lane(cx, submit.chain, &asked);
        if let Err(refusal) = self.allows(cx, submit.chain, &lane, &asked).await {
            // What was taken on before is told as it was then, whatever is allowed by now.
            return shown(self.db.recall::<Kept>(cx, refusal).await?);
        }
        let now = self.clock.now();
        // What the operator allows bounds each request as its own bound does.
        let max_fee = asked.max_fee.into_iter().chain(self.config.cap(submit.chain)).min();
        let kept = Kept {
            id: fresh("rel"),
            chain: lane.chain.to_owned(),
            account: lane.account.to_string(),
            subject: cx.principal.subject.clone(),
            intent: serde_json::to_value(&asked.call).map_err(Error::internal)?,
            state: "accepted".to_owned(),
            reason: None,
            hash: None,
            height: None,
            fee: None,
            max_fee: max_fee.map(|fee| fee.to_string()),
            expires_at: asked.valid_for.map(|valid| now.plus(valid)),
            cancelled_at: None,
            trouble: None,
            created_at: now,
            updated_at: now,
            settled_at: None,
        };
        let entry = Entry::new(cx, "relay.request_accepted", "relay", "submit", now)
            .request("chain", lane.chain)
            .request("account", lane.account.as_ref())
            .response("id", kept.id.clone());
        let entry = self.ledger.seal(cx, entry, serde_json::Map::new()).await?;
        let kept = self.db.write(cx, Accept { tenant: cx.tenant.clone(), kept, entry }).await?;
        self.dispatcher.wake(lane);
        shown(kept)
    }

    pub(super) async fn guess(&self, cx: &Cx, submit: Submit) -> Result<Estimate> {
        let asked = rules::asked(&submit)?;
        Seen::of(submit.chain, &asked.call).permit(cx)?;
        let lane = self.lane(cx, submit.chain, &asked);
        let intent = serde_json::to_value(&asked.call).map_err(Error::internal)?;
        self.accounts.estimate(&lane, intent.into()).await?.map_err(|refusal| {
            let message = format!("it would be undone: {}", refusal.reason);
            let error = Error::invalid("relay.would_fail", message).detail("reason", refusal.reason);
            // What the ABI of the contract makes words of.
            match refusal.trouble.as_ref().and_then(|trouble| trouble["data"].as_str()) {
                Some(data) => error.detail("data", data),
                None => error,
            }
        })
    }

    /// Refuses what can't be taken on, before anything is stored.
    async fn allows(&self, cx: &Cx, chain: Chain, lane: &LaneKey, asked: &Asked) -> Result<()> {
        // An account may not be the tenant's.
        self.dispatcher.nodes.node(lane).await?;
        if let Some(sponsor) = &asked.call.sponsor {
            sponsor::allow(&self.db, &cx.tenant, sponsor, &asked.call).await?;
        }
        self.check_budget(cx, chain).await
    }

    fn lane(&self, cx: &Cx, chain: Chain, asked: &Asked) -> LaneKey {
        LaneKey { tenant: cx.tenant.clone(), chain: chain.as_str(), account: asked.account.as_str().into() }
    }

    // A budget of which nothing is left is told at once; whether what is left suffices shows when it is tried out.
    async fn check_budget(&self, cx: &Cx, chain: Chain) -> Result<()> {
        let (limits, spent) = budget(&self.db, &cx.tenant, chain.as_str(), day(self.clock.now())).await?;
        let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u128>().ok());
        let message = match (bound(&limits.per_transaction), bound(&limits.per_day)) {
            (Some(0), _) => "the budget of the chain allows no transaction: raise its per_transaction".to_owned(),
            (_, Some(daily)) if spent >= daily => {
                let (spent, daily) = (told(chain.as_str(), spent), told(chain.as_str(), daily));
                format!(
                    "the budget of the day is spent or reserved: {spent} of {daily}; raise its per_day, or wait for the \
                     next day (UTC)"
                )
            }
            _ => return Ok(()),
        };
        Err(Error::new(Code::Forbidden, "relay.budget_spent", message).detail("spent_today", spent.to_string()))
    }
}
