//! Reading scripts.

use std::collections::BTreeSet;

use num_bigint::BigInt;

use super::{MAX_ITEM, Opcode, Shape, Syscall};
use crate::error::{Error, malformed};

/// One instruction of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction<'a> {
    /// Where in the script it begins.
    pub offset: usize,
    /// What it does.
    pub opcode: Opcode,
    /// What follows the operation; of data, without its length.
    pub operand: &'a [u8],
}

/// Where and why a script is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {offset}: {why}")]
pub struct Flaw {
    /// Where the instruction begins that is at fault.
    pub offset: usize,
    /// What is wrong with it.
    pub why: String,
}

impl From<Flaw> for Error {
    fn from(flaw: Flaw) -> Self {
        malformed("script", flaw.to_string())
    }
}

/// The instructions of a script, one after the other. After a flaw nothing more comes.
pub fn instructions(script: &[u8]) -> Instructions<'_> {
    Instructions { script, at: 0 }
}

/// What [`instructions`] gives.
#[derive(Clone, Debug)]
pub struct Instructions<'a> {
    script: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Instructions<'a> {
    type Item = Result<Instruction<'a>, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.script.len() {
            return None;
        }
        let read = Instruction::read(self.script, self.at);
        self.at = read.as_ref().map_or(self.script.len(), Instruction::end);
        Some(read)
    }
}

/// Reads the whole script and checks it as nodes check the script of a transaction before they take it: every jump,
/// call and handler leads to an instruction, and every type is one.
///
/// One node (neo-go) also lets jumps lead to the very end of the script, another (the reference) refuses such a
/// transaction; so it is refused here. The reverse holds for data longer than a stack item may be.
pub fn check(script: &[u8]) -> Result<Vec<Instruction<'_>>, Flaw> {
    let all = instructions(script).collect::<Result<Vec<_>, _>>()?;
    let starts: BTreeSet<i64> = all.iter().map(|instruction| instruction.offset as i64).collect();
    for instruction in &all {
        let flaw = |why: String| Flaw { offset: instruction.offset, why };
        if let Some(wrong) = instruction.destinations().find(|target| !starts.contains(target)) {
            return Err(flaw(format!("{} leads to {wrong}, where no instruction begins", instruction.opcode)));
        }
        if instruction.opcode.shape() == Shape::Type {
            let kind = type_name(instruction.operand[0]).ok_or_else(|| flaw("no such type of items".into()))?;
            if kind == "Any" && instruction.opcode != Opcode::NEWARRAY_T {
                return Err(flaw(format!("{} of type Any", instruction.opcode)));
            }
        }
        if instruction.operand.len() > MAX_ITEM {
            return Err(flaw(format!("{} bytes of data, and {MAX_ITEM} is the most", instruction.operand.len())));
        }
    }
    Ok(all)
}

impl<'a> Instruction<'a> {
    /// Reads the instruction that begins at `offset`.
    pub fn read(script: &'a [u8], offset: usize) -> Result<Self, Flaw> {
        let flaw = |why: String| Flaw { offset, why };
        let (&byte, rest) = script
            .get(offset..)
            .and_then(<[u8]>::split_first)
            .ok_or_else(|| flaw("the script ends before it".into()))?;
        let opcode = Opcode::from_byte(byte).ok_or_else(|| flaw(format!("no operation has number {byte:#04x}")))?;
        let operand = match opcode.shape() {
            Shape::Data(prefix) => rest.split_at_checked(prefix).and_then(|(length, data)| {
                let length = length.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                data.get(..usize::try_from(length).ok()?)
            }),
            shape => rest.get(..shape.fixed().unwrap_or_default()),
        };
        let operand = operand.ok_or_else(|| flaw(format!("the script ends in the middle of {opcode}")))?;
        Ok(Self { offset, opcode, operand })
    }

    /// Where the next instruction begins.
    pub fn end(&self) -> usize {
        let prefix = if let Shape::Data(prefix) = self.opcode.shape() { prefix } else { 0 };
        self.offset + 1 + prefix + self.operand.len()
    }

    /// The number that it pushes, if it pushes one.
    pub fn integer(&self) -> Option<BigInt> {
        match self.opcode.shape() {
            Shape::Int(_) => Some(BigInt::from_signed_bytes_le(self.operand)),
            _ => {
                let number = i16::from(self.opcode.byte()) - i16::from(Opcode::PUSH0.byte());
                (-1..=16).contains(&number).then(|| number.into())
            }
        }
    }

    /// The data that it pushes, if it pushes data.
    pub fn data(&self) -> Option<&'a [u8]> {
        matches!(self.opcode.shape(), Shape::Data(_)).then_some(self.operand)
    }

    /// The system call that it makes, if it makes one.
    pub fn syscall(&self) -> Option<Syscall> {
        (self.opcode.shape() == Shape::Syscall).then(|| self.operand.try_into().ok().map(Syscall::from_bytes))?
    }

    /// Where it leads: the target of a jump, a call, or a pointer; the handlers of a `TRY`, a missing one left out.
    /// As the script says it, be an instruction there or not.
    pub fn destinations(&self) -> impl Iterator<Item = i64> + use<> {
        let (size, zero_is_none) = match self.opcode.shape() {
            Shape::Jump(size) => (size, false),
            Shape::Try(size) => (size, true),
            _ => (1, true),
        };
        let distances = if matches!(self.opcode.shape(), Shape::Jump(_) | Shape::Try(_)) { self.operand } else { &[] };
        let mut found = [None; 2];
        for (target, distance) in found.iter_mut().zip(distances.chunks(size)) {
            let distance = signed(distance);
            *target = (distance != 0 || !zero_is_none).then_some(self.offset as i64 + distance);
        }
        found.into_iter().flatten()
    }

    /// What it costs in units of the execution fee factor. `None` for a system call that is not known.
    pub fn price(&self) -> Option<u32> {
        self.syscall().map_or(Some(self.opcode.price()), Syscall::price)
    }
}

/// A little-endian number in two's complement of at most eight bytes.
pub(super) fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().rev().fold(fill, |sum, byte| sum << 8 | i64::from(*byte))
}

const TYPES: &[(u8, &str)] = &[
    (0x00, "Any"),
    (0x10, "Pointer"),
    (0x20, "Boolean"),
    (0x21, "Integer"),
    (0x28, "ByteString"),
    (0x30, "Buffer"),
    (0x40, "Array"),
    (0x41, "Struct"),
    (0x48, "Map"),
    (0x60, "InteropInterface"),
];

/// The name of a type of stack items.
pub(super) fn type_name(number: u8) -> Option<&'static str> {
    TYPES.iter().find(|(value, _)| *value == number).map(|(_, name)| *name)
}

/// The number of a type of stack items.
pub(super) fn type_number(name: &str) -> Option<u8> {
    TYPES.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flaw_of(hex: &str) -> String {
        check(&hex::decode(hex).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn instructions_are_read_with_what_follows_them() {
        let script = hex::decode("0c0568656c6c6f00800f20235500000041627d5b5240").unwrap();
        let all: Vec<_> = instructions(&script).map(|read| read.unwrap()).collect();
        assert_eq!(all.iter().map(|one| one.offset).collect::<Vec<_>>(), [0, 7, 9, 10, 11, 16, 21]);
        assert_eq!(all[0].data(), Some(&b"hello"[..]));
        assert_eq!(all[1].integer(), Some((-128).into()));
        assert_eq!((all[2].integer(), all[3].integer()), (Some((-1).into()), Some(16.into())));
        assert_eq!(all[4].destinations().collect::<Vec<_>>(), [11 + 0x55]);
        assert_eq!(all[5].syscall(), Some(Syscall::CONTRACT_CALL));
        assert_eq!((all[5].price(), all[0].price()), (Some(1 << 15), Some(8)));
        assert_eq!((all[6].integer(), all[6].end()), (None, script.len()));
    }

    #[test]
    fn a_flaw_is_told_with_its_place() {
        assert_eq!(flaw_of("2106"), "at 1: no operation has number 0x06");
        assert_eq!(flaw_of("210c05aabb"), "at 1: the script ends in the middle of PUSHDATA1");
        assert_eq!(flaw_of("0effffffff00"), "at 0: the script ends in the middle of PUSHDATA4");
        assert_eq!(flaw_of("0d01"), "at 0: the script ends in the middle of PUSHDATA2");
        assert_eq!(flaw_of("41627d5b"), "at 0: the script ends in the middle of SYSCALL");
        assert_eq!(flaw_of("22030c0121"), "at 0: JMP leads to 3, where no instruction begins");
        assert_eq!(flaw_of("2102"), "at 1: the script ends in the middle of PUSHINT32");
        assert_eq!(flaw_of("22ff"), "at 0: JMP leads to -1, where no instruction begins");
        assert_eq!(flaw_of("2202"), "at 0: JMP leads to 2, where no instruction begins");
        assert_eq!(flaw_of("3b00053d02"), "at 0: TRY leads to 5, where no instruction begins");
        assert_eq!(flaw_of("db00"), "at 0: CONVERT of type Any");
        assert_eq!(flaw_of("d9ff"), "at 0: no such type of items");
        assert!(check(&hex::decode("c40040").unwrap()).is_ok() && check(&[]).is_ok());
        assert!(check(&hex::decode("3b05003d0240").unwrap()).is_ok());
        let mut long = vec![Opcode::PUSHDATA4.byte(), 0xff, 0xff, 1, 0];
        long.resize(5 + 0x1ffff, 0);
        assert!(check(&long).unwrap_err().why.contains("131070 is the most"));
        long[1] = 0xfe;
        long.pop();
        assert!(check(&long).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_none_is_passed_over(bytes: Vec<u8>) {
            let mut at = 0;
            for read in instructions(&bytes) {
                match read {
                    Ok(instruction) => {
                        prop_assert_eq!(instruction.offset, at);
                        at = instruction.end();
                        let _ = (instruction.integer(), instruction.destinations().count(), instruction.price());
                    }
                    Err(flaw) => {
                        prop_assert_eq!(flaw.offset, at);
                        at = bytes.len();
                    }
                }
            }
            prop_assert_eq!(at, bytes.len());
            let _ = check(&bytes);
        }
    }
}
