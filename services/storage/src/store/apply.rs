//! The one change of the hot path. A group of writes, of many callers and tenants, costs a handful of
//! statements: lock and read what is there, decide in memory, write histories, states, usage.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use nsl_core::{Clock, Entry, Result, TenantId};
use nsl_keyring as keyring;
use nsl_sql::{Change, Tx};
use parking_lot::Mutex;

pub(crate) use super::slot::MOVED;
use super::{
    desk::Desk,
    step::{Outcome, Step},
    usage::Usage,
};
use crate::config::{Config, Quota};

/// What all writes are measured by. The settings may change while running.
pub(crate) struct Limits {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: ArcSwap<(Config, Quota)>,
    pub(super) usage: Mutex<Usage>,
}

impl Limits {
    pub(crate) fn new(clock: Arc<dyn Clock>, config: Config, quota: Quota) -> Self {
        let settings = ArcSwap::from_pointee((config, quota));
        Self { clock, settings, usage: Mutex::default() }
    }

    pub(crate) fn quota(&self) -> Quota {
        self.settings.load().1
    }
}

/// Steps that are done together or not at all, for one tenant.
pub(crate) struct Write {
    pub(crate) limits: Arc<Limits>,
    pub(crate) tenant: TenantId,
    pub(crate) steps: Vec<Step>,
    /// Evidence of the whole, noted with the number of steps that did something.
    pub(crate) summary: Option<Entry>,
}

impl Change for Write {
    type Done = Vec<Outcome>;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<Vec<Outcome>>>> {
        let Some(first) = group.first() else { return Ok(Vec::new()) };
        let limits = &*first.limits;
        let seals = Seals::ask(group, tx)?;
        let mut desk = Desk::open(group, limits, tx).await?;
        let gone = seals.gone(tx).await?;
        let mut outcomes = Vec::with_capacity(group.len());
        for (at, change) in group.iter().enumerate() {
            outcomes.push(match gone.contains(&at) {
                true => Err(keyring::key_gone()),
                false => desk.run(at, change, tx).await?,
            });
        }
        desk.save(limits, tx).await?;
        for (change, outcome) in group.iter().zip(&outcomes) {
            change.note(outcome, tx);
        }
        Ok(outcomes)
    }

    fn weight(&self) -> usize {
        self.steps.iter().map(|step| step.verb.weight()).sum()
    }
}

impl Write {
    fn note(&self, outcome: &Result<Vec<Outcome>>, tx: &mut Tx<'_>) {
        let Ok(outcomes) = outcome else { return };
        for (step, outcome) in self.steps.iter().zip(outcomes).filter(|(_, outcome)| outcome.version > 0) {
            if let Some(entry) = &step.entry {
                tx.note(Entry::clone(entry).response("version", outcome.version));
            }
        }
        let done = outcomes.iter().filter(|outcome| outcome.version > 0).count();
        if let Some(summary) = self.summary.as_ref().filter(|_| done > 0) {
            tx.note(summary.clone().response("items", done));
        }
    }
}

/// The changes that seal, and whether the keys that they seal under still exist.
struct Seals {
    users: Vec<usize>,
    keys: keyring::Presence,
}

impl Seals {
    fn ask(group: &[&Write], tx: &mut Tx<'_>) -> Result<Self> {
        let mut users = Vec::new();
        let mut wanted = Vec::new();
        for (at, change) in group.iter().enumerate() {
            for key in change.steps.iter().filter_map(|step| step.verb.seals()) {
                users.push(at);
                wanted.push((change.tenant.clone(), Arc::clone(key.id())));
            }
        }
        Ok(Self { users, keys: keyring::Presence::ask(tx, wanted)? })
    }

    async fn gone(self, tx: &mut Tx<'_>) -> Result<HashSet<usize>> {
        let present = self.keys.answer(tx).await?;
        Ok(self.users.into_iter().zip(present).filter(|(_, present)| !present).map(|(at, _)| at).collect())
    }
}
