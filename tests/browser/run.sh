#!/usr/bin/env bash
# Web pages in a real browser, at a server on the same machine:
#   STOCKADE=target/release/stockade tests/browser/run.sh [-v]
set -euo pipefail
: "${STOCKADE:?is the binary that is tested}"
[ -x "$STOCKADE" ] || { echo "missing: $STOCKADE (cargo build --release)" >&2; exit 2; }
cd "$(dirname "$0")"/../..
tests/need.sh chromium python3
exec python3 tests/browser/run.py "$@"
