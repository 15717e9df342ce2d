#!/usr/bin/env bash
# Compiles the contracts of n3/ and x/, and writes what comes out beside the sources.
#   build.sh            writes
#   build.sh --check    compares: fails when an artefact is not what its source compiles to
set -euo pipefail
cd "$(dirname "$0")"
tools=$PWD/../.sandbox/contracts

boa_version=1.3.0
solc_version=0.8.30

fail() {
    echo "contracts: $*" >&2
    exit 1
}

install_boa() {
    local mark=$tools/boa-$boa_version
    [ -e "$mark" ] && return 0
    command -v python3.11 >/dev/null || fail "python3.11 is missing: neo3-boa $boa_version runs on no other"
    python3.11 -m venv --clear "$tools/boa"
    "$tools/boa/bin/pip" install --quiet --disable-pip-version-check "neo3-boa==$boa_version"
    touch "$mark"
}

install_solc() {
    local mark=$tools/solc-$solc_version
    [ -e "$mark" ] && return 0
    command -v npm >/dev/null || fail "npm is missing: solc comes from it"
    npm install --silent --no-save --no-audit --no-fund --prefix "$tools/solc" "solc@$solc_version" >/dev/null 2>&1 ||
        fail "npm could not install solc $solc_version"
    touch "$mark"
}

# settle MANIFEST: the compiler writes events and unions in an order that changes from run to run
settle() {
    python3 - "$1" <<'PY'
import json, sys

def unions(part):
    if isinstance(part, list):
        for item in part:
            unions(item)
    elif isinstance(part, dict):
        for name, item in part.items():
            unions(item)
            if name == "union":
                item.sort(key=lambda one: one["type"])

path = sys.argv[1]
with open(path) as file:
    manifest = json.load(file)
manifest["abi"]["events"].sort(key=lambda event: event["name"])
unions(manifest)
with open(path, "w") as file:
    json.dump(manifest, file, indent=4)
    file.write("\n")
PY
}

# build DIRECTORY: everything but n3/parts, which contracts import, into DIRECTORY/n3 and DIRECTORY/x
build() {
    mkdir -p "$1/n3" "$1/x"
    local source name
    for source in n3/*.py; do
        name=$(basename "$source" .py)
        # The compiler also exits with 0 when it refuses a source.
        "$tools/boa/bin/neo3-boa" compile "$source" -o "$1/n3/$name.nef" >"$1/log" 2>&1 || true
        [ -s "$1/n3/$name.nef" ] || { cat "$1/log" >&2 && fail "$source does not compile"; }
        settle "$1/n3/$name.manifest.json"
    done
    node x/compile.js "$tools/solc/node_modules/solc" "$1/x"
}

mkdir -p "$tools"
install_boa
install_solc
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
build "$fresh"

case ${1:-} in
'')
    rm -f n3/*.nef n3/*.manifest.json x/*.json
    cp "$fresh"/n3/*.nef "$fresh"/n3/*.manifest.json n3/
    cp "$fresh"/x/*.json x/
    ;;
--check)
    for kind in n3 x; do
        # Sources are only here; anything else must be the same on both sides.
        diff -rq --exclude='*.py' --exclude='*.sol' --exclude='*.js' --exclude=parts --exclude=__pycache__ "$fresh/$kind" "$kind" ||
            fail "$kind/ is not what its sources compile to: run contracts/build.sh and commit"
    done
    ;;
*) fail "usage: build.sh [--check]" ;;
esac
echo "contracts: $(ls n3/*.nef | wc -l) for N3 and $(ls x/*.json | wc -l) for X are what their sources compile to"
