use bytes::Bytes;

use super::Entry;

/// Version, big endian, and a byte that says whether a value follows or the entry was forgotten.
pub(super) fn head(version: u64, kept: bool) -> [u8; 9] {
    let mut head = [0; 9];
    head[..8].copy_from_slice(&version.to_be_bytes());
    head[8] = u8::from(kept);
    head
}

/// What another process did to an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News<'a> {
    pub(super) key: &'a str,
    pub(super) version: u64,
    pub(super) kept: bool,
    pub(super) sender: Sender,
}

/// Which process, so that each can pass over its own news.
pub(super) type Sender = [u8; 8];

pub(super) fn news(message: &[u8]) -> Option<News<'_>> {
    let (version, rest) = message.split_first_chunk::<8>()?;
    let (kept, rest) = rest.split_first()?;
    let (sender, key) = rest.split_first_chunk()?;
    let (key, version) = (std::str::from_utf8(key).ok()?, u64::from_be_bytes(*version));
    Some(News { key, version, kept: *kept == 1, sender: *sender })
}

/// `None` for a forgotten entry, or for bytes that are not ours.
pub(super) fn entry(stored: Vec<u8>) -> Option<Entry> {
    let (version, rest) = stored.split_first_chunk::<8>()?;
    let version = u64::from_be_bytes(*version);
    (rest.first() == Some(&1)).then(|| Entry { version, bytes: Bytes::from(stored).slice(9..) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_no_entry() {
        assert_eq!(entry([&head(7, true)[..], b"value"].concat()).unwrap().bytes, "value");
        assert_eq!(entry(head(u64::MAX, true).to_vec()).unwrap(), Entry { version: u64::MAX, bytes: Bytes::new() });
        assert!(entry(head(7, false).to_vec()).is_none());
        assert!(entry(b"short".to_vec()).is_none() && entry(vec![0; 8]).is_none());
        let message = [&head(7, false)[..], b"from nowa:key"].concat();
        assert_eq!(news(&message), Some(News { key: "a:key", version: 7, kept: false, sender: *b"from now" }));
        assert_eq!(news(b""), None);
        assert_eq!(news(&[&head(7, true)[..], b"from now\xff"].concat()), None);
    }
}
