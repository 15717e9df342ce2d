//! An explanation as text for people.

use std::fmt::{self, Display, Write as _};

use super::{Call, Explanation, Moves, Standard, Step, Then};
use crate::{Hash160, script::Data, stack::StackItem};

/// Data beyond so many bytes is shown by its beginning and length.
const LONG: usize = 128;

/// A value as an explanation writes it: data as text in quotes or hex, and of 20 bytes also the address that they
/// would be.
struct Value<'a>(&'a StackItem);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[StackItem]| {
            items.iter().enumerate().try_for_each(|(index, item)| {
                let comma = if index == 0 { "" } else { ", " };
                write!(f, "{comma}{}", Value(item))
            })
        };
        match self.0 {
            StackItem::Null => f.write_str("null"),
            StackItem::Boolean(value) => write!(f, "{value}"),
            StackItem::Integer(number) => write!(f, "{number}"),
            StackItem::ByteString(data) | StackItem::Buffer(data) => {
                if data.len() > LONG {
                    return write!(f, "0x{}... ({} bytes)", hex::encode(&data[..LONG / 4]), data.len());
                }
                Data(data).fmt(f)?;
                match <[u8; 20]>::try_from(data.as_slice()) {
                    Ok(hash) => write!(f, " ({})", Hash160::from_le(hash).address()),
                    Err(_) => Ok(()),
                }
            }
            StackItem::Array(items) => {
                f.write_char('[')?;
                list(f, items)?;
                f.write_char(']')
            }
            StackItem::Struct(items) => {
                f.write_str("struct [")?;
                list(f, items)?;
                f.write_char(']')
            }
            StackItem::Map(entries) => {
                f.write_char('{')?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}: {}", Value(key), Value(value))?;
                }
                f.write_char('}')
            }
            StackItem::Pointer(place) => write!(f, "@{place:04}"),
            StackItem::InteropInterface(_) => f.write_str("(interop interface)"),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}: call {}", self.offset, self.contract)?;
        if let Some(name) = self.name {
            write!(f, " ({name})")?;
        }
        write!(f, " {}(", Data(self.method.as_bytes()))?;
        for (index, arg) in self.args.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, Value(arg))?;
        }
        write!(f, ") with flags {}", self.flags)?;
        match self.then {
            Then::Keep => {}
            Then::Assert => f.write_str("; unless it returns true, the script faults")?,
            Then::Drop => f.write_str("; what it returns is dropped")?,
        }
        if self.isolated {
            f.write_str("; what it throws is caught")?;
        }
        self.moves.as_ref().map_or(Ok(()), |moves| write!(f, "\n      {moves}"))
    }
}

impl Display for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sure = if self.token.is_some() { "moves" } else { "has the form of a transfer:" };
        let standard = match self.standard {
            Standard::Nep17 => "NEP-17",
            Standard::Nep11 => "NEP-11",
            Standard::Nep11Divisible => "NEP-11 divisible",
        };
        write!(f, "{sure} {} ({standard})", self.text())?;
        if let Some(id) = &self.id {
            write!(f, " of {}", Data(id))?;
        }
        if let Some(from) = &self.from {
            write!(f, " from {}", from.address())?;
        }
        write!(f, " to {}", self.to.address())?;
        match self.from_signs {
            Some(false) => f.write_str("; the giver is not among the signers"),
            _ => Ok(()),
        }
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                Step::Call(call) => writeln!(f, "{call}")?,
                Step::Instructions(lines) => {
                    f.write_str("not recognised:\n")?;
                    for line in lines {
                        writeln!(f, "  {:04}: {}", line.offset, line.text)?;
                    }
                }
            }
        }
        if let Some(flaw) = &self.flaw {
            return writeln!(f, "malformed {flaw}");
        }
        if !self.straight {
            f.write_str("jumps or exceptions decide which of these steps are taken, and how often\n")?;
        }
        Ok(())
    }
}
