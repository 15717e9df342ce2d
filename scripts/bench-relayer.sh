#!/usr/bin/env bash
# Measures transactions through nsl beside a loop that signs and sends by itself, on both chains, and writes that part of
# docs/BENCHMARKS.md. Takes about two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked -p nsl -p nsl-bench
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
NSL_BIN=$target/release/nsl "$target/release/nsl-bench" relayer
