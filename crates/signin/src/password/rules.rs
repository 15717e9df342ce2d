use std::fmt;

use nsl_core::Secret;
use unicode_normalization::UnicodeNormalization;

/// A password as it is hashed: in Unicode's form NFKC, so that every keyboard's way to write it is the same one.
#[derive(Clone)]
pub struct Password(Secret);

/// Why a password cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    TooShort,
    TooLong,
    /// It is the email address of the account, or the part before the @.
    IsEmail,
    Breached,
}

impl Weak {
    /// As it is told to callers.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::IsEmail => "is_email",
            Self::Breached => "breached",
        }
    }
}

impl Password {
    pub const SHORTEST: usize = 8;
    pub const LONGEST: usize = 256;

    /// Something that somebody typed, to be compared with what is kept; none when nothing that is kept can be it.
    /// Cheap however long the text is.
    pub fn typed(text: &str) -> Option<Self> {
        // A character may become 18 under NFKC, and none shrinks to less than a third of its bytes.
        if text.len() > Self::LONGEST * 4 * 3 {
            return None;
        }
        let mut normal = String::with_capacity(text.len() * 18);
        normal.extend(text.nfkc());
        let secret = Secret::new(std::mem::take(&mut normal).into_bytes());
        let count = secret.expose_str().map_or(0, |text| text.chars().count());
        (1..=Self::LONGEST).contains(&count).then_some(Self(secret))
    }

    /// A new password: 8 to 256 characters of any kind (NIST SP 800-63B), and not the address of its account.
    pub fn new(text: &str, email: Option<&str>) -> Result<Self, Weak> {
        let Some(password) = Self::typed(text) else {
            return Err(if text.is_empty() { Weak::TooShort } else { Weak::TooLong });
        };
        let typed = password.0.expose_str().unwrap_or_default();
        if typed.chars().count() < Self::SHORTEST {
            return Err(Weak::TooShort);
        }
        let folded = typed.to_lowercase();
        let is_email = |email: &str| {
            let email = email.to_lowercase();
            folded == email || email.split('@').next() == Some(folded.as_str())
        };
        if email.is_some_and(is_email) {
            return Err(Weak::IsEmail);
        }
        Ok(password)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn length_is_counted_in_characters_and_nothing_is_asked_of_their_kind() {
        let long = "x".repeat(256);
        for good in ["aaaaaaaa", "correct horse battery staple", "пароль-пароль", "🔑🔑🔑🔑🔑🔑🔑🔑", &long]
        {
            assert!(Password::new(good, Some("a@b.example")).is_ok(), "{good}");
        }
        let weak = |text: &str| Password::new(text, Some("Alice.Long@b.example")).map(drop).unwrap_err();
        assert_eq!(weak(""), Weak::TooShort);
        assert_eq!(weak("1234567"), Weak::TooShort);
        assert_eq!(weak("ﬁﬁ"), Weak::TooShort, "two ligatures are four characters");
        assert_eq!(weak(&"x".repeat(257)), Weak::TooLong);
        assert_eq!(weak(&"x".repeat(1 << 20)), Weak::TooLong);
        assert_eq!(weak("alice.LONG@b.example"), Weak::IsEmail);
        assert_eq!(weak("Alice.long"), Weak::IsEmail);
    }

    #[test]
    fn ways_to_write_one_password_are_the_same() {
        let bytes = |text: &str| Password::typed(text).unwrap().bytes().to_vec();
        assert_eq!(bytes("pa\u{308}ssword"), bytes("p\u{e4}ssword"));
        assert_eq!(bytes("ｐａｓｓｗｏｒｄ"), b"password");
        assert_ne!(bytes("password"), bytes("Password"));
        assert_eq!(format!("{:?}", Password::typed("hunter22").unwrap()), "[secret]");
    }

    proptest! {
        #[test]
        fn whatever_is_a_password_can_be_typed_again(text in ".{0,300}") {
            if let Ok(password) = Password::new(&text, None) {
                let again = Password::typed(&text).unwrap();
                prop_assert_eq!(again.bytes(), password.bytes());
            }
        }
    }
}
