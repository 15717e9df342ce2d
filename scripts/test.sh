#!/usr/bin/env bash
# Everything that must hold before a change is accepted, cheapest first.
set -euo pipefail
cd "$(dirname "$0")/.."
# What makes the second build of an edited crate faster is as large as all else that is built, and each crate is built
# once here.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
scripts/setup.sh test
export PATH=$PATH:$PWD/.sandbox/cargo/bin
trap scripts/sandbox-down.sh EXIT

step() {
    printf '\n== %s (%ss)\n' "$*" "$SECONDS"
    "$@"
}

step cargo fmt --all --check
step cargo xtask tidy
step contracts/build.sh --check
step cargo clippy --workspace --all-targets --locked -- -D warnings
step cargo build --workspace --bins --locked
step cargo xtask openapi --check
# The enclave and browsers read with it what they sign.
if rustup target add wasm32-unknown-unknown >/dev/null 2>&1; then
    step cargo check -p nsl-neo --lib --target wasm32-unknown-unknown --locked --quiet
else
    echo "NOT RUN: that nsl-neo builds for wasm32, since rustup can't add that target here" >&2
fi
# As `make run` starts it: cargo hands variables of its own to what it runs.
step cargo run --quiet --locked -p nsl -- config check --set profile=development
step cargo test --workspace --doc --locked --quiet
step cargo nextest run --workspace --locked "$@"
