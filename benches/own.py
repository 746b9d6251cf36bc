"""What a call costs the processes of one name under a process, in microseconds of CPU, while a load
generator runs.

    own.py PID NAME LOAD…
"""

import json
import os
import subprocess
import sys
from pathlib import Path

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


def stat(pid):
    """Name, parent and CPU time in ticks; nothing of a process that is gone."""
    try:
        name, rest = Path(f"/proc/{pid}/stat").read_text().split("(", 1)[1].rsplit(") ", 1)
    except OSError:
        return None
    fields = rest.split()
    return name, int(fields[1]), int(fields[11]) + int(fields[12])


def cost(root, name):
    all_ = {int(it): known for it in os.listdir("/proc") if it.isdigit() and (known := stat(it))}

    def is_under(pid):
        while pid in all_ and pid != root:
            pid = all_[pid][1]
        return pid == root

    return sum(ticks for pid, (it, _, ticks) in all_.items() if it == name and is_under(pid))


def main(root, name, *load):
    before = cost(int(root), name)
    result = json.loads(subprocess.run(load, stdout=subprocess.PIPE, check=True).stdout)
    assert result["errors"] == 0, result
    print(TICK_US * (cost(int(root), name) - before) / result["calls"])


main(*sys.argv[1:])
