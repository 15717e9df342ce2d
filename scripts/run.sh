#!/usr/bin/env bash
# Builds nsl and runs it on embedded engines; all it keeps lies in .nsl, or where NSL_DATA_DIR says. The first
# build takes about two minutes; PROFILE=release takes longer to build and serves faster.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh run
export NSL_DATA_DIR=${NSL_DATA_DIR:-$PWD/.nsl}
profile=()
[ "${PROFILE:-dev}" = dev ] || profile=(--release)
echo "building nsl (the first time takes some minutes)" >&2
exec cargo run --locked "${profile[@]}" -p nsl -- dev --data-dir "$NSL_DATA_DIR" "$@"
