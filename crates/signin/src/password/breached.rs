use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::rules::Password;

/// Hex digits of a SHA-1.
const DIGITS: usize = 40;
/// The longest line of a list: a hash, a colon, a count, and room.
const LONGEST_LINE: u64 = 80;

/// A list of passwords that were stolen somewhere, as its file on disk: lines of SHA-1 in hex, sorted, each perhaps
/// with `:count` behind it, as the downloads of Have I Been Pwned have them. It is searched where it lies.
pub struct Breached {
    file: File,
    size: u64,
}

impl Breached {
    /// Opens a list, and refuses one that is no such list or is not sorted at the places that it looks at.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let list = Self { size: file.metadata()?.len(), file };
        let mut before = None;
        for step in 0..16 {
            let Some((_, hash)) = list.line_from(list.size / 16 * step)? else { continue };
            if before.is_some_and(|before| before > hash) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the list is not sorted by hash"));
            }
            before = Some(hash);
        }
        match before {
            Some(_) => Ok(list),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "the list is empty")),
        }
    }

    /// Whether the list has the password. Reads about 35 places of a list of a billion.
    pub fn has(&self, password: &Password) -> io::Result<bool> {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.bytes());
        let mut wanted = [0; DIGITS];
        hex::encode_to_slice(digest.as_ref(), &mut wanted).expect("SHA-1 has 20 bytes");
        wanted.make_ascii_uppercase();
        // The line, if it is there, begins at `low` or later and before `high`.
        let (mut low, mut high) = (0, self.size);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.line_from(middle)? {
                None => high = middle,
                Some((_, hash)) if hash == wanted => return Ok(true),
                Some((_, hash)) if hash > wanted => high = middle,
                Some((start, _)) => low = start + 1,
            }
        }
        Ok(false)
    }

    /// The first line that begins at or after this place.
    fn line_from(&self, at: u64) -> io::Result<Option<(u64, [u8; DIGITS])>> {
        // One byte before, so that a line which begins right here is seen to.
        let from = at.saturating_sub(1);
        let mut bytes = [0; 2 * LONGEST_LINE as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], from + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        let seen = &bytes[..filled];
        let skip = match at {
            0 => 0,
            _ => match seen.iter().position(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None if from + (filled as u64) < self.size => return Err(malformed()),
                None => return Ok(None),
            },
        };
        let line = &seen[skip..];
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let mut hash: [u8; DIGITS] = line.get(..DIGITS).and_then(|hash| hash.try_into().ok()).ok_or_else(malformed)?;
        hash.make_ascii_uppercase();
        let ends = line.get(DIGITS).is_none_or(|byte| matches!(byte, b':' | b'\r' | b'\n'));
        match ends && hash.iter().all(u8::is_ascii_hexdigit) {
            true => Ok(Some((from + skip as u64, hash))),
            false => Err(malformed()),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line is not a SHA-1 in hex, perhaps with a colon and a count")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// How a line looks: of its hash and its number.
    type Form<'a> = &'a dyn Fn(&str, usize) -> String;

    fn sha1(text: &str) -> String {
        hex::encode_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
    }

    fn list(words: &[String], line: impl Fn(&str, usize) -> String) -> (tempfile::NamedTempFile, Breached) {
        let mut hashes: Vec<String> = words.iter().map(|word| sha1(word)).collect();
        hashes.sort();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for (number, hash) in hashes.iter().enumerate() {
            file.write_all(line(hash, number).as_bytes()).unwrap();
        }
        let breached = Breached::open(file.path()).unwrap();
        (file, breached)
    }

    #[test]
    fn every_word_of_a_list_is_found_and_no_other() {
        for count in [1, 2, 3, 10, 1_000] {
            let words: Vec<String> = (0..count).map(|number| format!("password{number}")).collect();
            let forms: [Form<'_>; 4] = [
                &|hash, _| format!("{hash}\n"),
                &|hash, number| format!("{hash}:{}\r\n", number * 7_919),
                &|hash, number| format!("{}:{number}\n", hash.to_lowercase()),
                &|hash, number| if number + 1 == count { hash.to_owned() } else { format!("{hash}\n") },
            ];
            for form in forms {
                let (_file, breached) = list(&words, form);
                for word in &words {
                    assert!(breached.has(&Password::typed(word).unwrap()).unwrap(), "{word} of {count}");
                }
                for word in ["password", "password1000", "correct horse", "x"] {
                    assert!(!breached.has(&Password::typed(word).unwrap()).unwrap(), "{word} of {count}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let open = |text: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            Breached::open(file.path()).map(drop).map_err(|error| error.kind())
        };
        let (low, high) = ("0".repeat(40), "F".repeat(40));
        assert_eq!(open(""), Err(io::ErrorKind::InvalidData));
        assert_eq!(open("password1\npassword2\n"), Err(io::ErrorKind::InvalidData));
        assert_eq!(open(&format!("{high}\n{low}\n")), Err(io::ErrorKind::InvalidData));
        assert_eq!(open(&format!("{low}\n{high}\n")), Ok(()));
        assert_eq!(open(&"0".repeat(41)), Err(io::ErrorKind::InvalidData));
    }
}
