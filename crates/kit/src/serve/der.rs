//! Just enough DER to read names and dates from a certificate that was already verified.

/// Walks over the elements of one constructed value.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const OID: u8 = 0x06;
pub(super) const OCTETS: u8 = 0x04;

impl<'a> Reader<'a> {
    /// The tag and the content of the next element.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x83 => {
                let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = after;
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, content))
    }

    /// The next element, if it has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_lengths_are_read_and_cut_ones_refused() {
        let mut long = vec![OCTETS, 0x81, 200];
        long.extend([9; 200]);
        assert_eq!(Reader(&long).expect(OCTETS).map(<[u8]>::len), Some(200));
        assert_eq!(Reader(&long[..100]).next(), None);
        assert_eq!(Reader(&[OCTETS, 0x80, 0, 0]).next(), None, "indefinite lengths are not DER");
        assert_eq!(Reader(&[OCTETS, 0x84, 255, 255, 255, 255]).next(), None);
        assert_eq!(Reader(&[]).next(), None);
    }
}
