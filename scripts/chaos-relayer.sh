#!/usr/bin/env bash
# chaos-relayer.sh [N] [neo-x|neo-n3] [SECONDS]: N transactions of one account through a real nsl and a real node, while
# calls to the node fail, nsl is killed every so many seconds, the node forgets, and another client uses the same key;
# prints what the chain says of them; fails when one is stuck, doubled or lost, or not done 60 s after the faults stop.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "building nsl and the sandbox in release mode (the first time takes some minutes on two cores)" >&2
cargo build --release --locked --quiet -p nsl -p nsl-sandbox --bins
exec cargo run --release --locked --quiet -p nsl-sandbox --bin chaos-relayer -- "$@"
