/// Why data was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The data ends in the middle of something.
    #[error("the data ends in the middle of {0}")]
    Short(&'static str),
    /// So many bytes follow after the end of what was read.
    #[error("{0} bytes follow after the end")]
    Trailing(usize),
    /// A count or a length is beyond what the protocol allows.
    #[error("{what} is {size}, and {most} is the most")]
    TooLarge {
        /// What was read or made.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// How large it may be.
        most: u64,
    },
    /// Something has a form that the protocol does not know or forbids.
    #[error("{what}: {why}")]
    Malformed {
        /// What was read or made.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What the functions of this library return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Shorthand for [`Error::Malformed`].
pub(crate) fn malformed(what: &'static str, why: impl Into<String>) -> Error {
    Error::Malformed { what, why: why.into() }
}
