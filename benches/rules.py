"""What the rules have added to a call since there was only the way through: CPU of the guard, as a
multiple of the do-nothing proxy's in the same run, beside the same multiple at commit SPINE.

    rules.py FILE…     the lines that the load generator's script has written
"""

import json
import statistics
import sys

# The last commit before the rules about commands, SQL, URLs and injection, on the same two cores.
SPINE = "711686e"
THEN = {
    "echo1": 1.87,
    "echo16": 2.27,
    "echo128": 2.25,
    "modern1": 1.58,
    "modern16": 2.48,
    "modern128": 1.96,
    "big16": 2.58,
    "list4": 1.26,
}
# What a call of 1 KB may cost, in the do-nothing proxy's CPU.
MAX = 2.5

cpu = {}
for path in sys.argv[1:]:
    for line in open(path):
        row = json.loads(line)
        if row["result"] and row["result"].get("calls"):
            cpu[row["case"], row["run"], row["gateway"]] = row["result"]["cpu_us_per_call"]

print(f"\n### all rules on, beside commit {SPINE}, which had few\n")
print("| case | CPU of floor | then | of then | at most |")
print("|---|--:|--:|--:|--:|")
for case, then in THEN.items():
    runs = [key[1] for key in cpu if key[0] == case and key[2] == "stockade"]
    both = [run for run in runs if cpu.get((case, run, "floor"))]
    if not both:
        print(f"| {case} | not measured | {then} | | |")
        continue
    now = statistics.median(cpu[case, run, "stockade"] / cpu[case, run, "floor"] for run in both)
    most = MAX if case.startswith(("echo", "modern")) else ""
    print(f"| {case} | {now:.2f} | {then} | {now / then:.2f} | {most} |")
