use aws_lc_rs::{
    digest::{Context, SHA256},
    rand,
};
use nsl_core::{Error, Result};

const BYTES: usize = 10;
/// Crockford's digits: none looks like another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A code that lets its owner in once when the app is lost: four times four digits.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(String);

impl RecoveryCode {
    pub const COUNT: usize = 10;

    /// 80 random bits.
    pub fn fresh() -> Result<Self> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes[16 - BYTES..])
            .map_err(|_| Error::internal(anyhow::anyhow!("the system gave no random bytes")))?;
        let number = u128::from_be_bytes(bytes);
        let digit = |place: u32| char::from(DIGITS[(number >> (place * 5) & 31) as usize]);
        Ok(Self((0..16).rev().map(digit).collect()))
    }

    /// As somebody typed it: in any case, with or without dashes and spaces, and with the letters that stand for
    /// digits. None when it can't be one.
    pub fn typed(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        let digit = |c: char| match c.to_ascii_lowercase() {
            'o' => Some('0'),
            'i' | 'l' => Some('1'),
            c if u8::try_from(c).is_ok_and(|byte| DIGITS.contains(&byte)) => Some(c),
            _ => None,
        };
        let code: Option<String> = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(digit).collect();
        code.filter(|code| code.len() == 16).map(Self)
    }

    /// As it is shown, once.
    pub fn shown(&self) -> String {
        let parts: Vec<&str> = [0, 4, 8, 12].iter().filter_map(|at| self.0.get(*at..at + 4)).collect();
        parts.join("-")
    }

    /// What is kept of it: its SHA-256 beside that of its owner, in lower-case hex.
    pub fn digest(&self, user: &str) -> String {
        let mut hash = Context::new(&SHA256);
        for part in ["nsl recovery code 1", user, &self.0] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        hex::encode(hash.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_differ_and_read_back_however_they_are_typed() {
        let codes: Vec<RecoveryCode> = (0..100).map(|_| RecoveryCode::fresh().unwrap()).collect();
        for (at, code) in codes.iter().enumerate() {
            let shown = code.shown();
            assert_eq!((shown.len(), shown.matches('-').count()), (19, 3));
            let ways = [
                shown.clone(),
                shown.to_uppercase(),
                shown.replace('-', " "),
                shown.replace('-', "").replace('0', "O").replace('1', "l"),
            ];
            for way in ways {
                assert!(RecoveryCode::typed(&way).is_some_and(|typed| typed == *code), "{way}");
            }
            assert!(codes[..at].iter().all(|other| other.digest("usr_1") != code.digest("usr_1")));
            assert_ne!(code.digest("usr_1"), code.digest("usr_2"));
        }
        let long = "0".repeat(17);
        for bad in ["", "0000-0000-0000-000", &long, "uuuu-uuuu-uuuu-uuuu", "00000000000000é0", &"-".repeat(1 << 20)] {
            assert!(RecoveryCode::typed(bad).is_none(), "{bad}");
        }
    }
}
