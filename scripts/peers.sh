#!/usr/bin/env bash
# Installs the independent Neo N3 clients that crates/neo/tests/peers compares itself with: neon-js and neo-mamba.
# Does nothing when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=$PWD/crates/neo/tests/peers
peers=$PWD/.sandbox/peers

fail() {
    echo "peers: $*" >&2
    exit 1
}

install_neon() {
    command -v npm >/dev/null || fail "npm is missing: install Node.js 18 or newer"
    mkdir -p "$peers/neon"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$peers/neon/"
    npm ci --silent --no-audit --no-fund --prefix "$peers/neon" >/dev/null 2>&1 || fail "npm could not install neon-js"
}

install_mamba() {
    command -v python3.11 >/dev/null || fail "python3.11 is missing: neo-mamba 2.7 runs on no newer one"
    python3.11 -m venv --clear "$peers/mamba"
    "$peers/mamba/bin/pip" install --quiet --disable-pip-version-check -r "$wanted/requirements.txt" ||
        fail "pip could not install neo-mamba"
}

# once NAME FILE...: whether the peer is to be installed, since these files are new or changed
once() {
    local mark=$peers/$1.sum now
    now=$(cat "${@:2}" | sha256sum)
    [ -e "$mark" ] && [ "$(cat "$mark")" = "$now" ] && return 0
    "install_$1"
    echo "$now" >"$mark"
}

mkdir -p "$peers"
once neon "$wanted/package.json" "$wanted/package-lock.json"
once mamba "$wanted/requirements.txt"
