//! Sealed keys of accounts.

use std::sync::Arc;

use nsl_api::relay::Account;
use nsl_core::{Code, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_keyring::Presence;
use nsl_sql::{Db, Row, Scope, Single, Tx, args};

/// An account as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct KeptAccount {
    pub(crate) account: String,
    pub(crate) label: String,
    pub(crate) key_id: Arc<str>,
    pub(crate) sealed: Vec<u8>,
    pub(crate) created_at: Timestamp,
}

/// What an account that is kept here already is refused with.
pub(crate) const ACCOUNT_TAKEN: &str = "relay.account_taken";

/// Keeps an account, with its evidence. One account belongs to one tenant: who sends for it must be one.
#[derive(Clone)]
pub(crate) struct Add {
    pub(crate) tenant: TenantId,
    pub(crate) chain: &'static str,
    pub(crate) kept: KeptAccount,
    pub(crate) by: Subject,
    /// What its caller is told, also when it asks again under its idempotency key: the key of then, never a fresh one
    /// that nobody has kept.
    pub(crate) shown: Account,
    pub(crate) entry: Entry,
}

impl Single for Add {
    type Done = Account;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Account>> {
        let kept = &self.kept;
        let keys = vec![(self.tenant.clone(), Arc::clone(&kept.key_id))];
        if Presence::ask(tx, keys)?.answer(tx).await? == [false] {
            return Ok(Err(nsl_keyring::key_gone()));
        }
        let added = tx
            .execute(
                "INSERT INTO relay_accounts (tenant_id, chain, account, label, key_id, sealed, created_by, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (chain, account) DO NOTHING",
                args![
                    &self.tenant,
                    self.chain,
                    kept.account.as_str(),
                    kept.label.as_str(),
                    kept.key_id.as_ref(),
                    kept.sealed.clone(),
                    &self.by,
                    kept.created_at
                ],
            )
            .await?;
        if added == 0 {
            let message = "the account is kept here already";
            return Ok(Err(Error::new(Code::Conflict, ACCOUNT_TAKEN, message)));
        }
        tx.note(self.entry.clone());
        Ok(Ok(self.shown.clone()))
    }
}

// Which they are by its index first, which SQLite would not take for whole rows.
pub(super) static ALL: &str = "SELECT account, label, key_id, sealed, created_at FROM relay_accounts
    WHERE tenant_id = $1 AND chain = $2 AND account IN (SELECT account FROM relay_accounts
      WHERE tenant_id = $1 AND chain = $2 ORDER BY account LIMIT 1000) ORDER BY account";
static ONE: &str = "SELECT account, label, key_id, sealed, created_at FROM relay_accounts
    WHERE tenant_id = $1 AND chain = $2 AND account = $3";

/// The accounts of a tenant.
pub(crate) async fn accounts(db: &Db, tenant: &TenantId, chain: &str) -> Result<Vec<KeptAccount>> {
    db.query(Scope::Tenant(tenant), ALL, args![tenant, chain]).await?.into_iter().map(read).collect()
}

/// An account of a tenant, if it is one.
pub(crate) async fn account(db: &Db, tenant: &TenantId, chain: &str, name: &str) -> Result<Option<KeptAccount>> {
    let rows = db.query(Scope::Tenant(tenant), ONE, args![tenant, chain, name]).await?;
    rows.into_iter().next().map(read).transpose()
}

fn read(mut row: Row) -> Result<KeptAccount> {
    Ok(KeptAccount {
        account: row.take(0)?,
        label: row.take(1)?,
        key_id: row.take::<String>(2)?.into(),
        sealed: row.take(3)?,
        created_at: row.take(4)?,
    })
}
