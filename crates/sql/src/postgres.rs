//! PostgreSQL through a pool. Statements of one transaction are sent without waiting for each other where
//! they can be, so that a read costs one round trip, its tenant check included.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use nsl_core::{Result, Secret};
use tokio_postgres::types::{ToSql, Type};

use crate::{
    config::Config,
    fault,
    tx::Many,
    value::{Row, Value},
};

/// The schema that all tables live in.
pub(crate) const SCHEMA: &str = "neo_service_layer";

#[derive(Clone)]
pub(crate) struct Postgres {
    pool: Pool,
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
        server.keepalives_idle(Duration::from_secs(30));
        if !config.pgbouncer {
            server.options(format!(
                "-c search_path={SCHEMA} -c statement_timeout={0} -c idle_in_transaction_session_timeout={0}",
                config.statement_timeout_ms
            ));
        }
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(client_tls(&config.ca_file)?);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(server, tls, recycling))
            .max_size(config.connections)
            .wait_timeout(Some(config.connect_timeout()))
            .create_timeout(Some(config.connect_timeout()))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool, pgbouncer: config.pgbouncer, timeout_ms: config.statement_timeout_ms })
    }

    pub(crate) async fn session(&self) -> Result<Session> {
        let client = self.pool.get().await.map_err(fault::pool)?;
        Ok(Session { client, pgbouncer: self.pgbouncer, timeout_ms: self.timeout_ms })
    }

    /// Connections in use, open, and allowed.
    pub(crate) fn usage(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.size, status.max_size)
    }

    pub(crate) async fn read(&self, tenants: &str, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let session = self.session().await?;
        let begin = session.begin(tenants, " READ ONLY");
        if self.pgbouncer {
            let (begun, rows) = futures_util::join!(session.client.batch_execute(&begin), session.query(sql, args));
            let ended = session.client.batch_execute("COMMIT").await;
            begun.map_err(fault::postgres)?;
            let rows = rows?;
            ended.map_err(fault::postgres)?;
            return Ok(rows);
        }
        let statement = session.client.prepare_cached(sql).await.map_err(fault::postgres)?;
        let params = borrowed(args);
        // Polled in this order, all three are on their way before the first answer; an error in the
        // middle turns the last into a rollback.
        let (begun, rows, ended) = futures_util::join!(
            session.client.batch_execute(&begin),
            session.client.query(&statement, &params),
            session.client.batch_execute("COMMIT"),
        );
        begun.map_err(fault::postgres)?;
        let rows = rows.map_err(fault::postgres)?.into_iter().map(row).collect::<Result<_>>()?;
        ended.map_err(fault::postgres)?;
        Ok(rows)
    }
}

/// One connection, held for a transaction.
pub(crate) struct Session {
    client: Object,
    pgbouncer: bool,
    timeout_ms: u64,
}

impl Session {
    /// The text that opens a transaction for these tenants. Ids hold nothing that could end a quoted word.
    fn begin(&self, tenants: &str, mode: &str) -> String {
        let session = if self.pgbouncer {
            format!("SET LOCAL search_path = {SCHEMA}; SET LOCAL statement_timeout = {};", self.timeout_ms)
        } else {
            String::new()
        };
        format!("BEGIN{mode}; {session} SET LOCAL nsl.tenants = '{tenants}'")
    }

    pub(crate) async fn open(&self, tenants: &str) -> Result<()> {
        self.client.batch_execute(&self.begin(tenants, "")).await.map_err(fault::postgres)
    }

    pub(crate) async fn commit(&self) -> Result<()> {
        // A server that says no has rolled back; a connection that breaks here leaves both possible.
        self.client.batch_execute("COMMIT").await.map_err(|error| match error.code() {
            Some(_) => fault::postgres(error),
            None => fault::outcome_unknown(error),
        })
    }

    pub(crate) async fn rollback(&self) -> Result<()> {
        self.client.batch_execute("ROLLBACK").await.map_err(fault::postgres)
    }

    pub(crate) async fn script(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(fault::postgres)
    }

    pub(crate) async fn query(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let rows = if self.pgbouncer {
            let typed: Vec<(&(dyn ToSql + Sync), Type)> =
                args.iter().map(|value| (value as _, value.kind().postgres())).collect();
            self.client.query_typed(sql, &typed).await
        } else {
            let statement = self.client.prepare_cached(sql).await.map_err(fault::postgres)?;
            self.client.query(&statement, &borrowed(args)).await
        };
        rows.map_err(fault::postgres)?.into_iter().map(row).collect()
    }

    pub(crate) async fn execute(&self, sql: &'static str, args: &[Value]) -> Result<u64> {
        if self.pgbouncer {
            let typed: Vec<(&(dyn ToSql + Sync), Type)> =
                args.iter().map(|value| (value as _, value.kind().postgres())).collect();
            return self.client.execute_typed(sql, &typed).await.map_err(fault::postgres);
        }
        let statement = self.client.prepare_cached(sql).await.map_err(fault::postgres)?;
        self.client.execute(&statement, &borrowed(args)).await.map_err(fault::postgres)
    }

    pub(crate) async fn many(&self, sql: &'static Many, rows: Vec<Vec<Value>>) -> Result<Vec<Row>> {
        let mut columns: Vec<Vec<Value>> = sql.kinds.iter().map(|_| Vec::with_capacity(rows.len())).collect();
        for values in rows {
            debug_assert_eq!(values.len(), columns.len(), "{}", sql.many);
            for (column, value) in columns.iter_mut().zip(values) {
                column.push(value);
            }
        }
        let found = if self.pgbouncer {
            let typed: Vec<(&(dyn ToSql + Sync), Type)> =
                columns.iter().zip(sql.kinds).map(|(column, kind)| (column as _, kind.postgres_array())).collect();
            self.client.query_typed(sql.many, &typed).await
        } else {
            let statement = self.client.prepare_cached(sql.many).await.map_err(fault::postgres)?;
            let params: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
            self.client.query(&statement, &params).await
        };
        found.map_err(fault::postgres)?.into_iter().map(row).collect()
    }
}

fn borrowed(args: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    args.iter().map(|value| value as _).collect()
}

fn row(from: tokio_postgres::Row) -> Result<Row> {
    (0..from.len()).map(|at| from.try_get(at).map_err(fault::postgres)).collect::<Result<_>>().map(Row)
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
