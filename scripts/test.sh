#!/usr/bin/env bash
# Everything that must hold before a change is accepted, cheapest first.
set -euo pipefail
cd "$(dirname "$0")/.."
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
# As `make run` starts it: cargo hands variables of its own to what it runs.
step cargo run --quiet --locked -p nsl -- config check --set profile=development
step cargo test --workspace --doc --locked --quiet
step cargo nextest run --workspace --locked "$@"
