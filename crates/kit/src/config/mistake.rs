use std::fmt;

use super::origin::Origin;

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting as a dotted path, empty when the mistake is not about one setting.
    pub path: String,
    pub origin: Option<Origin>,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, so that an operator mends it in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    list: Vec<Mistake>,
    within: String,
}

impl Mistakes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong with a setting; `path` is relative to the enclosing [`Mistakes::within`].
    pub fn add(&mut self, path: &str, message: impl Into<String>) {
        let path = match (self.within.as_str(), path) {
            ("", path) => path.to_owned(),
            (within, "") => within.to_owned(),
            (within, path) => format!("{within}.{path}"),
        };
        self.list.push(Mistake { path, origin: None, message: message.into() });
    }

    /// Runs the checks of one section: their paths are relative to it.
    pub fn within(&mut self, section: &str, check: impl FnOnce(&mut Self)) {
        let outer = self.within.clone();
        self.within = if outer.is_empty() { section.to_owned() } else { format!("{outer}.{section}") };
        check(self);
        self.within = outer;
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    pub(super) fn push(&mut self, origin: Origin, path: &str, message: impl Into<String>) {
        self.list.push(Mistake { path: path.to_owned(), origin: Some(origin), message: message.into() });
    }

    /// Names the place of each mistake that a check noted by path alone.
    pub(super) fn place(&mut self, origin_of: impl Fn(&str) -> Option<Origin>) {
        for mistake in &mut self.list {
            if mistake.origin.is_none() {
                mistake.origin = origin_of(&mistake.path);
            }
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.list.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {noun} in the configuration", self.list.len())?;
        for mistake in &self.list {
            write!(f, "\n  - {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
