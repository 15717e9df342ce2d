//! The binary form that nodes exchange: little-endian numbers, and lengths of one, three, five or nine bytes.

use crate::error::{Error, Result};

/// Something with a binary form.
pub trait Wire: Sized {
    /// Appends its binary form.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads one from the front of what is left, and refuses what nodes refuse.
    fn read(from: &mut Reader<'_>) -> Result<Self>;

    /// Its binary form.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads the whole of `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let read = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(read)
    }
}

/// Reads from the front of some bytes.
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $($(#[$doc])* pub fn $name(&mut self, what: &'static str) -> Result<$type> {
            self.array(what).map(<$type>::from_le_bytes)
        })*
    };
}

impl<'a> Reader<'a> {
    /// At the beginning of these.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    number! {
        /// A byte; `what` names the thing in errors, here and below.
        u8: u8;
        /// A little-endian number of two bytes.
        u16: u16;
        /// A little-endian number of four bytes.
        u32: u32;
        /// A little-endian number of eight bytes.
        u64: u64;
        /// A little-endian number of eight bytes in two's complement.
        i64: i64;
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.data.len() - self.at
    }

    /// The bytes read since [`Reader::position`] was `start`.
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.data.get(start..self.at).unwrap_or_default()
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize, what: &'static str) -> Result<&'a [u8]> {
        if count > self.remaining() {
            return Err(Error::Short(what));
        }
        self.at += count;
        Ok(&self.data[self.at - count..self.at])
    }

    /// As many bytes as the type says.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        self.bytes(N, what)?.try_into().map_err(|_| Error::Short(what))
    }

    /// A length or count of at most `most`. Longer forms than needed are read, as nodes do.
    pub fn var_uint(&mut self, most: u64, what: &'static str) -> Result<u64> {
        let size = match self.u8(what)? {
            0xfd => self.u16(what)?.into(),
            0xfe => self.u32(what)?.into(),
            0xff => self.u64(what)?,
            small => small.into(),
        };
        if size > most { Err(Error::TooLarge { what, size, most }) } else { Ok(size) }
    }

    /// A length of at most `most`, and so many bytes.
    pub fn var_bytes(&mut self, most: u64, what: &'static str) -> Result<&'a [u8]> {
        let size = self.var_uint(most, what)?;
        self.bytes(usize::try_from(size).unwrap_or(usize::MAX), what)
    }

    /// A count of at most `most`, and so many things.
    pub fn list<T: Wire>(&mut self, most: u64, what: &'static str) -> Result<Vec<T>> {
        let count = self.var_uint(most, what)?;
        // Grown as it is read: a count alone takes no memory.
        (0..count).map(|_| T::read(self)).collect()
    }

    /// Refuses what is left.
    pub fn finish(self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(Error::Trailing(left)),
        }
    }
}

/// Appends a length or count in its shortest form.
pub fn write_var_uint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0xfd => out.push(value as u8),
        0xfd..=0xffff => {
            out.push(0xfd);
            out.extend_from_slice(&(value as u16).to_le_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xfe);
            out.extend_from_slice(&(value as u32).to_le_bytes());
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// How many bytes a length takes.
pub fn var_uint_size(value: u64) -> usize {
    match value {
        0..0xfd => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Appends bytes after their length.
pub fn write_var_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_var_uint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends things after their count.
pub fn write_list<T: Wire>(items: &[T], out: &mut Vec<u8>) {
    write_var_uint(items.len() as u64, out);
    items.iter().for_each(|item| item.write(out));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form_and_read_back() {
        for (value, size) in [(0, 1), (0xfc, 1), (0xfd, 3), (0xffff, 3), (0x1_0000, 5), (u64::from(u32::MAX) + 1, 9)] {
            let mut out = Vec::new();
            write_var_uint(value, &mut out);
            assert_eq!((out.len(), var_uint_size(value)), (size, size));
            assert_eq!(Reader::new(&out).var_uint(u64::MAX, "n").unwrap(), value);
        }
    }

    #[test]
    fn a_length_beyond_the_data_or_the_bound_is_refused() {
        assert_eq!(Reader::new(&[5, 1, 2]).var_bytes(10, "x"), Err(Error::Short("x")));
        assert_eq!(Reader::new(&[5]).var_bytes(4, "x"), Err(Error::TooLarge { what: "x", size: 5, most: 4 }));
    }
}
