#!/usr/bin/env bash
# Runs everything that is tested, and says at the end what failed and what could not run here.
#
#   LONG=1   at length: every pair of partners, 200 kills, a minute for each fuzz target
#
# Ends with 1 if something failed. What could not run for want of a tool is named, and is no failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

# A line for each step. In a file, since some of them run beside others.
results=$(mktemp)
# The end of what failing steps said, which is said again at the end.
said=$(mktemp)

note() { echo "$*" >>"$results"; }

step() { # NAME COMMAND…
    local name=$1 start=$SECONDS log
    shift
    log=$(mktemp)
    echo "== $name"
    if "$@" </dev/null 2>&1 | tee "$log"; then
        note "passed: $name, $((SECONDS - start)) s"
    else
        note "failed: $name"
        { echo "== $name, which failed, said at its end"; tail -n 40 "$log"; } >>"$said"
    fi
    rm -f "$log"
}

step_with() { # TOOLS NAME COMMAND…
    local tools=$1 name=$2 missing
    shift 2
    # shellcheck disable=SC2086  # a list of words
    if missing=$(tests/need.sh $tools 2>&1); then
        step "$name" "$@"
    else
        note "not run here: $name: $(paste -sd' ' <<<"$missing")"
    fi
}

documentation() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet; }

licences() { cargo deny --log-level error check --hide-inclusion-graph licenses bans sources; }

# Takes a core for minutes, and nobody waits for it: it steps back for what has a clock. For seconds
# of it, a build that optimises little is done sooner.
fuzzing() {
    cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml &&
        CARGO_PROFILE_RELEASE_OPT_LEVEL=$fuzz_level CARGO_BUILD_JOBS=1 nice -n 19 \
            fuzz/run.sh "$fuzz_seconds"
}

# The rules and the tests of the console's page, and the page itself.
console() {
    make --no-print-directory console && cd console && npm run --silent lint && npm run --silent test
}

conformance() {
    tests/conformance/run.sh "$programs/conformance-server" --listen '127.0.0.1:{port}'
}

tests/need.sh cargo cc || exit 2

if [ -n "${LONG:-}" ]; then
    kills=200 fuzz_seconds=60 fuzz_level=3 partners=()
else
    kills=20 fuzz_seconds=10 fuzz_level=1 partners=(--quick)
fi

# The tests build these two along the way, with what can be said about an overflow or a broken
# assumption compiled in. Nothing here needs the minutes that a release build takes.
programs=${CARGO_TARGET_DIR:-target}/debug
export STOCKADE=$programs/stockade

step "layout" cargo fmt --all --check
step "lints" cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
# From here on: to build it takes longest of all.
fuzz_start=$SECONDS fuzz_log=$(mktemp) fuzz_pid=
if missing=$(tests/need.sh c++ 2>&1); then
    fuzzing >"$fuzz_log" 2>&1 </dev/null &
    fuzz_pid=$!
else
    note "not run here: fuzzing: $missing"
fi
step "tests" cargo test --locked --workspace --quiet
step "documentation" documentation
if cargo deny --version >/dev/null 2>&1; then
    step "licences" licences
else
    note "not run here: licences: missing: cargo-deny (cargo install --locked cargo-deny)"
fi
missing=$(tests/need.sh dbus 2>&1) || note "not run here: limits by way of systemd, a part of the tests: $missing"
missing=$(tests/need.sh podman 2>&1) || note "not run here: containers, a part of the tests: $missing"
missing=$(tests/need.sh postgres 2>&1) || note "not run here: SQL in PostgreSQL, a part of the tests: $missing"

# What follows waits more than it works, so that it runs in two rows.
row_log=$(mktemp)
{
    step_with "node python3" "partners" tests/partners/run.sh "${partners[@]}"
    step_with "node python3" "rug pull" tests/partners/run.sh --rug-pull
    step_with "node python3" "approvals" tests/partners/run.sh --approvals
    step_with "node python3" "conformance" conformance
    step_with "openssl prometheus python3 rsyslog" "monitoring" tests/monitoring/run.sh
} >"$row_log" 2>&1 &
row_pid=$!
step_with "python3" "kills" tests/kills/run.py --rounds "$kills"
step_with "python3" "schemas" tests/schemas/run.sh
step_with "chromium python3" "browser" tests/browser/run.sh
step_with "chromium node" "approvals page" tests/page/run.sh
step_with "node" "console's page" console
step_with "chromium node" "console" tests/console/run.sh
step_with "node python3 git" "servers" tests/servers/run.sh
step_with "node python3 git" "policies" tests/servers/run.sh --policies
step_with "node python3" "escape" tests/escape/run.py
wait "$row_pid" || note "failed: the row beside"
cat "$row_log"
if [ -n "$fuzz_pid" ]; then
    wait "$fuzz_pid"
    fuzz_status=$?
    echo "== fuzzing"
    cat "$fuzz_log"
    if [ "$fuzz_status" -eq 0 ]; then
        note "passed: fuzzing, $((SECONDS - fuzz_start)) s beside the others"
    else
        note "failed: fuzzing"
        { echo "== fuzzing, which failed, said at its end"; tail -n 40 "$fuzz_log"; } >>"$said"
    fi
fi

cat "$said"
echo "=="
grep '^passed' "$results"
grep '^not run here' "$results"
grep '^failed' "$results" && status=1 || status=0
rm -f "$fuzz_log" "$row_log" "$results" "$said"
exit "$status"
