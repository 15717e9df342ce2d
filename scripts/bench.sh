#!/usr/bin/env bash
# Builds what ships and measures it; writes docs/BENCHMARKS.md. Takes about eight minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
cargo build --release --locked -p nsl -p nsl-bench
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
NSL_BIN=$target/release/nsl "$target/release/nsl-bench"
