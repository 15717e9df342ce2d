//! One key within a group of writes: the state that was found, and what the steps so far make of it.

use std::borrow::Cow;

use nsl_api::storage::{Access, Value};
use nsl_core::{Code, Error, Result, Subject, TenantId, Timestamp};
use nsl_keyring::{DataKey, bind};
use nsl_sql::{Kind, Value as Cell, args};

use super::step::{Keys, Step};
use crate::{held::Body, rules::Current};

pub(super) struct Slot<'a> {
    pub(super) tenant: &'a TenantId,
    /// Any step on this key: for its address.
    step: &'a Step,
    /// As it was found.
    pub(super) base: Option<Current>,
    /// What was found, where a step keeps a part of it.
    pub(super) found: Option<Found>,
    /// As the steps so far leave it; none while untouched.
    pub(super) state: Option<State>,
    /// States made and superseded within the group.
    pub(super) past: Vec<State>,
    /// States of lower versions are dropped.
    pub(super) floor: i64,
    /// Version and size of each superseded state, for tenants that come near their quota.
    pub(super) sizes: Option<Vec<(i64, i64)>>,
}

pub(super) struct Found {
    pub(super) body: Option<Body>,
    pub(super) access: Access,
    pub(super) shared_with: Option<Value>,
    pub(super) metadata: Option<Value>,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) current: Current,
    /// None for a deletion.
    pub(super) content: Option<Content>,
}

#[derive(Clone)]
pub(super) struct Content {
    pub(super) value: Value,
    pub(super) seal: Option<DataKey>,
    pub(super) access: Access,
    pub(super) shared_with: Option<Value>,
    pub(super) metadata: Option<Value>,
}

/// What to put back when a later step of the same change is refused.
pub(super) struct Undo {
    state: Option<State>,
    past: usize,
    floor: i64,
    sizes: Option<Vec<(i64, i64)>>,
}

impl<'a> Slot<'a> {
    pub(super) fn new(tenant: &'a TenantId, step: &'a Step) -> Self {
        Self { tenant, step, base: None, found: None, state: None, past: Vec::new(), floor: 0, sizes: None }
    }

    pub(super) fn address(&self) -> Vec<Cell> {
        args![self.tenant, &self.step.owner, Cow::Borrowed(self.step.chain.as_str()), self.step.key.as_str()]
    }

    pub(super) fn current(&self) -> Option<&Current> {
        self.state.as_ref().map(|state| &state.current).or(self.base.as_ref())
    }

    /// The state that follows the present one, as of now. Never older than that: the clock may step back.
    pub(super) fn following(&self, now: Timestamp) -> Current {
        let (version, since) = self.current().map_or((0, now), |current| (current.version, current.updated_at));
        Current {
            version: version + 1,
            size_bytes: 0,
            deleted: false,
            created_at: now,
            updated_at: now.max(since),
            expires_at: None,
            retain_until: None,
        }
    }

    /// Bytes and items that a step to `next` adds. Exact when the sizes of the history are known.
    pub(super) fn cost(&self, next: &Current, keep: i64, now: Timestamp) -> (i64, i64) {
        let before = self.current();
        let items = i64::from(!next.deleted) - i64::from(before.is_some_and(|before| !before.deleted));
        let floor = self.floor_after(next, keep, now);
        let superseded = before.map(|before| (before.version, before.size_bytes));
        let all = self.sizes.iter().flatten().copied().chain(superseded);
        let freed: i64 = all.filter(|(version, _)| *version < floor).map(|(_, size)| size).sum();
        (next.size_bytes - freed, items)
    }

    fn floor_after(&self, next: &Current, keep: i64, now: Timestamp) -> i64 {
        let lapsed = self.current().filter(|before| before.lapsed(now)).map_or(0, |before| before.version + 1);
        self.floor.max(lapsed).max(next.version - keep)
    }

    pub(super) fn advance(&mut self, next: State, keep: i64, now: Timestamp) -> Undo {
        let undo =
            Undo { state: self.state.take(), past: self.past.len(), floor: self.floor, sizes: self.sizes.clone() };
        let before = undo.state.as_ref().map(|state| &state.current).or(self.base.as_ref());
        if let (Some(sizes), Some(before)) = (&mut self.sizes, before) {
            sizes.push((before.version, before.size_bytes));
        }
        let lapsed = before.filter(|before| before.lapsed(now)).map_or(0, |before| before.version + 1);
        self.floor = self.floor.max(lapsed).max(next.current.version - keep);
        if let Some(sizes) = &mut self.sizes {
            sizes.retain(|(version, _)| *version >= self.floor);
        }
        self.past.extend(undo.state.clone());
        self.state = Some(next);
        undo
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        self.past.truncate(undo.past);
        (self.state, self.floor, self.sizes) = (undo.state, undo.floor, undo.sizes);
    }

    /// What the present state holds, its value opened.
    pub(super) fn content(&self, keys: &Keys) -> Result<Content> {
        if let Some(state) = &self.state {
            return state.content.clone().ok_or_else(crate::rules::not_found);
        }
        let (Some(base), Some(found)) = (&self.base, &self.found) else { return Err(crate::rules::not_found()) };
        let body = found.body.as_ref().ok_or_else(crate::rules::not_found)?;
        let (value, seal) = self.opened(body, base.version, keys)?;
        let (access, shared_with) = (found.access, found.shared_with.clone());
        Ok(Content { value, seal, access, shared_with, metadata: found.metadata.clone() })
    }

    /// Opens a state's body for a further version; with it the key to seal that with.
    pub(super) fn opened(&self, body: &Body, version: i64, keys: &Keys) -> Result<(Value, Option<DataKey>)> {
        match body {
            Body::Plain(value) => Ok((value.clone(), None)),
            Body::Sealed { key_id, bytes } => {
                let (Some(open), Some(seal)) = (&keys.open, &keys.seal) else { return Err(moved()) };
                if open.id() != key_id {
                    return Err(moved());
                }
                let plain = open.open(&self.place(version), bytes)?;
                Ok((Value::read_before(plain), Some(seal.clone())))
            }
        }
    }

    /// Whom the present state lets in, for a state that takes its place.
    pub(super) fn audience(&self) -> (Access, Option<Value>) {
        match (&self.state, &self.found) {
            (Some(State { content: Some(content), .. }), _) => (content.access, content.shared_with.clone()),
            (None, Some(found)) => (found.access, found.shared_with.clone()),
            _ => (Access::default(), None),
        }
    }

    fn place(&self, version: i64) -> Vec<u8> {
        place(self.tenant, &self.step.owner, self.step.chain.as_str(), &self.step.key, version)
    }

    // value, sealed, key_id, encrypted
    fn body(&self, state: &State) -> Result<[Cell; 4]> {
        Ok(match &state.content {
            None => [Cell::Null(Kind::Json), Cell::Null(Kind::Bytes), Cell::Null(Kind::Text), false.into()],
            Some(Content { value, seal: None, .. }) => {
                [cell(Some(value)), Cell::Null(Kind::Bytes), Cell::Null(Kind::Text), false.into()]
            }
            Some(Content { value, seal: Some(key), .. }) => {
                let sealed = key.seal(&self.place(state.current.version), value.as_bytes())?;
                [Cell::Null(Kind::Json), sealed.into(), key.id().clone().into(), true.into()]
            }
        })
    }

    /// The row of the current state.
    pub(super) fn row(&self, state: &State) -> Result<Vec<Cell>> {
        let (current, content) = (&state.current, state.content.as_ref());
        let [value, sealed, key_id, encrypted] = self.body(state)?;
        let shared = content.and_then(|content| content.shared_with.as_ref()).map(|list| list.as_str().to_owned());
        let mut row = Vec::with_capacity(19);
        row.extend(self.address());
        row.extend([current.version.into(), self.base.as_ref().map_or(0, |base| base.version).into()]);
        row.extend([value, sealed, key_id, encrypted]);
        row.extend([
            Cow::Borrowed(content.map_or(Access::default(), |content| content.access).as_str()).into(),
            shared.into(),
        ]);
        row.extend([current.size_bytes.into(), cell(content.and_then(|content| content.metadata.as_ref()))]);
        row.extend([current.expires_at.into(), current.retain_until.into(), deleted_at(current)]);
        row.extend([Cell::from(current.created_at), current.updated_at.into()]);
        Ok(row)
    }

    /// The row of a state that was superseded unseen.
    pub(super) fn past_row(&self, state: &State) -> Result<Vec<Cell>> {
        let current = &state.current;
        let mut row = self.address();
        row.push(current.version.into());
        row.extend(self.body(state)?);
        let metadata = state.content.as_ref().and_then(|content| content.metadata.as_ref());
        row.extend([current.size_bytes.into(), cell(metadata), current.expires_at.into(), deleted_at(current)]);
        row.push(current.updated_at.into());
        Ok(row)
    }
}

/// Where a sealed value belongs: it opens nowhere else.
pub(crate) fn place(tenant: &TenantId, owner: &Subject, chain: &str, key: &str, version: i64) -> Vec<u8> {
    bind(&[
        tenant.as_str().as_bytes(),
        owner.as_str().as_bytes(),
        chain.as_bytes(),
        key.as_bytes(),
        &version.to_be_bytes(),
    ])
}

/// The slug of a write that found another state than the one it was prepared for: prepare it again.
pub(crate) const MOVED: &str = "storage.moved";

pub(super) fn moved() -> Error {
    Error::new(Code::Unavailable, MOVED, "the value changed while its key was fetched")
}

fn deleted_at(current: &Current) -> Cell {
    current.deleted.then_some(current.updated_at).into()
}

fn cell(json: Option<&Value>) -> Cell {
    json.map_or(Cell::Null(Kind::Json), |json| Cell::json(json.as_str().to_owned()))
}
