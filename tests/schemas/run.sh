#!/usr/bin/env bash
# Fetches JSON Schema's official test suite at its pinned version, once, and runs it. Options are run.py's:
#   STOCKADE=target/release/stockade tests/schemas/run.sh [--required] [DIALECT…]
set -euo pipefail
: "${STOCKADE:?is the binary that is tested}"
[ -x "$STOCKADE" ] || { echo "missing: $STOCKADE (cargo build --release)" >&2; exit 2; }
STOCKADE=$(realpath "$STOCKADE")
export STOCKADE
cd "$(dirname "$0")"

# Fetched is what was fetched from these very lists. The suite is in the source of the Python package
# `jsonschema`; pip builds its metadata, for which it needs what is in requirements.txt.
if ! cat requirements.txt suite.txt | cmp -s - suite/.fetched; then
  rm -rf suite
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
  .venv/bin/pip download --quiet --disable-pip-version-check --no-deps --no-binary jsonschema \
    --no-build-isolation --require-hashes --dest suite -r suite.txt
  tar -xzf suite/jsonschema-*.tar.gz -C suite --strip-components=1 --wildcards '*/json/*'
  cat requirements.txt suite.txt >suite/.fetched
fi
exec python3 run.py "$@"
