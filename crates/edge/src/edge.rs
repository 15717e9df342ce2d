//! The ordered list itself: [`pass`] from top to bottom.

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Version, header, request},
    response::Response,
};
use futures_util::FutureExt;
use nsl_api::{access::AccessClient, audit::AuditClient, identity::IdentityClient, sessions::SessionsClient};
use nsl_core::{Clock, Code, Cx, Deadline, Error, Principal, Replay, Rules, Source, Trace};
use nsl_engine::limits::Limits;
use nsl_kit::serve::{PeerIdentity, Remote};
use nsl_rpc::TraceHooks;
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use crate::{
    auth::{Authenticator, Glance, Known},
    body::BodyMemory,
    caller::{Admitted, credential_missing, nobody},
    compress,
    config::{EdgeSettings, Settings},
    cors::Cors,
    face::Class,
    gate::{Settled, Spot},
    headers,
    limits::{Budgets, Told, address_key},
    meter::method_name,
    once, outcome,
    refusals::{Refusals, Who},
    rules::RuleBook,
    trail,
    turn::Turns,
};

const LONGEST_USER_AGENT: usize = 256;
/// Who keeps the deadline itself knows best what became of the work: it is let speak first.
const GRACE: Duration = Duration::from_millis(250);

/// What an edge is made of.
pub struct Parts {
    pub settings: Settings,
    pub identity: IdentityClient,
    /// Who knows the tokens that the platform issues itself; without it none of them is taken.
    pub sessions: Option<SessionsClient>,
    /// Who knows the policies of tenants; without it no tenant has any.
    pub access: Option<AccessClient>,
    pub audit: AuditClient,
    pub limits: Limits,
    pub clock: Arc<dyn Clock>,
    /// Ties the span of a request to the `traceparent` it came with, where traces are exported.
    pub trace: Option<TraceHooks>,
}

/// What all gates share.
pub(crate) struct Shared {
    pub(crate) settings: EdgeSettings,
    pub(crate) dials: ArcSwap<Dials>,
    pub(crate) auth: Authenticator,
    pub(crate) limits: Limits,
    pub(crate) refusals: Refusals,
    rules: Arc<RuleBook>,
    memory: BodyMemory,
    turns: Turns,
    trace: Option<TraceHooks>,
}

/// What may change while running.
pub(crate) struct Dials {
    budgets: Budgets,
    cors: Cors,
}

impl Dials {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { budgets: Budgets::new(&settings.limits), cors: Cors::new(&settings.cors) }
    }
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> anyhow::Result<Self> {
        let edge = parts.settings.edge.clone();
        let rules = Arc::new(RuleBook::new(parts.access, Arc::clone(&parts.clock)));
        let heed = {
            let rules = Arc::clone(&rules);
            Box::new(move |what: &str| rules.heed(what))
        };
        let auth = &parts.settings.auth;
        Ok(Self {
            dials: ArcSwap::from_pointee(Dials::new(&parts.settings)),
            auth: Authenticator::new(auth, parts.identity, parts.sessions, Arc::clone(&parts.clock), heed)?,
            limits: parts.limits,
            refusals: Refusals::new(parts.audit, parts.clock),
            rules,
            memory: BodyMemory::new(edge.body_memory_bytes),
            turns: Turns::new(edge.in_flight, edge.waiting, edge.wait),
            trace: parts.trace,
            settings: edge,
        })
    }
}

/// What is found out on the way in and said on the way out.
struct Visit<'a> {
    shared: &'a Shared,
    settled: &'a Settled,
    remote: Option<Remote>,
    trace: Trace,
    deadline: Deadline,
    known: Option<Arc<Known>>,
    told: Option<Told>,
}

/// One request from its head to its answer.
pub(crate) async fn pass<S>(spot: &Spot, request: Request, next: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let (guard, settled) = (spot.guard(), spot.settle(&request));
    let shared = &*guard.shared;
    let (head, body) = request.into_parts();
    let active = settled.meter.enter(&head.method, Instant::now());
    let budget = settled.rule.as_ref().and_then(|rule| rule.timeout).unwrap_or(shared.settings.timeout);
    let trace = trail::read(&head.headers);
    let span = tracing::info_span!("request", request_id = %trace.request_id, tenant = tracing::field::Empty);
    if let (Some(hooks), Some(parent)) = (&shared.trace, &trace.traceparent) {
        (hooks.adopt)(&span, parent);
    }
    let mut visit = Visit {
        shared,
        settled,
        remote: head.extensions.get::<Remote>().copied(),
        trace,
        deadline: Deadline::within(budget),
        known: None,
        told: None,
    };
    let method = method_name(&head.method);
    let origin = head.headers.get(header::ORIGIN).cloned();
    let accepts = compress::wanted(&head.headers);
    // Who sees a chunked body may have been told a length as well, which the parser then drops without
    // a word (RFC 9112 section 6.1): nothing after such a request is believed.
    let close = head.version < Version::HTTP_2 && head.headers.contains_key(header::TRANSFER_ENCODING);

    let dials = shared.dials.load_full();
    let (is_shared, is_oauth) = settled.rule.as_ref().map_or((false, false), |rule| (rule.shared, rule.oauth));
    let answer = match dials.cors.preflight(&head.method, &head.headers, is_shared) {
        Some(response) => Ok(response),
        None => visit.enter(&dials, head, body, next).instrument(span.clone()).await,
    };

    let (mut response, error) = outcome::word(answer, &guard.catalogue, &visit.trace, is_oauth);
    let status = response.status().as_u16();
    if let Some(error) = &error {
        if outcome::is_refusal(error, status) {
            shared.refusals.note(visit.who(), error, guard.service, visit.method(method), status);
        }
        outcome::log(error, status, &span);
    }
    let secure = visit.remote.is_some_and(|remote| remote.secure);
    let said = response.headers_mut();
    headers::harden(said, secure);
    dials.cors.mark(origin.as_ref(), said, is_shared);
    visit.sign(said);
    if close {
        said.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    // What reveals a secret is never squeezed together with what a stranger may have chosen.
    let squeeze = accepts.filter(|_| settled.rule.as_ref().is_none_or(|rule| rule.class == Class::General));
    if let Some(accepts) = squeeze {
        response = Box::pin(compress::compress(response, accepts, shared.settings.compress_bytes)).await;
    }
    let took = active.end(status);
    let duration = took.as_millis() as u64;
    if status >= 500 {
        tracing::info!(parent: &span, method, route = &*settled.route, status, duration, "request failed");
    } else {
        tracing::debug!(parent: &span, method, route = &*settled.route, status, duration, "request answered");
    }
    response
}

impl Visit<'_> {
    async fn enter<S>(
        &mut self,
        dials: &Dials,
        mut head: request::Parts,
        body: Body,
        next: S,
    ) -> Result<Response, Error>
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let shared = self.shared;
        self.check_form(&head)?;
        let idempotency = once::key(&head.method, &head.headers)?;

        self.known = self.authenticate(dials, &head).await?;
        self.check_use(dials, &head).await?;
        if let Some(known) = &self.known {
            tracing::Span::current().record("tenant", known.tenant.as_str());
        }
        self.charge(dials).await?;
        if self.known.is_none() && self.settled.rule.as_ref().is_some_and(|rule| !rule.open) {
            return Err(credential_missing());
        }
        self.settled.query.check(&head.method, &head.uri)?;

        let limit = self.settled.rule.as_ref().and_then(|rule| rule.body_bytes).unwrap_or(shared.settings.body_bytes);
        let (bytes, _held) = shared.memory.read(body, limit, self.deadline).await?;
        let mut cx = self.context(&head.headers);
        if let Some(key) = idempotency {
            cx.once = Some(once::tie(key, &head.method, &head.uri, &bytes));
            cx.replay = Replay::heeded();
        }
        let replay = cx.replay.clone();
        cx.rules = self.rules().await?;

        let _turn = shared.turns.take().await?;
        head.extensions.insert(Admitted { cx, body_bytes: limit });
        let work = AssertUnwindSafe(next.oneshot(Request::from_parts(head, Body::from(bytes)))).catch_unwind();
        match tokio::time::timeout_at((self.deadline.instant() + GRACE).into(), work).await {
            Ok(Ok(Ok(mut response))) => {
                if replay.is_replay() && response.status().is_success() {
                    response.headers_mut().insert(once::REPLAYED, HeaderValue::from_static("true"));
                }
                Ok(response)
            }
            Ok(Err(panic)) => Err(Error::internal(anyhow::anyhow!("a handler panicked: {}", words(&*panic)))),
            Err(_) => Err(Error::new(Code::Timeout, "deadline", "the work took longer than the request may")),
        }
    }

    fn check_form(&self, head: &request::Parts) -> Result<(), Error> {
        let most = self.shared.settings.url_bytes;
        if head.uri.path_and_query().is_some_and(|target| target.as_str().len() > most) {
            return Err(Error::invalid("request.uri_too_long", format!("the URL has more than {most} bytes")));
        }
        let headers = &head.headers;
        let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
        let encodings = headers.get_all(header::TRANSFER_ENCODING).iter().count();
        if lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0) {
            return Err(Error::invalid("request.ambiguous", "the length of the body is told in more than one way"));
        }
        let mut hosts = headers.get_all(header::HOST).iter();
        let differs = |host: &HeaderValue| {
            let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
            authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host.as_bytes()))
        };
        if hosts.next().is_some_and(differs) || hosts.next().is_some() {
            return Err(Error::invalid("request.ambiguous", "the request names more than one host"));
        }
        if matches!(head.method, Method::TRACE | Method::CONNECT) {
            return Err(Error::invalid("route.method", "this method is not taken here"));
        }
        Ok(())
    }

    async fn authenticate(&mut self, dials: &Dials, head: &request::Parts) -> Result<Option<Arc<Known>>, Error> {
        // How clients of OAuth 2.0 name themselves is for the handler to read.
        if self.settled.rule.as_ref().is_some_and(|rule| rule.oauth) && shows_client(&head.headers) {
            return Ok(None);
        }
        let certificate = head.extensions.get::<Arc<PeerIdentity>>().map_or(&[][..], |peer| peer.names.as_slice());
        let found = match self.shared.auth.glance(&head.headers, certificate) {
            Ok(Glance::Nobody) => return Ok(None),
            Ok(Glance::Known(known)) => return Ok(Some(known)),
            unknown => unknown,
        };
        // What is rare is put on the heap when it happens, so that every other request carries less.
        Box::pin(self.look_closer(dials, found)).await.map(Some)
    }

    /// Refuses a good credential where it may not be used: by another than its holder, or from elsewhere.
    async fn check_use(&mut self, dials: &Dials, head: &request::Parts) -> Result<(), Error> {
        let Some(known) = &self.known else { return Ok(()) };
        known.check_address(self.remote.map(|remote| remote.client))?;
        let secure = self.remote.is_some_and(|remote| remote.secure);
        let held = self.shared.auth.check_holder(known, head, secure);
        if held.is_err() {
            self.charge_address(dials, Class::Auth).await;
        }
        held
    }

    async fn look_closer(&mut self, dials: &Dials, glance: Result<Glance<'_>, Error>) -> Result<Arc<Known>, Error> {
        let found = match glance {
            Ok(Glance::Known(known)) => Ok(known),
            Ok(Glance::Nobody) => Err(credential_missing()),
            Ok(Glance::Unknown { ask, proven }) => {
                // Who guesses too often is not listened to; what was good here before is no guess.
                if !proven && self.is_spent(dials).await {
                    return Err(self.charge_address(dials, Class::Auth).await);
                }
                self.shared.auth.look_up(ask, &self.trace, self.deadline).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &found
            && error.code == Code::Unauthenticated
        {
            self.charge_address(dials, Class::Auth).await;
        }
        found
    }

    async fn is_spent(&self, dials: &Dials) -> bool {
        dials.budgets.is_spent(&self.shared.limits, Class::Auth, &self.address()).await
    }

    async fn charge_address(&mut self, dials: &Dials, class: Class) -> Error {
        let told = dials.budgets.charge(&self.shared.limits, class, &self.address()).await;
        let refusal = told.refusal();
        self.told = Some(told);
        refusal
    }

    async fn charge(&mut self, dials: &Dials) -> Result<(), Error> {
        let class = self.settled.rule.as_ref().map_or(Class::General, |rule| rule.class);
        let told = match (&self.known, class) {
            (Some(known), Class::General | Class::Keys) => {
                dials.budgets.charge(&self.shared.limits, class, &known.budget).await
            }
            (_, Class::Auth) => dials.budgets.charge(&self.shared.limits, Class::Auth, &self.address()).await,
            _ => dials.budgets.charge(&self.shared.limits, Class::Anonymous, &self.address()).await,
        };
        let outcome = if told.allowed() { Ok(()) } else { Err(told.refusal()) };
        self.told = Some(told);
        outcome
    }

    fn context(&self, headers: &HeaderMap) -> Cx {
        let (tenant, principal) = match &self.known {
            Some(known) => (known.tenant.clone(), known.principal.clone()),
            None => (nobody(), Principal::anonymous()),
        };
        let agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let user_agent = agent.map(|agent| {
            let end = agent.char_indices().nth(LONGEST_USER_AGENT).map_or(agent.len(), |(end, _)| end);
            agent[..end].into()
        });
        let source = Source { ip: self.remote.map(|remote| remote.client), user_agent };
        Cx {
            tenant,
            principal,
            deadline: self.deadline,
            trace: self.trace.clone(),
            source,
            once: None,
            replay: Replay::default(),
            rules: None,
        }
    }

    async fn rules(&self) -> Result<Option<Arc<Rules>>, Error> {
        let Some(known) = &self.known else { return Ok(None) };
        match self.shared.rules.glance(&known.tenant) {
            Some(rules) => Ok(rules),
            None => Box::pin(self.shared.rules.look_up(&known.tenant, self.deadline)).await,
        }
    }

    fn address(&self) -> String {
        address_key(self.remote.map(|remote| remote.client))
    }

    fn who(&self) -> Who {
        match (&self.known, &self.remote) {
            (Some(known), _) => Who::Named(known.tenant.clone(), known.principal.subject.clone()),
            (None, Some(remote)) => Who::Address(remote.client),
            (None, None) => Who::Strangers,
        }
    }

    fn method(&self, method: &str) -> Arc<str> {
        format!("{method} {}", self.settled.route).into()
    }

    fn sign(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(self.trace.request_id.as_str()) {
            headers.insert(trail::REQUEST_ID, id);
        }
        if let Some(id) = self.trace.correlation_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(trail::CORRELATION_ID, id);
        }
        if let Some(told) = &self.told {
            told.show(headers);
        }
    }
}

fn shows_client(headers: &HeaderMap) -> bool {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let scheme = shown.next().and_then(|value| value.as_bytes().get(..6));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
        && shown.next().is_none()
        && !headers.contains_key("x-api-key")
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
