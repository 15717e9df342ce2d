//! What a called contract may do.

use std::{fmt, ops::BitOr};

use crate::error::{Error, malformed};

const NAMES: [(&str, CallFlags); 4] = [
    ("ReadStates", CallFlags::READ_STATES),
    ("WriteStates", CallFlags::WRITE_STATES),
    ("AllowCall", CallFlags::ALLOW_CALL),
    ("AllowNotify", CallFlags::ALLOW_NOTIFY),
];

/// What a called contract may do; a set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CallFlags(u8);

impl CallFlags {
    /// Nothing but compute.
    pub const NONE: Self = Self(0);
    /// Read storage.
    pub const READ_STATES: Self = Self(1);
    /// Write storage.
    pub const WRITE_STATES: Self = Self(2);
    /// Call other contracts.
    pub const ALLOW_CALL: Self = Self(4);
    /// Send notifications.
    pub const ALLOW_NOTIFY: Self = Self(8);
    /// Read and write storage.
    pub const STATES: Self = Self(3);
    /// Read storage and call other contracts.
    pub const READ_ONLY: Self = Self(5);
    /// Everything.
    pub const ALL: Self = Self(15);

    /// The set as nodes number it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `others` are in this set.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl TryFrom<u8> for CallFlags {
    type Error = Error;

    fn try_from(bits: u8) -> Result<Self, Error> {
        if bits & !Self::ALL.0 == 0 { Ok(Self(bits)) } else { Err(malformed("call flags", format!("{bits:#04x}"))) }
    }
}

impl BitOr for CallFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for CallFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("None"),
            Self::ALL => f.write_str("All"),
            _ => {
                let names: Vec<_> =
                    NAMES.iter().filter(|(_, flag)| self.contains(*flag)).map(|(name, _)| *name).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

impl fmt::Debug for CallFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallFlags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_named_by_what_is_in_it() {
        assert_eq!(CallFlags::READ_ONLY.to_string(), "ReadStates, AllowCall");
        assert_eq!(CallFlags::try_from(15).unwrap(), CallFlags::ALL);
        assert!(CallFlags::try_from(16).is_err());
        assert!((CallFlags::STATES | CallFlags::ALLOW_CALL).contains(CallFlags::READ_ONLY));
    }
}
