#!/usr/bin/env bash
# Installs the independent clients that crates/neo/tests/peers and crates/signin/tests/peers compare themselves with:
# neon-js and neo-mamba, and wallets of both chains; and what sandbox/tests/signin signs in with: an identity provider,
# a client of OAuth 2.0 and the driver of a browser. Does nothing when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=$PWD/crates/neo/tests/peers
wallets=$PWD/crates/signin/tests/peers
signin=$PWD/sandbox/tests/signin/peers
peers=$PWD/.sandbox/peers

fail() {
    echo "peers: $*" >&2
    exit 1
}

# from_npm NAME DIR: what the lock in DIR says
from_npm() {
    command -v npm >/dev/null || fail "npm is missing: install Node.js 18 or newer"
    mkdir -p "$peers/$1"
    cp "$2/package.json" "$2/package-lock.json" "$peers/$1/"
    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$peers/$1" >/dev/null 2>&1 ||
        fail "npm could not install $1"
}

install_neon() {
    from_npm neon "$wanted"
}

install_wallets() {
    from_npm wallets "$wallets"
}

install_signin() {
    from_npm signin "$signin"
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
once wallets "$wallets/package.json" "$wallets/package-lock.json"
once signin "$signin/package.json" "$signin/package-lock.json"
