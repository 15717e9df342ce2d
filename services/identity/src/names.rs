//! What people call things.

use nsl_core::{Error, Result};

const LONGEST: usize = 100;

/// A name that people see in lists: no control characters, which could hide the rest of a line. `slug`: that of the
/// refusal.
pub(crate) fn check_name(slug: &'static str, name: &str) -> Result<()> {
    if !(1..=LONGEST).contains(&name.chars().count()) || name.chars().any(char::is_control) || name.trim() != name {
        let message = format!("a name has 1 to {LONGEST} visible characters and no space at its ends");
        return Err(Error::invalid(slug, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible() {
        for good in ["Alice", "Lager Süd 3", "Ä 漢", &"ü".repeat(100)] {
            assert!(check_name("people.name", good).is_ok(), "{good}");
        }
        for bad in ["", " ", " x", "x ", "a\nb", "a\u{7}b", "a\u{1b}[2Jb", &"x".repeat(101)] {
            assert_eq!(check_name("people.name", bad).unwrap_err().slug, "people.name", "{bad:?}");
        }
    }
}
