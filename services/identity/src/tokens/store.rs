//! Sessions and refresh tokens in SQL.

use std::{borrow::Cow, time::Duration};

use nsl_core::{Cx, Entry, Result, Secret, TenantId, Timestamp};
use nsl_sql::{Db, EngineKind, Row, Scope, Single, Statement, Tx, args};
use serde::{Deserialize, Serialize};

use super::{
    revoked::{What, revoke},
    rules,
};
use crate::{people::store::PLATFORM, secrets::digest_of};

/// For so long a lost reply can be asked for again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long what has ended stays, so that who shows it late is told what became of it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, user_id, works_in, created_at, last_used_at, expires_at, ends_at, amr, second_factor_at, client, \
             jkt, scope, origin, seal_key, ended_at ",
            $after
        )
    };
}

static INSERT: &str = "INSERT INTO sessions (tenant_id, id, user_id, works_in, created_at, last_used_at, expires_at,
    ends_at, amr, second_factor_at, client, jkt, scope, origin, seal_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
static FIND: &str = columns!("SELECT", "FROM sessions WHERE id = $1");
static LIVE: &str = columns!(
    "SELECT",
    "FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY created_at DESC, id DESC"
);
static THROUGH: &str = columns!("SELECT", "FROM sessions WHERE client = $1 AND ended_at IS NULL AND expires_at > $2");
static TAKE_TURN: &str =
    "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.sessions ' || $1::text, 0))";
static END: &str = "UPDATE sessions SET ended_at = $2, ended_for = $3 WHERE id = $1 AND ended_at IS NULL";
static USE: &str = "UPDATE sessions SET last_used_at = $2, expires_at = $3, works_in = $4
    WHERE id = $1 AND ended_at IS NULL AND expires_at > $2";
static RAISE: &str = "UPDATE sessions SET second_factor_at = $2, amr = $3
    WHERE id = $1 AND ended_at IS NULL AND expires_at > $2";
static PASSWORD_SET: &str = "SELECT times_set FROM passwords WHERE tenant_id = $1 AND user_id = $2";
static LET_IN: &str = "SELECT s.id FROM device_codes d JOIN sessions s ON s.id = d.session
    WHERE d.tenant_id = $1 AND d.digest = $2 AND s.ended_at IS NULL AND s.expires_at > $3";
static LINKED: &str = "SELECT 1 FROM federated WHERE id = $1 AND user_id = $2";
static UNLET: &str = "UPDATE device_codes SET session = NULL WHERE user_id = $1 AND session IS NOT NULL";
static INSERT_TOKEN: &str = "INSERT INTO refresh_tokens (tenant_id, digest, session, made_at) VALUES ($1, $2, $3, $4)";
static TOKEN: &str = "SELECT session, spent_at, next, salt FROM refresh_tokens WHERE digest = $1";
static SPEND: &str = "UPDATE refresh_tokens SET spent_at = $2, next = $3, salt = $4
    WHERE digest = $1 AND spent_at IS NULL";
static FORGET_SALTS: &str = "UPDATE refresh_tokens SET salt = NULL WHERE salt IS NOT NULL AND spent_at < $1";
static FORGET_TOKENS: &str = "DELETE FROM refresh_tokens WHERE spent_at < $1
    OR session IN (SELECT id FROM sessions WHERE expires_at < $1 OR ended_at < $1)";
static FORGET_SESSIONS: &str = "DELETE FROM sessions WHERE expires_at < $1 OR ended_at < $1";

/// A sign-in that goes on. A row of the platform: it may move from one tenant of its user to another.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) tenant: TenantId,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// When it ends, however much it is used.
    pub(crate) ends_at: Timestamp,
    pub(crate) amr: Vec<String>,
    pub(crate) second_factor_at: Option<Timestamp>,
    pub(crate) client: Option<String>,
    pub(crate) jkt: Option<String>,
    /// What its tokens are limited to, if to less than its user may do.
    pub(crate) scope: Option<Vec<String>>,
    /// Address and program, sealed.
    pub(crate) origin: Option<Vec<u8>>,
    pub(crate) seal_key: Option<String>,
    pub(crate) ended_at: Option<Timestamp>,
}

impl Session {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

fn read(mut row: Row) -> Result<Session> {
    let scope: Option<String> = row.take(11)?;
    Ok(Session {
        id: row.take(0)?,
        user: row.take(1)?,
        tenant: row.take(2)?,
        created_at: row.take(3)?,
        last_used_at: row.take(4)?,
        expires_at: row.take(5)?,
        ends_at: row.take(6)?,
        amr: crate::people::store::list(row.take(7)?)?,
        second_factor_at: row.take(8)?,
        client: row.take(9)?,
        jkt: row.take(10)?,
        scope: scope.map(|scope| scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()),
        origin: row.take(12)?,
        seal_key: row.take(13)?,
        ended_at: row.take(14)?,
    })
}

pub(crate) async fn find(db: &Db, id: &str) -> Result<Option<Session>> {
    db.query(Scope::Platform, FIND, args![id]).await?.into_iter().next().map(read).transpose()
}

/// Newest first.
pub(crate) async fn live(db: &Db, user: &str, now: Timestamp) -> Result<Vec<Session>> {
    db.query(Scope::Platform, LIVE, args![user, now]).await?.into_iter().map(read).collect()
}

/// The session that a refresh token belongs to, also a spent one, and whether it is spent.
pub(crate) async fn by_token(db: &Db, digest: &str) -> Result<Option<(Session, bool)>> {
    let mut rows = db.query(Scope::Platform, TOKEN, args![digest]).await?;
    let Some(row) = rows.first_mut() else { return Ok(None) };
    let (session, spent): (String, Option<Timestamp>) = (row.take(0)?, row.take(1)?);
    Ok(find(db, &session).await?.map(|session| (session, spent.is_some())))
}

/// Ends a session within a transaction; false when it had ended before.
async fn end(tx: &mut Tx<'_>, cx: &Cx, session: &Session, why: &'static str, now: Timestamp) -> Result<bool> {
    if tx.execute(END, args![session.id.as_str(), now, why]).await? == 0 {
        return Ok(false);
    }
    revoke(tx, &[What::Session(session.id.clone())], now).await?;
    let cx = Cx { tenant: session.tenant.clone(), ..cx.clone() };
    let entry = Entry::new(&cx, "tokens.session_ended", "identity", "sessions", now)
        .request("session", session.id.as_str())
        .request("user", session.user.as_str())
        .request("reason", why);
    tx.note(entry);
    Ok(true)
}

/// Ends the sessions that were opened through a client. For a platform write.
pub(crate) async fn end_through(tx: &mut Tx<'_>, cx: &Cx, client: &str, now: Timestamp) -> Result<()> {
    for session in tx.query(THROUGH, args![client, now]).await? {
        end(tx, cx, &read(session)?, "client_ended", now).await?;
    }
    Ok(())
}

/// What a session rests on that is about to open. It may be taken back after it was looked at: so it is looked at again
/// in the transaction that opens the session, in turn with those that end all sessions.
#[derive(Clone, Debug)]
pub(crate) enum Basis {
    /// What nobody takes back in between.
    Firm,
    /// The password that was set for the so many-th time; None: there was none.
    Password(Option<i64>),
    /// The word of a session that let a device in: the digest of the device's code.
    Device(String),
    /// An identity elsewhere, by the id of its link.
    Link(String),
}

impl Basis {
    async fn check(&self, tx: &mut Tx<'_>, user: &str, now: Timestamp) -> Result<Result<()>> {
        Ok(match self {
            Self::Firm => Ok(()),
            Self::Password(times) if *times == times_set(tx, user).await? => Ok(()),
            Self::Password(_) => Err(crate::signin::wrong()),
            Self::Device(digest) if is_let_in(tx, digest, now).await? => Ok(()),
            Self::Device(_) => Err(crate::oauth::device_unknown()),
            Self::Link(id) if !tx.query(LINKED, args![id.as_str(), user]).await?.is_empty() => Ok(()),
            Self::Link(_) => Err(crate::signin::wrong()),
        })
    }
}

/// How often a user's password was set: another one has another number.
pub(crate) async fn times_set(tx: &mut Tx<'_>, user: &str) -> Result<Option<i64>> {
    tx.query(PASSWORD_SET, args![PLATFORM, user]).await?.first_mut().map(|row| row.take(0)).transpose()
}

/// Whether the session goes on that let a device in.
pub(crate) async fn is_let_in(tx: &mut Tx<'_>, digest: &str, now: Timestamp) -> Result<bool> {
    Ok(!tx.query(LET_IN, args![PLATFORM, digest, now]).await?.is_empty())
}

/// A new session with its first refresh token; ends the oldest where the user has too many.
pub(crate) struct Open {
    pub(crate) cx: Cx,
    pub(crate) session: Session,
    pub(crate) basis: Basis,
    pub(crate) digest: String,
    pub(crate) most: u32,
    pub(crate) evidence: Entry,
}

impl Single for Open {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let (new, now) = (&self.session, self.session.created_at);
        if tx.engine() == EngineKind::Postgres {
            tx.query(TAKE_TURN, args![new.user.as_str()]).await?;
        }
        if let Err(gone) = self.basis.check(tx, &new.user, now).await? {
            return Ok(Err(gone));
        }
        let live = tx.query(LIVE, args![new.user.as_str(), now]).await?;
        for oldest in live.into_iter().skip(self.most as usize - 1) {
            end(tx, &self.cx, &read(oldest)?, "too_many", now).await?;
        }
        let args = args![
            PLATFORM,
            new.id.as_str(),
            new.user.as_str(),
            &new.tenant,
            new.created_at,
            new.last_used_at,
            new.expires_at,
            new.ends_at,
            &serde_json::json!(new.amr),
            new.second_factor_at,
            new.client.clone(),
            new.jkt.clone(),
            new.scope.as_ref().map(|scope| scope.join(" ")),
            new.origin.clone(),
            new.seal_key.clone()
        ];
        tx.execute(INSERT, args).await?;
        tx.execute(INSERT_TOKEN, args![PLATFORM, self.digest.as_str(), new.id.as_str(), now]).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

/// Spends a refresh token and puts the next in its place.
pub(crate) struct Turn {
    pub(crate) cx: Cx,
    pub(crate) session: Session,
    pub(crate) spent: Secret,
    pub(crate) next: String,
    /// The idempotency key, and the salt that went into the next token with it.
    pub(crate) once: Option<(String, [u8; 32])>,
    pub(crate) tenant: TenantId,
    pub(crate) expires_at: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) evidence: Entry,
    /// Of a second use, should it be one.
    pub(crate) theft: Entry,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Turned {
    Done,
    /// It was done a moment ago under the same key, with this salt.
    Again([u8; 32]),
    /// It was spent before: the session has ended with this.
    Reused,
    /// The session had ended.
    Over,
}

impl Turn {
    fn spent(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.spent.expose())
    }

    async fn repeated(&self, tx: &mut Tx<'_>, digest: &str) -> Result<Option<[u8; 32]>> {
        let Some(mut row) = tx.query(TOKEN, args![digest]).await?.into_iter().next() else { return Ok(None) };
        let (spent_at, next): (Option<Timestamp>, Option<String>) = (row.take(1)?, row.take(2)?);
        let salt: Option<Vec<u8>> = row.take(3)?;
        let salt = salt.and_then(|salt| <[u8; 32]>::try_from(salt).ok());
        let (Some((once, _)), Some(spent_at), Some(next), Some(salt)) = (&self.once, spent_at, next, salt) else {
            return Ok(None);
        };
        let is_theirs = digest_of(&rules::successor(&self.spent(), &salt, once)) == next;
        if !is_theirs || self.now.since(spent_at) > AGAIN {
            return Ok(None);
        }
        let next = tx.query(TOKEN, args![next]).await?.into_iter().next();
        let used: Option<Timestamp> = next.map(|mut row| row.take(1)).transpose()?.flatten();
        Ok(used.is_none().then_some(salt))
    }
}

impl Single for Turn {
    type Done = Turned;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Turned>> {
        let (id, now) = (self.session.id.as_str(), self.now);
        let digest = digest_of(&self.spent());
        let next = digest_of(&self.next);
        let salt = self.once.as_ref().map(|(_, salt)| salt.to_vec());
        // Who spends it first holds its row until the end of the transaction: all others find it spent.
        if tx.execute(SPEND, args![digest.as_str(), now, next.as_str(), salt]).await? == 1 {
            if tx.execute(USE, args![id, now, self.expires_at, &self.tenant]).await? == 0 {
                return Ok(Ok(Turned::Over));
            }
            tx.execute(INSERT_TOKEN, args![PLATFORM, next, id, now]).await?;
            tx.note(self.evidence.clone());
            return Ok(Ok(Turned::Done));
        }
        let session = tx.query(FIND, args![id]).await?.into_iter().next().map(read).transpose()?;
        let Some(session) = session.filter(|session| session.is_live(now)) else { return Ok(Ok(Turned::Over)) };
        if let Some(salt) = self.repeated(tx, &digest).await? {
            return Ok(Ok(Turned::Again(salt)));
        }
        if !end(tx, &self.cx, &session, "reuse", now).await? {
            return Ok(Ok(Turned::Over));
        }
        tx.note(self.theft.clone());
        Ok(Ok(Turned::Reused))
    }
}

/// Which sessions are to end.
pub(crate) enum Which {
    One(String),
    /// All of a user, but one; and those that devices are about to open.
    All {
        user: String,
        but: Option<String>,
    },
}

/// Ends sessions; gives the ids of those that were live.
pub(crate) struct End {
    pub(crate) cx: Cx,
    pub(crate) which: Which,
    pub(crate) why: &'static str,
    pub(crate) now: Timestamp,
}

impl Single for End {
    type Done = Vec<String>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Vec<String>>> {
        let (found, also) = match &self.which {
            Which::One(id) => (tx.query(FIND, args![id.as_str()]).await?, None),
            Which::All { user, but } => {
                if tx.engine() == EngineKind::Postgres {
                    // A sign-in under way would be missed: it is waited for.
                    tx.query(TAKE_TURN, args![user.as_str()]).await?;
                }
                tx.execute(UNLET, args![user.as_str()]).await?;
                let found = tx.query(LIVE, args![user.as_str(), self.now]).await?;
                (found, but.is_none().then(|| What::Subject(user.clone())))
            }
        };
        let but = match &self.which {
            Which::All { but, .. } => but.as_deref(),
            Which::One(_) => None,
        };
        let mut ended = Vec::new();
        for session in found.into_iter().map(read) {
            let session = session?;
            if but != Some(session.id.as_str()) && end(tx, &self.cx, &session, self.why, self.now).await? {
                ended.push(session.id);
            }
        }
        if let Some(also) = also {
            revoke(tx, &[also], self.now).await?;
        }
        Ok(Ok(ended))
    }
}

/// A session's person has shown a further factor.
pub(crate) struct Raise {
    pub(crate) session: String,
    pub(crate) amr: Vec<String>,
    pub(crate) now: Timestamp,
    pub(crate) evidence: Entry,
}

impl Single for Raise {
    type Done = bool;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<bool>> {
        let args = args![self.session.as_str(), self.now, &serde_json::json!(self.amr)];
        let is_live = tx.execute(RAISE, args).await? == 1;
        if is_live {
            tx.note(self.evidence.clone());
        }
        Ok(Ok(is_live))
    }
}

/// Removes what ended long ago, and what lost replies were to be made again with.
pub(crate) async fn forget(db: &Db, now: Timestamp) -> Result<()> {
    let sweep = [(FORGET_SALTS, AGAIN), (FORGET_TOKENS, KEPT), (FORGET_SESSIONS, KEPT)];
    for (sql, age) in sweep {
        db.write_platform(Statement { sql, args: args![now.minus(age)] }).await?;
    }
    Ok(())
}
