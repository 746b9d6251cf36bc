#!/usr/bin/env bash
# What the guard costs, beside a proxy that does nothing, in one run: ratios, no absolutes to hold
# on to. Default rules, the ledger on, only the limits raised (policy.toml).
#
#   gateway.sh [BENCH_DIR]     the load generator and the do-nothing proxies [../shared/bench]
set -euo pipefail
cd "$(dirname "$0")/.."
from=${1:-../shared/bench}
[ -f "$from/Cargo.toml" ] || { echo "no load generator in $from: give its directory" >&2; exit 2; }
work=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null; rm -rf "$work"' EXIT
cp -r "$from"/. "$work/bench" && chmod -R u+w "$work/bench"
tools=${CARGO_TARGET_DIR:-target}/bench-tools
cargo build -q --release --manifest-path "$work/bench/Cargo.toml" --target-dir "$tools"
cargo build -q --release -p stockade
bin=$(realpath "$tools/release")
stockade=$(realpath "${CARGO_TARGET_DIR:-target}/release/stockade")
policy=$(realpath benches/policy.toml)
up=127.0.0.1:9100 ours=127.0.0.1:9400 lines=127.0.0.1:9401 floor=127.0.0.1:9201
ready() { for _ in $(seq 200); do (exec 3<>"/dev/tcp/${1/://}") 2>/dev/null && return; sleep 0.05; done; echo "nothing listens on $1" >&2; exit 1; }
start() { "${@:2}" >/dev/null 2>&1 & pids+=($!); ready "$1"; }
serve() { start "$1" "$stockade" serve --listen "$1" --auth none --policy "$policy" --state "$work/state-$RANDOM" "${@:2}"; }

start $up "$bin/mcpb-upstream" --addr $up
serve $ours --upstream http://$up/mcp; guard=${pids[-1]}
echo "idle: $(awk '/VmRSS/{print $2}' /proc/$guard/status) KiB resident"
cases="echo1 echo16 echo128 modern1 modern16 modern128 big16 list4"
BIN=$bin "$work/bench/bench.sh" --runs "${RUNS:-3}" --secs "${SECS:-2}" --cases "$cases" --out "$work/results" \
  --gateway stockade http://$ours/mcp "$guard"
python3 benches/rules.py "$work"/results/*.jsonl

echo; echo "### in front of a process, beside the least that a bridge can do"; echo
serve $lines -- "$bin/mcpb-stdio"; bridge=${pids[-1]}
start $floor "$bin/mcpb-floor-stdio" --addr $floor -- "$bin/mcpb-stdio"; least=${pids[-1]}
cpu() { "$bin/mcpb-load" calls --url "$1" --op "$3" --c "$4" --secs "${SECS:-2}" --warm 1 --pid "$2" |
  python3 -c 'import json,sys; r=json.load(sys.stdin); print(r["cpu_us_per_call"], r["errors"])'; }
echo "| case | CPU of bridge | errors |"; echo "|---|--:|--:|"
for case in "echo 1" "echo 16" "echo 128" "big 16" "list 4"; do
  set -- $case
  read -r mine errors <<<"$(cpu http://$lines/mcp "$bridge" "$1" "$2")"
  read -r theirs _ <<<"$(cpu http://$floor/mcp "$least" "$1" "$2")"
  echo "| $1 c=$2 | $(python3 -c "print(round($mine/$theirs, 2))") | $errors |"
done

echo; echo "### run, over standard input and output, beside the least that a bridge can do, and two cats"; echo
# What passes on lines and does nothing else is a cat each way. Both are behind the same bridge from
# HTTP, and only their own processes are counted.
cats() { exec "$bin/mcpb-floor-stdio" --addr "$1" -- sh -c 'cat | "$0" | cat' "$bin/mcpb-stdio"; }
ours() { exec "$bin/mcpb-floor-stdio" --addr "$1" -- "$stockade" run --policy "$policy" --state "$work/state-run" -- "$bin/mcpb-stdio"; }
start 127.0.0.1:9211 cats 127.0.0.1:9211; cats=${pids[-1]}
start 127.0.0.1:9212 ours 127.0.0.1:9212; run=${pids[-1]}
own() { python3 benches/own.py "$1" "$2" "$bin/mcpb-load" calls --url "http://$3/mcp" --op "$4" --c "$5" --secs "${SECS:-2}" --warm 0; }
echo "| case | CPU of bridge | CPU of two cats |"; echo "|---|--:|--:|"
for case in "echo 1" "echo 16" "echo 128" "big 16" "list 4"; do
  set -- $case
  mine=$(own "$run" stockade 127.0.0.1:9212 "$@")
  http=$(own "$cats" mcpb-floor-stdi 127.0.0.1:9211 "$@")
  two=$(own "$cats" cat 127.0.0.1:9211 "$@")
  echo "| $1 c=$2 | $(python3 -c "print(round($mine/$http, 2), '|', round($mine/$two, 2))") |"
done

echo; echo "### sessions: KiB of each, of 10,000 that are open, and what is not given back when all are closed"; echo
# Of a guard that has done nothing yet: one that has keeps room that sessions then fit into.
serve 127.0.0.1:9402 --upstream http://$up/mcp
"$bin/mcpb-load" sessions --url http://127.0.0.1:9402/mcp --at 0,10000 --close --pid "${pids[-1]}" | python3 -c '
import json, sys
none, all_, closed = (it["pss_kb"] for it in json.load(sys.stdin)["marks"])
print(f"{(all_ - none) / 10000:.1f} each, {(closed - none) / 10000:.1f} kept")'

echo; echo "### from start to the first good answer, ms"; echo
kill "$guard"; wait "$guard" 2>/dev/null || :
"$bin/mcpb-load" start --url http://$ours/mcp --runs 7 -- "$stockade" serve --listen $ours --auth none \
  --policy "$policy" --state "$work/state-start" --upstream http://$up/mcp
echo "the server alone: $(python3 benches/start.py "$bin/mcpb-stdio")"
echo "behind run: $(python3 benches/start.py "$stockade" run --policy "$policy" --state "$work/state-start-run" -- "$bin/mcpb-stdio")"
