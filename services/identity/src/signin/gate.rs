//! Holds up those who guess, and never the owner.
//!
//! - Tries at an account are counted by network, so that wrong ones elsewhere cost its owner nothing.
//! - Tries from all networks that the account never signed in from are counted together too, and slowed down; where
//!   the owner signed in from before stays out of that.
//! - Accounts that do not exist are counted alike.
//! - Tries of one network at one account go one by one, so that a thousand at once are no more guesses than a
//!   thousand in a row.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use nsl_core::{Code, Cx, Entry, Error, Result, Timestamp};
use nsl_sql::{Scope, Single, Tx, args};
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::{
    pepper::Pepper,
    rules::{Counter, network},
};
use crate::{ground::Ground, people::store::PLATFORM};

static BLOCKS: &str = "SELECT network, blocked_until FROM signin_attempts
    WHERE tenant_id = $1 AND account = $2 AND (network = $3 OR network = '') AND blocked_until IS NOT NULL";
static KNOWN: &str = "SELECT count(*) FROM signin_networks WHERE tenant_id = $1 AND user_id = $2 AND network = $3";
static COUNT: &str = "INSERT INTO signin_attempts (tenant_id, account, network, failures, blocked_until, expires_at)
    VALUES ($1, $2, $3, 1, NULL, $4)
    ON CONFLICT (tenant_id, account, network) DO UPDATE SET failures =
        CASE WHEN signin_attempts.expires_at <= $4 THEN 1 ELSE signin_attempts.failures + 1 END
    RETURNING failures";
static SENTENCE: &str = "UPDATE signin_attempts SET blocked_until = $4, expires_at = $5
    WHERE tenant_id = $1 AND account = $2 AND network = $3";
static FORGET: &str = "DELETE FROM signin_attempts WHERE tenant_id = $1 AND account = $2 AND network = $3";
static FORGET_ACCOUNT: &str = "DELETE FROM signin_attempts WHERE tenant_id = $1 AND account = $2";
pub(super) static EXPIRED: &str = "DELETE FROM signin_attempts WHERE expires_at <= $1";

/// All strangers together.
const STRANGERS: &str = "";

type Line = Arc<tokio::sync::Mutex<()>>;
/// An account, and a network.
type Place = (String, String);

#[derive(Default)]
pub(crate) struct Gate {
    pepper: Pepper,
    lines: Mutex<HashMap<Place, Weak<tokio::sync::Mutex<()>>>>,
}

/// Whose tries are counted, and from where.
#[derive(Clone)]
pub(crate) struct Who {
    account: String,
    network: String,
    is_known: bool,
}

/// A try that may be made now. Others of the same network at the same account wait until it is over.
pub(crate) struct Turn {
    pub(crate) who: Who,
    _line: OwnedMutexGuard<()>,
}

/// What is tried.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    /// The password of this address, whether or not somebody has it.
    Password(&'a str),
    /// The second factor of this user.
    SecondFactor(&'a str),
}

impl Gate {
    /// Waits for its turn, and refuses while tries are blocked. `user` is empty where nobody has the address.
    pub(crate) async fn enter(&self, ground: &Ground, cx: &Cx, at: At<'_>, user: &str) -> Result<Turn> {
        let account = self.account(ground, at).await?;
        let from = network(cx.source.ip);
        let network = self.pepper.hash(ground, &["network", &account, &from]).await?;
        let line = self.line(&account, &network);
        let line = line.lock_owned().await;
        let is_known = self.is_known(ground, user, &from).await?;
        let who = Who { account, network, is_known };
        self.refuse_blocked(ground, &who).await?;
        Ok(Turn { who, _line: line })
    }

    async fn account(&self, ground: &Ground, at: At<'_>) -> Result<String> {
        match at {
            At::Password(email) => self.pepper.hash(ground, &["password", email]).await,
            At::SecondFactor(user) => self.pepper.hash(ground, &["second factor", user]).await,
        }
    }

    /// What is kept of a network that a user signed in from.
    pub(crate) async fn known_network(&self, ground: &Ground, cx: &Cx, user: &str) -> Result<String> {
        self.pepper.hash(ground, &["known", user, &network(cx.source.ip)]).await
    }

    async fn is_known(&self, ground: &Ground, user: &str, from: &str) -> Result<bool> {
        let digest = self.pepper.hash(ground, &["known", user, from]).await?;
        let mut found = ground.db.query(Scope::Platform, KNOWN, args![PLATFORM, user, digest]).await?;
        Ok(found.first_mut().map(|row| row.take::<i64>(0)).transpose()?.unwrap_or(0) > 0)
    }

    async fn refuse_blocked(&self, ground: &Ground, who: &Who) -> Result<()> {
        let args = args![PLATFORM, who.account.clone(), who.network.clone()];
        let now = ground.clock.now();
        let mut until = None;
        for mut row in ground.db.query(Scope::Platform, BLOCKS, args).await? {
            let (network, blocked): (String, Timestamp) = (row.take(0)?, row.take(1)?);
            if blocked > now && !(network == STRANGERS && who.is_known) {
                until = until.max(Some(blocked));
            }
        }
        match until {
            None => Ok(()),
            Some(until) => {
                let wait = until.since(now);
                let again = wait.as_secs() + 1;
                let message = format!("too many wrong tries from this network, try again in {again} s");
                Err(Error::new(Code::Exhausted, "signin.locked", message).retry_after(wait))
            }
        }
    }

    fn line(&self, account: &str, network: &str) -> Line {
        let mut lines = self.lines.lock();
        if lines.len() > 1_000 {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let place = lines.entry((account.to_owned(), network.to_owned())).or_default();
        place.upgrade().unwrap_or_else(|| {
            let line = Line::default();
            *place = Arc::downgrade(&line);
            line
        })
    }

    /// What the tries at an address are counted under.
    pub(crate) async fn account_of(&self, ground: &Ground, email: &str) -> Result<String> {
        self.account(ground, At::Password(email)).await
    }
}

/// Counts a wrong try, with its evidence.
pub(crate) struct Failed {
    pub(crate) who: Who,
    pub(crate) now: Timestamp,
    pub(crate) evidence: Entry,
    /// What is noted beside when it leads to a block.
    pub(crate) locked: Entry,
}

impl Single for Failed {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        let mut locked = None;
        self.count(tx, Counter::Network, &self.who.network, &mut locked).await?;
        if !self.who.is_known {
            self.count(tx, Counter::Strangers, STRANGERS, &mut locked).await?;
        }
        tx.note(self.evidence.clone());
        if let Some(seconds) = locked {
            tx.note(self.locked.clone().response("seconds", seconds as i64));
        }
        Ok(Ok(()))
    }
}

impl Failed {
    async fn count(&self, tx: &mut Tx<'_>, counter: Counter, network: &str, locked: &mut Option<u64>) -> Result<()> {
        let place = || args![PLATFORM, self.who.account.clone(), network];
        let mut args = place();
        args.push(self.now.into());
        let mut counted = tx.query(COUNT, args).await?;
        let failures: i64 = counted.first_mut().map(|row| row.take(0)).transpose()?.unwrap_or(1);
        let sentence = counter.sentence(failures);
        let mut args = place();
        args.push(sentence.blocked.map(|wait| self.now.plus(wait)).into());
        args.push(self.now.plus(sentence.kept).into());
        tx.execute(SENTENCE, args).await?;
        if counter == Counter::Network {
            *locked = sentence.blocked.map(|wait| wait.as_secs());
        }
        Ok(())
    }
}

/// The try was right: the network begins anew.
pub(crate) async fn forget(tx: &mut Tx<'_>, who: &Who) -> Result<()> {
    let args = args![PLATFORM, who.account.clone(), who.network.clone()];
    tx.execute(FORGET, args).await.map(drop)
}

/// The owner was proven by other means: everybody begins anew.
pub(crate) async fn forget_account(tx: &mut Tx<'_>, account: &str) -> Result<()> {
    tx.execute(FORGET_ACCOUNT, args![PLATFORM, account]).await.map(drop)
}
