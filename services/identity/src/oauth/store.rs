//! Clients in SQL.

use nsl_api::oauth::{ClientGrant, ClientInfo};
use nsl_core::{Code, Cx, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Change, Db, EngineKind, Row, Scope, Single, Tx, args};

use crate::{
    page::ABOVE_ALL,
    people::store::list,
    tokens::{What, revoke, store as tokens},
};

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " tenant_id, id, name, scopes, grants, digest, old_digest, old_until, networks, created_at, expires_at, \
             suspended_at, last_used_at ",
            $after
        )
    };
}

// A tenant that is to be deleted lets nobody in; one that only tokens name has no row.
static FIND_ANY: &str = columns!(
    "SELECT",
    "FROM oauth_clients WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM tenants
        WHERE tenants.tenant_id = oauth_clients.tenant_id AND tenants.status <> 'active')"
);
static FIND: &str = columns!("SELECT", "FROM oauth_clients WHERE tenant_id = $1 AND id = $2");
static LOCK: &str = "SELECT 1 FROM oauth_clients WHERE tenant_id = $1 AND id = $2 FOR UPDATE";
static LIST: &str = columns!("SELECT", "FROM oauth_clients WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
static TAKE_TURN: &str =
    "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.clients ' || $1::text, 0))";
static COUNT: &str = "SELECT count(*) FROM oauth_clients WHERE tenant_id = $1";
static INSERT: &str = "INSERT INTO oauth_clients (tenant_id, id, name, scopes, grants, digest, networks, created_by,
    created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static UPDATE: &str = "UPDATE oauth_clients SET name = $3, scopes = $4, networks = $5, suspended_at = $6
    WHERE tenant_id = $1 AND id = $2";
static ROTATE: &str = "UPDATE oauth_clients SET digest = $3, old_digest = $4, old_until = $5
    WHERE tenant_id = $1 AND id = $2";
static DELETE: &str = "DELETE FROM oauth_clients WHERE tenant_id = $1 AND id = $2";
static USED: &str = "UPDATE oauth_clients SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2
    AND (last_used_at IS NULL OR last_used_at < $3)";

/// A client as it lies in its row.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) tenant: TenantId,
    pub(crate) info: ClientInfo,
    pub(crate) digest: Option<String>,
    pub(crate) old_digest: Option<String>,
}

fn read(mut row: Row) -> Result<Kept> {
    let grants: Vec<ClientGrant> = serde_json::from_value(row.take(4)?).map_err(Error::internal)?;
    let digest: Option<String> = row.take(5)?;
    Ok(Kept {
        tenant: row.take(0)?,
        old_digest: row.take(6)?,
        info: ClientInfo {
            id: row.take(1)?,
            name: row.take(2)?,
            scopes: list(row.take(3)?)?,
            grants,
            public: digest.is_none(),
            old_secret_until: row.take(7)?,
            networks: list(row.take(8)?)?,
            created_at: row.take(9)?,
            expires_at: row.take(10)?,
            suspended_at: row.take(11)?,
            last_used_at: row.take(12)?,
        },
        digest,
    })
}

/// A client of whatever tenant that is open.
pub(crate) async fn find_any(db: &Db, id: &str) -> Result<Option<Kept>> {
    db.query(Scope::Platform, FIND_ANY, args![id]).await?.into_iter().next().map(read).transpose()
}

pub(crate) async fn find(db: &Db, tenant: &TenantId, id: &str) -> Result<Option<ClientInfo>> {
    let rows = db.query(Scope::Tenant(tenant), FIND, args![tenant, id]).await?;
    Ok(rows.into_iter().next().map(read).transpose()?.map(|kept| kept.info))
}

/// Newest first.
pub(crate) async fn list_clients(
    db: &Db,
    tenant: &TenantId,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<ClientInfo>> {
    let below = after.unwrap_or_else(|| ABOVE_ALL.to_owned());
    let rows = db.query(Scope::Tenant(tenant), LIST, args![tenant, below, limit]).await?;
    rows.into_iter().map(|row| read(row).map(|kept| kept.info)).collect()
}

pub(crate) fn client_missing() -> Error {
    Error::new(Code::NotFound, "oauth.client_missing", "there is no such client")
}

pub(crate) struct Add {
    pub(crate) tenant: TenantId,
    pub(crate) client: ClientInfo,
    pub(crate) digest: Option<String>,
    pub(crate) created_by: String,
    pub(crate) most: u32,
    pub(crate) evidence: Entry,
}

impl Single for Add {
    // Not the secret: what a change gives back is kept beside idempotency keys.
    type Done = ClientInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<ClientInfo>> {
        if tx.engine() == EngineKind::Postgres {
            tx.query(TAKE_TURN, args![&self.tenant]).await?;
        }
        let mut rows = tx.query(COUNT, args![&self.tenant]).await?;
        let count: i64 = rows.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
        if count >= i64::from(self.most) {
            let message = format!("the tenant has {count} clients, which is all it may have");
            return Ok(Err(Error::new(Code::Exhausted, "oauth.clients_exhausted", message).detail("limit", self.most)));
        }
        let client = &self.client;
        let args = args![
            &self.tenant,
            client.id.as_str(),
            client.name.as_str(),
            &serde_json::json!(client.scopes),
            &serde_json::json!(client.grants),
            self.digest.clone(),
            &serde_json::json!(client.networks),
            self.created_by.as_str(),
            client.created_at,
            client.expires_at
        ];
        tx.execute(INSERT, args).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(client.clone()))
    }
}

/// The client at this moment; nobody else changes it before the end of the transaction.
async fn now(tx: &mut Tx<'_>, tenant: &TenantId, id: &str) -> Result<Option<Kept>> {
    if tx.engine() == EngineKind::Postgres {
        tx.query(LOCK, args![tenant, id]).await?;
    }
    tx.query(FIND, args![tenant, id]).await?.into_iter().next().map(read).transpose()
}

/// Takes back what the client got up to now, for itself and for people.
async fn end(tx: &mut Tx<'_>, cx: &Cx, tenant: &TenantId, client: &str, at: Timestamp) -> Result<()> {
    tokens::end_through(tx, cx, client, at).await?;
    revoke(tx, &[What::Within(tenant.clone(), client.to_owned())], at).await
}

/// A platform write: sessions that were opened through the client end with it.
pub(crate) struct Update {
    pub(crate) cx: Cx,
    pub(crate) tenant: TenantId,
    pub(crate) asked: nsl_api::oauth::UpdateClient,
    pub(crate) at: Timestamp,
    pub(crate) evidence: Entry,
}

impl Single for Update {
    type Done = ClientInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<ClientInfo>> {
        let (tenant, asked) = (&self.tenant, self.asked.clone());
        let Some(kept) = now(tx, tenant, &asked.id).await? else { return Ok(Err(client_missing())) };
        let mut client = kept.info;
        // Whatever it may do less from now on, tokens of before would still do.
        let narrows = asked.scopes.is_some() || asked.networks.is_some() || asked.suspended == Some(true);
        client.name = asked.name.unwrap_or(client.name);
        client.scopes = asked.scopes.unwrap_or(client.scopes);
        client.networks = asked.networks.unwrap_or(client.networks);
        client.suspended_at = match asked.suspended {
            Some(true) => client.suspended_at.or(Some(self.at)),
            Some(false) => None,
            None => client.suspended_at,
        };
        let args = args![
            tenant,
            client.id.as_str(),
            client.name.as_str(),
            &serde_json::json!(client.scopes),
            &serde_json::json!(client.networks),
            client.suspended_at
        ];
        tx.execute(UPDATE, args).await?;
        if narrows {
            end(tx, &self.cx, tenant, &client.id, self.at).await?;
        }
        tx.note(self.evidence.clone());
        Ok(Ok(client))
    }
}

/// Gives a client a new secret; the one of before works until `old_until`, and without that what it got ends too. A
/// platform write, as [`Update`].
pub(crate) struct Rotate {
    pub(crate) cx: Cx,
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) digest: String,
    /// Tells a repeated request that it is another's secret, without keeping anything of the secret.
    pub(crate) mark: String,
    pub(crate) old_until: Option<Timestamp>,
    pub(crate) at: Timestamp,
    pub(crate) evidence: Entry,
}

impl Single for Rotate {
    type Done = (String, ClientInfo);

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<(String, ClientInfo)>> {
        let Some(kept) = now(tx, &self.tenant, &self.id).await? else { return Ok(Err(client_missing())) };
        let Some(digest) = kept.digest else {
            return Ok(Err(Error::invalid("oauth.client_public", "a public client has no secret")));
        };
        let old = self.old_until.map(|_| digest);
        let args = args![&self.tenant, self.id.as_str(), self.digest.as_str(), old, self.old_until];
        tx.execute(ROTATE, args).await?;
        if self.old_until.is_none() {
            end(tx, &self.cx, &self.tenant, &self.id, self.at).await?;
        }
        tx.note(self.evidence.clone());
        Ok(Ok((self.mark.clone(), ClientInfo { old_secret_until: self.old_until, ..kept.info })))
    }
}

/// A platform write, as [`Update`].
pub(crate) struct Delete {
    pub(crate) cx: Cx,
    pub(crate) tenant: TenantId,
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) evidence: Entry,
}

impl Single for Delete {
    type Done = ClientInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<ClientInfo>> {
        let Some(kept) = now(tx, &self.tenant, &self.id).await? else { return Ok(Err(client_missing())) };
        tx.execute(DELETE, args![&self.tenant, self.id.as_str()]).await?;
        end(tx, &self.cx, &self.tenant, &self.id, self.at).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(kept.info))
    }
}

/// A client has got a token.
pub(crate) struct Used {
    pub(crate) tenant: TenantId,
    pub(crate) client: String,
    pub(crate) at: Timestamp,
    pub(crate) evidence: Entry,
}

impl Change for Used {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        for used in group {
            tx.execute(USED, args![&used.tenant, used.client.as_str(), used.at]).await?;
            tx.note(used.evidence.clone());
        }
        Ok(group.iter().map(|_| Ok(())).collect())
    }
}
