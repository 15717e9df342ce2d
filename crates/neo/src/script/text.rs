//! Scripts as text, one instruction a line, and back to the same bytes.
//!
//! ```text
//! 0000: PUSHDATA1 "transfer"
//! 0010: PUSHINT8 -5
//! 0012: JMPIF @0016
//! 0014: TRY @0020 -
//! 0017: SYSCALL System.Contract.Call
//! 0022: CONVERT ByteString      # a comment
//! ```
//!
//! The operation stands as it is in the script, shortest form or not, so nothing is lost. Data is text in quotes when
//! all of it is printable ASCII, and hex otherwise; where a jump leads is said by the offset there; `-` is a handler
//! that is not there. A reader may leave the offsets at the beginning out; where they stand they must be right.

use std::fmt::{self, Write as _};

use num_bigint::BigInt;

use super::{
    Flaw, Instruction, Opcode, Shape, Syscall,
    decode::{instructions, signed, type_name, type_number},
};
use crate::error::{Result, malformed};

/// Characters of an integer of 256 bits with its sign, and some zeros before it.
const MOST_DIGITS: usize = 100;

/// Writes a script as text.
pub fn to_text(script: &[u8]) -> Result<String, Flaw> {
    let mut text = String::new();
    for instruction in instructions(script) {
        let instruction = instruction?;
        // Writing to a string never fails.
        let _ = writeln!(text, "{:04}: {instruction}", instruction.offset);
    }
    Ok(text)
}

impl fmt::Display for Instruction<'_> {
    /// The instruction as a line of text, without its offset.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.opcode.name())?;
        let target = |distance: &[u8]| self.offset as i64 + signed(distance);
        match self.opcode.shape() {
            Shape::Bare => Ok(()),
            Shape::Int(_) => write!(f, " {}", BigInt::from_signed_bytes_le(self.operand)),
            Shape::Data(_) => write!(f, " {}", Data(self.operand)),
            Shape::Jump(_) => write!(f, " @{:04}", target(self.operand)),
            Shape::Try(size) => self.operand.chunks(size).try_for_each(|distance| match signed(distance) {
                0 => f.write_str(" -"),
                _ => write!(f, " @{:04}", target(distance)),
            }),
            Shape::Syscall => self.syscall().map_or(Ok(()), |call| write!(f, " {call}")),
            Shape::Token => write!(f, " {}", signed(self.operand) & 0xffff),
            Shape::Type => self.operand.iter().try_for_each(|number| match type_name(*number) {
                Some(name) => write!(f, " {name}"),
                None => write!(f, " {number:#04x}"),
            }),
            Shape::Slots(_) => self.operand.iter().try_for_each(|count| write!(f, " {count}")),
        }
    }
}

/// Data as a script's text shows it.
pub(crate) struct Data<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return write!(f, "0x{}", hex::encode(self.0));
        }
        f.write_char('"')?;
        for &byte in self.0 {
            if matches!(byte, b'"' | b'\\') {
                f.write_char('\\')?;
            }
            f.write_char(char::from(byte))?;
        }
        f.write_char('"')
    }
}

/// Reads a script from its text.
pub fn from_text(text: &str) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |why: String| malformed("script", format!("line {}: {why}", number + 1));
        let words = words(line).map_err(wrong)?;
        let mut words = words.as_slice();
        if let [Word::Plain(first), rest @ ..] = words
            && let Some(offset) = first.strip_suffix(':')
        {
            if offset.parse() != Ok(script.len()) {
                return Err(wrong(format!("this is offset {:04}, not {offset}", script.len())));
            }
            words = rest;
        }
        match words {
            [] => {}
            [Word::Plain(name), operands @ ..] => {
                let opcode: Opcode = name.parse()?;
                assemble(opcode, operands, &mut script).map_err(wrong)?;
            }
            [Word::Quoted(_), ..] => return Err(wrong("an operation is not written in quotes".into())),
        }
    }
    Ok(script)
}

enum Word<'a> {
    Plain(&'a str),
    Quoted(Vec<u8>),
}

fn words(line: &str) -> Result<Vec<Word<'_>>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (data, after) = unquote(quoted)?;
            words.push(Word::Quoted(data));
            rest = after;
        } else {
            let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            words.push(Word::Plain(word));
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(words)
}

fn unquote(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut data = Vec::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        let character = match character {
            '"' => return Ok((data, &text[at + 1..])),
            '\\' => characters.next().ok_or("it ends after a backslash")?.1,
            other => other,
        };
        data.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Err("a quote that does not end".into())
}

fn assemble(opcode: Opcode, operands: &[Word<'_>], script: &mut Vec<u8>) -> Result<(), String> {
    let offset = script.len() as i64;
    script.push(opcode.byte());
    match (opcode.shape(), operands) {
        (Shape::Bare, []) => {}
        (Shape::Int(size), [Word::Plain(number)]) => {
            // Long text would cost quadratic time.
            if number.len() > MOST_DIGITS {
                return Err(format!("{} characters are too many for an integer", number.len()));
            }
            let number: BigInt = number.parse().map_err(|_| format!("{number} is no integer"))?;
            script.extend_from_slice(&fixed(&number, size).ok_or_else(|| format!("{number} is too large"))?);
        }
        (Shape::Data(prefix), [operand]) => {
            let data = match operand {
                Word::Plain(text) => bytes(text)?,
                Word::Quoted(data) => data.clone(),
            };
            let length = data.len().to_le_bytes();
            if length[prefix..].iter().any(|byte| *byte != 0) {
                return Err(format!("{} bytes are too many for {opcode}", data.len()));
            }
            script.extend_from_slice(&length[..prefix]);
            script.extend_from_slice(&data);
        }
        (Shape::Jump(size), [target]) => script.extend_from_slice(&distance(offset, target, size)?),
        (Shape::Try(size), [catch, finally]) => {
            for target in [catch, finally] {
                match target {
                    Word::Plain("-") => script.resize(script.len() + size, 0),
                    _ => script.extend_from_slice(&distance(offset, target, size)?),
                }
            }
        }
        (Shape::Syscall, [Word::Plain(name)]) => {
            let call = match name.strip_prefix("0x") {
                Some(_) => bytes(name)?.try_into().map(Syscall::from_bytes).map_err(|_| "not four bytes")?,
                None => {
                    let call = Syscall::named(name);
                    call.name().ok_or_else(|| format!("no system call has the name {name}"))?;
                    call
                }
            };
            script.extend_from_slice(&call.to_bytes());
        }
        (Shape::Token, [Word::Plain(token)]) => {
            let token: u16 = token.parse().map_err(|_| format!("{token} is no method token"))?;
            script.extend_from_slice(&token.to_le_bytes());
        }
        (Shape::Type, [Word::Plain(kind)]) => {
            let number = match bytes(kind).ok().as_deref() {
                Some([number]) => Some(*number),
                _ => type_number(kind),
            };
            script.push(number.ok_or_else(|| format!("{kind} is no type of stack items"))?);
        }
        (Shape::Slots(size), slots) if slots.len() == size => {
            for slot in slots {
                let Word::Plain(slot) = slot else { return Err("a slot is a number".into()) };
                script.push(slot.parse().map_err(|_| format!("{slot} is no slot"))?);
            }
        }
        (shape, _) => return Err(format!("{opcode} is not followed by {} of that ({shape:?})", operands.len())),
    }
    Ok(())
}

/// In two's complement of exactly so many bytes, if it fits.
pub(super) fn fixed(number: &BigInt, size: usize) -> Option<Vec<u8>> {
    let mut bytes = number.to_signed_bytes_le();
    let fill = if number.sign() == num_bigint::Sign::Minus { 0xff } else { 0 };
    (bytes.len() <= size).then(|| {
        bytes.resize(size, fill);
        bytes
    })
}

fn distance(offset: i64, target: &Word<'_>, size: usize) -> Result<Vec<u8>, String> {
    let Word::Plain(text) = target else { return Err("a target is not written in quotes".into()) };
    let target: i64 = text
        .strip_prefix('@')
        .and_then(|target| target.parse().ok())
        .ok_or_else(|| format!("{text} is no target such as @0012"))?;
    let distance = target.checked_sub(offset).ok_or("too far")?;
    fixed(&distance.into(), size).ok_or_else(|| format!("{text} is too far for the short form"))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").ok_or_else(|| format!("{text} is neither hex after 0x nor in quotes"))?;
    hex::decode(digits).map_err(|_| format!("{text} is not hex"))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    #[test]
    fn a_script_is_shown_as_people_read_it() {
        let script =
            hex::decode("0c0461225c620c02ff00000522033b00053d0241627d5b524101020304db28d9ff57020337ffff").unwrap();
        let text = to_text(&script).unwrap();
        let expected = r#"0000: PUSHDATA1 "a\"\\b"
0006: PUSHDATA1 0xff00
0010: PUSHINT8 5
0012: JMP @0015
0014: TRY - @0019
0017: ENDTRY @0019
0019: SYSCALL System.Contract.Call
0024: SYSCALL 0x01020304
0029: CONVERT ByteString
0031: ISTYPE 0xff
0033: INITSLOT 2 3
0036: CALLT 65535
"#;
        assert_eq!(text, expected);
        assert_eq!(from_text(&text).unwrap(), script);
    }

    #[test]
    fn people_may_leave_offsets_out_and_write_comments() {
        let script = from_text("\n  push1 # one\nPUSHDATA1 \"# é\" #text\n\nRET").unwrap();
        assert_eq!(hex::encode(script), "110c042320c3a940");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, told) in [
            ("PUSH1\nPUSHINT8 128", "line 2: 128 is too large"),
            ("PUSH1\n0002: PUSH1", "line 2: this is offset 0001, not 0002"),
            ("PUSHDATA1 \"abc", "a quote that does not end"),
            ("PUSHDATA1 abc", "neither hex"),
            ("SYSCALL System.Contract.Cal", "no system call"),
            ("JMP @200", "too far for the short form"),
            ("JMP 3", "no target"),
            ("RET 1", "is not followed by"),
            ("NOPE", "no such one"),
            ("\"RET\"", "quotes"),
            ("INITSLOT 1", "is not followed by"),
            ("CALLT 65536", "no method token"),
        ] {
            let error = from_text(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text:?}: {error}");
        }
        let long = format!("PUSHINT256 {}", "9".repeat(1_000_000));
        assert!(from_text(&long).unwrap_err().to_string().contains("1000000 characters are too many"));
        let long = format!("PUSHDATA1 0x{}", "00".repeat(256));
        assert!(from_text(&long).unwrap_err().to_string().contains("256 bytes are too many"));
    }

    fn instruction() -> impl Strategy<Value = Vec<u8>> {
        (select(Opcode::ALL.to_vec()), vec(any::<u8>(), 0..40)).prop_map(|(opcode, mut operand)| {
            let mut bytes = vec![opcode.byte()];
            match opcode.shape() {
                Shape::Data(prefix) => bytes.extend_from_slice(&operand.len().to_le_bytes()[..prefix]),
                shape => operand.resize(shape.fixed().unwrap(), 0x5a),
            }
            bytes.append(&mut operand);
            bytes
        })
    }

    proptest! {
        #[test]
        fn every_script_comes_back_from_its_text(parts in vec(instruction(), 0..60)) {
            let script = parts.concat();
            let text = to_text(&script).unwrap();
            prop_assert_eq!(from_text(&text).unwrap(), script);
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,200}", bytes: Vec<u8>) {
            let _ = (from_text(&text), to_text(&bytes));
            let _ = from_text(&format!("PUSHDATA1 {text}"));
        }
    }
}
