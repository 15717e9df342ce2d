//! Calls of other contracts that a script makes by number.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::text;
use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    script::CallFlags,
    wire::{Reader, Wire, write_var_bytes},
};

const MOST_METHOD_BYTES: u64 = 32;

/// A method of another contract that a script calls by the place of this token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodToken {
    /// The contract.
    pub hash: Hash160,
    /// Its method, at most 32 bytes; none that begins with `_`.
    pub method: String,
    /// How many arguments it takes.
    #[serde(rename = "paramcount")]
    pub parameters: u16,
    /// Whether it leaves a result.
    #[serde(rename = "hasreturnvalue")]
    pub has_return_value: bool,
    /// What it may do.
    #[serde(rename = "callflags", serialize_with = "write_flags", deserialize_with = "read_flags")]
    pub call_flags: CallFlags,
}

impl MethodToken {
    pub(super) fn check(&self) -> Result<()> {
        if self.method.len() as u64 > MOST_METHOD_BYTES {
            let size = self.method.len() as u64;
            return Err(Error::TooLarge { what: "method of a token", size, most: MOST_METHOD_BYTES });
        }
        if self.method.starts_with('_') {
            return Err(malformed("method of a token", format!("{:?} begins with an underscore", self.method)));
        }
        Ok(())
    }
}

impl Wire for MethodToken {
    fn write(&self, out: &mut Vec<u8>) {
        self.hash.write(out);
        write_var_bytes(self.method.as_bytes(), out);
        out.extend_from_slice(&self.parameters.to_le_bytes());
        out.extend_from_slice(&[u8::from(self.has_return_value), self.call_flags.bits()]);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let hash = Hash160::read(from)?;
        let method = text(from.var_bytes(MOST_METHOD_BYTES, "method of a token")?, "method of a token")?;
        let parameters = from.u16("parameter count of a token")?;
        let has_return_value = match from.u8("return flag of a token")? {
            0 => false,
            1 => true,
            other => return Err(malformed("return flag of a token", format!("{other} is neither 0 nor 1"))),
        };
        let call_flags = CallFlags::try_from(from.u8("call flags of a token")?)?;
        let token = Self { hash, method, parameters, has_return_value, call_flags };
        token.check()?;
        Ok(token)
    }
}

// From the largest down, as the reference node takes a set apart.
const FLAGS: &[(u8, &str)] = &[
    (15, "All"),
    (8, "AllowNotify"),
    (5, "ReadOnly"),
    (4, "AllowCall"),
    (3, "States"),
    (2, "WriteStates"),
    (1, "ReadStates"),
];

fn write_flags<S: Serializer>(flags: &CallFlags, serializer: S) -> Result<S::Ok, S::Error> {
    let mut left = flags.bits();
    let mut names = Vec::new();
    for (bits, name) in FLAGS {
        if left & bits == *bits {
            left &= !bits;
            names.insert(0, *name);
        }
    }
    serializer.serialize_str(&if names.is_empty() { "None".to_owned() } else { names.join(", ") })
}

fn read_flags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CallFlags, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    let bits = text.split(',').map(str::trim).try_fold(0, |flags, name| {
        match FLAGS.iter().find(|(_, known)| *known == name) {
            Some((bits, _)) => Ok(flags | bits),
            None if name == "None" => Ok(flags),
            None => Err(D::Error::custom(format!("call flags: {name:?} is not known"))),
        }
    })?;
    CallFlags::try_from(bits).map_err(D::Error::custom)
}
