"""What a sandbox costs: wall time and processor time of a start, and the memory that its launcher
and helpers hold while a server runs, each beside a plain start and bubblewrap, in one run.

    cargo build --release -p stockade
    STOCKADE=target/release/stockade python3 benches/sandbox.py [COMMAND…]

The command is `true` unless another is given. Processor time is that of all processes, the
command's own included; memory is what is private to a process (`smaps_rollup`), without the
command's own and without that of `stockade sandbox` itself, which under `run` is the guard.
"""

import ctypes
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 60
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
PR_SET_CHILD_SUBREAPER = 36
STOCKADE = os.path.abspath(os.environ["STOCKADE"])
# As its manual and its users' posts have it, with everything unshared.
BUBBLEWRAP = [
    "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
    "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
    "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--",
]
LAUNCHERS = {
    "plain": [],
    "bubblewrap": BUBBLEWRAP,
    "stockade": [STOCKADE, "sandbox", *(["--allow-weaker", "memory"] if os.geteuid() else []), "--"],
}


def spent():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def start(command):
    """Wall and processor milliseconds of one start, to the end of the command."""
    began, before = time.perf_counter(), spent()
    subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    took = time.perf_counter() - began
    # What a launcher has not waited for comes to us, and counts as well.
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return 1000 * took, 1000 * (spent() - before)


def private_kib(pid):
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(it.split()[1]) for it in rows if it.startswith(("Private_Clean", "Private_Dirty")))


def descendants(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(child)]
    return found


def memory(launcher):
    """KiB of everything but the sleeper and who was started first."""
    command = [*launcher, "sleep", "30"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as first:
        try:
            while True:
                pids = descendants(first.pid)
                names = {it: Path(f"/proc/{it}/comm").read_text().strip() for it in pids}
                if "sleep" in names.values():
                    break
                time.sleep(0.01)
            helpers = [it for it, name in names.items() if name != "sleep"]
            # Of bubblewrap the first process is one of its own, and stays.
            return sum(private_kib(it) for it in helpers + ([first.pid] if launcher is BUBBLEWRAP else []))
        finally:
            first.kill()


def main():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    command = sys.argv[1:] or ["true"]
    launchers = {name: it for name, it in LAUNCHERS.items() if not it or shutil.which(it[0])}
    # One after the other, so that what else the machine does is the same for all.
    runs = {name: [] for name in launchers}
    for _ in range(RUNS):
        for name, launcher in launchers.items():
            runs[name].append(start([*launcher, *command]))
    wall = {name: statistics.median(it for it, _ in times) for name, times in runs.items()}
    # Ticks are coarse: the mean tells more than the median.
    cpu = {name: statistics.mean(it for _, it in times) for name, times in runs.items()}
    print(f"{' '.join(command)}, {RUNS} starts each")
    print(f"{'':12}{'wall ms':>9}{'/ plain':>9}{'cpu ms':>9}{'/ plain':>9}{'KiB':>9}")
    for name, launcher in launchers.items():
        held = memory(launcher) if launcher else 0
        print(f"{name:12}{wall[name]:9.2f}{wall[name] / wall['plain']:9.1f}"
              f"{cpu[name]:9.2f}{cpu[name] / cpu['plain']:9.1f}{held:9}")
    print(f"launcher's own: {cpu['stockade'] - cpu['plain']:.1f} ms of processor time"
          + (f"; {wall['stockade'] - wall['bubblewrap']:+.1f} ms beside bubblewrap" if "bubblewrap" in wall else ""))


main()
