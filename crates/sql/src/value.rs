use std::{borrow::Cow, error::Error as StdError, sync::Arc};

use bytes::{BufMut, BytesMut};
use nsl_core::{Error, Result, Subject, TenantId, Timestamp};
use postgres_types::{FromSql, IsNull, ToSql, Type};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Text,
    Bytes,
    Time,
    Json,
}

/// One value on its way to or from a column. SQLite has fewer types: a boolean and a time are integers
/// there, JSON is text; [`FromValue`] accepts both forms.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null(Kind),
    Bool(bool),
    Int(i64),
    Text(Cow<'static, str>),
    Shared(Arc<str>),
    Bytes(Vec<u8>),
    Time(Timestamp),
    Json(Cow<'static, str>),
}

impl Value {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Null(kind) => *kind,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Text(_) | Self::Shared(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::Time(_) => Kind::Time,
            Self::Json(_) => Kind::Json,
        }
    }

    pub fn json(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Json(text.into())
    }

    /// The text of a text or JSON value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Json(text) => Some(text),
            Self::Shared(text) => Some(text),
            _ => None,
        }
    }
}

macro_rules! into_value {
    ($($from:ty, $kind:ident, $x:ident => $to:expr;)+) => { $(
        impl From<$from> for Value { fn from($x: $from) -> Self { $to } }
        impl From<Option<$from>> for Value {
            fn from(x: Option<$from>) -> Self { x.map_or(Self::Null(Kind::$kind), Self::from) }
        }
    )+ };
}

into_value! {
    bool, Bool, x => Self::Bool(x);
    i64, Int, x => Self::Int(x);
    i32, Int, x => Self::Int(x.into());
    u32, Int, x => Self::Int(x.into());
    u16, Int, x => Self::Int(x.into());
    &str, Text, x => Self::Text(x.to_owned().into());
    String, Text, x => Self::Text(x.into());
    Cow<'static, str>, Text, x => Self::Text(x);
    Arc<str>, Text, x => Self::Shared(x);
    &TenantId, Text, x => Self::from(x.as_str());
    &Subject, Text, x => Self::from(x.as_str());
    Vec<u8>, Bytes, x => Self::Bytes(x);
    &[u8], Bytes, x => Self::Bytes(x.to_vec());

    Timestamp, Time, x => Self::Time(x);
    &serde_json::Value, Json, x => Self::Json(x.to_string().into());
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($to:ty: $($pattern:pat => $out:expr),+;)+) => { $(
        impl FromValue for $to {
            fn from_value(value: Value) -> Option<Self> {
                match value { $($pattern => $out,)+ _ => None }
            }
        }
    )+ };
}

from_value! {
    bool: Value::Bool(x) => Some(x), Value::Int(x) => Some(x != 0);
    i64: Value::Int(x) => Some(x);
    String: Value::Text(x) => Some(x.into_owned()), Value::Json(x) => Some(x.into_owned());
    Vec<u8>: Value::Bytes(x) => Some(x);
    Timestamp: Value::Time(x) => Some(x), Value::Int(x) => Some(Timestamp(x));
    serde_json::Value: Value::Text(x) => serde_json::from_str(&x).ok(), Value::Json(x) => serde_json::from_str(&x).ok();
    TenantId: Value::Text(x) => TenantId::parse(&x).ok();
    Subject: Value::Text(x) => Subject::parse(&x).ok();
}

impl FromValue for Value {
    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null(_) => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// One row, read column by column from the left: each column is taken once.
#[derive(Clone, Debug)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    /// Takes column `at`, counted from 0. A column of another type is a fault of ours, not of the data.
    pub fn take<T: FromValue>(&mut self, at: usize) -> Result<T> {
        let value = self.0.get_mut(at).map(|place| std::mem::replace(place, Value::Null(Kind::Text)));
        let found = value.as_ref().map(Value::kind);
        value.and_then(T::from_value).ok_or_else(|| {
            Error::internal(anyhow::anyhow!("column {at} holds {found:?}, not {}", std::any::type_name::<T>()))
        })
    }
}

// PostgreSQL counts its microseconds from 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

// Its two ends stand for the infinities, as ours do for "never" and "ever".
fn to_postgres(at: Timestamp) -> Result<i64, &'static str> {
    match at.0 {
        i64::MAX | i64::MIN => Ok(at.0),
        micros => micros.checked_sub(POSTGRES_EPOCH).ok_or("a time too far back"),
    }
}

fn from_postgres(micros: i64) -> Timestamp {
    Timestamp(if micros == i64::MIN { micros } else { micros.saturating_add(POSTGRES_EPOCH) })
}

fn is_text(ty: &Type) -> bool {
    [Type::TEXT, Type::VARCHAR, Type::JSON, Type::JSONB, Type::NAME, Type::BPCHAR, Type::UNKNOWN].contains(ty)
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match (self, ty) {
            (Self::Null(_), _) => return Ok(IsNull::Yes),
            (Self::Bool(x), &Type::BOOL) => out.put_u8(u8::from(*x)),
            (Self::Int(x), &Type::INT2) => out.put_i16((*x).try_into()?),
            (Self::Int(x), &Type::INT4) => out.put_i32((*x).try_into()?),
            (Self::Int(x), &Type::INT8) => out.put_i64(*x),
            (Self::Text(_) | Self::Shared(_) | Self::Json(_), ty) if is_text(ty) => {
                if *ty == Type::JSONB {
                    out.put_u8(1);
                }
                out.put_slice(self.as_text().unwrap_or_default().as_bytes());
            }
            (Self::Bytes(x), &Type::BYTEA) => out.put_slice(x),
            (Self::Time(x), &Type::TIMESTAMPTZ) => out.put_i64(to_postgres(*x)?),
            // The bytes of another kind could by chance read as something: better no than wrong.
            _ => return Err(format!("{:?} does not fit the type {ty}", self.kind()).into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres_types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        let text = |raw: &[u8]| std::str::from_utf8(raw).map(str::to_owned);
        Ok(match *ty {
            Type::BOOL => Self::Bool(raw.first() == Some(&1)),
            Type::INT8 => Self::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Self::Int(i32::from_be_bytes(raw.try_into()?).into()),
            Type::INT2 => Self::Int(i16::from_be_bytes(raw.try_into()?).into()),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            Type::TIMESTAMPTZ => Self::Time(from_postgres(i64::from_be_bytes(raw.try_into()?))),
            Type::JSON => Self::Json(text(raw)?.into()),
            Type::JSONB => Self::Json(text(raw.get(1..).unwrap_or_default())?.into()),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::UNKNOWN => Self::Text(text(raw)?.into()),
            _ => return Err(format!("no reading of the column type {ty}").into()),
        })
    }

    fn from_sql_null(ty: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self::Null(match *ty {
            Type::BOOL => Kind::Bool,
            Type::INT8 | Type::INT4 | Type::INT2 => Kind::Int,
            Type::BYTEA => Kind::Bytes,
            Type::TIMESTAMPTZ => Kind::Time,
            Type::JSON | Type::JSONB => Kind::Json,
            _ => Kind::Text,
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Kind {
    pub(crate) fn postgres(self) -> Type {
        match self {
            Self::Bool => Type::BOOL,
            Self::Int => Type::INT8,
            Self::Text => Type::TEXT,
            Self::Bytes => Type::BYTEA,
            Self::Time => Type::TIMESTAMPTZ,
            Self::Json => Type::JSON,
        }
    }

    pub(crate) fn postgres_array(self) -> Type {
        match self {
            Self::Bool => Type::BOOL_ARRAY,
            Self::Int => Type::INT8_ARRAY,
            Self::Text => Type::TEXT_ARRAY,
            Self::Bytes => Type::BYTEA_ARRAY,
            Self::Time => Type::TIMESTAMPTZ_ARRAY,
            Self::Json => Type::JSON_ARRAY,
        }
    }
}
