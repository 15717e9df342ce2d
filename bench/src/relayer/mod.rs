//! Transactions of one account through `nsl`, beside a loop that signs and sends them to the same node by itself.

mod load;
mod n3;
mod node;
mod x;

use anyhow::Result;

use crate::report::{Part, date};

/// Transactions of each run.
pub(crate) const COUNT: u64 = 1_500;

pub(crate) fn measure(machine: &str, count: u64) -> Result<Part> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut part = Part::new("## Relayed transactions", COLUMNS);
    part.say(format!(
        "Written by `scripts/bench-relayer.sh` on {machine}, {}. Release builds, one run; clients, nsl and node share \
         the machine, so read the ratios rather than the rates. Each run is {count} transfers of one account to as many \
         receivers, on a fresh node, counted until the last is in a block. *By itself*: a client with the key and a nonce \
         counter of its own signs and sends one after the other over one connection, with gas and fees known beforehand; \
         what gets stuck begins anew on a fresh node, since it can't heal it. *Through nsl*: POST /v1/tx by 16 clients with idempotency keys, each \
         request tried out, stored with its evidence, signed, sent, and followed to its block; SQLite, limits lifted. \
         *At that load*: the same, offered at nine tenths of the rate measured just before.",
        date()?
    ));
    runtime.block_on(async {
        x::measure(&mut part, count).await?;
        n3::measure(&mut part, count).await
    })?;
    Ok(part)
}

const COLUMNS: [&str; 5] = ["what", "per second", "accept P50 ms", "accept P95 ms", "ratio"];
