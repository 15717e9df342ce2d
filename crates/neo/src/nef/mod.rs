//! NEF: the file that a compiled contract comes in, and the hash that it will have on the chain.

mod token;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use token::MethodToken;

use crate::{
    error::{Error, Result, malformed},
    hash::{Hash160, sha256d},
    wire::{Reader, Wire, write_list, write_var_bytes},
};

const MAGIC: [u8; 4] = *b"NEF3";
const COMPILER_BYTES: usize = 64;
const MOST_SOURCE_BYTES: u64 = 256;
const MOST_TOKENS: u64 = 128;

/// A NEF file, and a script in it, takes at most so many bytes: the largest item of the virtual machine.
pub const MOST_BYTES: usize = 2 * 65_535;

/// A compiled contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nef {
    /// Name and version of the compiler, at most 64 bytes of UTF-8.
    pub compiler: String,
    /// Where the source can be found, at most 256 bytes of UTF-8; often empty.
    pub source: String,
    /// The methods of other contracts that the script calls by number.
    pub tokens: Vec<MethodToken>,
    /// What the virtual machine runs.
    pub script: Vec<u8>,
}

impl Nef {
    /// The first four bytes of the double SHA-256 of all that comes before them, as a little-endian number.
    pub fn checksum(&self) -> u32 {
        let mut body = Vec::new();
        self.write_body(&mut body);
        checksum(&body)
    }

    /// Whether a node takes it: what the file form cannot hold is told here, before it is written wrongly.
    pub fn check(&self) -> Result<()> {
        let most = |what, size: usize, most: u64| match size as u64 {
            size if size > most => Err(Error::TooLarge { what, size, most }),
            _ => Ok(()),
        };
        most("compiler of a NEF", self.compiler.len(), COMPILER_BYTES as u64)?;
        most("source of a NEF", self.source.len(), MOST_SOURCE_BYTES)?;
        most("tokens of a NEF", self.tokens.len(), MOST_TOKENS)?;
        self.tokens.iter().try_for_each(MethodToken::check)?;
        if self.compiler.contains('\0') {
            return Err(malformed("compiler of a NEF", "has a zero byte"));
        }
        if self.script.is_empty() {
            return Err(malformed("script of a NEF", "empty"));
        }
        most("NEF", self.to_bytes().len(), MOST_BYTES as u64)
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        let mut compiler = [0; COMPILER_BYTES];
        let held = self.compiler.len().min(COMPILER_BYTES);
        compiler[..held].copy_from_slice(&self.compiler.as_bytes()[..held]);
        out.extend_from_slice(&compiler);
        write_var_bytes(self.source.as_bytes(), out);
        out.push(0);
        write_list(&self.tokens, out);
        out.extend_from_slice(&[0, 0]);
        write_var_bytes(&self.script, out);
    }
}

impl Wire for Nef {
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.write_body(out);
        let sum = checksum(&out[start..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// Reads what nodes read, and refuses what they refuse, the checksum included.
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let start = from.position();
        if from.array("magic of a NEF")? != MAGIC {
            return Err(malformed("NEF", "does not begin with NEF3"));
        }
        let compiler = from.bytes(COMPILER_BYTES, "compiler of a NEF")?;
        let end = compiler.iter().position(|&byte| byte == 0).unwrap_or(COMPILER_BYTES);
        if compiler[end..].iter().any(|&byte| byte != 0) {
            return Err(malformed("compiler of a NEF", "something follows its end"));
        }
        let compiler = text(&compiler[..end], "compiler of a NEF")?;
        let source = text(from.var_bytes(MOST_SOURCE_BYTES, "source of a NEF")?, "source of a NEF")?;
        if from.u8("reserved byte of a NEF")? != 0 {
            return Err(malformed("NEF", "its reserved byte is not zero"));
        }
        let tokens = from.list(MOST_TOKENS, "tokens of a NEF")?;
        if from.u16("reserved bytes of a NEF")? != 0 {
            return Err(malformed("NEF", "its reserved bytes are not zero"));
        }
        let script = from.var_bytes(MOST_BYTES as u64, "script of a NEF")?.to_vec();
        let sum = from.u32("checksum of a NEF")?;
        let nef = Self { compiler, source, tokens, script };
        if sum != nef.checksum() {
            return Err(malformed("NEF", "the checksum does not fit: the file was changed or cut"));
        }
        let size = from.since(start).len() as u64;
        if size > MOST_BYTES as u64 {
            return Err(Error::TooLarge { what: "NEF", size, most: MOST_BYTES as u64 });
        }
        if nef.script.is_empty() {
            return Err(malformed("script of a NEF", "empty"));
        }
        Ok(nef)
    }
}

/// The JSON form that nodes show, within a contract's state.
#[derive(Serialize, Deserialize)]
struct Shown {
    magic: u32,
    compiler: String,
    source: String,
    tokens: Vec<MethodToken>,
    script: String,
    checksum: u32,
}

impl Serialize for Nef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        Shown {
            magic: u32::from_le_bytes(MAGIC),
            compiler: self.compiler.clone(),
            source: self.source.clone(),
            tokens: self.tokens.clone(),
            script: base64::engine::general_purpose::STANDARD.encode(&self.script),
            checksum: self.checksum(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let Shown { compiler, source, tokens, script, checksum, .. } = Shown::deserialize(deserializer)?;
        let script = base64::engine::general_purpose::STANDARD
            .decode(script)
            .map_err(|_| D::Error::custom("script of a NEF: not base64"))?;
        let nef = Self { compiler, source, tokens, script };
        nef.check().map_err(D::Error::custom)?;
        if nef.checksum() != checksum {
            return Err(D::Error::custom("NEF: the checksum does not fit"));
        }
        Ok(nef)
    }
}

/// The hash that a contract gets when `sender` (the first signer of the transaction) deploys this NEF under this name.
/// Updates keep it.
pub fn contract_hash(sender: Hash160, checksum: u32, name: &str) -> Hash160 {
    const ABORT: u8 = 0x38;
    let mut script = vec![ABORT];
    push_bytes(sender.as_le(), &mut script);
    push_number(checksum, &mut script);
    push_bytes(name.as_bytes(), &mut script);
    Hash160::of_script(&script)
}

fn push_bytes(bytes: &[u8], script: &mut Vec<u8>) {
    let size = bytes.len();
    if size <= 0xff {
        script.extend_from_slice(&[0x0c, size as u8]);
    } else if size <= 0xffff {
        script.push(0x0d);
        script.extend_from_slice(&(size as u16).to_le_bytes());
    } else {
        script.push(0x0e);
        script.extend_from_slice(&(size as u32).to_le_bytes());
    }
    script.extend_from_slice(bytes);
}

fn push_number(number: u32, script: &mut Vec<u8>) {
    match number {
        0..=16 => script.push(0x10 + number as u8),
        17..=0x7f => script.extend_from_slice(&[0x00, number as u8]),
        0x80..=0x7fff => {
            script.push(0x01);
            script.extend_from_slice(&(number as u16).to_le_bytes());
        }
        0x8000..=0x7fff_ffff => {
            script.push(0x02);
            script.extend_from_slice(&number.to_le_bytes());
        }
        _ => {
            script.push(0x03);
            script.extend_from_slice(&u64::from(number).to_le_bytes());
        }
    }
}

fn checksum(body: &[u8]) -> u32 {
    let hash = sha256d(body);
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn text(bytes: &[u8], what: &'static str) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| malformed(what, "not UTF-8"))
}

#[cfg(test)]
mod tests;
