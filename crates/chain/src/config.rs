//! Sections `[chain.neo_n3]` and `[chain.neo_x]`.

use std::time::Duration;

use nsl_core::Secret;
use serde::Deserialize;

/// How the endpoints of one chain are asked; the same settings in both sections.
#[derive(Clone, Debug, Deserialize)]
pub struct PoolConfig {
    /// JSON-RPC URLs, the preferred one first. Secret, since they may hold credentials or API keys.
    pub endpoints: Vec<Secret>,
    /// Requests a second to one endpoint; 0 for no limit.
    pub requests_per_second: u32,
    /// How many requests may go at once before the rate holds.
    pub burst: u32,
    /// An endpoint that is more blocks behind the best one is left alone.
    pub lag_blocks: u64,
    pub connect_timeout_ms: u64,
    /// How long one request to one endpoint may take.
    pub timeout_ms: u64,
    /// How long endpoints are tried in turn before the caller is told that none answers.
    pub deadline_ms: u64,
    /// After how many failures in a row an endpoint is left alone.
    pub eject_after: u32,
    /// For how long at first; each further spell is twice as long, up to a minute.
    pub eject_ms: u64,
    /// How often each endpoint is asked for its network and height.
    pub probe_ms: u64,
    /// How often a watcher looks for a new block.
    pub poll_ms: u64,
    /// The largest answer of a node, in bytes.
    pub answer_bytes: usize,
}

/// Section `[chain.neo_n3]`.
#[derive(Clone, Debug, Deserialize)]
pub struct N3Config {
    #[serde(flatten)]
    pub pool: PoolConfig,
    /// The magic of the network: 860833102 for the main network.
    pub magic: u32,
}

/// Section `[chain.neo_x]`.
#[derive(Clone, Debug, Deserialize)]
pub struct XConfig {
    #[serde(flatten)]
    pub pool: PoolConfig,
    /// 47763 for the main network.
    pub chain_id: u64,
    /// The base fee that the network's policy fixes, in wei.
    pub base_fee_wei: u64,
    /// The least tip that nodes take, in wei.
    pub min_tip_wei: u64,
    /// The most a transaction may offer for one unit of gas, in wei; 0 for no bound.
    pub max_fee_wei: u64,
    /// How many blocks, its own among them, a transaction needs to stand for good: 1 on Neo X.
    pub finality_blocks: u32,
    /// How many blocks back a watcher would notice that one was replaced.
    pub reorg_blocks: u32,
}

impl PoolConfig {
    /// The defaults of the product, for tests and tools.
    pub fn of(endpoints: &[&str]) -> Self {
        Self {
            endpoints: endpoints.iter().map(|url| Secret::new(*url)).collect(),
            requests_per_second: 0,
            burst: 100,
            lag_blocks: 3,
            connect_timeout_ms: 2_000,
            timeout_ms: 5_000,
            deadline_ms: 12_000,
            eject_after: 3,
            eject_ms: 2_000,
            probe_ms: 3_000,
            poll_ms: 500,
            answer_bytes: 64 << 20,
        }
    }

    fn check(&self, section: &str, wrong: &mut Vec<String>) {
        for (place, url) in self.endpoints.iter().enumerate() {
            let sound = url.expose_str().and_then(|text| reqwest::Url::parse(text).ok()).is_some_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty())
            });
            if !sound {
                wrong.push(format!("{section}.endpoints: number {} is not a http:// or https:// URL", place + 1));
            }
        }
        for (name, value, most) in [
            ("connect_timeout_ms", self.connect_timeout_ms, 60_000),
            ("timeout_ms", self.timeout_ms, 600_000),
            ("deadline_ms", self.deadline_ms, 600_000),
            ("eject_after", u64::from(self.eject_after), 1_000),
            ("eject_ms", self.eject_ms, 60_000),
            ("probe_ms", self.probe_ms, 600_000),
            ("poll_ms", self.poll_ms, 600_000),
            ("burst", u64::from(self.burst), 1_000_000),
            ("answer_bytes", self.answer_bytes as u64, 1 << 30),
        ] {
            if value == 0 || value > most {
                wrong.push(format!("{section}.{name} must be 1 to {most}, not {value}"));
            }
        }
        if self.deadline_ms < self.timeout_ms {
            wrong.push(format!("{section}.deadline_ms must not be less than {section}.timeout_ms"));
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

impl N3Config {
    /// The defaults of the product for a network and its endpoints.
    pub fn of(magic: u32, endpoints: &[&str]) -> Self {
        Self { pool: PoolConfig::of(endpoints), magic }
    }

    /// What is wrong with these settings, a sentence each.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.pool.check("chain.neo_n3", &mut wrong);
        wrong
    }
}

impl XConfig {
    /// The defaults of the product for a network and its endpoints.
    pub fn of(chain_id: u64, endpoints: &[&str]) -> Self {
        Self {
            pool: PoolConfig::of(endpoints),
            chain_id,
            base_fee_wei: 20_000_000_000,
            min_tip_wei: 20_000_000_000,
            max_fee_wei: 1_000_000_000_000,
            finality_blocks: 1,
            reorg_blocks: 64,
        }
    }

    /// What is wrong with these settings, a sentence each.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.pool.check("chain.neo_x", &mut wrong);
        if self.chain_id == 0 {
            wrong.push("chain.neo_x.chain_id must be set".to_owned());
        }
        let least = self.base_fee_wei.saturating_add(self.min_tip_wei);
        if self.max_fee_wei != 0 && self.max_fee_wei < least {
            wrong.push(format!("chain.neo_x.max_fee_wei is less than base fee and least tip together ({least})"));
        }
        if self.reorg_blocks > 1_024 {
            wrong.push(format!("chain.neo_x.reorg_blocks must be at most 1024, not {}", self.reorg_blocks));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_mistakes_are_named() {
        assert_eq!(N3Config::of(860_833_102, &["https://user:secret@node.example/key"]).check(), [""; 0]);
        let mut x = XConfig::of(47_763, &["https://a.example", "wss://b.example", "secretkey"]);
        x.pool.timeout_ms = 0;
        x.max_fee_wei = 30_000_000_000;
        let wrong = x.check();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong.iter().all(|line| !line.contains("secretkey")));
        assert!(wrong[0].contains("number 2"));
    }

    #[test]
    fn sections_read_from_flat_tables() {
        let text = serde_json::json!({
            "endpoints": ["http://127.0.0.1:8545"], "chain_id": 47763, "requests_per_second": 10, "burst": 20,
            "lag_blocks": 3, "connect_timeout_ms": 1, "timeout_ms": 1, "deadline_ms": 1, "eject_after": 1,
            "eject_ms": 1, "probe_ms": 1, "poll_ms": 1, "answer_bytes": 1000, "base_fee_wei": 1, "min_tip_wei": 1,
            "max_fee_wei": 0, "finality_blocks": 1, "reorg_blocks": 8,
        });
        let config: XConfig = serde_json::from_value(text).unwrap();
        assert_eq!(config.check(), [""; 0]);
        assert_eq!(config.pool.burst, 20);
    }
}
