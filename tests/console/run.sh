#!/usr/bin/env bash
# The console in a real browser, with a server behind it:
#   STOCKADE=target/release/stockade tests/console/run.sh [--pictures DIR]
#   FAKE=1 tests/console/run.sh             against the page's own stand-in for the program
# Builds the page, and installs what drives the browser, at pinned versions.
set -euo pipefail
if [ -z "${FAKE:-}" ]; then
  : "${STOCKADE:?is the binary that is tested}"
  [ -x "$STOCKADE" ] || { echo "missing: $STOCKADE (cargo build --release)" >&2; exit 2; }
  STOCKADE=$(realpath "$STOCKADE")
  export STOCKADE
fi
cd "$(dirname "$0")"
../need.sh chromium node
make --no-print-directory -C ../.. console
if ! cmp -s node_modules/.installed package-lock.json; then
  npm ci --silent --fetch-retries 5
  cp package-lock.json node_modules/.installed
fi
exec node run.mjs "$@"
