#!/usr/bin/env bash
# Proves both runners: through a relay that does nothing they find nothing, and a fault in it they find.
#   tests/partners/prove.sh CONFORMANCE-SERVER [ARGUMENT…]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || { echo "usage: prove.sh CONFORMANCE-SERVER [ARGUMENT…]" >&2; exit 2; }
export STOCKADE=$here/relay.py

partners() { "$here/run.sh" --quick --routes run-stdio,serve-http; }
conformance() { "$here/../conformance/run.sh" --targets transparent "$@"; }
finds() { # WHAT WORDS COMMAND…: the command fails, and every difference that it tells has the words in it
  local what=$1 words=$2 said; shift 2
  if said=$("$@"); then echo "not found: $what" >&2; exit 1; fi
  if grep -E '^(different|worse|stale|never connected|did not run): ' <<<"$said" | grep -v -- "$words" >&2; then
    echo "found too much: $what" >&2; exit 1
  fi
  echo "found: $what"
}

partners
conformance "$@"
RELAY_FAULT=progress finds "progress that is swallowed" ", run-stdio, \(progress\|cancel\):" partners
RELAY_FAULT=host finds "a rewritten Host header" ": dns-rebinding-protection:" conformance "$@"
