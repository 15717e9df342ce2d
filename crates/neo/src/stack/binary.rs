//! Values as contracts keep them in storage: what the native `StdLib.serialize` writes.

use super::{Budget, StackItem, from_vm_integer, to_vm_integer};
use crate::{
    error::{Error, Result, malformed},
    script::MAX_ITEM,
    wire::{Reader, write_var_bytes, write_var_uint},
};

const ANY: u8 = 0x00;
const BOOLEAN: u8 = 0x20;
const INTEGER: u8 = 0x21;
const BYTE_STRING: u8 = 0x28;
const BUFFER: u8 = 0x30;
const ARRAY: u8 = 0x40;
const STRUCT: u8 = 0x41;
const MAP: u8 = 0x48;

/// The items of a list or the entries of a map in storage, at most.
const MOST_ITEMS: u64 = 2048;

impl StackItem {
    /// Reads what a contract keeps in storage. A plain number or text is kept as its bytes and not in this form.
    pub fn from_storage(bytes: &[u8]) -> Result<Self> {
        let mut from = Reader::new(bytes);
        let item = Self::unpack(&mut from, 1, &mut Budget::new())?;
        from.finish()?;
        Ok(item)
    }

    fn unpack(from: &mut Reader<'_>, depth: usize, budget: &mut Budget) -> Result<Self> {
        const WHAT: &str = "stored item";
        budget.take(WHAT, depth)?;
        let kind = from.u8(WHAT)?;
        let mut list = |from: &mut Reader<'_>| {
            let count = from.var_uint(MOST_ITEMS, WHAT)?;
            (0..count).map(|_| Self::unpack(from, depth + 1, budget)).collect::<Result<Vec<_>>>()
        };
        Ok(match kind {
            ANY => StackItem::Null,
            BOOLEAN => StackItem::Boolean(from.u8(WHAT)? != 0),
            INTEGER => StackItem::Integer(from_vm_integer(from.var_bytes(crate::script::MAX_INTEGER as u64, WHAT)?)?),
            BYTE_STRING => StackItem::ByteString(from.var_bytes(MAX_ITEM as u64, WHAT)?.to_vec()),
            BUFFER => StackItem::Buffer(from.var_bytes(MAX_ITEM as u64, WHAT)?.to_vec()),
            ARRAY => StackItem::Array(list(from)?),
            STRUCT => StackItem::Struct(list(from)?),
            MAP => {
                let count = from.var_uint(MOST_ITEMS, WHAT)?;
                let mut part = || Self::unpack(from, depth + 1, budget);
                StackItem::Map((0..count).map(|_| Ok::<_, Error>((part()?, part()?))).collect::<Result<_>>()?)
            }
            _ => return Err(malformed(WHAT, format!("no type has number {kind:#04x}"))),
        })
    }

    /// Writes it as contracts keep it in storage. Pointers and what only lives within the node cannot be kept.
    pub fn to_storage(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.pack(&mut out)?;
        Ok(out)
    }

    fn pack(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut list = |kind: u8, items: &[StackItem]| {
            out.push(kind);
            write_var_uint(items.len() as u64, out);
            items.iter().try_for_each(|item| item.pack(out))
        };
        match self {
            StackItem::Array(items) => return list(ARRAY, items),
            StackItem::Struct(items) => return list(STRUCT, items),
            StackItem::Null => out.push(ANY),
            StackItem::Boolean(value) => out.extend_from_slice(&[BOOLEAN, u8::from(*value)]),
            StackItem::Integer(number) => write_data(INTEGER, &to_vm_integer(number), out),
            StackItem::ByteString(data) => write_data(BYTE_STRING, data, out),
            StackItem::Buffer(data) => write_data(BUFFER, data, out),
            StackItem::Map(entries) => {
                out.push(MAP);
                write_var_uint(entries.len() as u64, out);
                for (key, value) in entries {
                    key.pack(out)?;
                    value.pack(out)?;
                }
            }
            StackItem::Pointer(_) | StackItem::InteropInterface(_) => {
                return Err(malformed("stored item", format!("{} cannot be kept", self.kind())));
            }
        }
        Ok(())
    }
}

fn write_data(kind: u8, data: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    write_var_bytes(data, out);
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_contract_kept_is_read() {
        // What the name service keeps of a name and of a record, as a node showed it.
        for (stored, fields) in [
            ("QQQoFMT9ajj0aMfsbuVMuD1OfaBtX/47KAthbGljZS0xLm5lbyEGEyX+VakBKBTE/Wo49GjH7G7lTLg9Tn2gbV/+Ow==", 4),
            ("QQMoD3cueC5hbGljZS0xLm5lbyEBECgIaGVsbG8gw6k=", 3),
        ] {
            let bytes = BASE64.decode(stored).unwrap();
            let item = StackItem::from_storage(&bytes).unwrap();
            assert_eq!(item.as_list().unwrap().len(), fields);
            assert_eq!(item.to_storage().unwrap(), bytes);
        }
        let record = StackItem::from_storage(&BASE64.decode("QQMoD3cueC5hbGljZS0xLm5lbyEBECgIaGVsbG8gw6k=").unwrap());
        assert_eq!(record.unwrap().as_list().unwrap()[2].as_text().unwrap(), "hello é");
        let map = StackItem::Map(vec![
            (StackItem::Boolean(true), StackItem::Null),
            (StackItem::Buffer(vec![1]), StackItem::Integer(5.into())),
        ]);
        assert_eq!(StackItem::from_storage(&map.to_storage().unwrap()).unwrap(), map);
        assert!(StackItem::Pointer(1).to_storage().is_err());
    }

    #[test]
    fn what_is_nothing_stored_is_refused() {
        for hex in ["", "01", "21", "2121", "2801", "40ff", "4001", "41fd0108", "4802", "0000"] {
            assert!(StackItem::from_storage(&hex::decode(hex).unwrap()).is_err(), "{hex}");
        }
        assert!(StackItem::from_storage(&[0x40, 0x01].repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            if let Ok(item) = StackItem::from_storage(&bytes) {
                prop_assert_eq!(StackItem::from_storage(&item.to_storage().unwrap()).unwrap(), item);
            }
        }
    }
}
