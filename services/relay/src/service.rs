use std::{str::FromStr, sync::Arc};

use async_trait::async_trait;
use nsl_api::{
    Chain, Page,
    relay::{
        Account, AddAccount, AskPassed, FindTransaction, ListAccounts, ListTransactions, Passed, Relay, State, Submit,
        Transaction,
    },
};
use nsl_core::{Clock, Cx, Entry, Error, Result, fresh};
use nsl_ledger::Ledger;
use nsl_sql::Db;
use serde::Deserialize;

use crate::{
    accounts::Accounts,
    dispatch::Dispatcher,
    rules,
    store::{Accept, Kept, LaneKey, find, list, steps},
};

const LONGEST_PAGE: u32 = 100;
const NEWEST: &str = "~";

pub(crate) struct Service {
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) dispatcher: Arc<Dispatcher>,
}

#[async_trait]
impl Relay for Service {
    async fn add_account(&self, cx: &Cx, add: AddAccount) -> Result<Account> {
        cx.permit("relay:admin")?;
        self.accounts.add(cx, add).await
    }

    async fn list_accounts(&self, cx: &Cx, wanted: ListAccounts) -> Result<Page<Account>> {
        cx.permit("relay:read")?;
        Ok(Page { items: self.accounts.list(cx, wanted.chain).await?, next: None })
    }

    async fn submit(&self, cx: &Cx, submit: Submit) -> Result<Transaction> {
        cx.permit("relay:write")?;
        let asked = rules::asked(&submit)?;
        let lane = LaneKey { tenant: cx.tenant.clone(), chain: submit.chain.as_str(), account: asked.account.into() };
        // An account that is not the tenant's is refused before anything is stored.
        self.dispatcher.nodes.node(&lane).await?;
        let now = self.clock.now();
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
            max_fee: asked.max_fee.map(|fee| fee.to_string()),
            expires_at: asked.valid_for.map(|valid| now.plus(valid)),
            cancelled_at: None,
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

    async fn find(&self, cx: &Cx, wanted: FindTransaction) -> Result<Transaction> {
        cx.permit("relay:read")?;
        let kept = find(&self.db, &cx.tenant, &wanted.id).await?;
        if kept.chain == wanted.chain.as_str() { shown(kept) } else { Err(rules::not_found()) }
    }

    async fn list(&self, cx: &Cx, wanted: ListTransactions) -> Result<Page<Transaction>> {
        cx.permit("relay:read")?;
        let limit = wanted.limit.clamp(1, LONGEST_PAGE);
        let before = wanted.after.as_deref().unwrap_or(NEWEST);
        let kept = list(&self.db, &cx.tenant, wanted.chain.as_str(), before, limit).await?;
        let next = (kept.len() == limit as usize).then(|| kept.last().map(|last| last.id.clone())).flatten();
        Ok(Page { items: kept.into_iter().map(shown).collect::<Result<_>>()?, next })
    }

    async fn passed(&self, cx: &Cx, asked: AskPassed) -> Result<Page<Passed>> {
        cx.permit("relay:read")?;
        self.find(cx, FindTransaction { chain: asked.chain, id: asked.id.clone() }).await?;
        let passed = steps(&self.db, &cx.tenant, &asked.id, asked.after).await?;
        let items = passed.into_iter().map(|step| {
            let (number, reason, tx, at) = (step.number, step.reason, step.hash, step.at);
            Ok(Passed { number, state: state(&step.state)?, reason, tx, at })
        });
        Ok(Page { items: items.collect::<Result<_>>()?, next: None })
    }
}

fn shown(kept: Kept) -> Result<Transaction> {
    Ok(Transaction {
        id: kept.id,
        chain: Chain::from_str(&kept.chain)?,
        account: kept.account,
        state: state(&kept.state)?,
        reason: kept.reason,
        tx: kept.hash,
        height: kept.height,
        fee: kept.fee,
        created_at: kept.created_at,
        updated_at: kept.updated_at,
    })
}

fn state(text: &str) -> Result<State> {
    let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    State::deserialize(text).map_err(Error::internal)
}
