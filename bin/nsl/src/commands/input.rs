//! What commands read: from an argument, from a file, from standard input.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Nothing that a command takes is larger.
const MOST_BYTES: u64 = 64 << 20;

const STDIN: &str = "-";

/// Reads a file; `-` is standard input.
pub(crate) fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = match file == Path::new(STDIN) {
        true => std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes),
        false => File::open(file).and_then(|open| open.take(MOST_BYTES + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::usage(format!("{} has more than 64 MiB", file.display())));
    }
    Ok(bytes)
}

/// Reads a file of JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let bytes = read(file)?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::usage(format!("{} is not JSON: {error}", file.display())))
}

/// Reads a secret: the file without the end of its line, which editors put there.
pub(crate) fn secret(file: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let bytes = read(file)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("{} is not text, and should hold {what}", file.display())))?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(Failure::usage(format!("{} is empty, and should hold {what}", file.display())));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// Refuses two files that are both standard input, which can be read once.
pub(crate) fn one_stdin<'a>(files: impl IntoIterator<Item = Option<&'a PathBuf>>) -> Result<(), Failure> {
    let from_stdin = files.into_iter().flatten().filter(|file| file.as_path() == Path::new(STDIN)).count();
    match from_stdin {
        0 | 1 => Ok(()),
        _ => Err(Failure::usage("only one of these can come from standard input")),
    }
}

/// What an argument stands for: itself, the content of the file of this name, or standard input for `-`.
pub(crate) fn material(given: &str) -> Result<Vec<u8>, Failure> {
    match given == STDIN || Path::new(given).is_file() {
        true => read(Path::new(given)).map(|bytes| bytes.to_vec()),
        false => Ok(given.as_bytes().to_vec()),
    }
}

/// The bytes that a text has in hex (with `0x` or without) or in base64. What could be both is hex, unless base64 is
/// asked for. None for what is neither.
pub(crate) fn binary(text: &[u8], base64: bool) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if text.is_empty() {
        return None;
    }
    let digits = text.strip_prefix(b"0x").unwrap_or(&text);
    let as_hex = (!base64).then(|| hex::decode(digits).ok()).flatten();
    as_hex.or_else(|| STANDARD.decode(&text).ok())
}

/// The bytes of a thing that has a binary form: given in hex, in base64, or as they are in a file.
pub(crate) fn bytes(given: &str, base64: bool) -> Result<Vec<u8>, Failure> {
    bytes_of(given, material(given)?, base64)
}

/// The same of material that was read already.
pub(crate) fn bytes_of(given: &str, material: Vec<u8>, base64: bool) -> Result<Vec<u8>, Failure> {
    match binary(&material, base64) {
        Some(bytes) => Ok(bytes),
        None if material != given.as_bytes() => Ok(material),
        None => {
            let short: String = given.chars().take(40).collect();
            Err(Failure::usage(format!("{short:?} is no file, no hex and no base64")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_hex_in_base64_and_as_they_are() {
        for (text, base64, bytes) in [
            ("0x00ff", false, Some(vec![0, 255])),
            ("00 FF\n", false, Some(vec![0, 255])),
            ("AP8=", false, Some(vec![0, 255])),
            ("abcd", false, Some(vec![0xab, 0xcd])),
            ("abcd", true, Some(vec![0x69, 0xb7, 0x1d])),
            ("0xabc", false, None),
            ("", false, None),
            (" \n", false, None),
            ("nothing!", false, None),
        ] {
            assert_eq!(binary(text.as_bytes(), base64), bytes, "{text}");
        }
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("script");
        let named = file.to_str().unwrap();
        std::fs::write(&file, [0x40, 0xfe]).unwrap();
        assert_eq!(bytes(named, false).unwrap(), [0x40, 0xfe]);
        std::fs::write(&file, "40fe\n").unwrap();
        assert_eq!(bytes(named, false).unwrap(), [0x40, 0xfe]);
        assert!(bytes("no such thing", false).is_err());
    }

    #[test]
    fn a_secret_loses_the_end_of_its_line_and_nothing_else() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("secret");
        for (content, held) in [("a b \r\n", Some("a b ")), ("a\n\n", Some("a\n")), ("ä", Some("ä")), ("\n", None)] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(secret(&file, "a word").ok().as_deref().map(String::as_str), held, "{content:?}");
        }
        let stdin = PathBuf::from("-");
        assert!(one_stdin([Some(&stdin), None, Some(&file)]).is_ok() && one_stdin([Some(&stdin); 2]).is_err());
    }
}
