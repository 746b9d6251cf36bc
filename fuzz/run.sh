#!/bin/sh
# Builds the targets and runs each for so many seconds: run.sh [SECONDS [TARGET…]]
#
# Needs a stable toolchain and a C++ compiler, and no network once `cargo fetch` has been here. The
# flags are those of cargo-fuzz, but for the sanitizer: there is no unsafe code under the targets
# that it could watch, and it would need a nightly toolchain.
#
# Ends with 1 when a target has found something. The input is in artifacts/TARGET then; to see it
# again: target/TRIPLE/release/TARGET artifacts/TARGET/FILE
set -eu
cd "$(dirname "$0")"

seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- message judge detect session query url command sse policy

triple=$(rustc -vV | sed -n 's/^host: //p')
features=
for target in "$@"; do
    case $target in policy | sse) features="$features $target" ;; esac
done

RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares \
-Ccodegen-units=1" \
    cargo build --quiet --release --locked --offline --target "$triple" --features "$features"

found=
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    case $target in
        session) seeds=../crates/stockade-core/tests/transcripts ;;
        *) seeds=seeds/$target ;;
    esac
    echo "== $target, $seconds s"
    log=artifacts/$target.log
    status=0
    # The corpus that grows comes first: what is new is written there.
    "target/$triple/release/$target" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -dict=words.dict -artifact_prefix="artifacts/$target/" -print_final_stats=1 -verbosity=1 \
        "corpus/$target" "$seeds" >"$log" 2>&1 || status=$?
    grep -E ' cov: ' "$log" | tail -n 1 || true
    grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "$log" || true
    if [ "$status" -ne 0 ]; then
        grep -E 'panicked at|ERROR: libFuzzer|Test unit written to' -A 1 "$log" || tail -n 20 "$log"
        found="$found $target"
    fi
done

if [ -n "$found" ]; then
    echo "found something:$found; see artifacts/" >&2
    exit 1
fi
