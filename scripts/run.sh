#!/usr/bin/env bash
# Builds nsl and runs it on embedded engines; all it keeps lies in .nsl, or where NSL_DATA_DIR says. The first
# build takes some minutes on two cores; PROFILE=release takes longer to build and serves faster. Real nodes of Neo N3
# and Neo X are started beside it when they can be downloaded, and stay until `nsl devnet down`; DEVNET=no leaves them
# out.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh run
export NSL_DATA_DIR=${NSL_DATA_DIR:-$PWD/.nsl}
profile=()
[ "${PROFILE:-dev}" = dev ] || profile=(--release)
echo "building nsl (the first time takes some minutes on two cores)" >&2
cargo build --locked "${profile[@]}" -p nsl
nsl=(cargo run --quiet --locked "${profile[@]}" -p nsl --)
devnet=()
if [ "${DEVNET:-yes}" != no ]; then
    # Started here already, so that nsl starts without them where they cannot be had.
    if "${nsl[@]}" devnet up --data-dir "$NSL_DATA_DIR" >/dev/null; then
        devnet=(--devnet)
    else
        echo "going on without nodes of Neo N3 and Neo X" >&2
    fi
fi
exec "${nsl[@]}" dev --data-dir "$NSL_DATA_DIR" "${devnet[@]}" "$@"
