//! The operations of NeoVM: their numbers, the form of what follows each in a script, and their prices.

use std::{fmt, str::FromStr};

use Shape::{Data, Int, Jump, Slots, Syscall, Token, Try, Type};

use crate::error::{Error, Result, malformed};

/// What follows an operation in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Bare,
    /// A little-endian number in two's complement, of so many bytes.
    Int(usize),
    /// A little-endian length of so many bytes, and then as much data as it says.
    Data(usize),
    /// The distance to another instruction, of so many bytes.
    Jump(usize),
    /// The distances to the handlers `catch` and `finally`, of so many bytes each; zero is none.
    Try(usize),
    /// The four bytes that name a system call.
    Syscall,
    /// The number of a method token of the contract, in two bytes.
    Token,
    /// The number of a type of stack items.
    Type,
    /// Numbers of slots, or how many there shall be: so many bytes.
    Slots(usize),
}

impl Shape {
    /// How many bytes follow the operation, when that does not depend on them.
    pub const fn fixed(self) -> Option<usize> {
        match self {
            Shape::Bare => Some(0),
            Shape::Int(size) | Shape::Jump(size) | Shape::Slots(size) => Some(size),
            Shape::Try(size) => Some(2 * size),
            Shape::Syscall => Some(4),
            Shape::Token => Some(2),
            Shape::Type => Some(1),
            Shape::Data(_) => None,
        }
    }
}

macro_rules! opcodes {
    ($($name:ident = $value:literal $([$shape:expr])? costs $price:expr;)*) => {
        /// An operation of NeoVM, under the name that it has in the VM's own source.
        #[expect(non_camel_case_types, reason = "the names of the field: a long jump is JMP_L everywhere")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Opcode {
            $(#[doc = concat!("`", stringify!($value), "`")] $name = $value,)*
        }

        impl Opcode {
            /// All there are, by number.
            pub const ALL: &[Opcode] = &[$(Opcode::$name),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Opcode::$name => stringify!($name),)*
                }
            }

            /// What follows it in a script.
            pub const fn shape(self) -> Shape {
                match self {
                    $(Opcode::$name => opcodes!(@shape $($shape)?),)*
                }
            }

            /// What it costs, in units of the network's execution fee factor. System calls have their own prices
            /// ([`Syscall`](super::Syscall)), and some operations cost more by what the network's policy says.
            pub const fn price(self) -> u32 {
                match self {
                    $(Opcode::$name => $price,)*
                }
            }

            /// The operation of this number.
            pub const fn from_byte(byte: u8) -> Option<Opcode> {
                match byte {
                    $($value => Some(Opcode::$name),)*
                    _ => None,
                }
            }
        }
    };
    (@shape) => { Shape::Bare };
    (@shape $shape:expr) => { $shape };
}

opcodes! {
    PUSHINT8 = 0x00 [Int(1)] costs 1 << 0;
    PUSHINT16 = 0x01 [Int(2)] costs 1 << 0;
    PUSHINT32 = 0x02 [Int(4)] costs 1 << 0;
    PUSHINT64 = 0x03 [Int(8)] costs 1 << 0;
    PUSHINT128 = 0x04 [Int(16)] costs 1 << 2;
    PUSHINT256 = 0x05 [Int(32)] costs 1 << 2;
    PUSHT = 0x08 costs 1 << 0;
    PUSHF = 0x09 costs 1 << 0;
    PUSHA = 0x0a [Jump(4)] costs 1 << 2;
    PUSHNULL = 0x0b costs 1 << 0;
    PUSHDATA1 = 0x0c [Data(1)] costs 1 << 3;
    PUSHDATA2 = 0x0d [Data(2)] costs 1 << 9;
    PUSHDATA4 = 0x0e [Data(4)] costs 1 << 12;
    PUSHM1 = 0x0f costs 1 << 0;
    PUSH0 = 0x10 costs 1 << 0;
    PUSH1 = 0x11 costs 1 << 0;
    PUSH2 = 0x12 costs 1 << 0;
    PUSH3 = 0x13 costs 1 << 0;
    PUSH4 = 0x14 costs 1 << 0;
    PUSH5 = 0x15 costs 1 << 0;
    PUSH6 = 0x16 costs 1 << 0;
    PUSH7 = 0x17 costs 1 << 0;
    PUSH8 = 0x18 costs 1 << 0;
    PUSH9 = 0x19 costs 1 << 0;
    PUSH10 = 0x1a costs 1 << 0;
    PUSH11 = 0x1b costs 1 << 0;
    PUSH12 = 0x1c costs 1 << 0;
    PUSH13 = 0x1d costs 1 << 0;
    PUSH14 = 0x1e costs 1 << 0;
    PUSH15 = 0x1f costs 1 << 0;
    PUSH16 = 0x20 costs 1 << 0;
    NOP = 0x21 costs 1 << 0;
    JMP = 0x22 [Jump(1)] costs 1 << 1;
    JMP_L = 0x23 [Jump(4)] costs 1 << 1;
    JMPIF = 0x24 [Jump(1)] costs 1 << 1;
    JMPIF_L = 0x25 [Jump(4)] costs 1 << 1;
    JMPIFNOT = 0x26 [Jump(1)] costs 1 << 1;
    JMPIFNOT_L = 0x27 [Jump(4)] costs 1 << 1;
    JMPEQ = 0x28 [Jump(1)] costs 1 << 1;
    JMPEQ_L = 0x29 [Jump(4)] costs 1 << 1;
    JMPNE = 0x2a [Jump(1)] costs 1 << 1;
    JMPNE_L = 0x2b [Jump(4)] costs 1 << 1;
    JMPGT = 0x2c [Jump(1)] costs 1 << 1;
    JMPGT_L = 0x2d [Jump(4)] costs 1 << 1;
    JMPGE = 0x2e [Jump(1)] costs 1 << 1;
    JMPGE_L = 0x2f [Jump(4)] costs 1 << 1;
    JMPLT = 0x30 [Jump(1)] costs 1 << 1;
    JMPLT_L = 0x31 [Jump(4)] costs 1 << 1;
    JMPLE = 0x32 [Jump(1)] costs 1 << 1;
    JMPLE_L = 0x33 [Jump(4)] costs 1 << 1;
    CALL = 0x34 [Jump(1)] costs 1 << 9;
    CALL_L = 0x35 [Jump(4)] costs 1 << 9;
    CALLA = 0x36 costs 1 << 9;
    CALLT = 0x37 [Token] costs 1 << 15;
    ABORT = 0x38 costs 0;
    ASSERT = 0x39 costs 1 << 0;
    THROW = 0x3a costs 1 << 9;
    TRY = 0x3b [Try(1)] costs 1 << 2;
    TRY_L = 0x3c [Try(4)] costs 1 << 2;
    ENDTRY = 0x3d [Jump(1)] costs 1 << 2;
    ENDTRY_L = 0x3e [Jump(4)] costs 1 << 2;
    ENDFINALLY = 0x3f costs 1 << 2;
    RET = 0x40 costs 0;
    SYSCALL = 0x41 [Syscall] costs 0;
    DEPTH = 0x43 costs 1 << 1;
    DROP = 0x45 costs 1 << 1;
    NIP = 0x46 costs 1 << 1;
    XDROP = 0x48 costs 1 << 4;
    CLEAR = 0x49 costs 1 << 4;
    DUP = 0x4a costs 1 << 1;
    OVER = 0x4b costs 1 << 1;
    PICK = 0x4d costs 1 << 1;
    TUCK = 0x4e costs 1 << 1;
    SWAP = 0x50 costs 1 << 1;
    ROT = 0x51 costs 1 << 1;
    ROLL = 0x52 costs 1 << 4;
    REVERSE3 = 0x53 costs 1 << 1;
    REVERSE4 = 0x54 costs 1 << 1;
    REVERSEN = 0x55 costs 1 << 4;
    INITSSLOT = 0x56 [Slots(1)] costs 1 << 4;
    INITSLOT = 0x57 [Slots(2)] costs 1 << 6;
    LDSFLD0 = 0x58 costs 1 << 1;
    LDSFLD1 = 0x59 costs 1 << 1;
    LDSFLD2 = 0x5a costs 1 << 1;
    LDSFLD3 = 0x5b costs 1 << 1;
    LDSFLD4 = 0x5c costs 1 << 1;
    LDSFLD5 = 0x5d costs 1 << 1;
    LDSFLD6 = 0x5e costs 1 << 1;
    LDSFLD = 0x5f [Slots(1)] costs 1 << 1;
    STSFLD0 = 0x60 costs 1 << 1;
    STSFLD1 = 0x61 costs 1 << 1;
    STSFLD2 = 0x62 costs 1 << 1;
    STSFLD3 = 0x63 costs 1 << 1;
    STSFLD4 = 0x64 costs 1 << 1;
    STSFLD5 = 0x65 costs 1 << 1;
    STSFLD6 = 0x66 costs 1 << 1;
    STSFLD = 0x67 [Slots(1)] costs 1 << 1;
    LDLOC0 = 0x68 costs 1 << 1;
    LDLOC1 = 0x69 costs 1 << 1;
    LDLOC2 = 0x6a costs 1 << 1;
    LDLOC3 = 0x6b costs 1 << 1;
    LDLOC4 = 0x6c costs 1 << 1;
    LDLOC5 = 0x6d costs 1 << 1;
    LDLOC6 = 0x6e costs 1 << 1;
    LDLOC = 0x6f [Slots(1)] costs 1 << 1;
    STLOC0 = 0x70 costs 1 << 1;
    STLOC1 = 0x71 costs 1 << 1;
    STLOC2 = 0x72 costs 1 << 1;
    STLOC3 = 0x73 costs 1 << 1;
    STLOC4 = 0x74 costs 1 << 1;
    STLOC5 = 0x75 costs 1 << 1;
    STLOC6 = 0x76 costs 1 << 1;
    STLOC = 0x77 [Slots(1)] costs 1 << 1;
    LDARG0 = 0x78 costs 1 << 1;
    LDARG1 = 0x79 costs 1 << 1;
    LDARG2 = 0x7a costs 1 << 1;
    LDARG3 = 0x7b costs 1 << 1;
    LDARG4 = 0x7c costs 1 << 1;
    LDARG5 = 0x7d costs 1 << 1;
    LDARG6 = 0x7e costs 1 << 1;
    LDARG = 0x7f [Slots(1)] costs 1 << 1;
    STARG0 = 0x80 costs 1 << 1;
    STARG1 = 0x81 costs 1 << 1;
    STARG2 = 0x82 costs 1 << 1;
    STARG3 = 0x83 costs 1 << 1;
    STARG4 = 0x84 costs 1 << 1;
    STARG5 = 0x85 costs 1 << 1;
    STARG6 = 0x86 costs 1 << 1;
    STARG = 0x87 [Slots(1)] costs 1 << 1;
    NEWBUFFER = 0x88 costs 1 << 8;
    MEMCPY = 0x89 costs 1 << 11;
    CAT = 0x8b costs 1 << 11;
    SUBSTR = 0x8c costs 1 << 11;
    LEFT = 0x8d costs 1 << 11;
    RIGHT = 0x8e costs 1 << 11;
    INVERT = 0x90 costs 1 << 2;
    AND = 0x91 costs 1 << 3;
    OR = 0x92 costs 1 << 3;
    XOR = 0x93 costs 1 << 3;
    EQUAL = 0x97 costs 1 << 5;
    NOTEQUAL = 0x98 costs 1 << 5;
    SIGN = 0x99 costs 1 << 2;
    ABS = 0x9a costs 1 << 2;
    NEGATE = 0x9b costs 1 << 2;
    INC = 0x9c costs 1 << 2;
    DEC = 0x9d costs 1 << 2;
    ADD = 0x9e costs 1 << 3;
    SUB = 0x9f costs 1 << 3;
    MUL = 0xa0 costs 1 << 3;
    DIV = 0xa1 costs 1 << 3;
    MOD = 0xa2 costs 1 << 3;
    POW = 0xa3 costs 1 << 6;
    SQRT = 0xa4 costs 1 << 6;
    MODMUL = 0xa5 costs 1 << 5;
    MODPOW = 0xa6 costs 1 << 11;
    SHL = 0xa8 costs 1 << 3;
    SHR = 0xa9 costs 1 << 3;
    NOT = 0xaa costs 1 << 2;
    BOOLAND = 0xab costs 1 << 3;
    BOOLOR = 0xac costs 1 << 3;
    NZ = 0xb1 costs 1 << 2;
    NUMEQUAL = 0xb3 costs 1 << 3;
    NUMNOTEQUAL = 0xb4 costs 1 << 3;
    LT = 0xb5 costs 1 << 3;
    LE = 0xb6 costs 1 << 3;
    GT = 0xb7 costs 1 << 3;
    GE = 0xb8 costs 1 << 3;
    MIN = 0xb9 costs 1 << 3;
    MAX = 0xba costs 1 << 3;
    WITHIN = 0xbb costs 1 << 3;
    PACKMAP = 0xbe costs 1 << 11;
    PACKSTRUCT = 0xbf costs 1 << 11;
    PACK = 0xc0 costs 1 << 11;
    UNPACK = 0xc1 costs 1 << 11;
    NEWARRAY0 = 0xc2 costs 1 << 4;
    NEWARRAY = 0xc3 costs 1 << 9;
    NEWARRAY_T = 0xc4 [Type] costs 1 << 9;
    NEWSTRUCT0 = 0xc5 costs 1 << 4;
    NEWSTRUCT = 0xc6 costs 1 << 9;
    NEWMAP = 0xc8 costs 1 << 3;
    SIZE = 0xca costs 1 << 2;
    HASKEY = 0xcb costs 1 << 6;
    KEYS = 0xcc costs 1 << 4;
    VALUES = 0xcd costs 1 << 13;
    PICKITEM = 0xce costs 1 << 6;
    APPEND = 0xcf costs 1 << 13;
    SETITEM = 0xd0 costs 1 << 13;
    REVERSEITEMS = 0xd1 costs 1 << 13;
    REMOVE = 0xd2 costs 1 << 4;
    CLEARITEMS = 0xd3 costs 1 << 4;
    POPITEM = 0xd4 costs 1 << 4;
    ISNULL = 0xd8 costs 1 << 1;
    ISTYPE = 0xd9 [Type] costs 1 << 1;
    CONVERT = 0xdb [Type] costs 1 << 13;
    ABORTMSG = 0xe0 costs 0;
    ASSERTMSG = 0xe1 costs 1 << 0;
}

impl Opcode {
    /// Its number.
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Opcode {
    type Err = Error;

    /// Reads a name in letters of any case, long forms with or without their underscore.
    fn from_str(text: &str) -> Result<Self> {
        let name = text.to_ascii_uppercase();
        let same = |opcode: &&Opcode| opcode.name() == name || opcode.name().replace('_', "") == name;
        Opcode::ALL.iter().find(same).copied().ok_or_else(|| malformed("operation", format!("no such one: {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_found_by_its_number_and_its_name() {
        assert_eq!(Opcode::ALL.len(), 196);
        for &opcode in Opcode::ALL {
            assert_eq!(Opcode::from_byte(opcode.byte()), Some(opcode));
            assert_eq!(opcode.name().to_lowercase().parse::<Opcode>().unwrap(), opcode);
        }
        assert_eq!("JMPIFNOTL".parse::<Opcode>().unwrap(), Opcode::JMPIFNOT_L);
        assert_eq!(Opcode::from_byte(0x06), None);
        assert!("PUSH17".parse::<Opcode>().is_err());
    }
}
