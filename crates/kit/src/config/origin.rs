use std::{fmt, path::PathBuf};

/// Where the value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Compiled in.
    Default,
    /// Chosen by the command that runs, such as `nsl dev`.
    Preset(&'static str),
    File {
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The name of an environment variable.
    Variable(String),
    /// An environment variable that names a file with the value.
    VariableFile { name: String, path: PathBuf },
    /// `--set` on the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(by) => f.write_str(by),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::VariableFile { name, path } => write!(f, "{name} ({})", path.display()),
            Self::Flag(path) => write!(f, "--set {path}"),
        }
    }
}
