use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Json, Router,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::{get, post},
};
use nsl_api::{
    Page,
    audit::{Audit, AuditClient, AuditEntry, Refusal, Refuse, Refused, SearchAudit, Verdict, VerifyAudit},
    identity::{
        Authenticate, Authenticated, CreateKey, CreateTenant, CreatedKey, CreatedTenant, Identity, IdentityClient,
        KeyInfo, ListKeys, ListTenants, RevokeKey, RotateKey, TenantInfo, UpdateKey,
    },
    sessions::SessionsClient,
};
use nsl_core::{Code, Cx, Error, ManualClock, Principal, PrincipalKind, Result, Subject, TenantId, Timestamp};
use nsl_edge::{Anyone, Caller, Class, Edge, Entry, Face, Parts, Path, Problem, Query, Rule, Settings, Strict};
use nsl_engine::limits::{Limits, LimitsConfig, LimitsEngine, OnLoss};
use nsl_kit::{
    Check, Loader, Mistakes, Profile,
    serve::{Listener, Serving},
    settings::{HttpSettings, ListenerSettings},
};
use nsl_rpc::{Client, TraceHooks, Via};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::sync::Notify;

use crate::issuer::FakeSessions;

pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000_000);

/// The parents that spans of requests were given.
pub(crate) static ADOPTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// An identity service that knows what it was told, and can be away.
#[derive(Default)]
pub(crate) struct FakeIdentity {
    pub(crate) keys: Mutex<HashMap<String, Authenticated>>,
    pub(crate) away: AtomicBool,
    pub(crate) asked: AtomicUsize,
}

pub(crate) fn not_here<T>() -> Result<T> {
    Err(Error::new(Code::Internal, "internal", "this fake does not do that"))
}

#[async_trait]
impl Identity for FakeIdentity {
    async fn authenticate(&self, cx: &Cx, request: Authenticate) -> Result<Authenticated> {
        assert_eq!(cx.principal.kind, PrincipalKind::System);
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::new(Code::Unavailable, "peer.unreachable", "identity is away"));
        }
        let known = self.keys.lock().get(&request.digest).cloned();
        known.ok_or_else(|| Error::new(Code::Unauthenticated, "identity.key_unknown", "no such key: and why"))
    }

    async fn create_key(&self, _: &Cx, _: CreateKey) -> Result<CreatedKey> {
        not_here()
    }

    async fn list_keys(&self, _: &Cx, _: ListKeys) -> Result<Page<KeyInfo>> {
        not_here()
    }

    async fn revoke_key(&self, _: &Cx, _: RevokeKey) -> Result<KeyInfo> {
        not_here()
    }

    async fn update_key(&self, _: &Cx, _: UpdateKey) -> Result<KeyInfo> {
        not_here()
    }

    async fn rotate_key(&self, _: &Cx, _: RotateKey) -> Result<CreatedKey> {
        not_here()
    }

    async fn create_tenant(&self, _: &Cx, _: CreateTenant) -> Result<CreatedTenant> {
        not_here()
    }

    async fn list_tenants(&self, _: &Cx, _: ListTenants) -> Result<Page<TenantInfo>> {
        not_here()
    }
}

/// An audit service that remembers the refusals it was told, and can be away.
#[derive(Default)]
pub(crate) struct FakeAudit {
    pub(crate) told: Mutex<Vec<Refusal>>,
    pub(crate) away: AtomicBool,
    pub(crate) turned_away: Notify,
}

#[async_trait]
impl Audit for FakeAudit {
    async fn search(&self, _: &Cx, _: SearchAudit) -> Result<Page<AuditEntry>> {
        not_here()
    }

    async fn verify(&self, _: &Cx, _: VerifyAudit) -> Result<Verdict> {
        not_here()
    }

    async fn refuse(&self, cx: &Cx, request: Refuse) -> Result<Refused> {
        assert_eq!(cx.principal.kind, PrincipalKind::System);
        if self.away.load(Ordering::SeqCst) {
            self.turned_away.notify_one();
            return Err(Error::new(Code::Unavailable, "peer.unreachable", "audit is away"));
        }
        self.told.lock().extend(request.refusals);
        Ok(Refused {})
    }
}

#[derive(Deserialize)]
struct Http {
    http: HttpSettings,
    public: ListenerSettings,
}

impl Check for Http {
    fn check(&self, _: Profile, _: &mut Mistakes) {}
}

/// A process with nothing but an edge and one small service.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    pub(crate) edge: Edge,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) identity: Arc<FakeIdentity>,
    pub(crate) sessions: Arc<FakeSessions>,
    pub(crate) audit: Arc<FakeAudit>,
    pub(crate) service: Arc<Service>,
    pub(crate) http: reqwest::Client,
    serving: Serving,
}

pub(crate) const KEY: &str = "nsl_0123456789abcdefghijklmnopqrstuv";

pub(crate) fn digest_of(key: &str) -> String {
    hex::encode(digest(&SHA256, key.as_bytes()))
}

pub(crate) fn authenticated(tenant: &str, subject: &str) -> Authenticated {
    let principal = Principal {
        kind: PrincipalKind::ApiKey,
        subject: Subject::parse(subject).unwrap(),
        credential: "key_1".into(),
        scopes: ["echo:*".to_owned()].into(),
        expires_at: None,
        session: None,
        second_factor_at: None,
        actor: None,
        whole: false,
    };
    Authenticated {
        tenant: TenantId::parse(tenant).unwrap(),
        principal,
        expires_at: None,
        networks: Vec::new(),
        owner: None,
        revision: 0,
    }
}

pub(crate) fn settings(flags: &[&str]) -> Settings {
    // Tests ask often; those of the limits lower them again.
    let lifted = ["limits.general_per_minute=1000000", "limits.anonymous_per_minute=1000000", "profile=development"];
    Loader::default().flags(lifted.iter().chain(flags).copied()).load::<Settings>().unwrap().value
}

impl Rig {
    /// Starts with the default settings and these on top.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, |face| face).await
    }

    pub(crate) async fn start_with(flags: &[&str], change: impl FnOnce(Face) -> Face) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let (identity, audit) = (Arc::new(FakeIdentity::default()), Arc::new(FakeAudit::default()));
        let sessions = Arc::new(FakeSessions::default());
        identity.keys.lock().insert(digest_of(KEY), authenticated("ten_1", "alice"));
        let limits =
            LimitsConfig { engine: LimitsEngine::Memory, on_loss: OnLoss::Local, local_share: 1.0, callers: 10_000 };
        let (edge_flags, http_flags): (Vec<&str>, Vec<&str>) =
            flags.iter().copied().partition(|flag| !flag.starts_with("http.") && !flag.starts_with("public."));
        let edge = Edge::new(Parts {
            settings: settings(&edge_flags),
            identity: IdentityClient::new(Via::Local(identity.clone())),
            sessions: Some(SessionsClient::new(Via::Local(sessions.clone()))),
            access: None,
            audit: AuditClient::new(Via::Local(audit.clone())),
            limits: Limits::build(&limits, None, clock.clone()).unwrap(),
            clock: clock.clone(),
            trace: Some(TraceHooks { inject: |_| None, adopt: |_, parent| ADOPTED.lock().push(parent.to_owned()) }),
        })
        .unwrap();
        let service = Arc::new(Service::default());
        let router = edge.serve(vec![change(service.face())]);
        let http_flags = ["public.address=127.0.0.1:0", "profile=development"].into_iter().chain(http_flags);
        let Http { http, public } = Loader::default().flags(http_flags).load::<Http>().unwrap().value;
        let listener = Listener::bind("public", &public, &http).await.unwrap();
        let address = listener.address();
        let serving = listener.serve(router);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{address}");
        Self { address, url, edge, clock, identity, sessions, audit, service, http: client, serving }
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    /// With the known key.
    pub(crate) fn keyed(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(KEY)
    }

    pub(crate) async fn with_bearer(&self, credential: &str) -> reqwest::Response {
        self.get("/v1/echo/me").bearer_auth(credential).send().await.unwrap()
    }

    pub(crate) async fn stop(self) {
        assert!(self.serving.drain(Duration::from_secs(5)).await, "all requests finish");
    }
}

/// A problem as a client reads it.
pub(crate) async fn problem(response: reqwest::Response) -> (u16, String, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    let code = body["code"].as_str().unwrap().to_owned();
    assert_eq!((&body["status"], &body["type"]), (&json!(status), &json!(format!("/problems/{code}"))));
    assert_eq!(body["instance"], request_id.as_str());
    for word in ["title", "detail", "mend"] {
        assert!(body[word].as_str().is_some_and(|text| !text.is_empty()), "{word} in {body}");
    }
    (status, code, body)
}

/// What is behind the edge: it says what it was told, and notes every request that reached it.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) reached: Mutex<Vec<String>>,
    pub(crate) finished: AtomicUsize,
    pub(crate) left: AtomicUsize,
    pub(crate) go_on: Notify,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Store {
    key: String,
    value: Box<RawValue>,
}

#[derive(Deserialize)]
struct Size {
    size: usize,
}

const PROBLEMS: &[Entry] = &[
    Entry::new("echo.full", 507, "the echo is full", "shout less"),
    Entry::new("echo.gone", 410, "it is gone", "let it go"),
];

impl Service {
    pub(crate) fn face(self: &Arc<Self>) -> Face {
        let note = {
            let service = Arc::clone(self);
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                service.reached.lock().push(format!("{} {}", request.method(), request.uri()));
                next.run(request)
            }
        };
        let (waiting, patient, parted) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let router = Router::new()
            .route("/v1/echo/me", get(me))
            .route("/v1/echo/store", post(store))
            .route("/v1/echo/store/{place}", post(place))
            .route("/v1/echo/open", get(open))
            .route("/v1/echo/big", get(big))
            .route("/v1/echo/fail/{how}", get(fail))
            .route("/v1/echo/keys", get(me))
            .route("/v1/echo/careful", get(careful))
            .route("/v1/echo/shared", get(open))
            .route("/v1/echo/oauth/{how}", post(oauth))
            .route("/v1/echo/sign-in", get(open))
            .route("/v1/echo/small", post(store))
            .route("/v1/echo/slow", get(move || wait(waiting.clone())))
            .route("/v1/echo/wait", get(move || wait(patient.clone())))
            .route("/v1/echo/parts", get(move || parts(parted.clone())))
            .layer(axum::middleware::from_fn(note));
        Face::new("echo", router)
            .problems(PROBLEMS)
            .rule(Rule::at("/v1/echo/open").open())
            .rule(Rule::at("/v1/echo/shared").open().shared())
            .rule(Rule::at("/v1/echo/oauth/{how}").open().oauth())
            .rule(Rule::at("/v1/echo/keys").class(Class::Keys))
            .rule(Rule::at("/v1/echo/sign-*").class(Class::Auth).open())
            .rule(Rule::at("/v1/echo/small").body_bytes(100))
            .rule(Rule::at("/v1/echo/slow").timeout(Duration::from_millis(400)))
            .rule(Rule::at("/v1/echo/parts").timeout(Duration::from_millis(100)))
    }

    pub(crate) fn was_reached(&self) -> usize {
        self.reached.lock().len()
    }
}

fn facts(cx: &Cx) -> Value {
    json!({
        "tenant": cx.tenant, "subject": cx.principal.subject, "kind": cx.principal.kind,
        "credential": *cx.principal.credential, "scopes": *cx.principal.scopes,
        "request_id": cx.trace.request_id, "traceparent": cx.trace.traceparent,
        "correlation_id": cx.trace.correlation_id, "ip": cx.source.ip, "user_agent": cx.source.user_agent,
        "session": cx.principal.session.as_deref(), "second_factor_at": cx.principal.second_factor_at,
        "actor": cx.principal.actor, "once": cx.once, "budget_ms": cx.deadline.remaining().as_millis() as u64,
    })
}

async fn me(Caller(cx): Caller) -> Json<Value> {
    Json(facts(&cx))
}

async fn careful(Caller(cx): Caller) -> Result<Json<Value>, Problem> {
    cx.permit_sensitive("echo:export", START)?;
    Ok(Json(facts(&cx)))
}

async fn oauth(Anyone(cx): Anyone, headers: axum::http::HeaderMap, Path(how): Path<String>) -> Result<String, Problem> {
    match how.as_str() {
        "grant" => Err(Problem(
            Error::invalid("echo.gone", "the \"code\" is spent").detail("error", "invalid_grant").detail("limit", 7),
        )),
        "client" => Err(Problem(Error::new(Code::Unauthenticated, "auth.missing", "no such client"))),
        _ => {
            let shown = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
            Ok(format!("{:?} {shown}", cx.principal.kind))
        }
    }
}

async fn open(Anyone(cx): Anyone) -> Json<Value> {
    Json(facts(&cx))
}

async fn store(Caller(cx): Caller, Strict(body): Strict<Store>) -> Result<Json<Value>, Problem> {
    cx.permit("echo:write")?;
    cx.replay.tell(body.key == "again");
    Ok(Json(json!({ "key": body.key, "bytes": body.value.get().len(), "once": cx.once })))
}

async fn place(Caller(_): Caller, Path(place): Path<u32>, Strict(body): Strict<Store>) -> Json<Value> {
    Json(json!({ "place": place, "key": body.key }))
}

async fn big(Caller(_): Caller, Query(Size { size }): Query<Size>) -> impl IntoResponse {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let tag = (header::ETAG, HeaderValue::from_static("\"7\""));
    ([kind, tag], format!("\"{}\"", "a".repeat(size.saturating_sub(2))))
}

struct Leaving(Arc<Service>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::SeqCst);
    }
}

async fn wait(service: Arc<Service>) -> &'static str {
    let _guard = Leaving(Arc::clone(&service));
    service.go_on.notified().await;
    service.finished.fetch_add(1, Ordering::SeqCst);
    "done"
}

/// Three events, each after the first when it is let.
async fn parts(service: Arc<Service>) -> impl IntoResponse {
    let parts = futures_util::stream::unfold(0, move |number| {
        let service = Arc::clone(&service);
        async move {
            if number > 0 {
                service.go_on.notified().await;
            }
            (number < 3).then(|| (Ok::<_, std::convert::Infallible>(format!("data: {number}\n\n")), number + 1))
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], axum::body::Body::from_stream(parts))
}

async fn fail(Caller(_): Caller, Path(how): Path<String>) -> Result<String, Problem> {
    let hidden = anyhow::anyhow!("the password of the database is hunter2");
    Err(Problem(match how.as_str() {
        "panic" => panic!("the password is hunter2"),
        "internal" => Error::internal(hidden),
        "unavailable" => Error::new(Code::Unavailable, "peer.unreachable", "cannot reach the store")
            .retry_after(Duration::from_millis(1_200))
            .because(hidden),
        "full" => Error::new(Code::Exhausted, "echo.full", "the echo is full").detail("limit", 7),
        "gone" => Error::new(Code::NotFound, "echo.gone", "that echo is gone"),
        "hidden" => Error::new(Code::NotFound, "echo.gone", "that echo is gone").detail("refused", true),
        "forbidden" => Error::new(Code::Forbidden, "auth.scope_missing", "this credential lacks the scope echo:all"),
        "unlisted" => Error::new(Code::Conflict, "echo.unlisted", "nobody listed this"),
        _ => return Ok(how),
    }))
}
