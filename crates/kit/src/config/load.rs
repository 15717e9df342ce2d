use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::Value;

use super::{
    alias, environment::Environment, file, layers, mistake::Mistakes, origin::Origin, production, redact,
    schema::Schema, tree::Tree,
};

/// The reference of every setting, compiled in.
pub const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// How strict the platform is with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Development,
    Production,
}

impl Profile {
    pub fn is_production(self) -> bool {
        self == Self::Production
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_production() { "production" } else { "development" })
    }
}

/// What a type cannot say about settings: relations between them, and what production refuses.
pub trait Check {
    /// Notes everything that is wrong; paths are relative to the section that is checked.
    fn check(&self, profile: Profile, mistakes: &mut Mistakes);
}

/// Where the settings are to be read from.
#[derive(Clone, Debug)]
pub struct Loader {
    defaults: String,
    presets: Vec<(String, String, &'static str)>,
    file: Option<PathBuf>,
    environment: Environment,
    flags: Vec<String>,
}

impl Default for Loader {
    fn default() -> Self {
        Self::new(DEFAULTS)
    }
}

impl Loader {
    /// Reads over these defaults; use [`Loader::default`] for the ones of the platform.
    pub fn new(defaults: &str) -> Self {
        Self {
            defaults: defaults.to_owned(),
            presets: Vec::new(),
            file: None,
            environment: Environment::default(),
            flags: Vec::new(),
        }
    }

    /// A default that the running command chooses instead; `by` is shown as its origin.
    pub fn preset(mut self, path: &str, text: impl Into<String>, by: &'static str) -> Self {
        self.presets.push((path.to_owned(), text.into(), by));
        self
    }

    pub fn file(mut self, path: Option<impl Into<PathBuf>>) -> Self {
        self.file = path.map(Into::into);
        self
    }

    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// `section.key=value` texts of the command line, the last of a key winning.
    pub fn flags(mut self, flags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }

    pub fn file_path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads all layers, or says everything that is wrong with them.
    pub fn load<T: DeserializeOwned + Check>(&self) -> Result<Loaded<T>, Mistakes> {
        self.load_and(|_, _, _| {})
    }

    /// As [`Loader::load`], with a check of what lies outside of the settings, so that its mistakes are named
    /// together with theirs.
    pub fn load_and<T: DeserializeOwned + Check>(
        &self,
        check: impl FnOnce(&T, Profile, &mut Mistakes),
    ) -> Result<Loaded<T>, Mistakes> {
        let mut mistakes = Mistakes::new();
        let Some((schema, tree)) = self.tree(&mut mistakes) else { return Err(mistakes) };
        let value = read(&schema, &tree, &self.environment, &mut mistakes);
        if let Some((value, profile)) = &value {
            check(value, *profile, &mut mistakes);
        }
        match value {
            Some((value, profile)) if mistakes.is_empty() => Ok(Loaded { value, profile, tree }),
            _ => Err(mistakes),
        }
    }

    /// Every setting as far as the layers can be read, and everything that is wrong with them: for showing, and for
    /// nothing to start on.
    pub fn look<T: DeserializeOwned + Check>(&self) -> (Vec<Setting>, Mistakes) {
        let mut mistakes = Mistakes::new();
        let Some((schema, tree)) = self.tree(&mut mistakes) else { return (Vec::new(), mistakes) };
        read::<T>(&schema, &tree, &self.environment, &mut mistakes);
        (settings_of(&tree), mistakes)
    }

    pub(super) fn tree(&self, mistakes: &mut Mistakes) -> Option<(Schema, Tree)> {
        let schema = match Schema::parse(&self.defaults) {
            Ok(schema) => schema,
            Err(error) => {
                mistakes.add("", format!("the compiled-in defaults are not valid TOML: {}", error.message()));
                return None;
            }
        };
        let mut tree = Tree::of_defaults(&schema);
        let preset = |(path, text, by): &(String, String, &'static str)| layers::Given {
            path: path.clone(),
            value: Err(text.clone()),
            origin: Origin::Preset(by),
        };
        layers::lay(&mut tree, &schema, self.presets.iter().map(preset).collect(), mistakes);
        if let Some(path) = &self.file {
            let layer = file::read(path, &schema, mistakes);
            layers::lay(&mut tree, &schema, layer, mistakes);
        }
        let layer = alias::of_environment(&self.environment, &schema, mistakes);
        layers::lay(&mut tree, &schema, layer, mistakes);
        let layer = layers::of_environment(&self.environment, &schema, mistakes);
        layers::lay(&mut tree, &schema, layer, mistakes);
        let layer = layers::of_flags(&self.flags, mistakes);
        layers::lay(&mut tree, &schema, layer, mistakes);
        alias::imply(&mut tree, &schema, &self.environment);
        alias::fill_passwords(&mut tree, &schema, &self.environment, mistakes);
        Some((schema, tree))
    }

    /// Reads a type from a tree that was changed after loading.
    pub(super) fn reread<T: DeserializeOwned + Check>(&self, tree: Tree) -> Result<Loaded<T>, Mistakes> {
        let mut mistakes = Mistakes::new();
        let Some((schema, _)) = self.tree(&mut mistakes) else { return Err(mistakes) };
        match read(&schema, &tree, &self.environment, &mut mistakes) {
            Some((value, profile)) if mistakes.is_empty() => Ok(Loaded { value, profile, tree }),
            _ => Err(mistakes),
        }
    }
}

fn read<T: DeserializeOwned + Check>(
    schema: &Schema,
    tree: &Tree,
    environment: &Environment,
    mistakes: &mut Mistakes,
) -> Option<(T, Profile)> {
    let profile = match tree.text("profile") {
        None | Some("development") => Profile::Development,
        Some("production") => Profile::Production,
        Some(_) => {
            mistakes.add("profile", "wants development or production");
            Profile::Production
        }
    };
    let value = tree.read::<T>(schema, mistakes);
    if let Some(value) = &value {
        value.check(profile, mistakes);
    }
    if profile.is_production() {
        production::check(tree, environment, mistakes);
    }
    mistakes.place(|path| tree.get(path).map(|entry| entry.origin.clone()).filter(|origin| *origin != Origin::Default));
    value.map(|value| (value, profile))
}

/// One setting as `config print` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub path: String,
    /// In TOML notation, secrets hidden.
    pub shown: String,
    pub origin: Origin,
}

/// Settings that passed every check.
#[derive(Clone)]
pub struct Loaded<T> {
    pub value: T,
    pub profile: Profile,
    pub(super) tree: Tree,
}

impl<T> Loaded<T> {
    /// Every setting with its origin, in the order of their paths.
    pub fn settings(&self) -> Vec<Setting> {
        settings_of(&self.tree)
    }
}

fn settings_of(tree: &Tree) -> Vec<Setting> {
    let setting = |(path, entry): (&str, &super::tree::Entry)| Setting {
        path: path.to_owned(),
        shown: in_toml(&redact::shown(path, &entry.value)),
        origin: entry.origin.clone(),
    };
    tree.iter().map(setting).collect()
}

impl<T> fmt::Debug for Loaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.settings().iter().map(|setting| &setting.path)).finish()
    }
}

fn in_toml(value: &Value) -> String {
    value.to_string()
}
