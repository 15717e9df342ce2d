#!/usr/bin/env bash
# Installs what a target of the Makefile needs and this machine lacks; does nothing when all is there.
#   setup.sh run        what `make run` needs: Rust alone
#   setup.sh test       the real engines and peers that tests start
#   setup.sh coverage   test, and the coverage tool
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-run}
tools=$PWD/.sandbox

nextest_version=0.9.143
tarpaulin_version=0.37.5
s3_version=0.14.1
rotel_version=0.0.1a15
packages=(postgresql-15 postgresql-client-15 redis-server redis-sentinel redis-tools rabbitmq-server pgbouncer wrk
    libfaketime libpython3.11 util-linux procps chromium)

fail() {
    echo "setup: $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing: $2"
}

install_packages() {
    local missing=()
    # Debian's own Python comes without what makes virtual environments.
    python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    [ "$(id -u)" = 0 ] || fail "not root: install these packages yourself: ${missing[*]}"
    # Packages start their servers as soon as they are installed, unless this file says no.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

install_crate() {
    local crate=$1 version=$2
    shift 2
    local mark=$tools/cargo/$crate-$version
    [ -e "$mark" ] && return 0
    # A build directory of its own, so that nothing of it is rebuilt for or by the workspace.
    env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install --locked --quiet --root "$tools/cargo" "$crate" --version "$version" "$@"
    touch "$mark"
}

install_rotel() {
    local mark=$tools/venv/rotel-$rotel_version
    [ -e "$mark" ] && return 0
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "rotel==$rotel_version"
    ln -sfn "$(find "$tools/venv/lib" -name rotel-agent -type f)" "$tools/rotel-agent"
    touch "$mark"
}

need cargo "install Rust 1.95 or newer from https://rustup.rs"
need cc "install a C compiler (Debian: build-essential)"
case $target in
run) exit 0 ;;
test | coverage) ;;
*) fail "unknown target $target: run, test or coverage" ;;
esac

need python3 "install Python 3.11"
command -v dpkg-query >/dev/null || fail "not Debian: install PostgreSQL 15, Redis 7 with sentinel, RabbitMQ 3.10, PgBouncer 1.18, wrk"
mkdir -p "$tools"
install_packages
[ -x /usr/lib/postgresql/15/bin/postgres ] || fail "PostgreSQL 15 is not in /usr/lib/postgresql/15"
install_rotel
# The nodes of both chains, by the code that starts them.
cargo run --quiet --locked -p nsl-devnet --example fetch >/dev/null
scripts/peers.sh
install_crate s3s-fs "$s3_version" --features binary
PATH=$PATH:$tools/cargo/bin cargo nextest --version >/dev/null 2>&1 || install_crate cargo-nextest "$nextest_version"
if [ "$target" = coverage ]; then
    install_crate cargo-tarpaulin "$tarpaulin_version" --no-default-features
fi
