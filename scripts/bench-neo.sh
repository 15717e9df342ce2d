#!/usr/bin/env bash
# Measures crates/neo beside neon-js and neo-mamba in one run: transactions made, signed and written per second.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/peers.sh
cargo test --release --locked --quiet -p nsl-neo --test peers -- --ignored --exact speed::speed --nocapture
