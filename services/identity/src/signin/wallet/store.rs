//! All SQL of wallets.

use std::time::Duration;

use nsl_api::{Chain, wallet::WalletInfo};
use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp, fresh};
use nsl_sql::{Db, EngineKind, Row, Scope, Single, Tx, args};
use serde::{Deserialize, Serialize};

use crate::{
    people::{invites, store as people},
    signin::ways,
};

/// Messages of one account that may wait for a signature, by the network that asked for them.
const MOST_WAITING: i64 = 10;
/// How long it is remembered why a nonce is refused.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Wallets of one user.
const MOST_WALLETS: i64 = 20;

static SWEEP: &str = "DELETE FROM wallet_challenges WHERE tenant_id = $1 AND expires_at < $2";
// The oldest give way: nobody is kept out by what others ask for.
static MAKE_ROOM: &str = "DELETE FROM wallet_challenges WHERE tenant_id = $1 AND nonce IN (
        SELECT nonce FROM wallet_challenges
        WHERE tenant_id = $1 AND chain = $2 AND address = $3 AND network = $4 AND spent_at IS NULL
        ORDER BY issued_at DESC, nonce LIMIT 1000 OFFSET $5)";
static ADD_CHALLENGE: &str = "INSERT INTO wallet_challenges
    (tenant_id, nonce, chain, address, chain_network, domain, link_user, network, issued_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static CHALLENGE: &str =
    "SELECT nonce, chain, address, chain_network, domain, link_user, issued_at, expires_at, spent_at
    FROM wallet_challenges WHERE tenant_id = $1 AND nonce = $2";
// Whoever shows a nonce does so one by one.
static TAKE_TURN: &str =
    "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.nonce ' || $1::text, 0))";
static IS_WAITING: &str = "SELECT 1 FROM wallet_challenges
    WHERE tenant_id = $1 AND nonce = $2 AND spent_at IS NULL AND expires_at > $3";
static SPEND: &str = "UPDATE wallet_challenges SET spent_at = $3 WHERE tenant_id = $1 AND nonce = $2";
static OWNER: &str = "SELECT user_id FROM wallets WHERE tenant_id = $1 AND chain = $2 AND address = $3";
static USED: &str = "UPDATE wallets SET last_used_at = $4 WHERE tenant_id = $1 AND chain = $2 AND address = $3";
static ADD_WALLET: &str = "INSERT INTO wallets (tenant_id, id, user_id, chain, address, created_at, last_used_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
static WALLETS: &str = "SELECT id, chain, address, created_at, last_used_at FROM wallets
    WHERE tenant_id = $1 AND user_id = $2 ORDER BY id";
static REMOVE: &str = "DELETE FROM wallets WHERE tenant_id = $1 AND user_id = $2 AND id = $3";
static FORGET: &str = "DELETE FROM wallets WHERE tenant_id = $1 AND user_id = $2";
static FORGET_LINKS: &str = "DELETE FROM wallet_challenges WHERE tenant_id = $1 AND link_user = $2";

/// A message that waits for a signature.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    pub(super) nonce: String,
    pub(super) chain: Chain,
    pub(super) address: String,
    pub(super) network: u64,
    pub(super) domain: String,
    /// Who wants to tie the account to themselves; else it signs in.
    pub(super) link_user: Option<String>,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// The challenge of this nonce, and whether it is spent.
pub(super) async fn challenge(db: &Db, nonce: &str) -> Result<Option<(Challenge, bool)>> {
    let mut rows = db.query(Scope::Platform, CHALLENGE, args![people::PLATFORM, nonce]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let challenge = Challenge {
        nonce: row.take(0)?,
        chain: row.take::<String>(1)?.parse()?,
        address: row.take(2)?,
        network: row.take::<i64>(3)?.cast_unsigned(),
        domain: row.take(4)?,
        link_user: row.take(5)?,
        issued_at: row.take(6)?,
        expires_at: row.take(7)?,
    };
    Ok(Some((challenge, row.take::<Option<Timestamp>>(8)?.is_some())))
}

/// Whose account this is.
pub(super) async fn owner(db: &Db, chain: Chain, address: &str) -> Result<Option<String>> {
    let args = args![people::PLATFORM, chain.as_str(), address];
    db.query(Scope::Platform, OWNER, args).await?.first_mut().map(|row| row.take(0)).transpose()
}

/// The wallets of a user, oldest first.
pub(super) async fn wallets(db: &Db, user: &str) -> Result<Vec<WalletInfo>> {
    let rows = db.query(Scope::Platform, WALLETS, args![people::PLATFORM, user]).await?;
    rows.into_iter().map(info).collect()
}

fn info(mut row: Row) -> Result<WalletInfo> {
    Ok(WalletInfo {
        id: row.take(0)?,
        chain: row.take::<String>(1)?.parse()?,
        address: row.take(2)?,
        created_at: row.take(3)?,
        last_used_at: row.take(4)?,
    })
}

pub(super) fn nonce_spent() -> Error {
    Error::new(Code::Unauthenticated, "wallet.nonce_spent", "the nonce of the message was used already")
}

/// Keeps a challenge, and forgets those that were over long ago.
pub(super) struct AddChallenge {
    pub(super) challenge: Challenge,
    /// Where it was asked from.
    pub(super) network: String,
}

impl Single for AddChallenge {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let Challenge { nonce, chain, address, network, domain, link_user, issued_at, expires_at } = &self.challenge;
        tx.execute(SWEEP, args![people::PLATFORM, issued_at.minus(REMEMBERED)]).await?;
        let chain = chain.as_str();
        let room = args![people::PLATFORM, chain, address.as_str(), self.network.as_str(), MOST_WAITING - 1];
        tx.execute(MAKE_ROOM, room).await?;
        let row = args![
            people::PLATFORM,
            nonce.as_str(),
            chain,
            address.as_str(),
            network.cast_signed(),
            domain.as_str(),
            link_user.clone(),
            self.network.as_str(),
            *issued_at,
            *expires_at
        ];
        tx.execute(ADD_CHALLENGE, row).await?;
        Ok(Ok(()))
    }
}

/// What a person signs in with by wallet: for erasure, in a platform write.
pub(crate) async fn forget_wallets(tx: &mut Tx<'_>, user: &str) -> Result<()> {
    tx.execute(FORGET, args![people::PLATFORM, user]).await?;
    tx.execute(FORGET_LINKS, args![people::PLATFORM, user]).await.map(drop)
}

/// Whether the nonce is still good. Nobody else can show it until the end of the transaction.
async fn is_waiting(tx: &mut Tx<'_>, nonce: &str, at: Timestamp) -> Result<bool> {
    if tx.engine() == EngineKind::Postgres {
        tx.query(TAKE_TURN, args![nonce]).await?;
    }
    Ok(!tx.query(IS_WAITING, args![people::PLATFORM, nonce, at]).await?.is_empty())
}

async fn spend(tx: &mut Tx<'_>, nonce: &str, at: Timestamp) -> Result<()> {
    tx.execute(SPEND, args![people::PLATFORM, nonce, at]).await.map(drop)
}

/// Lets the owner of an account in, and makes them known when they are new. The nonce is spent thereby.
pub(super) struct Enter {
    pub(super) nonce: String,
    pub(super) chain: Chain,
    pub(super) address: String,
    pub(super) at: Timestamp,
    /// What is made when nobody has the account.
    pub(super) newcomer: Option<Newcomer>,
}

/// A user that comes with a wallet.
pub(super) struct Newcomer {
    pub(super) user: people::User,
    pub(super) wallet: String,
    pub(super) comes: Comes,
    pub(super) evidence: Entry,
}

/// Where a new user belongs.
pub(super) enum Comes {
    Alone(people::NewTenant),
    /// With the invite of a tenant.
    Invited(String),
}

/// Who came in.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entered {
    Known(String),
    New,
    /// Nobody has the account, and nobody was to be made for it.
    Nobody,
}

impl Single for Enter {
    type Done = Entered;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Entered>> {
        if !is_waiting(tx, &self.nonce, self.at).await? {
            return Ok(Err(nonce_spent()));
        }
        let account = || args![people::PLATFORM, self.chain.as_str(), self.address.as_str()];
        let owner: Option<String> = tx.query(OWNER, account()).await?.first_mut().map(|row| row.take(0)).transpose()?;
        if let Some(owner) = owner {
            spend(tx, &self.nonce, self.at).await?;
            let used = args![people::PLATFORM, self.chain.as_str(), self.address.as_str(), self.at];
            tx.execute(USED, used).await?;
            return Ok(Ok(Entered::Known(owner)));
        }
        let Some(Newcomer { user, wallet, comes, evidence }) = &self.newcomer else { return Ok(Ok(Entered::Nobody)) };
        let tenant = match comes {
            Comes::Alone(new) => {
                people::insert_tenant(tx, new, &user.id).await?;
                new.tenant.clone()
            }
            Comes::Invited(invite) => match invites::accept(tx, invite, &user.id, None, self.at).await? {
                Ok(tenant) => tenant,
                Err(refused) => return Ok(Err(refused)),
            },
        };
        people::insert_user(tx, user).await?;
        spend(tx, &self.nonce, self.at).await?;
        insert(tx, wallet, &user.id, self.chain, &self.address, self.at, Some(self.at)).await?;
        tx.note(evidence.clone());
        tx.note(for_tenant(evidence, tenant));
        Ok(Ok(Entered::New))
    }
}

// What is sealed is bound to its entry: the one for the tenant says who came, and not with what or from where.
fn for_tenant(entry: &Entry, tenant: TenantId) -> Entry {
    let id = fresh("aud");
    Entry { tenant, id, seal_key: None, ip_address: None, user_agent: None, personal: None, ..entry.clone() }
}

async fn insert(
    tx: &mut Tx<'_>,
    id: &str,
    user: &str,
    chain: Chain,
    address: &str,
    at: Timestamp,
    used: Option<Timestamp>,
) -> Result<()> {
    tx.execute(ADD_WALLET, args![people::PLATFORM, id, user, chain.as_str(), address, at, used]).await.map(drop)
}

/// Ties an account to a user. The nonce is spent thereby.
pub(super) struct Link {
    pub(super) nonce: String,
    pub(super) user: String,
    pub(super) wallet: WalletInfo,
    pub(super) evidence: Entry,
}

impl Single for Link {
    type Done = WalletInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<WalletInfo>> {
        let WalletInfo { id, chain, address, created_at: at, .. } = &self.wallet;
        ways::turn(tx, &self.user).await?;
        if !is_waiting(tx, &self.nonce, *at).await? {
            return Ok(Err(nonce_spent()));
        }
        let account = args![people::PLATFORM, chain.as_str(), address.as_str()];
        let owner: Option<String> = tx.query(OWNER, account).await?.first_mut().map(|row| row.take(0)).transpose()?;
        let own = own(tx, &self.user).await?;
        match owner {
            Some(owner) if owner != self.user => {
                let message = "the account is tied to another user already";
                Ok(Err(Error::new(Code::Conflict, "wallet.linked_elsewhere", message)))
            }
            Some(_) => {
                spend(tx, &self.nonce, *at).await?;
                let known = own.into_iter().find(|known| known.address == *address && known.chain == *chain);
                Ok(Ok(known.unwrap_or_else(|| self.wallet.clone())))
            }
            None if own.len() as i64 >= MOST_WALLETS => {
                let message = format!("a user has at most {MOST_WALLETS} wallets");
                Ok(Err(Error::new(Code::Exhausted, "wallet.too_many", message).detail("limit", MOST_WALLETS)))
            }
            None => {
                spend(tx, &self.nonce, *at).await?;
                insert(tx, id, &self.user, *chain, address, *at, None).await?;
                tx.note(self.evidence.clone());
                Ok(Ok(self.wallet.clone()))
            }
        }
    }
}

async fn own(tx: &mut Tx<'_>, user: &str) -> Result<Vec<WalletInfo>> {
    tx.query(WALLETS, args![people::PLATFORM, user]).await?.into_iter().map(info).collect()
}

/// Unties a wallet from its user.
pub(super) struct Unlink {
    pub(super) user: String,
    pub(super) id: String,
    pub(super) evidence: Entry,
}

impl Single for Unlink {
    type Done = WalletInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<WalletInfo>> {
        ways::turn(tx, &self.user).await?;
        let Some(wallet) = own(tx, &self.user).await?.into_iter().find(|wallet| wallet.id == self.id) else {
            return Ok(Err(Error::new(Code::NotFound, "wallet.missing", "the user has no such wallet")));
        };
        if ways::count(tx, &self.user).await? <= 1 {
            return Ok(Err(ways::last()));
        }
        tx.execute(REMOVE, args![people::PLATFORM, self.user.as_str(), self.id.as_str()]).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(wallet))
    }
}
