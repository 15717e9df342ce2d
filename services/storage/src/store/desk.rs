//! A group of writes on the table: what was found, what the steps make of it, and how it is saved.

use std::collections::{HashMap, HashSet};

use nsl_api::storage::Value;
use nsl_core::{Code, Error, Result, TenantId, Timestamp};
use nsl_sql::{Tx, args};

use super::{
    apply::{Limits, Write},
    body, json,
    slot::{Content, Found, Slot, State, Undo},
    step::{Keys, Outcome, Step, Verb},
    texts,
    usage::{Held, Room},
};
use crate::{
    config::Quota,
    held,
    rules::{self, Current},
};

/// What a tenant held before the group, if that was looked at, and what the group adds.
#[derive(Default)]
struct Account {
    held: Option<Held>,
    decided: Held,
    written: Held,
}

pub(super) struct Desk<'a> {
    slots: Vec<Slot<'a>>,
    /// The slot of each step of each change.
    places: Vec<Vec<usize>>,
    accounts: HashMap<&'a TenantId, Account>,
    now: Timestamp,
    keep: i64,
    quota: Quota,
}

impl<'a> Desk<'a> {
    pub(super) async fn open(group: &[&'a Write], limits: &Limits, tx: &mut Tx<'_>) -> Result<Self> {
        let (slots, places) = assign(group);
        let settings = limits.settings.load();
        let mut desk = Self {
            slots,
            places,
            accounts: group.iter().map(|change| (&change.tenant, Account::default())).collect(),
            now: limits.clock.now(),
            keep: settings.0.keep_versions.into(),
            quota: settings.1,
        };
        desk.lock(tx).await?;
        desk.read_content(group, tx).await?;
        desk.read_holdings(limits, tx).await?;
        Ok(desk)
    }

    fn addresses(&self, wanted: impl Fn(usize) -> bool) -> Vec<Vec<nsl_sql::Value>> {
        let numbered = self.slots.iter().enumerate().filter(|(at, _)| wanted(*at));
        numbered
            .map(|(at, slot)| {
                let mut cells = slot.address();
                cells.push((at as i64).into());
                cells
            })
            .collect()
    }

    async fn lock(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        for mut row in tx.many(&texts::LOCK, self.addresses(|_| true)).await? {
            let at: i64 = row.take(0)?;
            self.slots[at as usize].base = Some(Current {
                version: row.take(1)?,
                size_bytes: row.take(2)?,
                deleted: row.take::<Option<Timestamp>>(3)?.is_some(),
                created_at: row.take(4)?,
                updated_at: row.take(5)?,
                expires_at: row.take(6)?,
                retain_until: row.take(7)?,
            });
        }
        Ok(())
    }

    async fn read_content(&mut self, group: &[&Write], tx: &mut Tx<'_>) -> Result<()> {
        let mut partial = HashSet::new();
        for (change, places) in group.iter().zip(&self.places) {
            for (step, place) in change.steps.iter().zip(places) {
                if matches!(step.verb, Verb::Amend { .. } | Verb::Restore { .. }) {
                    partial.insert(*place);
                }
            }
        }
        for mut row in tx.many(&texts::CONTENT, self.addresses(|at| partial.contains(&at))).await? {
            let at: i64 = row.take(0)?;
            self.slots[at as usize].found = Some(Found {
                body: body(row.take(1)?, row.take(2)?, row.take(3)?),
                access: held::access(&row.take::<String>(4)?)?,
                shared_with: json(row.take(5)?),
                metadata: json(row.take(6)?),
            });
        }
        Ok(())
    }

    async fn read_holdings(&mut self, limits: &Limits, tx: &mut Tx<'_>) -> Result<()> {
        let mut near: Vec<&TenantId> = {
            let usage = limits.usage.lock();
            self.accounts.keys().copied().filter(|tenant| usage.is_careful(tenant)).collect()
        };
        if near.is_empty() {
            return Ok(());
        }
        near.sort_unstable();
        for tenant in &near {
            self.accounts.entry(tenant).or_default().held = Some((0, 0));
        }
        let tenants = || near.iter().map(|tenant| args![*tenant]).collect();
        tx.ask(&texts::FIRST_PART, tenants())?;
        tx.ask(&texts::ONE_AT_A_TIME, tenants())?;
        for mut row in tx.many(&texts::PARTS, tenants()).await? {
            let (tenant, part): (TenantId, (i64, i64)) = (row.take(0)?, (row.take(1)?, row.take(2)?));
            if let Some(held) = self.accounts.get_mut(&tenant).and_then(|account| account.held.as_mut()) {
                *held = (held.0 + part.0, held.1 + part.1);
            }
        }
        for slot in self.slots.iter_mut().filter(|slot| near.contains(&slot.tenant)) {
            slot.sizes = Some(Vec::new());
        }
        for mut row in tx.many(&texts::SIZES, self.addresses(|at| self.slots[at].sizes.is_some())).await? {
            let at: i64 = row.take(0)?;
            self.slots[at as usize].sizes.get_or_insert_default().push((row.take(1)?, row.take(2)?));
        }
        Ok(())
    }

    /// Takes all steps of a change, or none.
    pub(super) async fn run(&mut self, at: usize, change: &'a Write, tx: &mut Tx<'_>) -> Result<Result<Vec<Outcome>>> {
        let mut done = Vec::with_capacity(change.steps.len());
        let mut taken: Vec<(usize, Undo, (i64, i64))> = Vec::with_capacity(change.steps.len());
        for (number, step) in change.steps.iter().enumerate() {
            let place = self.places[at][number];
            let decided = match &step.verb {
                Verb::Restore { version, keys } => {
                    let past = self.past_body(place, *version, tx).await?;
                    self.restored(place, step, past, *version, keys)
                }
                _ => self.decide(place, step),
            };
            let next = decided.and_then(|next| match next {
                Some(next) => self.afford(&change.tenant, place, &next).map(|cost| Some((next, cost))),
                None => Ok(None),
            });
            match next {
                Ok(Some((next, cost))) => {
                    let created = !self.slots[place].current().is_some_and(|current| current.lives(self.now));
                    done.push(Outcome {
                        version: next.current.version,
                        created: created && !next.current.deleted,
                        size_bytes: next.current.size_bytes,
                        created_at: next.current.created_at,
                        updated_at: next.current.updated_at,
                    });
                    taken.push((place, self.slots[place].advance(next, self.keep, self.now), cost));
                }
                Ok(None) => done.push(nothing(self.now)),
                Err(error) => {
                    while let Some((place, undo, cost)) = taken.pop() {
                        self.slots[place].undo(undo);
                        let account = self.accounts.entry(&change.tenant).or_default();
                        account.decided.0 -= cost.0;
                        account.decided.1 -= cost.1;
                    }
                    let error = if change.steps.len() > 1 { error.detail("item", number) } else { error };
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(done))
    }

    fn afford(&mut self, tenant: &'a TenantId, place: usize, next: &State) -> Result<(i64, i64)> {
        let cost = self.slots[place].cost(&next.current, self.keep, self.now);
        let account = self.accounts.entry(tenant).or_default();
        if let Some(held) = account.held {
            rules::within(self.quota, (held.0 + account.decided.0, held.1 + account.decided.1), cost)?;
        }
        account.decided.0 += cost.0;
        account.decided.1 += cost.1;
        Ok(cost)
    }

    /// The state that a step leads to; none when there is nothing to do.
    fn decide(&self, place: usize, step: &Step) -> Result<Option<State>> {
        let (slot, now) = (&self.slots[place], self.now);
        let mut next = slot.following(now);
        if let Verb::Expire = step.verb {
            let Some(lapsed) = slot.current().filter(|current| current.lapsed(now)) else { return Ok(None) };
            next.created_at = lapsed.created_at;
            next.deleted = true;
            return Ok(Some(State { current: next, content: None }));
        }
        let living = rules::expect(slot.current(), step.expected, now)?;
        if let Some(living) = living {
            next.created_at = living.created_at;
        }
        let content = match &step.verb {
            Verb::Put { value, seal, access, shared_with, metadata, expires_at, retain_until } => {
                rules::unlocked(living, now)?;
                (next.expires_at, next.retain_until) = (*expires_at, *retain_until);
                Some(Content {
                    value: value.clone(),
                    seal: seal.clone(),
                    access: *access,
                    shared_with: shared_with.clone(),
                    metadata: metadata.clone(),
                })
            }
            Verb::Amend { access, shared_with, expires_at, retain_until, metadata, keys } => {
                let living = living.ok_or_else(rules::not_found)?;
                (next.expires_at, next.retain_until) = rules::amended_times(living, *expires_at, *retain_until, now)?;
                if metadata.is_some() {
                    rules::unlocked(Some(living), now)?;
                }
                let content = slot.content(keys)?;
                Some(Content {
                    access: access.unwrap_or(content.access),
                    shared_with: shared_with.clone().unwrap_or(content.shared_with),
                    metadata: metadata.clone().or(content.metadata),
                    ..content
                })
            }
            Verb::Delete | Verb::Restore { .. } | Verb::Expire => {
                rules::unlocked(Some(living.ok_or_else(rules::not_found)?), now)?;
                next.deleted = true;
                None
            }
        };
        next.size_bytes = content.as_ref().map_or(0, size);
        Ok(Some(State { current: next, content }))
    }

    /// What a past version held: made in this group, still current, or in the history.
    async fn past_body(&self, place: usize, version: i64, tx: &mut Tx<'_>) -> Result<Option<Source>> {
        let slot = &self.slots[place];
        if let Some(state) = slot.past.iter().chain(&slot.state).find(|state| state.current.version == version) {
            return Ok(state.content.clone().map(Source::Made));
        }
        if slot.base.as_ref().is_some_and(|base| base.version == version) {
            let found = slot.found.as_ref();
            return Ok(found.and_then(|found| Some(Source::Kept(found.body.clone()?, found.metadata.clone()))));
        }
        let mut args = slot.address();
        args.push(version.into());
        let mut rows = tx.query(texts::FIND_PAST, args).await?;
        let Some(row) = rows.first_mut() else { return Ok(None) };
        if row.take::<Option<Timestamp>>(6)?.is_some_and(|at| at <= self.now) {
            return Ok(None);
        }
        let (value, sealed, key_id) = (row.take(0)?, row.take(1)?, row.take(2)?);
        let metadata = json(row.take(4)?);
        Ok(body(value, sealed, key_id).map(|body| Source::Kept(body, metadata)))
    }

    fn restored(
        &self,
        place: usize,
        step: &Step,
        source: Option<Source>,
        version: i64,
        keys: &Keys,
    ) -> Result<Option<State>> {
        let (slot, now) = (&self.slots[place], self.now);
        let living = rules::expect(slot.current(), step.expected, now)?;
        rules::unlocked(living, now)?;
        let missing = || Error::new(Code::NotFound, "storage.version_not_found", "there is no such version to restore");
        let lapsed = slot.current().is_some_and(|current| current.lapsed(now));
        let source = source.filter(|_| !lapsed && version >= slot.floor).ok_or_else(missing)?;
        let (value, seal, metadata) = match source {
            Source::Made(content) => (content.value, content.seal, content.metadata),
            Source::Kept(body, metadata) => {
                let (value, seal) = slot.opened(&body, version, keys)?;
                (value, seal, metadata)
            }
        };
        let (access, shared_with) = if living.is_some() { slot.audience() } else { Default::default() };
        let content = Content { value, seal, access, shared_with, metadata };
        let mut next = slot.following(now);
        next.size_bytes = size(&content);
        if let Some(living) = living {
            next.created_at = living.created_at;
            (next.expires_at, next.retain_until) = (living.expires_at, living.retain_until);
        }
        Ok(Some(State { current: next, content: Some(content) }))
    }

    pub(super) async fn save(&mut self, limits: &Limits, tx: &mut Tx<'_>) -> Result<()> {
        let (mut kept, mut unseen, mut trimmed, mut set) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for slot in &self.slots {
            let Some(state) = &slot.state else { continue };
            let written = &mut self.accounts.entry(slot.tenant).or_default().written;
            written.0 += state.current.size_bytes;
            written.1 += i64::from(!state.current.deleted);
            for past in slot.past.iter().filter(|past| past.current.version >= slot.floor) {
                written.0 += past.current.size_bytes;
                unseen.push(slot.past_row(past)?);
            }
            if let Some(base) = &slot.base {
                written.1 -= i64::from(!base.deleted);
                match base.version >= slot.floor {
                    true => kept.push(slot.address()),
                    false => written.0 -= base.size_bytes,
                }
                if base.version > 1 && slot.floor > 1 {
                    let mut cells = slot.address();
                    cells.push(slot.floor.into());
                    trimmed.push(cells);
                }
            }
            set.push(slot.row(state)?);
        }
        tx.ask(&texts::KEEP, kept)?;
        for mut row in tx.many(&texts::TRIM, trimmed).await? {
            let (tenant, size): (TenantId, i64) = (row.take(0)?, row.take(1)?);
            if let Some(account) = self.accounts.get_mut(&tenant) {
                account.written.0 -= size;
            }
        }
        tx.ask(&texts::KEEP_UNSEEN, unseen)?;
        let wanted = set.len();
        let set = tx.ask(&texts::SET, set)?;
        self.hold(limits, tx).await?;
        if tx.answer(set).await?.len() != wanted {
            return Err(collision());
        }
        Ok(())
    }

    /// Adds what the group makes tenants hold, if that is known to fit. Else the group is tried again, with care.
    async fn hold(&self, limits: &Limits, tx: &mut Tx<'_>) -> Result<()> {
        let mut added: Vec<_> = self.accounts.iter().filter(|(_, account)| account.written != (0, 0)).collect();
        added.sort_unstable_by_key(|(tenant, _)| **tenant);
        let row = |(tenant, account): &(&&TenantId, &Account)| args![**tenant, account.written.0, account.written.1];
        // Looked at before it is added to, since a statement sees those before it.
        let mut then: HashMap<&TenantId, Held> = HashMap::new();
        {
            let mut usage = limits.usage.lock();
            for (tenant, account) in &added {
                match account.held {
                    Some(held) => {
                        let held = (held.0 + account.written.0, held.1 + account.written.1);
                        usage.learn(tenant, held, self.quota, self.now);
                    }
                    None => {
                        if let Room::Look = usage.take(tenant, account.written, self.quota, self.now) {
                            then.insert(tenant, account.written);
                        }
                    }
                }
            }
        }
        let parts = tx.ask(&texts::PARTS, then.keys().map(|tenant| args![*tenant]).collect())?;
        tx.ask(&texts::HOLD, added.iter().map(row).collect())?;
        for mut row in tx.answer(parts).await? {
            let (tenant, part): (TenantId, (i64, i64)) = (row.take(0)?, (row.take(1)?, row.take(2)?));
            if let Some(held) = then.get_mut(&tenant) {
                *held = (held.0 + part.0, held.1 + part.1);
            }
        }
        let mut usage = limits.usage.lock();
        let mut all_far = true;
        for (tenant, held) in then {
            all_far &= usage.learn(tenant, held, self.quota, self.now);
        }
        if all_far { Ok(()) } else { Err(collision()) }
    }
}

/// Where a restored value comes from.
enum Source {
    Made(Content),
    Kept(held::Body, Option<Value>),
}

// One slot for each key, in the order of keys: every group locks in the same order.
fn assign<'a>(group: &[&'a Write]) -> (Vec<Slot<'a>>, Vec<Vec<usize>>) {
    let mut places: Vec<Vec<usize>> = group.iter().map(|change| vec![0; change.steps.len()]).collect();
    let mut all = Vec::with_capacity(group.len());
    for (at, change) in group.iter().enumerate() {
        for (number, step) in change.steps.iter().enumerate() {
            all.push(((&change.tenant, &step.owner, step.chain.as_str(), step.key.as_str()), at, number, step));
        }
    }
    all.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    let mut slots: Vec<Slot<'a>> = Vec::with_capacity(all.len());
    let mut last = None;
    for (address, at, number, step) in all {
        if last != Some(address) {
            slots.push(Slot::new(address.0, step));
            last = Some(address);
        }
        places[at][number] = slots.len() - 1;
    }
    (slots, places)
}

fn size(content: &Content) -> i64 {
    (content.value.size() + content.metadata.as_ref().map_or(0, Value::size)) as i64
}

fn nothing(now: Timestamp) -> Outcome {
    Outcome { version: 0, created: false, size_bytes: 0, created_at: now, updated_at: now }
}

/// As the writer understands it: the group is tried again.
fn collision() -> Error {
    Error::new(Code::Unavailable, "sql.collision", "another write was in the way")
        .retry_after(std::time::Duration::from_millis(100))
}
