use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use axum::{Router, response::IntoResponse};
use nsl_core::{Code, Error};

use crate::{Channel, Client, Guard, Via, message::refuse};

/// A client that this process's configuration may not offer.
#[derive(Clone)]
pub struct Handle<C>(State<C>);

#[derive(Clone)]
enum State<C> {
    Here(C),
    There(C),
    Missing,
    /// It was to run here and did not start.
    Failed,
}

impl<C: Client> Handle<C> {
    /// The client, or a start-up error that says how to get it.
    pub fn need(&self) -> anyhow::Result<C> {
        match &self.0 {
            State::Here(client) | State::There(client) => Ok(client.clone()),
            State::Missing => anyhow::bail!("needs {0}: add it to --services or set peers.{0}", C::NAME),
            State::Failed => Err(NotStarted(C::NAME).into()),
        }
    }

    pub fn get(&self) -> Option<C> {
        self.need().ok()
    }

    /// Whether the service runs in this process.
    pub fn is_here(&self) -> bool {
        matches!(self.0, State::Here(_))
    }
}

/// A need for something whose own start has failed and was reported: not worth a second line.
#[derive(Debug)]
struct NotStarted(&'static str);

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "needs {0}, which did not start", self.0)
    }
}

impl std::error::Error for NotStarted {}

/// The wiring of one process: which services run here, where the others are, and the internal routes.
/// Problems are gathered, so that [`Wire::finish`] can report all of them together.
#[derive(Default)]
pub struct Wire {
    selected: BTreeSet<String>,
    peers: BTreeMap<String, Channel>,
    known: Vec<&'static str>,
    here: Vec<&'static str>,
    routes: Router,
    problems: Vec<String>,
}

impl Wire {
    pub fn new(selected: impl IntoIterator<Item = String>, peers: BTreeMap<String, Channel>) -> Self {
        Self { selected: selected.into_iter().collect(), peers, ..Self::default() }
    }

    /// Runs the service here when it was selected, else points at its peer, if one is set. A service of several
    /// traits is added once for each of them, under the one name.
    pub async fn add<C: Client>(&mut self, build: impl AsyncFnOnce() -> anyhow::Result<Arc<C::Service>>) -> Handle<C> {
        note(&mut self.known, C::NAME);
        if !self.selected.contains(C::NAME) {
            let peer = self.peers.get(C::NAME).cloned();
            return Handle(peer.map_or(State::Missing, |channel| State::There(C::new(Via::Remote(channel)))));
        }
        match build().await {
            Ok(service) => {
                note(&mut self.here, C::NAME);
                self.routes = std::mem::take(&mut self.routes).merge(C::routes(Arc::clone(&service)));
                Handle(State::Here(C::new(Via::Local(service))))
            }
            Err(error) => {
                if !error.is::<NotStarted>() {
                    self.problems.push(format!("starting {}: {error:#}", C::NAME));
                }
                Handle(State::Failed)
            }
        }
    }

    /// Keeps a problem found while wiring for the common report.
    pub fn problem(&mut self, what: impl fmt::Display) {
        self.problems.push(what.to_string());
    }

    /// The services that run here, in the order in which they were added.
    pub fn here(&self) -> &[&'static str] {
        &self.here
    }

    /// The channels to the services that run elsewhere.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        let here = |name: &String| !self.here.contains(&name.as_str());
        self.peers.iter().filter(move |(name, _)| here(name)).map(|(_, channel)| channel)
    }

    /// The internal router behind its guard, or everything that is wrong. A name that has no stanza is.
    pub fn finish(mut self, guard: Guard) -> Result<Router, Problems> {
        let known = self.known.join(", ");
        for name in self.selected.iter().filter(|name| !self.known.contains(&name.as_str())) {
            self.problems.push(format!("unknown service {name} in --services: there are {known}"));
        }
        for name in self.peers.keys().filter(|name| !self.known.contains(&name.as_str())) {
            self.problems.push(format!("unknown service {name} in peers.{name}: there are {known}"));
        }
        if !self.problems.is_empty() {
            return Err(Problems(self.problems));
        }
        Ok(guard.before(self.routes.fallback(not_served)))
    }
}

fn note(names: &mut Vec<&'static str>, name: &'static str) {
    if !names.contains(&name) {
        names.push(name);
    }
}

async fn not_served() -> axum::response::Response {
    refuse(Error::new(Code::Unavailable, "rpc.not_served", "this process does not serve that call")).into_response()
}

/// All that kept a process from starting, one line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}
