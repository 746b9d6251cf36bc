#!/usr/bin/env bash
# Installs the partners at their pinned versions, once, and runs the matrix. All options are run.py's:
#   STOCKADE=target/release/stockade tests/partners/run.sh [--quick]
# With --rug-pull it plays a server that becomes another after it was approved (rugpull.py), with
# --approvals calls that wait for a person (approvals.py).
set -euo pipefail
cd "$(dirname "$0")"

need() { command -v "$1" >/dev/null || { echo "missing: $1 ($2)" >&2; exit 2; }; }
need node "Node.js 20 or newer"
need npm "comes with Node.js"
need python3 "Python 3.11 or newer, with venv"
node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
  { echo "missing: Node.js 20 or newer (this is $(node --version))" >&2; exit 2; }
python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' ||
  { echo "missing: Python 3.11 or newer with venv (this is $(python3 --version))" >&2; exit 2; }
[ -z "${STOCKADE:-}" ] || [ -x "$(cd "$OLDPWD" && realpath "$STOCKADE")" ] ||
  { echo "missing: $STOCKADE (cargo build --release)" >&2; exit 2; }
[ -z "${STOCKADE:-}" ] || STOCKADE=$(cd "$OLDPWD" && realpath "$STOCKADE")

# Installed is what was installed from these very lists.
current() { [ -f "$1" ] && cmp -s "$1" "$2"; }
if ! current node_modules/.installed package-lock.json; then
  npm ci --silent --fetch-retries 5
  cp package-lock.json node_modules/.installed
fi
if ! current .venv/.installed requirements.txt; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
  cp requirements.txt .venv/.installed
fi
case "${1:-}" in
  --rug-pull) plays=rugpull.py ;;
  --approvals) plays=approvals.py ;;
  *) exec .venv/bin/python run.py "$@" ;;
esac
[ -n "${STOCKADE:-}" ] || { echo "missing: STOCKADE (a program to stand in between)" >&2; exit 2; }
export STOCKADE
exec .venv/bin/python "$plays"
