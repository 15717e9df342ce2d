#!/usr/bin/env bash
# chaos.sh N [postgres]: kills nsl N times under load and prints kills, acknowledged, lost; fails if any was.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${2:-}" != postgres ] || scripts/setup.sh test
cargo build --release --locked --quiet -p nsl -p nsl-sandbox --bins
exec cargo run --release --locked --quiet -p nsl-sandbox --bin chaos -- "${@:-20}"
