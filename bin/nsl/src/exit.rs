use std::{fmt, io::Write, process::ExitCode};

use nsl_core::Code;
use serde_json::{Value, json};

/// How a command ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    Unavailable = 5,
}

pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed; `audit verify`: a chain is not whole
  2  the command line, the configuration or the request is wrong
  3  not found
  4  refused: credential, permission, conflict, limit or quota
  5  not reachable now; trying again later may help";

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// The problem document of the server, when it was the server that said no.
    pub(crate) problem: Option<Value>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), problem: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Says it on standard error, as one JSON object when JSON was asked for.
    pub(crate) fn report(self, as_json: bool) -> ExitCode {
        if as_json {
            let problem = self.problem.unwrap_or_else(|| json!({ "detail": self.message }));
            aside(&problem.to_string());
        } else {
            aside(&format!("nsl: {}", self.message));
            let mend = self.problem.as_ref().and_then(|problem| problem["mend"].as_str());
            if let Some(mend) = mend {
                aside(&format!("     {mend}"));
            }
            if let Some(command) = self.problem.as_ref().and_then(mending) {
                aside(&format!("     {command}"));
            }
        }
        ExitCode::from(self.exit as u8)
    }
}

/// The command that mends a refusal of the server, where there is one.
fn mending(problem: &Value) -> Option<String> {
    Some(match problem["code"].as_str()? {
        "auth.missing" | "auth.token_expired" | "auth.token_revoked" => "sign in by: nsl login".to_owned(),
        "auth.key_unknown" => "a key that was kept by nsl login is forgotten by: nsl logout".to_owned(),
        "auth.person_needed" => "sign in as a person by: nsl login (and unset NSL_API_KEY)".to_owned(),
        "auth.step_up" => "show it by: nsl mfa step-up (set up by: nsl mfa enrol)".to_owned(),
        "auth.scope_missing" => {
            let needs = problem["needs"].as_str().or_else(|| problem["details"]["needs"].as_str())?;
            format!("why, is told by: nsl access explain {}", crate::show::clean(needs))
        }
        _ => return None,
    })
}

/// Says something beside the output. That nobody listens to it is no failure.
pub(crate) fn aside(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let exit = match error.downcast_ref::<nsl_core::Error>().map(|error| error.code) {
            Some(Code::Unavailable | Code::Timeout) => Exit::Unavailable,
            Some(Code::NotFound) => Exit::NotFound,
            _ => Exit::Failed,
        };
        Self::new(exit, format!("{error:#}"))
    }
}

impl From<nsl_core::Error> for Failure {
    fn from(error: nsl_core::Error) -> Self {
        // The operator stands at the machine: the cause helps, and leaks to nobody else.
        let cause = error.cause().map(|cause| format!(": {cause:#}")).unwrap_or_default();
        let exit = Self::from(anyhow::Error::from(nsl_core::Error::new(error.code, "", ""))).exit;
        Self::new(exit, format!("{error}{cause}"))
    }
}

impl From<nsl_kit::Mistakes> for Failure {
    fn from(mistakes: nsl_kit::Mistakes) -> Self {
        Self::usage(mistakes.to_string())
    }
}
