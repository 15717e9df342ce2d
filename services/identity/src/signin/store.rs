//! The SQL of factors: passwords, one-time codes, recovery codes, and tokens on their way.

use nsl_core::{Code, Entry, Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, EngineKind, Scope, Single, Tx, args};
use serde::{Deserialize, Serialize};

use super::{
    gate::{self, Who},
    service::wrong,
};
use crate::{
    people::store::PLATFORM,
    tokens::{Basis, store::times_set},
};

static PASSWORD: &str = "SELECT phc, times_set FROM passwords WHERE tenant_id = $1 AND user_id = $2";
static SET_PASSWORD: &str = "INSERT INTO passwords (tenant_id, user_id, phc, changed_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET phc = excluded.phc, changed_at = excluded.changed_at,
        times_set = passwords.times_set + 1";
static REHASH: &str = "UPDATE passwords SET phc = $4 WHERE tenant_id = $1 AND user_id = $2 AND phc = $3";
static TOTP: &str =
    "SELECT sealed, seal_key, last_step FROM totps WHERE tenant_id = $1 AND user_id = $2 AND state = $3";
static CODES_LEFT: &str = "SELECT count(*) FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2";
static ADD_MFA: &str = "INSERT INTO mfa_tokens (tenant_id, digest, user_id, for_tenant, amr, tries, expires_at)
    VALUES ($1, $2, $3, $4, $5, 0, $6)";
static MFA: &str = "SELECT user_id, for_tenant, amr FROM mfa_tokens
    WHERE tenant_id = $1 AND digest = $2 AND expires_at > $3 AND tries < $4";
static TRY_MFA: &str = "UPDATE mfa_tokens SET tries = tries + 1
    WHERE tenant_id = $1 AND digest = $2 AND expires_at > $3 AND tries < $4 RETURNING user_id, for_tenant, amr, tries";
static HAS_MFA: &str = "SELECT count(*) FROM mfa_tokens WHERE tenant_id = $1 AND digest = $2 AND expires_at > $3";
static END_MFA: &str = "DELETE FROM mfa_tokens WHERE tenant_id = $1 AND digest = $2";
static NETWORK: &str = "INSERT INTO signin_networks (tenant_id, user_id, network, last_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant_id, user_id, network) DO UPDATE SET last_at = excluded.last_at";
static FEWER_NETWORKS: &str = "DELETE FROM signin_networks WHERE tenant_id = $1 AND user_id = $2 AND network IN (
    SELECT network FROM signin_networks WHERE tenant_id = $1 AND user_id = $2
    ORDER BY last_at DESC, network LIMIT 1000 OFFSET 20)";
static HAS_STEP: &str = "SELECT count(*) FROM totps
    WHERE tenant_id = $1 AND user_id = $2 AND state = 'active' AND last_step < $3";
static TAKE_STEP: &str = "UPDATE totps SET last_step = $3 WHERE tenant_id = $1 AND user_id = $2 AND state = 'active'";
static HAS_CODE: &str = "SELECT count(*) FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2 AND digest = $3";
static TAKE_CODE: &str = "DELETE FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2 AND digest = $3";
// Who takes a factor of one user goes one by one, so that each sees what the one before took.
static TAKE_TURN: &str =
    "SELECT count(*) FROM pg_advisory_xact_lock(hashtextextended('identity.signin ' || $1::text, 0))";

static FORGET_FACTORS: &[&str] = &[
    "DELETE FROM passwords WHERE tenant_id = $1 AND user_id = $2",
    "DELETE FROM totps WHERE tenant_id = $1 AND user_id = $2",
    "DELETE FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2",
    "DELETE FROM mfa_tokens WHERE tenant_id = $1 AND user_id = $2",
    "DELETE FROM reset_tokens WHERE tenant_id = $1 AND user_id = $2",
    "DELETE FROM signin_networks WHERE tenant_id = $1 AND user_id = $2",
];

/// Tries that one mfa_token is good for.
pub(super) const TRIES: i64 = 5;

/// Everything that a person signs in with by password, and what was noted of it: for erasure, in a platform write.
pub(crate) async fn forget_factors(tx: &mut Tx<'_>, user: &str) -> Result<()> {
    for sql in FORGET_FACTORS {
        tx.execute(sql, args![PLATFORM, user]).await?;
    }
    Ok(())
}

/// What is kept of a password, and how often it was set.
pub(super) async fn password(db: &Db, user: &str) -> Result<Option<(String, i64)>> {
    let mut found = db.query(Scope::Platform, PASSWORD, args![PLATFORM, user]).await?;
    found.first_mut().map(|row| Ok((row.take(0)?, row.take(1)?))).transpose()
}

/// For a new account or a new password.
pub(super) async fn set_password(tx: &mut Tx<'_>, user: &str, phc: &str, now: Timestamp) -> Result<()> {
    tx.execute(SET_PASSWORD, args![PLATFORM, user, phc, now]).await.map(drop)
}

pub(super) async fn count(tx: &mut Tx<'_>, sql: &'static str, args: Vec<nsl_sql::Value>) -> Result<i64> {
    Ok(tx.query(sql, args).await?.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0))
}

pub(super) async fn take_turn(tx: &mut Tx<'_>, user: &str) -> Result<()> {
    if tx.engine() == EngineKind::Postgres {
        tx.query(TAKE_TURN, args![user]).await?;
    }
    Ok(())
}

/// A seed as it is kept.
pub(super) struct Totp {
    pub(super) sealed: Vec<u8>,
    pub(super) seal_key: String,
    pub(super) last_step: i64,
}

/// `state`: `active`, or `pending` until it is confirmed.
pub(super) async fn totp(db: &Db, user: &str, state: &str) -> Result<Option<Totp>> {
    let mut found = db.query(Scope::Platform, TOTP, args![PLATFORM, user, state]).await?;
    let Some(row) = found.first_mut() else { return Ok(None) };
    Ok(Some(Totp { sealed: row.take(0)?, seal_key: row.take(1)?, last_step: row.take(2)? }))
}

pub(super) async fn codes_left(db: &Db, user: &str) -> Result<u32> {
    let mut found = db.query(Scope::Platform, CODES_LEFT, args![PLATFORM, user]).await?;
    let left: i64 = found.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(0);
    Ok(u32::try_from(left).unwrap_or(0))
}

pub(super) async fn has_code(db: &Db, user: &str, digest: &str) -> Result<bool> {
    let mut found = db.query(Scope::Platform, HAS_CODE, args![PLATFORM, user, digest]).await?;
    Ok(found.first_mut().map(|row| row.take::<i64>(0)).transpose()?.unwrap_or(0) > 0)
}

/// What goes with a password that was right.
#[derive(Clone, Default)]
pub(crate) struct Right {
    pub(super) who: Option<Who>,
    /// User, what was kept, what is kept instead.
    pub(super) rehash: Option<(String, String, String)>,
    /// How often it was set.
    pub(super) times_set: Option<i64>,
    /// The identity elsewhere that was shown instead.
    pub(super) link: Option<String>,
}

impl Right {
    pub(super) fn basis(&self) -> Basis {
        match &self.link {
            Some(link) => Basis::Link(link.clone()),
            None => self.times_set.map_or(Basis::Firm, |times| Basis::Password(Some(times))),
        }
    }

    /// Refuses where another password was set since this one was looked at.
    pub(super) async fn check(&self, tx: &mut Tx<'_>, user: &str) -> Result<Result<()>> {
        let stands = self.times_set.is_none() || self.times_set == times_set(tx, user).await?;
        Ok(if stands { Ok(()) } else { Err(wrong()) })
    }

    async fn settle(&self, tx: &mut Tx<'_>) -> Result<()> {
        if let Some(who) = &self.who {
            gate::forget(tx, who).await?;
        }
        if let Some((user, before, after)) = &self.rehash {
            tx.execute(REHASH, args![PLATFORM, user.clone(), before.clone(), after.clone()]).await?;
        }
        Ok(())
    }
}

/// A person is in: notes it, and where from.
pub(super) struct Enter {
    pub(super) user: String,
    pub(super) right: Right,
    pub(super) network: String,
    pub(super) now: Timestamp,
    pub(super) evidence: Entry,
}

impl Single for Enter {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        if let Err(wrong) = self.right.check(tx, &self.user).await? {
            return Ok(Err(wrong));
        }
        self.right.settle(tx).await?;
        note_network(tx, &self.user, &self.network, self.now).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

async fn note_network(tx: &mut Tx<'_>, user: &str, network: &str, now: Timestamp) -> Result<()> {
    tx.execute(NETWORK, args![PLATFORM, user, network, now]).await?;
    tx.execute(FEWER_NETWORKS, args![PLATFORM, user]).await.map(drop)
}

/// The first factor was right: awaits the second.
pub(super) struct Await {
    pub(super) user: String,
    pub(super) right: Right,
    pub(super) digest: String,
    pub(super) tenant: Option<TenantId>,
    pub(super) amr: Vec<String>,
    pub(super) expires_at: Timestamp,
    pub(super) evidence: Entry,
}

impl Single for Await {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        // A new password ends all that await a second factor: who comes after it was not among them.
        take_turn(tx, &self.user).await?;
        if let Err(wrong) = self.right.check(tx, &self.user).await? {
            return Ok(Err(wrong));
        }
        self.right.settle(tx).await?;
        let tenant = self.tenant.as_ref().map(|tenant| tenant.as_str().to_owned());
        let amr = serde_json::json!(self.amr);
        let args = args![PLATFORM, self.digest.clone(), self.user.clone(), tenant, &amr, self.expires_at];
        tx.execute(ADD_MFA, args).await?;
        tx.note(self.evidence.clone());
        Ok(Ok(()))
    }
}

/// A sign-in that awaits its second factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Awaiting {
    pub(crate) user: String,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) amr: Vec<String>,
    tries_left: i64,
}

impl Awaiting {
    pub(super) fn tries_left(&self) -> i64 {
        self.tries_left
    }
}

/// Looks at it without using up a try.
pub(super) async fn awaiting(db: &Db, digest: &str, now: Timestamp) -> Result<Awaiting> {
    let mut found = db.query(Scope::Platform, MFA, args![PLATFORM, digest, now, TRIES]).await?;
    let Some(row) = found.first_mut() else { return Err(mfa_unknown()) };
    read_awaiting(row, TRIES)
}

fn read_awaiting(row: &mut nsl_sql::Row, tries_left: i64) -> Result<Awaiting> {
    let amr: serde_json::Value = row.take(2)?;
    Ok(Awaiting {
        user: row.take(0)?,
        tenant: row.take(1)?,
        amr: serde_json::from_value(amr).map_err(Error::internal)?,
        tries_left,
    })
}

pub(super) fn mfa_unknown() -> Error {
    Error::new(Code::Unauthenticated, "signin.mfa_token", "the mfa_token is not valid, any more or at all")
}

/// Uses up a try before the factor is looked at: however many are made at once, no more than those are.
pub(super) struct Try {
    pub(super) digest: String,
    pub(super) now: Timestamp,
}

impl Single for Try {
    type Done = Awaiting;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Awaiting>> {
        let mut found = tx.query(TRY_MFA, args![PLATFORM, self.digest.clone(), self.now, TRIES]).await?;
        let Some(row) = found.first_mut() else { return Ok(Err(mfa_unknown())) };
        let tries: i64 = row.take(3)?;
        read_awaiting(row, TRIES - tries).map(Ok)
    }
}

/// Something that counts once.
#[derive(Clone, Debug)]
pub(super) enum Spent {
    /// The time step of a code.
    Step(i64),
    /// The digest of a recovery code.
    Code(String),
    /// Spent already, by those who check it.
    Elsewhere,
}

/// A second factor was right: takes what counts once, and ends the wait where there is one.
pub(super) struct Show {
    pub(super) user: String,
    pub(super) spent: Spent,
    pub(super) mfa: Option<String>,
    pub(super) who: Option<Who>,
    pub(super) network: String,
    pub(super) now: Timestamp,
    pub(super) evidence: Entry,
}

impl Single for Show {
    /// How often the password was set, of those that there were up to now.
    type Done = Option<i64>;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<Option<i64>>> {
        take_turn(tx, &self.user).await?;
        if let Some(digest) = &self.mfa
            && count(tx, HAS_MFA, args![PLATFORM, digest.clone(), self.now]).await? == 0
        {
            return Ok(Err(mfa_unknown()));
        }
        let (has, take, args) = match &self.spent {
            Spent::Step(step) => (HAS_STEP, TAKE_STEP, args![PLATFORM, self.user.clone(), *step]),
            Spent::Code(digest) => (HAS_CODE, TAKE_CODE, args![PLATFORM, self.user.clone(), digest.clone()]),
            Spent::Elsewhere => ("", "", Vec::new()),
        };
        if !take.is_empty() {
            if count(tx, has, args.clone()).await? == 0 {
                return Ok(Err(code_wrong()));
            }
            tx.execute(take, args).await?;
        }
        if let Some(digest) = &self.mfa {
            tx.execute(END_MFA, args![PLATFORM, digest.clone()]).await?;
        }
        if let Some(who) = &self.who {
            gate::forget(tx, who).await?;
        }
        note_network(tx, &self.user, &self.network, self.now).await?;
        tx.note(self.evidence.clone());
        times_set(tx, &self.user).await.map(Ok)
    }
}

pub(super) fn code_wrong() -> Error {
    Error::new(Code::Unauthenticated, "signin.code_wrong", "the code is wrong, or was used before")
}
