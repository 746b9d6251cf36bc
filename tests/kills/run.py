#!/usr/bin/env python3
"""Kills a client, its guard or one of the guard's launchers with `kill -9` at a moment that nobody
chose, again and again. Each time, five seconds later, there is no process, mount, control group,
namespace or socket that was not there before.

    STOCKADE=target/debug/stockade tests/kills/run.py [--rounds 200] [--seed N] [-- OPTION…]

What stands behind `--` goes to Stockade, such as `--sandbox podman`. Ends with 1 and says what was
left if something was.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AT_LAST_S = 5
# The server: it leaves a daemon behind that has left its session, and then waits for its client.
SERVER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
    os._exit(0)
for line in sys.stdin:
    pass
time.sleep(600)
"""
# The client: it starts its server and never ends by itself.
CLIENT = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
time.sleep(600)
"""


def processes(mark):
    """The pids of everything that has the mark on its command line, or is of such a session."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        found[int(entry.name)] = (line, parent)
    ours = {pid for pid, (line, _) in found.items() if mark.encode() in line}
    grown = True
    while grown:
        more = {pid for pid, (_, parent) in found.items() if parent in ours} - ours
        grown = bool(more)
        ours |= more
    return ours, {pid: line for pid, (line, _) in found.items()}


def namespaces(pids):
    """The namespaces that these processes are in."""
    links = set()
    for pid in pids:
        for name in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"):
            try:
                links.add(os.readlink(f"/proc/{pid}/ns/{name}"))
            except OSError:
                continue
    return links


def machine():
    """What of the machine a guard could leave behind, by names that nobody else uses."""
    alive = {it.name for it in Path("/proc").glob("[0-9]*")}
    groups = set()
    for place, names, _ in os.walk("/sys/fs/cgroup"):
        # Another guard may be at work here: its group has a keeper.
        groups |= {f"{place}/{it}" for it in names
                   if (found := re.match(r"stockade[-.](\d+)-", it)) and found[1] not in alive}
    mounts = {it for it in Path("/proc/self/mountinfo").read_text().splitlines() if "stockade" in it or "kills-" in it}
    sockets = {it for it in Path("/proc/net/unix").read_text().splitlines() if "stockade" in it or "kills-" in it}
    return {"mount": mounts, "control group": groups, "socket": sockets}


def one(stockade, options, chance, where):
    mark = f"stockade-kills-{os.getpid()}-{chance.randrange(1 << 40):x}"
    before = machine()
    state, root = where / "state", where / "root"
    root.mkdir(exist_ok=True)
    server = [sys.executable, "-c", SERVER, mark]
    form = chance.choice(["run", "sandbox"])
    guarded = {
        "run": [stockade, "run", "--state", str(state), "--root", f"{root}:rw", *options, "--", *server],
        "sandbox": [stockade, "sandbox", "--root", f"{root}:rw", *options, "--", *server],
    }[form]
    with open(where / "errors", "ab") as errors:
        client = subprocess.Popen([sys.executable, "-c", CLIENT, mark, *guarded], stdin=subprocess.DEVNULL,
                                  stdout=errors, stderr=errors, start_new_session=True)
    time.sleep(chance.uniform(0, 0.35))
    ours, lines = processes(mark)
    inside = namespaces(ours) - namespaces([os.getpid()])
    # Whoever of them, but not what is inside: that can be killed by anybody's server.
    named = {
        "client": [client.pid],
        "guard": [it for it in ours if it != client.pid and stockade.encode() in lines[it].split(b"\0")[0] and b"--stockade-keeper" not in lines[it]],
        "launcher": [it for it in ours if b"--stockade-keeper" in lines[it]],
    }
    victim = chance.choice([it for it in named if named[it]])
    try:
        os.kill(chance.choice(named[victim]), signal.SIGKILL)
    except ProcessLookupError:
        pass
    if victim != "client":
        # Its client goes away when its server does.
        client.kill()
    client.wait()
    end = time.monotonic() + AT_LAST_S
    while True:
        left = {"process": processes(mark)[0]}
        left |= {what: now - before[what] for what, now in machine().items()}
        left["namespace"] = inside & namespaces(int(it.name) for it in Path("/proc").glob("[0-9]*"))
        left = {what: it for what, it in left.items() if it}
        if not left or time.monotonic() > end:
            return form, victim, left
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("options", nargs="*", metavar="OPTION")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    stockade = os.path.abspath(os.environ["STOCKADE"])
    killed, failed = {}, 0
    with tempfile.TemporaryDirectory(prefix="kills-") as directory:
        for number in range(arguments.rounds):
            form, victim, left = one(stockade, arguments.options, chance, Path(directory))
            killed[f"{form}, {victim}"] = killed.get(f"{form}, {victim}", 0) + 1
            if left:
                failed += 1
                print(f"round {number}: {form}, {victim} killed; left: {left}")
        errors = Path(directory, "errors").read_text(errors="replace")
    if "error: " in errors:
        print("\n".join(sorted({it for it in errors.splitlines() if it.startswith("error: ")})))
    for what, times in sorted(killed.items()):
        print(f"  {what}: {times}")
    print(f"{arguments.rounds - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
