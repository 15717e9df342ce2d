//! A current value as it lies in its row, and the form in which a copy of it lies in the cache: sealed
//! values stay sealed there too.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use nsl_api::storage::{Access, Address, Meta, Value};
use nsl_core::{Error, Result, Subject, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) version: i64,
    pub(crate) body: Body,
    pub(crate) access: Access,
    /// A JSON array of subjects.
    pub(crate) shared_with: Option<Value>,
    pub(crate) size_bytes: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) retain_until: Option<Timestamp>,
    pub(crate) metadata: Option<Value>,
    pub(crate) accessed_count: i64,
    pub(crate) last_accessed: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Plain(Value),
    Sealed { key_id: Arc<str>, bytes: Bytes },
}

impl Held {
    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    pub(crate) fn shared_with(&self) -> Vec<Subject> {
        subjects(self.shared_with.as_ref())
    }

    pub(crate) fn meta(&self, at: &Address, owner: Subject) -> Meta {
        Meta {
            key: at.key.clone(),
            owner,
            chain: at.chain,
            version: self.version,
            encrypted: matches!(self.body, Body::Sealed { .. }),
            access: self.access,
            shared_with: self.shared_with(),
            size_bytes: self.size_bytes,
            created_at: self.created_at,
            updated_at: self.updated_at,
            expires_at: self.expires_at,
            retain_until: self.retain_until,
            metadata: self.metadata.clone(),
            accessed_count: self.accessed_count,
            last_accessed: self.last_accessed,
        }
    }

    pub(crate) fn to_cache(&self) -> Bytes {
        let (key_id, body) = match &self.body {
            Body::Plain(value) => ("", value.as_bytes()),
            Body::Sealed { key_id, bytes } => (&**key_id, &bytes[..]),
        };
        let shared = self.shared_with.as_ref().map_or(&b""[..], Value::as_bytes);
        let metadata = self.metadata.as_ref().map_or(&b""[..], Value::as_bytes);
        let mut out = BytesMut::with_capacity(HEAD + shared.len() + metadata.len() + key_id.len() + body.len());
        out.put_u8(FORMAT);
        out.put_u8(self.access as u8);
        for number in [self.version, self.size_bytes, self.created_at.0, self.updated_at.0, self.accessed_count] {
            out.put_i64(number);
        }
        for time in [self.expires_at, self.retain_until, self.last_accessed] {
            out.put_i64(time.map_or(NEVER, |at| at.0));
        }
        for part in [shared.len(), metadata.len(), key_id.len()] {
            out.put_u32(part as u32);
        }
        for part in [shared, metadata, key_id.as_bytes(), body] {
            out.put_slice(part);
        }
        out.freeze()
    }

    /// `None` when the copy was written by another version of this program.
    pub(crate) fn from_cache(bytes: &Bytes) -> Option<Self> {
        if bytes.len() < HEAD || bytes[0] != FORMAT {
            return None;
        }
        let number = |at: usize| bytes[2 + at * 8..10 + at * 8].try_into().map(i64::from_be_bytes).ok();
        let time = |at: usize| number(at).map(|at| (at != NEVER).then_some(Timestamp(at)));
        let length = |at: usize| bytes[66 + at * 4..70 + at * 4].try_into().map(u32::from_be_bytes).ok();
        let (shared, metadata, key_id) = (length(0)? as usize, length(1)? as usize, length(2)? as usize);
        let ends = [HEAD + shared, HEAD + shared + metadata, HEAD + shared + metadata + key_id];
        if ends[2] > bytes.len() {
            return None;
        }
        let part = |from: usize, to: usize| (from < to).then(|| Value::read_before(bytes.slice(from..to)));
        let body = match key_id {
            0 => Body::Plain(Value::read_before(bytes.slice(ends[2]..))),
            _ => Body::Sealed {
                key_id: std::str::from_utf8(&bytes[ends[1]..ends[2]]).ok()?.into(),
                bytes: bytes.slice(ends[2]..),
            },
        };
        Some(Self {
            version: number(0)?,
            body,
            access: *ACCESS.get(usize::from(bytes[1]))?,
            shared_with: part(HEAD, ends[0]),
            size_bytes: number(1)?,
            created_at: Timestamp(number(2)?),
            updated_at: Timestamp(number(3)?),
            expires_at: time(5)?,
            retain_until: time(6)?,
            metadata: part(ends[0], ends[1]),
            accessed_count: number(4)?,
            last_accessed: time(7)?,
        })
    }
}

const FORMAT: u8 = 1;
const HEAD: usize = 2 + 8 * 8 + 3 * 4;
const NEVER: i64 = i64::MIN;
const ACCESS: [Access; 4] = [Access::Private, Access::Tenant, Access::Shared, Access::Public];

pub(crate) fn access(text: &str) -> Result<Access> {
    let unknown = || Error::internal(anyhow::anyhow!("a row has the unknown access level {text:?}"));
    ACCESS.into_iter().find(|access| access.as_str() == text).ok_or_else(unknown)
}

pub(crate) fn subjects(list: Option<&Value>) -> Vec<Subject> {
    list.and_then(|list| serde_json::from_slice(list.as_bytes()).ok()).unwrap_or_default()
}

/// The column form of a list of subjects; none for an empty one.
pub(crate) fn subject_list(list: &[Subject]) -> Option<Value> {
    (!list.is_empty()).then(|| Value::read_before(serde_json::to_vec(list).expect("texts serialise")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_copy_reads_back_and_nonsense_does_not() {
        let plain = Held {
            version: 7,
            body: Body::Plain(Value::parse(r#"{"a": 1.50}"#).unwrap()),
            access: Access::Shared,
            shared_with: subject_list(&[Subject::parse("friend").unwrap()]),
            size_bytes: 11,
            created_at: Timestamp(1),
            updated_at: Timestamp(-2),
            expires_at: Some(Timestamp(9)),
            retain_until: None,
            metadata: Some(Value::parse(r#"{"m":1}"#).unwrap()),
            accessed_count: 3,
            last_accessed: None,
        };
        let sealed = Held {
            body: Body::Sealed { key_id: "dky_1".into(), bytes: Bytes::from_static(b"\x01\x02") },
            shared_with: None,
            metadata: None,
            access: Access::Public,
            ..plain.clone()
        };
        for held in [plain, sealed] {
            let bytes = held.to_cache();
            assert_eq!(Held::from_cache(&bytes), Some(held));
            assert_eq!(Held::from_cache(&bytes.slice(..HEAD - 1)), None);
            let mut long = bytes.to_vec();
            long[66] = 0xff;
            assert_eq!(Held::from_cache(&long.into()), None);
        }
        assert_eq!(Held::from_cache(&Bytes::new()), None);
    }

    #[test]
    fn the_cached_access_level_is_its_place_in_the_list() {
        for (place, level) in ACCESS.into_iter().enumerate() {
            assert_eq!(level as usize, place);
            assert_eq!(access(level.as_str()).unwrap(), level);
        }
    }
}
