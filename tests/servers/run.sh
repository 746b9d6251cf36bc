#!/usr/bin/env bash
# Installs the servers at their pinned versions, once, and runs them. All arguments are run.py's:
#   STOCKADE=target/debug/stockade tests/servers/run.sh [SERVER…]
# With --policies it is policies.py that runs, which tries the policies to begin with.
set -euo pipefail
[ -x "${STOCKADE:-}" ] || { echo "missing: STOCKADE, a built program (cargo build)" >&2; exit 2; }
STOCKADE=$(realpath "$STOCKADE")
cd "$(dirname "$0")"
../need.sh node python3 git || exit 2

# Installed is what was installed from these very lists.
current() { [ -f "$1" ] && cmp -s "$1" "$2"; }
if ! current node_modules/.installed package-lock.json; then
  npm ci --silent --ignore-scripts --fetch-retries 5
  cp package-lock.json node_modules/.installed
fi
for list in requirements.txt requirements-1.txt; do
  venv=.venv${list//[^0-9-]/}
  if ! current "$venv/.installed" "$list"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$list"
    cp "$list" "$venv/.installed"
  fi
done
export STOCKADE
if [ "${1:-}" = --policies ]; then
  exec python3 policies.py "${@:2}"
fi
exec python3 run.py "$@"
