//! A running process: from settings to listeners, and from the stop signal to the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::Router;
use nsl_edge::Edge;
use nsl_kit::{
    Environment, Loaded, Loader, Tasks,
    config::Watch,
    ops::{self, Health, Info, Kind},
    serve::{Listener, Serving, redirect_to_https},
    settings::ShutdownSettings,
    tasks::stop_signal,
    telemetry::{self, Telemetry},
};
use nsl_rpc::{Circuit, TraceHooks};
use tokio::time::timeout;

use crate::{
    engines::{Engines, Schema, Wrong},
    settings::{RELOADABLE, Settings},
    stop::{self, Budget},
    wire::{self, Wired},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What build.rs found.
const COMMIT: &str = env!("BUILT_FROM_COMMIT");

/// What the telemetry of a process that does not start gets.
const TELEMETRY: Duration = Duration::from_secs(3);

/// A process that answers.
pub(crate) struct Process {
    pub(crate) parts: Parts,
    telemetry: Arc<Telemetry>,
}

/// What a process consists of, beside its logs.
pub(crate) struct Parts {
    pub(crate) engines: Engines,
    pub(crate) identity: nsl_rpc::Handle<nsl_api::identity::IdentityClient>,
    pub(crate) relay: nsl_rpc::Handle<nsl_api::relay::RelayClient>,
    pub(crate) public: Serving,
    pub(crate) internal: Serving,
    pub(crate) ops: Serving,
    redirect: Option<Serving>,
    edge: Edge,
    paused: Arc<AtomicBool>,
    storage: Option<nsl_storage::Built>,
    health: Health,
    tasks: Tasks,
    shutdown: ShutdownSettings,
}

impl Process {
    /// Builds everything, opens the ports and begins to answer.
    pub(crate) async fn start(
        loader: Loader,
        loaded: Loaded<Settings>,
        environment: &Environment,
        schema: Schema,
    ) -> anyhow::Result<Self> {
        let telemetry = Arc::new(Telemetry::start(&loaded.value.log, &loaded.value.telemetry, VERSION)?);
        match Parts::build(&loaded, environment, schema, &telemetry).await {
            Ok(parts) => {
                let watch = Watch::new(loader, loaded, RELOADABLE);
                watch.follow(&parts.tasks);
                parts.follow(watch, Arc::clone(&telemetry));
                Ok(Self { parts, telemetry })
            }
            Err(error) => {
                telemetry.shutdown(TELEMETRY).await;
                Err(error)
            }
        }
    }

    /// Runs until a stop signal, then ends.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        stop_signal().await?;
        self.end().await
    }

    /// What is in flight finishes, what was promised is on disk.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let signal = Instant::now();
        stop::end_at_the_latest(signal)?;
        let budget = Budget::new(signal, &self.parts.shutdown);
        let end = async {
            self.parts.end(budget).await;
            self.telemetry.shutdown(budget.for_telemetry()).await;
        };
        tokio::select! {
            () = end => Ok(()),
            again = stop_signal() => again.and_then(|()| anyhow::bail!("stopped at once by a second signal")),
        }
    }
}

impl Parts {
    async fn build(
        loaded: &Loaded<Settings>,
        environment: &Environment,
        schema: Schema,
        telemetry: &Telemetry,
    ) -> anyhow::Result<Self> {
        let mut settings = loaded.value.clone();
        settings.identity.settle(loaded.profile);
        let settings = &settings;
        // Also where no traces are sent: log lines then carry the ids of the caller's trace.
        let trace = TraceHooks { inject: telemetry::inject, adopt: telemetry::adopt };
        nsl_rpc::set_trace_hooks(trace);
        let engines = Engines::open(settings, loaded.profile, environment, schema).await?;
        let tasks = Tasks::new();
        engines.run(&tasks);
        let wired = wire::wire(settings, &engines, &tasks, Some(trace)).await?;
        let edge = wired.edge.clone();
        tasks.supervise("edge: refusals", {
            let edge = edge.clone();
            move |stop| edge.clone().run(stop)
        });

        let mut wrong = Wrong::default();
        let http = &settings.http;
        let public = wrong.keep("listening", Listener::bind("public", &settings.public, http).await);
        let internal = wrong.keep("listening", Listener::bind("internal", &settings.internal, http).await);
        let ops = wrong.keep("listening", Listener::bind("ops", &settings.ops, http).await);
        let redirect = match settings.redirect.address {
            None => Some(None),
            Some(address) => wrong.keep("listening", Listener::bind_plain("redirect", address, http).await).map(Some),
        };
        let (((public, internal), ops), redirect) = wrong.settle(public.zip(internal).zip(ops).zip(redirect))?;

        let health = Health::new();
        watch_engines(&health, settings, &engines, &wired);
        let info = Info {
            name: "nsl".to_owned(),
            version: VERSION.to_owned(),
            commit: COMMIT.to_owned(),
            services: wired.here.iter().map(|name| (*name).to_owned()).collect(),
        };
        let metrics = telemetry.metrics().clone();
        tasks.supervise("metrics", {
            let (metrics, db) = (metrics.clone(), engines.db.clone());
            move |stop| keep_numbers(metrics.clone(), db.clone(), stop)
        });
        health.run(&tasks).await;
        let Wired { public: open, internal: calls, identity, relay, paused, storage, here, .. } = wired;
        let ops = ops.serve(ops::router(&health, &metrics, info.clone()));
        let internal = internal.serve(calls);
        let redirect = redirect.map(|listener: Listener| {
            let to: Router = redirect_to_https(settings.redirect.host.clone());
            listener.serve(to)
        });
        let mut plain = ops::public_router(&health, info, false);
        if settings.public.metrics {
            plain = plain.merge(ops::metrics_router(&metrics));
        }
        let public = public.serve(open.merge(nsl_edge::hardened(plain)));
        health.started();
        tracing::info!(profile = %loaded.profile, services = here.join(", "), public = public.url(), "ready");
        let shutdown = settings.shutdown.clone();
        Ok(Self {
            engines,
            identity,
            relay,
            paused,
            public,
            internal,
            ops,
            redirect,
            edge,
            storage,
            health,
            tasks,
            shutdown,
        })
    }

    /// Hands on what changes in the configuration while running.
    fn follow(&self, watch: Watch<Settings>, telemetry: Arc<Telemetry>) {
        let (edge, storage, paused) = (self.edge.clone(), self.storage.clone(), Arc::clone(&self.paused));
        self.tasks.supervise("settings", move |stop| {
            let (watch, telemetry) = (watch.clone(), Arc::clone(&telemetry));
            let (edge, storage, paused) = (edge.clone(), storage.clone(), Arc::clone(&paused));
            async move {
                let mut changes = watch.changes();
                while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
                    let now = &watch.current().value;
                    edge.reload(&now.edge());
                    paused.store(now.relay.paused, Ordering::Relaxed);
                    if let Some(storage) = &storage {
                        storage.tune(now.storage.clone(), now.quota);
                    }
                    telemetry.set_level(&now.log.level).map_err(anyhow::Error::msg)?;
                }
                Ok(())
            }
        });
    }

    async fn end(&self, budget: Budget) {
        self.health.stopping();
        tokio::time::sleep(self.shutdown.notice).await;
        let redirect = async {
            if let Some(redirect) = &self.redirect {
                redirect.drain(stop::left(budget.requests)).await;
            }
        };
        let (public, internal) =
            (self.public.drain(stop::left(budget.requests)), self.internal.drain(stop::left(budget.requests)));
        tokio::join!(public, internal, redirect);
        self.tasks.drain(stop::left(budget.tasks)).await;
        if timeout(stop::left(budget.writes), self.engines.db.drain()).await.is_err() {
            tracing::warn!("the last writes did not end in time");
        }
        self.ops.drain(Duration::from_millis(100)).await;
        tracing::info!("stopped");
    }
}

fn watch_engines(health: &Health, settings: &Settings, engines: &Engines, wired: &Wired) {
    let db = engines.db.clone();
    health.check("sql", Kind::Critical, move || {
        let db = db.clone();
        async move { db.ping().await.map_err(Into::into) }
    });
    if let Some(redis) = engines.redis.clone() {
        health.check("redis", Kind::Supporting, move || {
            let up = redis.is_up();
            async move { up.then_some(()).context("Redis does not answer") }
        });
    }
    if !settings.queue.url.is_empty() {
        let queue = engines.queue.clone();
        health.check("queue", Kind::Supporting, move || {
            let up = queue.is_up();
            async move { up.then_some(()).context("RabbitMQ does not answer") }
        });
    }
    engines.chains.watch(health);
    for channel in wired.channels.iter().cloned().map(Arc::new) {
        health.check(&format!("peer {}", channel.service()), Kind::Supporting, move || {
            let reached = channel.state().iter().any(|address| address.circuit != Circuit::Open);
            async move { reached.then_some(()).context("no address of it works") }
        });
    }
}

/// Keeps the numbers that nobody else records.
async fn keep_numbers(
    metrics: telemetry::Metrics,
    db: nsl_sql::Db,
    stop: tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    const EVERY: Duration = Duration::from_secs(5);
    let gauge = |state: &'static str| metrics::gauge!("sql_connections", "state" => state);
    let (used, open, allowed) = (gauge("used"), gauge("open"), gauge("allowed"));
    let mut warned = false;
    loop {
        metrics.upkeep();
        if let Some(usage) = db.usage() {
            used.set(usage.0 as f64);
            open.set(usage.1 as f64);
            allowed.set(usage.2 as f64);
            let crowded = usage.0 * 10 > usage.2 * 8;
            if crowded && !warned {
                tracing::warn!(
                    used = usage.0,
                    allowed = usage.2,
                    "more than 80 % of the connections to SQL are in use"
                );
            }
            warned = crowded;
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return Ok(());
        }
    }
}
