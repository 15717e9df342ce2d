use aws_lc_rs::rand;
use nsl_core::{Error, Result, Secret, Timestamp};
use totp_rs::{Algorithm, Builder, Totp};

/// How long a code counts, before the leeway of one step to both sides.
pub const STEP_SECONDS: u64 = 30;
const DIGITS: u8 = 6;
const BYTES: usize = 20;

/// What an authenticator app and we both know.
#[derive(Clone)]
pub struct Seed(Secret);

impl Seed {
    /// 160 random bits.
    pub fn fresh() -> Result<Self> {
        let mut bytes = [0; BYTES];
        rand::fill(&mut bytes).map_err(|_| Error::internal(anyhow::anyhow!("the system gave no random bytes")))?;
        Ok(Self(Secret::new(bytes)))
    }

    /// What [`Self::bytes`] gave.
    pub fn read(bytes: Vec<u8>) -> Result<Self> {
        match bytes.len() {
            BYTES => Ok(Self(Secret::new(bytes))),
            count => Err(Error::internal(anyhow::anyhow!("a seed of one-time codes has {count} bytes"))),
        }
    }

    /// To be sealed.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// In base 32, as people type it into an app.
    pub fn base32(&self) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut text = String::with_capacity(BYTES * 8 / 5);
        for five in self.0.expose().chunks(5) {
            let number = five.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            text.extend((0..8).rev().map(|place| char::from(LETTERS[(number >> (place * 5) & 31) as usize])));
        }
        text
    }

    /// What a QR code of it holds (the key URI format of authenticator apps).
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let (issuer, account, secret) = (escaped(issuer), escaped(account), self.base32());
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
        )
    }

    /// The time step of the code, if it is the code of now, of the step before, or of the one after, and that lies
    /// after `last`, the step of the last code that was taken.
    pub fn check(&self, code: &str, now: Timestamp, last: i64) -> Option<i64> {
        let seconds = u64::try_from(now.0 / 1_000_000).ok()?;
        // People copy the space that apps show in the middle.
        let code: String = code.chars().filter(|c| *c != ' ').collect();
        if code.len() != usize::from(DIGITS) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let step = i64::try_from(self.totp()?.check(&code, seconds)?).ok()?;
        (step > last).then_some(step)
    }

    /// The code of this time: what an app shows.
    pub fn code(&self, now: Timestamp) -> Option<String> {
        let seconds = u64::try_from(now.0 / 1_000_000).ok()?;
        Some(self.totp()?.generate(seconds).to_string())
    }

    fn totp(&self) -> Option<Totp> {
        let secret = totp_rs::Secret::new_stack(self.0.expose().try_into().ok()?);
        let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(DIGITS);
        builder.with_skew(1).with_step_duration(STEP_SECONDS).with_secret(secret).build().ok()
    }
}

// Percent-encoded, all but the unreserved characters of RFC 3986.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    /// RFC 6238, appendix B, SHA-1: the last six of its eight digits.
    const VECTORS: [(i64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn known() -> Seed {
        Seed::read(b"12345678901234567890".to_vec()).unwrap()
    }

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for (seconds, code) in VECTORS {
            assert_eq!(known().code(at(seconds)).unwrap(), code);
            assert_eq!(known().check(code, at(seconds), -1), Some(seconds / 30));
        }
    }

    #[test]
    fn a_code_counts_one_step_early_or_late_and_no_more() {
        let (seconds, code) = VECTORS[3];
        let step = seconds / 30;
        for ahead in -1..=1 {
            assert_eq!(known().check(code, at(seconds + 30 * ahead), -1), Some(step), "{ahead}");
        }
        for ahead in [-2, 2] {
            assert_eq!(known().check(code, at(seconds + 30 * ahead), -1), None, "{ahead}");
        }
    }

    #[test]
    fn no_code_counts_after_its_step_was_taken() {
        let (seconds, code) = VECTORS[3];
        let step = seconds / 30;
        assert_eq!(known().check(code, at(seconds), step - 1), Some(step));
        assert_eq!(known().check(code, at(seconds), step), None);
        let before = known().code(at(seconds - 30)).unwrap();
        assert_eq!(known().check(&before, at(seconds), step), None, "an older one neither");
    }

    #[test]
    fn what_is_no_code_is_wrong() {
        let (seconds, code) = VECTORS[3];
        assert_eq!(known().check("005 924", at(seconds), -1), Some(seconds / 30));
        let long = "0".repeat(10_000);
        for bad in ["", "5924", "0059240", "00592a", "００５９２４", "-05924", &long] {
            assert_eq!(known().check(bad, at(seconds), -1), None, "{bad}");
        }
        assert_eq!(known().check(code, at(-1), -1), None);
        assert_eq!(Seed::fresh().unwrap().check(code, at(seconds), -1), None);
    }

    #[test]
    fn apps_read_the_seed() {
        assert_eq!(known().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            known().uri("Neo Service Layer", "alice@example.com"),
            "otpauth://totp/Neo%20Service%20Layer:alice%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Neo%20Service%20Layer&algorithm=SHA1&digits=6&period=30"
        );
    }
}
