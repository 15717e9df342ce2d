//! PostgreSQL through a pool. Statements of one transaction are sent without waiting for each other where
//! they can be, so that a read costs one round trip, its tenant check included.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use nsl_core::{Error, Result, Secret};
use tokio_postgres::{
    config::Host,
    types::{ToSql, Type},
};

use crate::{
    config::Config,
    fault,
    value::{Row, Value},
};

/// The schema that all tables live in.
pub(crate) const SCHEMA: &str = "neo_service_layer";

/// How much longer than the server's own limit an answer is waited for, before the connection counts as lost.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Postgres {
    pool: Pool,
    /// Host and port, for people.
    server: Arc<str>,
    pgbouncer: bool,
    timeout_ms: u64,
}

impl Postgres {
    pub(crate) fn new(config: &Config, url: &Secret) -> anyhow::Result<Self> {
        let text = url.expose_str().context("sql.url is not text")?;
        // The parser's error is dropped: it may quote the URL.
        let mut server: tokio_postgres::Config =
            text.parse().map_err(|_| anyhow::anyhow!("sql.url is not a PostgreSQL URL"))?;
        server.connect_timeout(config.connect_timeout()).application_name("nsl");
        server.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(15));
        if !config.pgbouncer {
            let theirs = server.get_options().unwrap_or_default();
            let options = format!(
                "{theirs} -c search_path={SCHEMA} -c statement_timeout={0} -c idle_in_transaction_session_timeout={0}",
                config.statement_timeout_ms
            );
            server.options(options.trim_start());
        }
        let name = named(&server);
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(client_tls(&config.ca_file)?);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(server, tls, recycling))
            .max_size(config.connections)
            .wait_timeout(Some(config.connect_timeout()))
            .create_timeout(Some(config.connect_timeout()))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool, server: name.into(), pgbouncer: config.pgbouncer, timeout_ms: config.statement_timeout_ms })
    }

    pub(crate) async fn session(&self) -> Result<Session> {
        let client = self.pool.get().await.map_err(|error| fault::pool(error, &self.server))?;
        Ok(Session {
            client: Some(client),
            pgbouncer: self.pgbouncer,
            timeout_ms: self.timeout_ms,
            state: AtomicU8::new(IDLE),
        })
    }

    /// Connections in use, open, and allowed.
    pub(crate) fn usage(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.size, status.max_size)
    }

    pub(crate) async fn read(&self, tenants: &str, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        for _ in 1..TRIES {
            match self.session().await?.read(tenants, sql, args).await {
                // A statement that went stale is prepared anew; a session that ended unnoticed gives way to
                // another. Reading twice harms nobody.
                Err(error) if error.slug == fault::COLLISION || fault::lost(&error) => notice().await,
                answer => return answer,
            }
        }
        self.session().await?.read(tenants, sql, args).await
    }

    /// A session in an open transaction of the platform's own.
    pub(crate) async fn begin(&self) -> Result<Session> {
        let session = self.session().await?;
        session.within(session.client().batch_execute(&session.begin("*", ""))).await?;
        Ok(session)
    }

    /// Another session, after one that ended unnoticed.
    pub(crate) async fn another(&self) -> Result<Session> {
        notice().await;
        self.session().await
    }
}

pub(crate) const TRIES: u32 = 3;

// A server that ends one session ends all: after this moment the pool knows which ones.
async fn notice() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// One connection, held for a transaction.
pub(crate) struct Session {
    // Taken out only by `drop`.
    client: Option<Object>,
    pgbouncer: bool,
    timeout_ms: u64,
    state: AtomicU8,
}

/// Nothing is under way.
const IDLE: u8 = 0;
/// A read was sent whole; the connection is idle again once it is answered.
const READING: u8 = 1;
/// In a transaction that nobody ended, or no longer to be trusted.
const SPOILED: u8 = 2;

impl Drop for Session {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        match (self.state.load(Ordering::Relaxed), tokio::runtime::Handle::try_current()) {
            (IDLE, _) => {}
            // Whoever asked went away. The next to get this connection would wait for that answer too, so it
            // counts as in use until the server has come to its end.
            (READING, Ok(runtime)) => drop(runtime.spawn(after_answer(client, self.longest()))),
            _ => drop(Object::take(client)),
        }
    }
}

async fn after_answer(client: Object, longest: Duration) {
    if !matches!(tokio::time::timeout(longest, client.batch_execute("")).await, Ok(Ok(()))) {
        drop(Object::take(client));
    }
}

impl Session {
    pub(crate) fn client(&self) -> &Object {
        self.client.as_ref().expect("only drop takes it")
    }

    /// The text that opens a transaction for these tenants. Ids hold nothing that could end a quoted word.
    pub(crate) fn begin(&self, tenants: &str, mode: &str) -> String {
        let session = if self.pgbouncer {
            format!("SET LOCAL search_path = {SCHEMA}; SET LOCAL statement_timeout = {};", self.timeout_ms)
        } else {
            String::new()
        };
        format!("BEGIN{mode}; {session} SET LOCAL nsl.tenants = '{tenants}'")
    }

    /// Waits a little longer than the server itself would for its own statements, and then no more.
    async fn answer<T>(&self, asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        match tokio::time::timeout(self.longest(), asked).await {
            Ok(answer) => answer.map_err(|error| self.heed(error)),
            Err(_) => {
                self.state.store(SPOILED, Ordering::Relaxed);
                Err(fault::down(anyhow::anyhow!("no answer in time")))
            }
        }
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.timeout_ms) + GRACE
    }

    fn heed(&self, error: tokio_postgres::Error) -> Error {
        if fault::stale(&error) {
            self.client().statement_cache.clear();
        }
        fault::postgres(error)
    }

    /// Whether a pooler stands in front, so that nothing may be prepared.
    pub(crate) fn pooled(&self) -> bool {
        self.pgbouncer
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Relaxed) == IDLE
    }

    /// Waits for what a transaction sent in one piece, no longer than for one statement.
    pub(crate) async fn within<T>(&self, sent: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        self.state.store(SPOILED, Ordering::Relaxed);
        let answer = tokio::time::timeout(self.longest(), sent).await;
        answer.map_err(|_| fault::down(anyhow::anyhow!("no answer in time")))?.map_err(|error| self.heed(error))
    }

    /// As `within`, for a piece that ends in COMMIT.
    pub(crate) async fn ending<T>(&self, sent: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<()> {
        match tokio::time::timeout(self.longest(), sent).await {
            Ok(Ok(_)) => {
                self.state.store(IDLE, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(error)) => {
                if fault::said_no(&error) {
                    self.state.store(IDLE, Ordering::Relaxed);
                }
                if fault::stale(&error) {
                    self.client().statement_cache.clear();
                }
                Err(fault::postgres_commit(error))
            }
            Err(_) => Err(fault::outcome_unknown(anyhow::anyhow!("no answer in time"))),
        }
    }

    async fn read(&self, tenants: &str, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let begin = self.begin(tenants, " READ ONLY");
        let client = self.client();
        // Polled in this order, all three are on their way before the first answer, so a caller that goes away
        // leaves nothing open. An error in the middle turns the last into a rollback.
        let (begun, rows, ended) = if self.pgbouncer {
            let typed = typed(args);
            self.state.store(READING, Ordering::Relaxed);
            self.answer(async {
                Ok(futures_util::join!(
                    client.batch_execute(&begin),
                    client.query_typed(sql, &typed),
                    client.batch_execute("COMMIT"),
                ))
            })
            .await?
        } else {
            let statement = self.answer(client.prepare_cached(sql)).await?;
            let params = borrowed(args);
            self.state.store(READING, Ordering::Relaxed);
            self.answer(async {
                Ok(futures_util::join!(
                    client.batch_execute(&begin),
                    client.query(&statement, &params),
                    client.batch_execute("COMMIT"),
                ))
            })
            .await?
        };
        self.state.store(IDLE, Ordering::Relaxed);
        begun.map_err(|error| self.heed(error))?;
        let rows = rows.map_err(|error| self.heed(error))?.into_iter().map(row).collect::<Result<_, _>>();
        let rows = rows.map_err(fault::postgres)?;
        ended.map_err(|error| self.heed(error))?;
        Ok(rows)
    }

    pub(crate) async fn commit(&self) -> Result<()> {
        self.ending(self.client().batch_execute("COMMIT")).await
    }

    pub(crate) async fn rollback(&self) -> Result<()> {
        self.answer(self.client().batch_execute("ROLLBACK")).await?;
        self.state.store(IDLE, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) async fn script(&self, sql: &str) -> Result<()> {
        self.client().batch_execute(sql).await.map_err(|error| self.heed(error))
    }

    pub(crate) async fn query(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let rows = if self.pgbouncer {
            self.answer(self.client().query_typed(sql, &typed(args))).await?
        } else {
            let statement = self.answer(self.client().prepare_cached(sql)).await?;
            self.answer(self.client().query(&statement, &borrowed(args))).await?
        };
        rows.into_iter().map(|found| row(found).map_err(fault::postgres)).collect()
    }

    pub(crate) async fn execute(&self, sql: &'static str, args: &[Value]) -> Result<u64> {
        if self.pgbouncer {
            return self.answer(self.client().execute_typed(sql, &typed(args))).await;
        }
        let statement = self.answer(self.client().prepare_cached(sql)).await?;
        self.answer(self.client().execute(&statement, &borrowed(args))).await
    }
}

pub(crate) fn typed(args: &[Value]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    args.iter().map(|value| (value as _, value.kind().postgres())).collect()
}

fn borrowed(args: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    args.iter().map(|value| value as _).collect()
}

pub(crate) fn row(from: tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    (0..from.len()).map(|at| from.try_get(at)).collect::<Result<_, _>>().map(Row)
}

// Where a URL leads, without who goes there.
fn named(server: &tokio_postgres::Config) -> String {
    let ports = server.get_ports();
    let name = |(at, host): (usize, &Host)| {
        let port = ports.get(at).or(ports.first()).unwrap_or(&5432);
        match host {
            Host::Tcp(host) if host.contains(':') => format!("[{host}]:{port}"),
            Host::Tcp(host) => format!("{host}:{port}"),
            Host::Unix(dir) => format!("{}/.s.PGSQL.{port}", dir.display()),
        }
    };
    server.get_hosts().iter().enumerate().map(name).collect::<Vec<_>>().join(", ")
}

fn client_tls(ca_file: &str) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if ca_file.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        for certificate in
            CertificateDer::pem_file_iter(ca_file).with_context(|| format!("reading sql.ca_file {ca_file}"))?
        {
            roots.add(certificate?)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_without_who_goes_there() {
        for (url, name) in [
            ("postgres://nsl:hunter2@db/nsl", "db:5432"),
            ("postgres://nsl:hunter2@a:1,b:2/nsl", "a:1, b:2"),
            ("postgres://nsl@%2Frun%2Fpg/nsl", "/run/pg/.s.PGSQL.5432"),
        ] {
            assert_eq!(named(&url.parse().unwrap()), name);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_named_once() {
        let config = Config::postgres("postgres://nsl:hunter2@127.0.0.1:9/nsl");
        let away = Postgres::new(&config, &config.url).unwrap().session().await.err().unwrap();
        let said = format!("{:#}", away.cause().unwrap());
        assert!(said.starts_with("connecting to 127.0.0.1:9: "), "{said}");
        assert_eq!((said.matches("connecting to server").count(), said.contains("hunter2")), (1, false), "{said}");
    }
}
