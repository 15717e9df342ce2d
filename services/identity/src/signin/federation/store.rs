//! All SQL of identities elsewhere.

use nsl_api::federation::{FederatedInfo, ProviderInfo};
use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, Row, Scope, Single, Tx, args};
use serde::{Deserialize, Serialize};

use crate::{
    people::store::{self as people, NewTenant, User},
    signin::ways,
    tokens::store::End,
};

const MOST_PROVIDERS: i64 = 20;

static PROVIDERS: &str =
    "SELECT name, settings, secret, secret_key, updated_at FROM identity_providers WHERE tenant_id = $1 ORDER BY name";
static PROVIDER: &str = "SELECT name, settings, secret, secret_key, updated_at FROM identity_providers
    WHERE tenant_id = $1 AND name = $2";
static PUT_PROVIDER: &str = "INSERT INTO identity_providers (tenant_id, name, settings, secret, secret_key, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, name) DO UPDATE SET settings = excluded.settings,
        secret = excluded.secret, secret_key = excluded.secret_key, updated_at = excluded.updated_at";
static COUNT_OTHERS: &str = "SELECT count(*) FROM identity_providers WHERE tenant_id = $1 AND name <> $2";
static REMOVE_PROVIDER: &str = "DELETE FROM identity_providers WHERE tenant_id = $1 AND name = $2";
static FIND: &str = "SELECT id, issuer, subject, created_at, last_used_at, user_id FROM federated
    WHERE tenant_id = $1 AND issuer = $2 AND subject = $3";
static OF_USER: &str = "SELECT id, issuer, subject, created_at, last_used_at, user_id FROM federated
    WHERE user_id = $1 ORDER BY created_at, id";
static LINK: &str = "INSERT INTO federated (tenant_id, id, issuer, subject, user_id, created_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, issuer, subject) DO NOTHING";
static USED: &str = "UPDATE federated SET last_used_at = $2 WHERE id = $1";
static UNLINK: &str = "DELETE FROM federated WHERE user_id = $1 AND id = $2";
static OWN: &str = "SELECT 1 FROM federated WHERE user_id = $1 AND id = $2";
static FORGET: &str = "DELETE FROM federated WHERE user_id = $1";
static FORGET_FLOWS: &str = "DELETE FROM federation_flows WHERE link_user = $1";
static SWEEP: &str = "DELETE FROM federation_flows WHERE expires_at <= $1";
static BEGIN: &str = "INSERT INTO federation_flows (tenant_id, id, flow, provider, issuer, redirect_uri, link_user,
        sealed, sealed_key, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
// Who knows the state alone, which stands in addresses, takes nothing away.
static TAKE: &str = "DELETE FROM federation_flows WHERE id = $1 AND flow = $2
    RETURNING tenant_id, provider, issuer, redirect_uri, link_user, sealed, sealed_key, created_at, expires_at";
static IS_MANAGED: &str =
    "SELECT 1 FROM federated WHERE user_id = $1 AND tenant_id <> 'platform' AND tenant_id <> $2 LIMIT 1";
static ELSEWHERE: &str = "SELECT 1 FROM members WHERE user_id = $1 AND tenant_id <> $2 LIMIT 1";

/// What a tenant said of a provider, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) title: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) email_claim: String,
    pub(super) name_claim: String,
    pub(super) redirect_uris: Vec<String>,
    pub(super) sign_up: bool,
    pub(super) default_roles: Vec<String>,
    /// Who lets those in who come for the first time, while they may.
    pub(super) set_by: Option<String>,
}

/// A provider of a tenant's.
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) said: Said,
    pub(super) secret: Option<(Vec<u8>, String)>,
    pub(super) updated_at: Timestamp,
}

fn stored(mut row: Row) -> Result<Stored> {
    let secret: Option<Vec<u8>> = row.take(2)?;
    Ok(Stored {
        name: row.take(0)?,
        said: serde_json::from_value(row.take(1)?).map_err(Error::internal)?,
        secret: secret.zip(row.take::<Option<String>>(3)?),
        updated_at: row.take(4)?,
    })
}

pub(super) async fn providers(db: &Db, tenant: &TenantId) -> Result<Vec<Stored>> {
    db.query(Scope::Tenant(tenant), PROVIDERS, args![tenant]).await?.into_iter().map(stored).collect()
}

pub(super) async fn provider(db: &Db, tenant: &TenantId, name: &str) -> Result<Option<Stored>> {
    let rows = db.query(Scope::Tenant(tenant), PROVIDER, args![tenant, name]).await?;
    rows.into_iter().next().map(stored).transpose()
}

/// An identity elsewhere, and whose it is here.
pub(super) struct Federated {
    pub(super) info: FederatedInfo,
    pub(super) user: String,
}

fn federated(mut row: Row) -> Result<Federated> {
    Ok(Federated {
        info: FederatedInfo {
            id: row.take(0)?,
            issuer: row.take(1)?,
            subject: row.take(2)?,
            created_at: row.take(3)?,
            last_used_at: row.take(4)?,
        },
        user: row.take(5)?,
    })
}

pub(super) async fn find(db: &Db, owner: &TenantId, issuer: &str, subject: &str) -> Result<Option<Federated>> {
    let rows = db.query(Scope::Platform, FIND, args![owner, issuer, subject]).await?;
    rows.into_iter().next().map(federated).transpose()
}

pub(super) async fn of_user(db: &Db, user: &str) -> Result<Vec<Federated>> {
    db.query(Scope::Platform, OF_USER, args![user]).await?.into_iter().map(federated).collect()
}

/// Whether another tenant's provider has a say in who this account is: then it becomes a member of that tenant alone,
/// or whoever runs that provider would be let in wherever the person is.
pub(crate) async fn is_managed_elsewhere(tx: &mut Tx<'_>, tenant: &TenantId, user: &str) -> Result<bool> {
    // Not while the person is about to be tied to such a provider.
    ways::turn(tx, user).await?;
    Ok(!tx.query(IS_MANAGED, args![user, tenant]).await?.is_empty())
}

/// Whether a person belongs to other tenants than this one, be it that the membership or the tenant rests.
pub(super) async fn is_elsewhere(db: &Db, tenant: &TenantId, user: &str) -> Result<bool> {
    Ok(!db.query(Scope::Platform, ELSEWHERE, args![user, tenant]).await?.is_empty())
}

/// For a person who is erased.
pub(crate) async fn forget_federated(tx: &mut Tx<'_>, user: &str) -> Result<()> {
    tx.execute(FORGET, args![user]).await?;
    tx.execute(FORGET_FLOWS, args![user]).await.map(drop)
}

/// Keeps a sign-in that is under way, and forgets those that are over.
pub(super) struct Begin {
    pub(super) owner: TenantId,
    pub(super) id: String,
    pub(super) flow: String,
    pub(super) provider: String,
    pub(super) issuer: String,
    pub(super) redirect_uri: String,
    pub(super) link_user: Option<String>,
    pub(super) sealed: Vec<u8>,
    pub(super) sealed_key: String,
    pub(super) now: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Single for Begin {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        tx.execute(SWEEP, args![self.now]).await?;
        let row = args![
            &self.owner,
            self.id.clone(),
            self.flow.clone(),
            self.provider.clone(),
            self.issuer.clone(),
            self.redirect_uri.clone(),
            self.link_user.clone(),
            self.sealed.clone(),
            self.sealed_key.clone(),
            self.now,
            self.expires_at
        ];
        tx.execute(BEGIN, row).await?;
        Ok(Ok(()))
    }
}

/// Takes a sign-in that is under way, so that its state works once.
pub(super) struct Take {
    pub(super) id: String,
    pub(super) flow: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) owner: TenantId,
    pub(super) provider: String,
    pub(super) issuer: String,
    pub(super) redirect_uri: String,
    pub(super) link_user: Option<String>,
    pub(super) sealed: Vec<u8>,
    pub(super) sealed_key: String,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Single for Take {
    type Done = Option<Taken>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Option<Taken>>> {
        let rows = tx.query(TAKE, args![self.id.clone(), self.flow.clone()]).await?;
        let taken = |mut row: Row| {
            Ok(Taken {
                owner: row.take(0)?,
                provider: row.take(1)?,
                issuer: row.take(2)?,
                redirect_uri: row.take(3)?,
                link_user: row.take(4)?,
                sealed: row.take(5)?,
                sealed_key: row.take(6)?,
                created_at: row.take(7)?,
                expires_at: row.take(8)?,
            })
        };
        Ok(Ok(rows.into_iter().next().map(taken).transpose()?))
    }
}

/// Ties an identity elsewhere to a person: one who is there, or one who is made for it.
pub(super) struct Link {
    pub(super) owner: TenantId,
    pub(super) info: FederatedInfo,
    pub(super) user: String,
    pub(super) new: Option<New>,
    pub(super) evidence: Vec<Entry>,
}

/// A person who comes for the first time, and what they become a member of.
pub(super) struct New {
    pub(super) user: User,
    pub(super) tenant: TenantId,
    /// The name of a tenant of their own; else they get these roles.
    pub(super) own: Option<String>,
    pub(super) roles: Vec<String>,
}

impl Single for Link {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        if let Some(new) = &self.new {
            insert_user(tx, &new.user).await?;
        } else if self.owner.as_str() != people::PLATFORM {
            ways::turn(tx, &self.user).await?;
            if !tx.query(ELSEWHERE, args![self.user.clone(), &self.owner]).await?.is_empty() {
                return Ok(Err(elsewhere_too()));
            }
        }
        let info = &self.info;
        let (id, issuer, subject) = (info.id.clone(), info.issuer.clone(), info.subject.clone());
        let row = args![&self.owner, id, issuer, subject, self.user.clone(), info.created_at];
        if tx.execute(LINK, row).await? == 0 {
            let taken = Error::new(Code::Conflict, "federation.taken", "somebody has this identity already");
            // With a person made above, all of it is undone.
            return if self.new.is_some() { Err(taken) } else { Ok(Err(taken)) };
        }
        if let Some(New { user, tenant, own, roles }) = &self.new {
            let at = user.created_at;
            match own {
                Some(name) => {
                    let new = NewTenant { tenant: tenant.clone(), name: name.clone(), at };
                    people::insert_tenant(tx, &new, &user.id).await?;
                }
                None => people::add_member(tx, tenant, &user.id, roles, at).await?,
            }
        }
        self.evidence.iter().cloned().for_each(|entry| tx.note(entry));
        Ok(Ok(()))
    }
}

/// Whoever says first that an address is theirs keeps nobody out who comes with a provider's word for it: then the
/// account goes without.
async fn insert_user(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    match people::insert_user(tx, user).await {
        Err(taken) if taken.code == Code::Conflict => {
            people::insert_user(tx, &User { email: None, ..user.clone() }).await
        }
        done => done,
    }
}

/// Notes when an identity elsewhere was last used.
pub(super) struct Used {
    pub(super) id: String,
    pub(super) at: Timestamp,
}

impl Single for Used {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        tx.execute(USED, args![self.id.clone(), self.at]).await?;
        Ok(Ok(()))
    }
}

pub(super) struct Unlink {
    pub(super) user: String,
    pub(super) id: String,
    /// Of all sessions but the one that asks.
    pub(super) end: End,
    pub(super) evidence: Entry,
}

impl Single for Unlink {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let own = || args![self.user.clone(), self.id.clone()];
        ways::turn(tx, &self.user).await?;
        if tx.query(OWN, own()).await?.is_empty() {
            return Ok(Err(link_missing()));
        }
        if ways::count(tx, &self.user).await? <= 1 {
            return Ok(Err(ways::last()));
        }
        tx.execute(UNLINK, own()).await?;
        tx.note(self.evidence.clone());
        Ok(self.end.one(tx).await?.map(drop))
    }
}

pub(super) fn elsewhere_too() -> Error {
    let message = "the account belongs to other tenants too, which this provider has no say in";
    Error::new(Code::Forbidden, "federation.elsewhere_too", message)
}

pub(super) fn link_missing() -> Error {
    Error::new(Code::NotFound, "federation.link_missing", "there is no such identity")
}

pub(super) fn provider_missing() -> Error {
    Error::new(Code::NotFound, "federation.provider_missing", "there is no such identity provider")
}

/// Sets a provider of a tenant's.
pub(super) struct Put {
    pub(super) tenant: TenantId,
    pub(super) name: String,
    pub(super) said: Said,
    pub(super) secret: Option<(Vec<u8>, String)>,
    pub(super) info: ProviderInfo,
    pub(super) evidence: Entry,
}

impl Single for Put {
    type Done = ProviderInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<ProviderInfo>> {
        let mut rows = tx.query(COUNT_OTHERS, args![&self.tenant, self.name.clone()]).await?;
        if rows.first_mut().map(|row| row.take::<i64>(0)).transpose()?.unwrap_or(0) >= MOST_PROVIDERS {
            let message = format!("a tenant has at most {MOST_PROVIDERS} identity providers");
            return Ok(Err(Error::new(Code::Exhausted, "federation.too_many", message)));
        }
        let said = serde_json::to_value(&self.said).map_err(Error::internal)?;
        let (secret, key) = self.secret.clone().unzip();
        let row = args![&self.tenant, self.name.clone(), &said, secret, key, self.info.updated_at];
        tx.execute(PUT_PROVIDER, row).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(self.info.clone()))
    }
}

pub(super) struct RemoveProvider {
    pub(super) tenant: TenantId,
    pub(super) name: String,
    pub(super) evidence: Entry,
}

impl Single for RemoveProvider {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        if tx.execute(REMOVE_PROVIDER, args![&self.tenant, self.name.clone()]).await? == 0 {
            return Ok(Err(provider_missing()));
        }
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}
