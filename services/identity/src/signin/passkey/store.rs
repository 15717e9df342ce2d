//! All SQL of passkeys.

use nsl_api::passkey::PasskeyInfo;
use nsl_core::{Code, Entry, Error, Result, Timestamp};
use nsl_sql::{Db, Row, Scope, Single, Tx, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs::prelude::Passkey;

use crate::{people::store::PLATFORM, signin::ways};

const MOST_OF_ONE: i64 = 20;

static OF_USER: &str = "SELECT id, user_id, handle, credential, name, created_at, last_used_at, backed_up
    FROM passkeys WHERE tenant_id = 'platform' AND user_id = $1 ORDER BY created_at, id";
static BY_CREDENTIAL: &str = "SELECT id, user_id, handle, credential, name, created_at, last_used_at, backed_up
    FROM passkeys WHERE credential_id = $1";
static COUNT: &str = "SELECT count(*) FROM passkeys WHERE tenant_id = 'platform' AND user_id = $1";
static INSERT: &str = "INSERT INTO passkeys (tenant_id, id, user_id, handle, credential_id, credential, sign_count,
        backed_up, name, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (credential_id) DO NOTHING";
// Two answers with one count cannot both be of the authenticator that was registered, whichever comes first.
static USED: &str = "UPDATE passkeys SET credential = $2, sign_count = $3, backed_up = $4, last_used_at = $5
    WHERE tenant_id = 'platform' AND id = $1 AND (sign_count < $3 OR (sign_count = 0 AND $3 = 0))";
static RENAME: &str = "UPDATE passkeys SET name = $3 WHERE tenant_id = 'platform' AND user_id = $1 AND id = $2";
static REMOVE: &str = "DELETE FROM passkeys WHERE tenant_id = 'platform' AND user_id = $1 AND id = $2";
static OWN: &str = "SELECT 1 FROM passkeys WHERE tenant_id = 'platform' AND user_id = $1 AND id = $2";
static FORGET: &str = "DELETE FROM passkeys WHERE tenant_id = 'platform' AND user_id = $1";
static FORGET_CEREMONIES: &str = "DELETE FROM passkey_ceremonies WHERE tenant_id = 'platform' AND user_id = $1";
static SWEEP: &str = "DELETE FROM passkey_ceremonies WHERE tenant_id = 'platform' AND expires_at <= $1";
static BEGIN: &str = "INSERT INTO passkey_ceremonies (tenant_id, id, kind, user_id, state, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6)";
static TAKE: &str = "DELETE FROM passkey_ceremonies WHERE tenant_id = 'platform' AND id = $1
    RETURNING kind, user_id, state, expires_at";

/// A passkey as it is kept.
pub(super) struct Kept {
    pub(super) user: String,
    pub(super) handle: String,
    pub(super) passkey: Passkey,
    pub(super) info: PasskeyInfo,
}

fn kept(mut row: Row) -> Result<Kept> {
    Ok(Kept {
        user: row.take(1)?,
        handle: row.take(2)?,
        passkey: serde_json::from_value(row.take(3)?).map_err(Error::internal)?,
        info: PasskeyInfo {
            id: row.take(0)?,
            name: row.take(4)?,
            created_at: row.take(5)?,
            last_used_at: row.take(6)?,
            backed_up: row.take(7)?,
        },
    })
}

/// Oldest first.
pub(super) async fn of_user(db: &Db, user: &str) -> Result<Vec<Kept>> {
    db.query(Scope::Platform, OF_USER, args![user]).await?.into_iter().map(kept).collect()
}

/// Whether the person has a passkey to show.
pub(crate) async fn has_passkey(db: &Db, user: &str) -> Result<bool> {
    let mut rows = db.query(Scope::Platform, COUNT, args![user]).await?;
    Ok(rows.first_mut().map(|row| row.take::<i64>(0)).transpose()?.unwrap_or(0) > 0)
}

/// For a person who is erased.
pub(crate) async fn forget_passkeys(tx: &mut Tx<'_>, user: &str) -> Result<()> {
    tx.execute(FORGET, args![user]).await?;
    tx.execute(FORGET_CEREMONIES, args![user]).await.map(drop)
}

/// `credential_id` in base64url.
pub(super) async fn by_credential(db: &Db, credential_id: String) -> Result<Option<Kept>> {
    db.query(Scope::Platform, BY_CREDENTIAL, args![credential_id]).await?.into_iter().next().map(kept).transpose()
}

pub(super) fn missing() -> Error {
    Error::new(Code::NotFound, "passkey.missing", "there is no such passkey")
}

/// Keeps a challenge, and forgets those that are over.
pub(super) struct Begin {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) user: Option<String>,
    pub(super) state: Value,
    pub(super) now: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Single for Begin {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        tx.execute(SWEEP, args![self.now]).await?;
        let row = args![PLATFORM, self.id.clone(), self.kind, self.user.clone(), &self.state, self.expires_at];
        tx.execute(BEGIN, row).await?;
        Ok(Ok(()))
    }
}

/// Takes a challenge away, so that it is answered once at most.
pub(super) struct Take {
    pub(super) id: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) kind: String,
    pub(super) user: Option<String>,
    pub(super) state: Value,
    pub(super) expires_at: Timestamp,
}

impl Single for Take {
    type Done = Option<Taken>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Option<Taken>>> {
        let rows = tx.query(TAKE, args![self.id.clone()]).await?;
        let taken = |mut row: Row| {
            Ok(Taken { kind: row.take(0)?, user: row.take(1)?, state: row.take(2)?, expires_at: row.take(3)? })
        };
        Ok(Ok(rows.into_iter().next().map(taken).transpose()?))
    }
}

/// Keeps a new passkey.
pub(super) struct Add {
    pub(super) user: String,
    pub(super) handle: String,
    pub(super) credential_id: String,
    pub(super) credential: Value,
    pub(super) sign_count: u32,
    pub(super) info: PasskeyInfo,
    pub(super) evidence: Entry,
}

impl Single for Add {
    type Done = PasskeyInfo;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<PasskeyInfo>> {
        let mut rows = tx.query(COUNT, args![self.user.clone()]).await?;
        let count: i64 = rows.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
        if count >= MOST_OF_ONE {
            let message = format!("a person has at most {MOST_OF_ONE} passkeys");
            return Ok(Err(Error::new(Code::Exhausted, "passkey.too_many", message)));
        }
        let info = &self.info;
        let row = args![
            PLATFORM,
            info.id.clone(),
            self.user.clone(),
            self.handle.clone(),
            self.credential_id.clone(),
            &self.credential,
            self.sign_count,
            info.backed_up,
            info.name.clone(),
            info.created_at
        ];
        if tx.execute(INSERT, row).await? == 0 {
            return Ok(Err(Error::new(Code::Conflict, "passkey.known", "this passkey is registered already")));
        }
        tx.note(self.evidence.clone());
        Ok(Ok(info.clone()))
    }
}

/// Keeps the count of a passkey that was used; false when another answer with it came first.
pub(super) struct Used {
    pub(super) id: String,
    pub(super) credential: Value,
    pub(super) sign_count: u32,
    pub(super) backed_up: bool,
    pub(super) at: Timestamp,
}

impl Single for Used {
    type Done = bool;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<bool>> {
        let row = args![self.id.clone(), &self.credential, self.sign_count, self.backed_up, self.at];
        Ok(Ok(tx.execute(USED, row).await? == 1))
    }
}

/// Gives a passkey another name, or forgets it when there is none.
pub(super) struct Edit {
    pub(super) user: String,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) evidence: Entry,
}

impl Single for Edit {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let (user, id) = (self.user.clone(), self.id.clone());
        if self.name.is_none() {
            ways::turn(tx, &self.user).await?;
            if tx.query(OWN, args![user.clone(), id.clone()]).await?.is_empty() {
                return Ok(Err(missing()));
            }
            if ways::count(tx, &self.user).await? <= 1 {
                return Ok(Err(ways::last()));
            }
        }
        let changed = match &self.name {
            Some(name) => tx.execute(RENAME, args![user, id, name.clone()]).await?,
            None => tx.execute(REMOVE, args![user, id]).await?,
        };
        if changed == 0 {
            return Ok(Err(missing()));
        }
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

/// Evidence alone.
pub(super) struct Note(pub(super) Entry);

impl Single for Note {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        tx.note(self.0.clone());
        Ok(Ok(()))
    }
}
