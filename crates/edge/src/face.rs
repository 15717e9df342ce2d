use std::time::Duration;

use axum::Router;
use utoipa::openapi::OpenApi;

use crate::catalogue::Entry;

/// What a service shows to the public: its routes, their documentation, and what is special about them.
///
/// Routes are closed by default: the edge refuses a request without a credential before its body is
/// read, unless a [`Rule`] opens the route.
#[derive(Clone)]
pub struct Face {
    pub(crate) name: &'static str,
    pub(crate) router: Router,
    pub(crate) docs: OpenApi,
    pub(crate) problems: &'static [Entry],
    pub(crate) rules: Vec<Rule>,
}

impl Face {
    /// `name` is the service's, as metrics and audit show it; the router has full paths, `/v1/<name>/...`.
    pub fn new(name: &'static str, router: Router) -> Self {
        Self { name, router, docs: OpenApi::default(), problems: &[], rules: Vec::new() }
    }

    /// The OpenAPI of its routes; common replies and security are added by the edge.
    pub fn docs(mut self, docs: OpenApi) -> Self {
        self.docs = docs;
        self
    }

    /// The slugs that the service can send.
    pub fn problems(mut self, problems: &'static [Entry]) -> Self {
        self.problems = problems;
        self
    }

    /// What holds for some of its routes; the first rule that fits a route counts.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

/// Whose budget a request is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Per principal.
    General,
    /// Per principal, for routes that make or use keys.
    Keys,
    /// Per address: sign-in, and every refused credential.
    Auth,
    /// Per address: requests without a credential.
    Anonymous,
}

/// What holds for the routes that it names.
#[derive(Clone, Debug)]
pub struct Rule {
    route: &'static str,
    pub(crate) class: Class,
    pub(crate) open: bool,
    pub(crate) body_bytes: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) shared: bool,
    pub(crate) oauth: bool,
}

impl Rule {
    /// `route` as the router has it (`/v1/storage/store/{chain}`), or a prefix of it that ends in `*`.
    pub fn at(route: &'static str) -> Self {
        Self { route, class: Class::General, open: false, body_bytes: None, timeout: None, shared: false, oauth: false }
    }

    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Lets requests without a credential in; the handler takes [`crate::Anyone`].
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Lets every web page read the answers, whatever `cors.allowed_origins` says: for what is the same for
    /// all and no secret, such as key sets.
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Speaks OAuth 2.0: `Authorization: Basic` is left to the handler (RFC 6749 section 2.3.1), and problems
    /// are `application/json` with the members `error` and `error_description` (section 5.2) beside ours. Which
    /// `error` it is, an [`nsl_core::Error`] says by its detail of that name; else it follows from the code.
    pub fn oauth(mut self) -> Self {
        self.oauth = true;
        self
    }

    /// The largest body in bytes, instead of `edge.body_bytes`.
    pub fn body_bytes(mut self, limit: usize) -> Self {
        self.body_bytes = Some(limit);
        self
    }

    /// The longest time from the request's first line to the reply, instead of `edge.timeout_ms`.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    pub(crate) fn fits(&self, route: &str) -> bool {
        match self.route.strip_suffix('*') {
            Some(prefix) => route.starts_with(prefix),
            None => route == self.route,
        }
    }
}
