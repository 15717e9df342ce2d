//! Values of the stack as what they mean, converted as the VM itself converts them.

use num_bigint::{BigInt, Sign};

use super::{StackItem, from_vm_integer, to_vm_integer};
use crate::{
    Hash160, Hash256, PublicKey,
    error::{Result, malformed},
};

impl StackItem {
    /// True or false. Numbers and data are true unless they are zero; lists and the like are always true.
    pub fn as_bool(&self) -> Result<bool> {
        match self {
            StackItem::Null => Ok(false),
            StackItem::Boolean(value) => Ok(*value),
            StackItem::Integer(number) => Ok(number.sign() != Sign::NoSign),
            StackItem::ByteString(data) if data.len() > crate::script::MAX_INTEGER => Err(self.is_no("boolean")),
            StackItem::ByteString(data) => Ok(data.iter().any(|byte| *byte != 0)),
            _ => Ok(true),
        }
    }

    /// An integer. Data of up to 32 bytes is one.
    pub fn as_integer(&self) -> Result<BigInt> {
        match self {
            StackItem::Boolean(value) => Ok(u8::from(*value).into()),
            StackItem::Integer(number) => Ok(number.clone()),
            StackItem::ByteString(data) | StackItem::Buffer(data) => from_vm_integer(data),
            _ => Err(self.is_no("integer")),
        }
    }

    /// A number from zero up to 64 bits.
    pub fn as_u64(&self) -> Result<u64> {
        u64::try_from(self.as_integer()?).map_err(|_| self.is_no("number of 64 bits"))
    }

    /// Data. Of a number the bytes that the VM makes of it.
    pub fn as_bytes(&self) -> Result<Vec<u8>> {
        match self {
            StackItem::Boolean(value) => Ok(vec![u8::from(*value)]),
            StackItem::Integer(number) => Ok(to_vm_integer(number)),
            StackItem::ByteString(data) | StackItem::Buffer(data) => Ok(data.clone()),
            _ => Err(self.is_no("data")),
        }
    }

    /// UTF-8 text.
    pub fn as_text(&self) -> Result<String> {
        String::from_utf8(self.as_bytes()?).map_err(|_| self.is_no("UTF-8 text"))
    }

    /// An account or a contract: 20 bytes of data.
    pub fn as_hash160(&self) -> Result<Hash160> {
        Ok(Hash160::from_le(self.as_bytes()?.try_into().map_err(|_| self.is_no("hash of 20 bytes"))?))
    }

    /// A transaction or a block: 32 bytes of data.
    pub fn as_hash256(&self) -> Result<Hash256> {
        Ok(Hash256::from_le(self.as_bytes()?.try_into().map_err(|_| self.is_no("hash of 32 bytes"))?))
    }

    /// A public key.
    pub fn as_public_key(&self) -> Result<PublicKey> {
        PublicKey::from_slice(&self.as_bytes()?)
    }

    /// The items of an array or a struct.
    pub fn as_list(&self) -> Result<&[StackItem]> {
        match self {
            StackItem::Array(items) | StackItem::Struct(items) => Ok(items),
            _ => Err(self.is_no("list")),
        }
    }

    /// The entries of a map.
    pub fn as_map(&self) -> Result<&[(StackItem, StackItem)]> {
        match self {
            StackItem::Map(entries) => Ok(entries),
            _ => Err(self.is_no("map")),
        }
    }

    /// The value that a map has for this text.
    pub fn get(&self, key: &str) -> Result<Option<&StackItem>> {
        let same = |candidate: &StackItem| matches!(candidate, StackItem::ByteString(data) if data == key.as_bytes());
        Ok(self.as_map()?.iter().find(|(candidate, _)| same(candidate)).map(|(_, value)| value))
    }

    /// This, or nothing if it is null.
    pub fn non_null(&self) -> Option<&StackItem> {
        (*self != StackItem::Null).then_some(self)
    }

    fn is_no(&self, wanted: &str) -> crate::Error {
        let size = match self {
            StackItem::ByteString(data) | StackItem::Buffer(data) => format!(" of {} bytes", data.len()),
            _ => String::new(),
        };
        malformed("stack item", format!("{}{size} is no {wanted}", self.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native;

    fn data(hex: &str) -> StackItem {
        StackItem::ByteString(hex::decode(hex).unwrap())
    }

    #[test]
    fn values_are_converted_as_the_vm_does() {
        let number = |number: i64| StackItem::Integer(number.into());
        assert!(data("0001").as_bool().unwrap() && !data("0000").as_bool().unwrap() && !data("").as_bool().unwrap());
        assert!(StackItem::Array(vec![]).as_bool().unwrap() && !StackItem::Null.as_bool().unwrap());
        assert!(StackItem::Buffer(vec![0]).as_bool().unwrap() && data(&"00".repeat(33)).as_bool().is_err());
        assert_eq!(data("ff").as_integer().unwrap(), (-1).into());
        assert_eq!(StackItem::Boolean(true).as_u64().unwrap(), 1);
        assert!(number(-1).as_u64().is_err() && StackItem::Null.as_integer().is_err());
        assert_eq!(number(256).as_bytes().unwrap(), [0, 1]);
        assert_eq!(data("4e454f").as_text().unwrap(), "NEO");
        assert!(data("ff").as_text().is_err());
    }

    #[test]
    fn hashes_keys_and_containers() {
        let gas = StackItem::ByteString(native::GAS.as_le().to_vec());
        assert_eq!(gas.as_hash160().unwrap(), native::GAS);
        assert!(gas.as_hash256().is_err() && gas.as_public_key().is_err() && gas.as_list().is_err());
        let map = StackItem::Map(vec![(data("61"), gas.clone())]);
        assert_eq!(map.get("a").unwrap(), Some(&gas));
        assert_eq!((map.get("b").unwrap(), StackItem::Null.non_null()), (None, None));
        let error = data("0102").as_hash160().unwrap_err().to_string();
        assert_eq!(error, "stack item: ByteString of 2 bytes is no hash of 20 bytes");
    }
}
