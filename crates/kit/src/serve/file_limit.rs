use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files, 1,024 on many systems, to what the process may have; returns
/// what it then is.
pub(super) fn raise() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
    let limit = if now.current != now.maximum && setrlimit(Resource::Nofile, wanted).is_ok() { wanted } else { now };
    // No limit at all is said by leaving it out.
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let low = Rlimit { current: Some(256), maximum: hard };
        setrlimit(Resource::Nofile, low).unwrap();
        assert_eq!(raise(), hard.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }
}
