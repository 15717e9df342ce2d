//! Stores of new keys by 64 connections, shared out over the servers.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::{
    process::Server,
    wrk::{Load, Rate, SECONDS},
};

static RUNS: AtomicU32 = AtomicU32::new(100);

pub(crate) fn measure(servers: &[&Server], encrypted: bool) -> Result<Rate> {
    run(servers, encrypted, 2)?;
    run(servers, encrypted, SECONDS)
}

fn run(servers: &[&Server], encrypted: bool, seconds: u32) -> Result<Rate> {
    let room = tempfile::tempdir()?;
    let script = room.path().join("store.lua");
    std::fs::write(&script, include_str!("store.lua"))?;
    let keys = room.path().join("keys");
    std::fs::write(&keys, servers[0].keys.join("\n"))?;
    let mut loads = Vec::new();
    for server in servers {
        let run = format!("r{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let more = [
            script.to_str().unwrap_or_default(),
            keys.to_str().unwrap_or_default(),
            if encrypted { "true" } else { "false" },
            &run,
        ];
        let url = server.url("/v1/storage/store/neo-n3");
        loads.push(Load::start(&url, 64 / servers.len() as u32, seconds, &[], &more)?);
    }
    let rates = loads.into_iter().map(Load::finish).collect::<Result<Vec<Rate>>>()?;
    // Of several servers the slower one's percentiles count.
    Ok(Rate {
        per_second: rates.iter().map(|rate| rate.per_second).sum(),
        p50_ms: rates.iter().map(|rate| rate.p50_ms).fold(0.0, f64::max),
        p99_ms: rates.iter().map(|rate| rate.p99_ms).fold(0.0, f64::max),
    })
}
