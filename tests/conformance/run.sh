#!/usr/bin/env bash
# Installs the conformance suite at its pinned version, once, and runs it. All arguments are run.py's:
#   STOCKADE=target/release/stockade tests/conformance/run.sh target/release/conformance-server --listen 127.0.0.1:{port}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

need() { command -v "$1" >/dev/null || { echo "missing: $1 ($2)" >&2; exit 2; }; }
need npm "comes with Node.js"
need python3 "Python 3.11 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "missing: Python 3.11 or newer (this is $(python3 --version))" >&2; exit 2; }
[ -z "${STOCKADE:-}" ] || [ -x "$STOCKADE" ] ||
  { echo "missing: $STOCKADE (cargo build --release)" >&2; exit 2; }

# Installed is what was installed from this very list. A Node.js that is new enough comes along.
if ! cmp -s "$here/node_modules/.installed" "$here/package-lock.json"; then
  npm ci --silent --prefix "$here"
  cp "$here/package-lock.json" "$here/node_modules/.installed"
fi
ls "$here"/node_modules/node-*/bin/node >/dev/null 2>&1 ||
  node -e 'process.exit(parseInt(process.versions.node) < 22 ? 1 : 0)' 2>/dev/null ||
  { echo "missing: Node.js 22 or newer (none comes along for this machine)" >&2; exit 2; }
exec python3 "$here/run.py" "$@"
