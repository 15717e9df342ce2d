//! The system calls of NeoVM.

use std::fmt;

use crate::account;

/// A system call, as a script names it: the first four bytes of SHA-256 of its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Syscall([u8; 4]);

/// Names of all calls that nodes know, and their prices in units of the execution fee factor. Calls with price 0 are
/// free or cost what their arguments and the network's policy make of them.
const KNOWN: &[(&str, u32)] = &[
    ("System.Contract.Call", 1 << 15),
    ("System.Contract.CallNative", 0),
    ("System.Contract.CreateMultisigAccount", 0),
    ("System.Contract.CreateStandardAccount", 0),
    ("System.Contract.GetCallFlags", 1 << 10),
    ("System.Contract.NativeOnPersist", 0),
    ("System.Contract.NativePostPersist", 0),
    ("System.Crypto.CheckMultisig", 0),
    ("System.Crypto.CheckSig", 1 << 15),
    ("System.Iterator.Next", 1 << 15),
    ("System.Iterator.Value", 1 << 4),
    ("System.Runtime.BurnGas", 1 << 4),
    ("System.Runtime.CheckWitness", 1 << 10),
    ("System.Runtime.CurrentSigners", 1 << 4),
    ("System.Runtime.GasLeft", 1 << 4),
    ("System.Runtime.GetAddressVersion", 1 << 3),
    ("System.Runtime.GetCallingScriptHash", 1 << 4),
    ("System.Runtime.GetEntryScriptHash", 1 << 4),
    ("System.Runtime.GetExecutingScriptHash", 1 << 4),
    ("System.Runtime.GetInvocationCounter", 1 << 4),
    ("System.Runtime.GetNetwork", 1 << 3),
    ("System.Runtime.GetNotifications", 1 << 12),
    ("System.Runtime.GetRandom", 0),
    ("System.Runtime.GetScriptContainer", 1 << 3),
    ("System.Runtime.GetTime", 1 << 3),
    ("System.Runtime.GetTrigger", 1 << 3),
    ("System.Runtime.LoadScript", 1 << 15),
    ("System.Runtime.Log", 1 << 15),
    ("System.Runtime.Notify", 1 << 15),
    ("System.Runtime.Platform", 1 << 3),
    ("System.Storage.AsReadOnly", 1 << 4),
    ("System.Storage.Delete", 1 << 15),
    ("System.Storage.Find", 1 << 15),
    ("System.Storage.Get", 1 << 15),
    ("System.Storage.GetContext", 1 << 4),
    ("System.Storage.GetReadOnlyContext", 1 << 4),
    ("System.Storage.Local.Delete", 1 << 15),
    ("System.Storage.Local.Find", 1 << 15),
    ("System.Storage.Local.Get", 1 << 15),
    ("System.Storage.Local.Put", 1 << 15),
    ("System.Storage.Put", 1 << 15),
];

impl Syscall {
    /// The call of a contract's method, by its hash.
    pub const CONTRACT_CALL: Syscall = Syscall([0x62, 0x7d, 0x5b, 0x52]);

    /// The call of this name, whether nodes know it or not.
    pub fn named(name: &str) -> Self {
        Self(account::syscall(name))
    }

    /// From the bytes that a script has.
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The bytes that a script has.
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// All that nodes know.
    pub fn known() -> impl Iterator<Item = Syscall> {
        KNOWN.iter().map(|(name, _)| Syscall::named(name))
    }

    /// Its name, when nodes know it.
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|(name, _)| name)
    }

    /// What it costs in units of the execution fee factor, when nodes know it.
    pub fn price(self) -> Option<u32> {
        self.entry().map(|(_, price)| price)
    }

    fn entry(self) -> Option<(&'static str, u32)> {
        // Hashing forty short names takes some microseconds; the one that matters is told apart at once.
        if self == Self::CONTRACT_CALL {
            return Some(KNOWN[0]);
        }
        KNOWN.iter().find(|(name, _)| Syscall::named(name) == self).copied()
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{}", hex::encode(self.0)),
        }
    }
}

impl fmt::Debug for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_the_numbers_that_scripts_hold() {
        for (name, number) in [
            ("System.Contract.Call", "627d5b52"),
            ("System.Crypto.CheckSig", "56e7b327"),
            ("System.Crypto.CheckMultisig", "9ed0dc3a"),
            ("System.Storage.Put", "e63f1884"),
            ("System.Runtime.Notify", "95016f61"),
        ] {
            let call = Syscall::named(name);
            assert_eq!((hex::encode(call.to_bytes()).as_str(), call.name()), (number, Some(name)));
        }
        assert_eq!(Syscall::named("System.Contract.Call"), Syscall::CONTRACT_CALL);
        assert_eq!(Syscall::known().count(), KNOWN.len());
        assert_eq!(Syscall::from_bytes([1, 2, 3, 4]).to_string(), "0x01020304");
    }
}
