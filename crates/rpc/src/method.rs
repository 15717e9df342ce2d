use std::{fmt, sync::OnceLock, time::Duration};

use metrics::{Counter, Histogram};
use nsl_core::Code;

/// How a call travels, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// To a service of this process.
    Local,
    /// To another process.
    Remote,
    /// From another process.
    Served,
}

impl Via {
    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Served => "served",
        }
    }
}

/// One method of a service: its names, whether it may be repeated, and its metrics, whose handles are
/// looked up once. The recorder must be installed before the first call.
pub struct Method {
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) repeatable: bool,
    outcomes: [[OnceLock<Counter>; OUTCOMES.len()]; 3],
    durations: [OnceLock<Histogram>; 3],
}

const OUTCOMES: [&str; 11] = [
    "ok",
    "cancelled",
    "invalid",
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "exhausted",
    "timeout",
    "unavailable",
    "internal",
];

/// How a call ended, as metrics name it.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    Ok,
    /// The caller went away first.
    Cancelled,
    Failed(Code),
}

impl Ending {
    fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::Cancelled => 1,
            Self::Failed(Code::Invalid) => 2,
            Self::Failed(Code::Unauthenticated) => 3,
            Self::Failed(Code::Forbidden) => 4,
            Self::Failed(Code::NotFound) => 5,
            Self::Failed(Code::Conflict) => 6,
            Self::Failed(Code::Exhausted) => 7,
            Self::Failed(Code::Timeout) => 8,
            Self::Failed(Code::Unavailable) => 9,
            Self::Failed(Code::Internal) => 10,
        }
    }
}

impl Method {
    #[doc(hidden)]
    pub const fn new(service: &'static str, name: &'static str, path: &'static str, repeatable: bool) -> Self {
        Self {
            service,
            name,
            path,
            repeatable,
            outcomes: [const { [const { OnceLock::new() }; OUTCOMES.len()] }; 3],
            durations: [const { OnceLock::new() }; 3],
        }
    }

    #[doc(hidden)]
    pub fn path(&self) -> &'static str {
        self.path
    }

    pub(crate) fn count(&self, via: Via, ending: Ending, took: Duration) {
        let outcome = ending.index();
        self.outcomes[via as usize][outcome]
            .get_or_init(|| {
                metrics::counter!(
                    "rpc_requests_total",
                    "service" => self.service,
                    "method" => self.name,
                    "outcome" => OUTCOMES[outcome],
                    "via" => via.name()
                )
            })
            .increment(1);
        self.durations[via as usize]
            .get_or_init(|| {
                metrics::histogram!(
                    "rpc_request_duration_seconds",
                    "service" => self.service,
                    "method" => self.name,
                    "via" => via.name()
                )
            })
            .record(took.as_secs_f64());
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_named_as_codes_are_on_the_wire() {
        let codes = [
            Code::Invalid,
            Code::Unauthenticated,
            Code::Forbidden,
            Code::NotFound,
            Code::Conflict,
            Code::Exhausted,
            Code::Timeout,
            Code::Unavailable,
            Code::Internal,
        ];
        for code in codes {
            let name = serde_json::to_value(code).unwrap();
            assert_eq!(name, OUTCOMES[Ending::Failed(code).index()]);
        }
    }
}
