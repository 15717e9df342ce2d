mod budgets;
mod states;
mod submit;

use std::{str::FromStr, sync::Arc};

use async_trait::async_trait;
use nsl_api::{
    Chain, Page,
    relay::{
        Account, AddAccount, AskBalance, AskBudget, AskPassed, Balance, Budget, Cancel, Estimate, Explain, Explanation,
        FindTransaction, ImportAccount, ListAccounts, ListTransactions, Passed, Relay, SetBudget, State, Submit,
        Submitted, Transaction, WatchPassed,
    },
    sponsor::{Complete, NameSponsor, Prepare, Prepared, PutSponsor, SponsorInfo},
};
use nsl_core::{Clock, Cx, Error, Facts, Result};
use nsl_ledger::Ledger;
use nsl_sql::Db;
use serde::Deserialize;

use crate::{Config, accounts::Accounts, dispatch::Dispatcher, rules, sponsor::Sponsoring, store::Kept};

pub(crate) struct Service {
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) config: Config,
    pub(crate) sponsoring: Sponsoring,
}

#[async_trait]
impl Relay for Service {
    async fn add_account(&self, cx: &Cx, add: AddAccount) -> Result<Account> {
        permit(cx, "relay:admin", "account", "", add.chain)?;
        self.accounts.add(cx, add).await
    }

    async fn import_account(&self, cx: &Cx, import: ImportAccount) -> Result<Account> {
        permit(cx, "relay:admin", "account", "", import.chain)?;
        self.accounts.import(cx, import).await
    }

    async fn list_accounts(&self, cx: &Cx, wanted: ListAccounts) -> Result<Page<Account>> {
        permit(cx, "relay:read", "account", "", wanted.chain)?;
        Ok(Page { items: self.accounts.list(cx, wanted.chain).await?, next: None })
    }

    async fn balance(&self, cx: &Cx, asked: AskBalance) -> Result<Balance> {
        permit(cx, "relay:read", "account", &rules::account(asked.chain, &asked.account)?, asked.chain)?;
        self.accounts.balance(asked).await
    }

    async fn submit(&self, cx: &Cx, submit: Submit) -> Result<Transaction> {
        if cx.rules.is_none() {
            cx.permit("relay:write")?;
        }
        self.take_on(cx, submit).await
    }

    async fn submitted(&self, cx: &Cx, _: Submitted) -> Result<Transaction> {
        cx.permit("relay:write")?;
        shown(self.db.recall(cx, rules::not_found()).await?)
    }

    async fn find(&self, cx: &Cx, wanted: FindTransaction) -> Result<Transaction> {
        permit(cx, "relay:read", "transaction", &wanted.id, wanted.chain)?;
        shown(self.kept(cx, wanted.chain, &wanted.id).await?)
    }

    async fn list(&self, cx: &Cx, wanted: ListTransactions) -> Result<Page<Transaction>> {
        permit(cx, "relay:read", "transaction", "", wanted.chain)?;
        self.page(cx, wanted).await
    }

    async fn passed(&self, cx: &Cx, asked: AskPassed) -> Result<Page<Passed>> {
        permit(cx, "relay:read", "transaction", &asked.id, asked.chain)?;
        self.kept(cx, asked.chain, &asked.id).await?;
        self.states(cx, &asked.id, asked.after).await
    }

    async fn watch(&self, cx: &Cx, asked: WatchPassed) -> Result<Page<Passed>> {
        permit(cx, "relay:read", "transaction", &asked.id, asked.chain)?;
        self.wait_for(cx, asked).await
    }

    async fn cancel(&self, cx: &Cx, asked: Cancel) -> Result<Transaction> {
        permit(cx, "relay:write", "transaction", &asked.id, asked.chain)?;
        self.take_back(cx, asked).await
    }

    async fn estimate(&self, cx: &Cx, submit: Submit) -> Result<Estimate> {
        if cx.rules.is_none() {
            cx.permit("relay:write")?;
        }
        self.guess(cx, submit).await
    }

    async fn explain(&self, cx: &Cx, asked: Explain) -> Result<Explanation> {
        permit(cx, "relay:read", "transaction", &asked.id, asked.chain)?;
        let kept = self.kept(cx, asked.chain, &asked.id).await?;
        self.accounts.explain(kept, asked).await
    }

    async fn budget(&self, cx: &Cx, asked: AskBudget) -> Result<Budget> {
        permit(cx, "relay:read", "budget", "", asked.chain)?;
        self.budget_of(cx, asked.chain).await
    }

    async fn set_budget(&self, cx: &Cx, set: SetBudget) -> Result<Budget> {
        permit(cx, "relay:admin", "budget", "", set.chain)?;
        self.allow(cx, set).await
    }

    async fn put_sponsor(&self, cx: &Cx, put: PutSponsor) -> Result<SponsorInfo> {
        self.sponsoring.put(cx, put).await
    }

    async fn find_sponsor(&self, cx: &Cx, named: NameSponsor) -> Result<SponsorInfo> {
        self.sponsoring.find(cx, named).await
    }

    async fn remove_sponsor(&self, cx: &Cx, named: NameSponsor) -> Result<()> {
        self.sponsoring.remove(cx, named).await
    }

    async fn prepare_sponsored(&self, cx: &Cx, prepare: Prepare) -> Result<Prepared> {
        self.sponsoring.prepare(cx, prepare).await
    }

    async fn complete_sponsored(&self, cx: &Cx, complete: Complete) -> Result<Transaction> {
        let (lane, kept) = self.sponsoring.complete(cx, complete).await?;
        self.dispatcher.wake(lane);
        shown(kept)
    }
}

fn permit(cx: &Cx, permission: &'static str, kind: &str, id: &str, chain: Chain) -> Result<()> {
    cx.permit_on(permission, &Facts { chain: Some(chain.as_str()), ..Facts::of(kind, id) })
}

/// A request as callers see it.
pub(crate) fn shown(kept: Kept) -> Result<Transaction> {
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

pub(crate) fn state(text: &str) -> Result<State> {
    let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
    State::deserialize(text).map_err(Error::internal)
}
