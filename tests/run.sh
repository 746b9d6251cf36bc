#!/usr/bin/env bash
# Runs everything that is tested, and says at the end what failed and what could not run here.
#
#   FUZZ_SECONDS=60   how long each fuzz target runs
#
# Ends with 1 if something failed. What could not run for want of a tool is named, and is no failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

passed=() failed=() left_out=()

step() { # NAME COMMAND…
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if "$@" </dev/null; then passed+=("$name, $((SECONDS - start)) s"); else failed+=("$name"); fi
}

step_with() { # TOOLS NAME COMMAND…
    local tools=$1 name=$2 missing
    shift 2
    # shellcheck disable=SC2086  # a list of words
    if missing=$(tests/need.sh $tools 2>&1); then
        step "$name" "$@"
    else
        left_out+=("$name: $(paste -sd' ' <<<"$missing")")
    fi
}

documentation() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet; }

licences() { cargo deny --log-level error check --hide-inclusion-graph licenses bans sources; }

fuzzing() {
    cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml && fuzz/run.sh "${FUZZ_SECONDS:-60}"
}

conformance() {
    tests/conformance/run.sh "$programs/conformance-server" --listen '127.0.0.1:{port}'
}

tests/need.sh cargo cc || exit 2

# The tests build these two along the way, with what can be said about an overflow or a broken
# assumption compiled in. Nothing here needs the minutes that a release build takes.
programs=${CARGO_TARGET_DIR:-target}/debug
export STOCKADE=$programs/stockade

step "layout" cargo fmt --all --check
step "lints" cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
step "tests" cargo test --locked --workspace --quiet
step "documentation" documentation
if cargo deny --version >/dev/null 2>&1; then
    step "licences" licences
else
    left_out+=("licences: missing: cargo-deny (cargo install --locked cargo-deny)")
fi
missing=$(tests/need.sh dbus 2>&1) || left_out+=("limits by way of systemd, a part of the tests: $missing")
missing=$(tests/need.sh podman 2>&1) || left_out+=("containers, a part of the tests: $missing")
missing=$(tests/need.sh postgres 2>&1) || left_out+=("SQL in PostgreSQL, a part of the tests: $missing")
step_with "python3" "kills" tests/kills/run.py --rounds 40
step_with "python3" "schemas" tests/schemas/run.sh
step_with "chromium python3" "browser" tests/browser/run.sh
step_with "node python3" "partners" tests/partners/run.sh
step_with "node python3" "escape" tests/escape/run.py
step_with "node python3" "conformance" conformance
step_with "c++" "fuzzing" fuzzing

echo "=="
[ ${#passed[@]} -eq 0 ] || printf 'passed: %s\n' "${passed[@]}"
[ ${#left_out[@]} -eq 0 ] || printf 'not run here: %s\n' "${left_out[@]}"
[ ${#failed[@]} -eq 0 ] || { printf 'failed: %s\n' "${failed[@]}"; exit 1; }
