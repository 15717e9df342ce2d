//! Sealed keys of accounts.

use std::sync::Arc;

use nsl_api::relay::Account;
use nsl_core::{Code, Entry, Error, Result, Subject, TenantId, Timestamp};
use nsl_keyring::Presence;
use nsl_sql::{Change, Db, Scope, Tx, args};

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

impl Change for Add {
    type Done = Account;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Account>>> {
        let mut done = Vec::with_capacity(group.len());
        for add in group {
            let kept = &add.kept;
            let keys = vec![(add.tenant.clone(), Arc::clone(&kept.key_id))];
            if Presence::ask(tx, keys)?.answer(tx).await? == [false] {
                done.push(Err(nsl_keyring::key_gone()));
                continue;
            }
            let added = tx
                .execute(
                    "INSERT INTO relay_accounts (tenant_id, chain, account, label, key_id, sealed, created_by, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (chain, account) DO NOTHING",
                    args![
                        &add.tenant,
                        add.chain,
                        kept.account.as_str(),
                        kept.label.as_str(),
                        kept.key_id.as_ref(),
                        kept.sealed.clone(),
                        &add.by,
                        kept.created_at
                    ],
                )
                .await?;
            if added == 0 {
                let message = "the account is kept here already";
                done.push(Err(Error::new(Code::Conflict, ACCOUNT_TAKEN, message)));
                continue;
            }
            tx.note(add.entry.clone());
            done.push(Ok(add.shown.clone()));
        }
        Ok(done)
    }
}

static COLUMNS: &str = "SELECT account, label, key_id, sealed, created_at FROM relay_accounts
    WHERE tenant_id = $1 AND chain = $2 AND ($3 = '' OR account = $3) ORDER BY account LIMIT 1000";

/// The accounts of a tenant, or the one that is named.
pub(crate) async fn accounts(db: &Db, tenant: &TenantId, chain: &str, one: &str) -> Result<Vec<KeptAccount>> {
    let rows = db.query(Scope::Tenant(tenant), COLUMNS, args![tenant, chain, one]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(KeptAccount {
                account: row.take(0)?,
                label: row.take(1)?,
                key_id: row.take::<String>(2)?.into(),
                sealed: row.take(3)?,
                created_at: row.take(4)?,
            })
        })
        .collect()
}
