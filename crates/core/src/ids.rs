use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

/// A fresh id: the prefix and the 26 characters of a time-ordered UUIDv7 in Crockford base 32.
pub fn fresh(prefix: &str) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut rest = Uuid::now_v7().as_u128();
    let mut digits = [0u8; 26];
    for place in digits.iter_mut().rev() {
        *place = DIGITS[(rest & 31) as usize];
        rest >>= 5;
    }
    let mut text = String::with_capacity(prefix.len() + 27);
    text.push_str(prefix);
    text.push('_');
    text.extend(digits.map(char::from));
    text
}

macro_rules! id {
    ($(#[$doc:meta])* $Name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $Name(Arc<str>);

        impl $Name {
            pub fn fresh() -> Self {
                Self(fresh($prefix).into())
            }

            /// Letters, digits, `_`, `-`, `.`, `:`, `@` and `|`; at most 128: what identity providers put
            /// into `sub`, and nothing that could end a list or a quoted word.
            pub fn parse(text: &str) -> Result<Self> {
                let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:@|".contains(c);
                if text.is_empty() || text.len() > 128 || !text.chars().all(fits) {
                    return Err(Error::invalid("id.malformed", concat!("not a valid ", $prefix, " id")));
                }
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $Name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }

        impl From<$Name> for String {
            fn from(id: $Name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Whose data: a project, with its own quotas, keys and rows.
    TenantId, "ten"
);
id!(
    /// Who owns data and acts within a tenant: a person, or a machine with a name of its own. Several
    /// credentials may speak for one subject.
    Subject, "sub"
);
id!(
    /// One request of the outside, from edge to last log line.
    RequestId, "req"
);
id!(
    /// One run of one process.
    ProcessId, "prc"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_sort_by_birth_and_parse() {
        let first = TenantId::fresh();
        std::thread::yield_now();
        let second = TenantId::fresh();
        assert!(first < second && first.as_str().starts_with("ten_") && first.as_str().len() == 30);
        assert_eq!(TenantId::parse(first.as_str()).unwrap(), first);
    }

    #[test]
    fn ids_that_could_end_a_list_are_refused() {
        for bad in ["", "a,b", "a b", "a'b", "ä", "*", &"x".repeat(129)] {
            assert!(TenantId::parse(bad).is_err(), "{bad}");
        }
    }
}
