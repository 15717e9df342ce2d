use std::time::Duration;

use async_trait::async_trait;
use neo_rpc::{Client as Rpc, Code, Endpoint, Settings};
use nsl_core::{Error, Result, Secret};

use crate::{
    chain::ChainKind,
    config::PoolConfig,
    error::{NodeError, Trouble},
    meter::Meter,
    pool::{Client, Probe},
};

/// An endpoint of Neo N3.
pub struct Node {
    rpc: Rpc,
    meter: Meter,
}

impl Node {
    pub(super) fn open(index: usize, url: &Secret, config: &PoolConfig) -> Result<Self> {
        let settings = Settings {
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            timeout: Duration::from_millis(config.timeout_ms),
            most_answer: config.answer_bytes,
            ..Settings::default()
        };
        let rpc = Endpoint::http(url.expose_str().unwrap_or_default())
            .and_then(|endpoint| Rpc::with(endpoint, &settings))
            .map_err(|error| {
                Error::invalid("chain.endpoint_invalid", format!("endpoint {index} of {}: {error}", ChainKind::NeoN3))
            })?;
        Ok(Self { rpc, meter: Meter::new(ChainKind::NeoN3, index, config) })
    }

    /// Host and port.
    pub(super) fn host(&self) -> String {
        let shown = self.rpc.endpoint().to_string();
        shown.split_once("://").map_or_else(|| shown.clone(), |(_, host)| host.to_owned())
    }

    /// Asks for one thing within the limit; counted by its outcome.
    pub(super) async fn ask<'a, T, A>(
        &'a self,
        method: &'static str,
        ask: impl FnOnce(&'a Rpc) -> A,
    ) -> Result<T, Trouble>
    where
        A: Future<Output = neo_rpc::Result<T>>,
    {
        self.meter.enter().await?;
        let done = ask(&self.rpc).await.map_err(|error| self.trouble(error));
        self.meter.count(method, &done);
        done
    }

    pub(super) fn trouble(&self, error: neo_rpc::Error) -> Trouble {
        match error {
            neo_rpc::Error::Node(refusal) if lacks(refusal.code) => Trouble::Behind(refusal.to_string()),
            neo_rpc::Error::Node(refusal) => {
                let message = match refusal.data {
                    Some(data) if data != refusal.message => format!("{}: {data}", refusal.message),
                    _ => refusal.message,
                };
                Trouble::Node(NodeError { code: refusal.code.number(), message, data: None })
            }
            neo_rpc::Error::Status { status, retry_after, .. }
                if status == 429 || (status == 503 && retry_after.is_some()) =>
            {
                self.meter.rest(retry_after)
            }
            error @ neo_rpc::Error::Status { status: 400..=499, .. } => Trouble::Declined(error.to_string()),
            error @ neo_rpc::Error::Timeout { .. } => Trouble::Slow(error.to_string()),
            error @ neo_rpc::Error::TooLarge { .. } => Trouble::TooLarge(error.to_string()),
            error @ neo_rpc::Error::Malformed { .. } => Trouble::Garbled(error.to_string()),
            error => Trouble::Unreachable(error.to_string()),
        }
    }
}

// What other nodes may have: blocks, and states of the past.
fn lacks(code: Code) -> bool {
    matches!(code, Code::UnknownBlock | Code::UnknownHeight | Code::UnknownStateRoot | Code::UnsupportedState)
}

#[async_trait]
impl Client for Node {
    async fn probe(&self) -> Result<Probe, Trouble> {
        let version = self.ask("getversion", |rpc| rpc.version()).await?;
        let count = self.ask("getblockcount", |rpc| rpc.block_count()).await?;
        Ok(Probe { network: version.protocol.network.into(), height: u64::from(count).saturating_sub(1) })
    }

    fn ready_in(&self) -> Duration {
        self.meter.ready_in()
    }
}
