#!/usr/bin/env bash
# The approvals page in a real browser, with a guard and a server behind it:
#   STOCKADE=target/release/stockade tests/page/run.sh [--pictures DIR]
# Installs what drives the browser at its pinned version, once.
set -euo pipefail
: "${STOCKADE:?is the binary that is tested}"
[ -x "$STOCKADE" ] || { echo "missing: $STOCKADE (cargo build --release)" >&2; exit 2; }
STOCKADE=$(realpath "$STOCKADE")
export STOCKADE
cd "$(dirname "$0")"
../need.sh chromium node
if ! cmp -s node_modules/.installed package-lock.json; then
  npm ci --silent --fetch-retries 5
  cp package-lock.json node_modules/.installed
fi
exec node run.mjs "$@"
