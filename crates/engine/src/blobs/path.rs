use nsl_core::{Error, Result};
use object_store::path::Path;

/// Parts of letters, digits, `.`, `_` and `-`, none of them hidden or empty; at most 512 bytes: the same name on
/// every engine, and no way out of the directory.
pub(super) fn parse(text: &str) -> Result<Path> {
    let fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let refused = || Error::invalid("blobs.path", format!("{text:?} is not a path for a blob"));
    if text.len() > 512 || !text.split('/').all(fits) {
        return Err(refused());
    }
    Path::parse(text).map_err(|cause| refused().because(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_its_place() {
        for bad in ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a b", "a%2f", "ä", "a#1", &"a".repeat(513)]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b-c_d.e/1", "A..b"] {
            assert_eq!(parse(good).unwrap().as_ref(), good);
        }
    }
}
