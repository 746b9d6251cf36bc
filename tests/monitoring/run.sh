#!/usr/bin/env bash
# What a guard tells others, in front of those who read it: rsyslog, Prometheus, and the definitions of
# OpenTelemetry. Installs the last at their pinned versions, once. All arguments are run.py's:
#   STOCKADE=target/debug/stockade tests/monitoring/run.sh [export|gnutls|alerts|metrics|traces…]
set -euo pipefail
[ -x "${STOCKADE:-}" ] || { echo "missing: STOCKADE, a built program (cargo build)" >&2; exit 2; }
STOCKADE=$(realpath "$STOCKADE")
export STOCKADE
cd "$(dirname "$0")"
../need.sh python3 openssl prometheus rsyslog || exit 2
if ! cmp -s .venv/.installed requirements.txt; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
  cp requirements.txt .venv/.installed
fi
exec .venv/bin/python run.py "$@"
