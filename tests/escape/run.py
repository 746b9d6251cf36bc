#!/usr/bin/env python3
"""What a server that is told too much, or that looks before it opens, gives away in the sandbox.

    STOCKADE=target/debug/stockade tests/escape/run.py [--seconds 60] [filesystem] [racer]

`filesystem`: the official filesystem server, told that `/` is allowed, so that its own check is off.
It must not read, list, follow or write outside of its roots, nor write to one that is read only,
and its 14 tools must still work inside. Needs what tests/partners/run.sh installs.

`racer`: a file and a directory become links that lead out and files again, as fast as one
processor can, while they are read: by the hardened server, and by one that looks first and opens
then. Outside of the sandbox the latter must lose, or nothing was raced.

Run by root, everything is run again as an ordinary user. Ends with 1 if something got out.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVER = HERE.parent / "partners/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
CANARY = "STOCKADE-CANARY"
NOBODY = 65534

# Looks where a path leads, and opens it then: by its number, so many times.
NAIVE = """
import os, sys, time
root, until = os.path.realpath(sys.argv[1]), time.monotonic() + float(sys.argv[2])
reads = outside = refused = 0
while time.monotonic() < until:
    for name in ("flip", "flipped/canary"):
        path = os.path.join(root, name)
        try:
            if not os.path.realpath(path).startswith(root + os.sep):
                continue
            with open(path) as file:
                outside += sys.argv[3] in file.read()
            reads += 1
        except OSError:
            refused += 1
print(reads, outside, refused)
"""

# Ends with whoever started it.
RACER = """
import os, sys
root, outside = sys.argv[1:]
file, link, flip = (os.path.join(root, it) for it in (".file", ".link", "flip"))
real, linked, flipped = (os.path.join(root, it) for it in (".real", ".linked", "flipped"))
os.mkdir(real)
open(os.path.join(real, "canary"), "w").write("inside")
parent = os.getppid()
while os.getppid() == parent:
    open(file, "w").write("inside")
    os.replace(file, flip)
    os.symlink(os.path.join(outside, "canary"), link)
    os.replace(link, flip)
    os.rename(real, flipped)
    os.rename(flipped, real)
    os.symlink(outside, flipped)
    os.unlink(flipped)
"""


class Wrong(Exception):
    """Something is not as it must be."""


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    words.add_argument("--seconds", type=float, default=3)
    words.add_argument("what", nargs="*", choices=["filesystem", "racer", []], default=[])
    words = words.parse_args()
    stockade = os.path.abspath(os.environ.get("STOCKADE", "target/release/stockade"))
    what = words.what or ["filesystem", "racer"]
    failed = False
    for user in [0, NOBODY] if os.geteuid() == 0 else [os.geteuid()]:
        for name in what:
            with tempfile.TemporaryDirectory(prefix="stockade-escape-") as top:
                place = Place(Path(top).resolve(), user, stockade)
                who = "root" if user == 0 else "an ordinary user"
                try:
                    said = filesystem(place) if name == "filesystem" else racer(place, words.seconds)
                    print(f"{who}: {name}: {said}", flush=True)
                except Wrong as wrong:
                    print(f"{who}: {name}: FAILED: {wrong}", flush=True)
                    failed = True
    sys.exit(failed)


class Place:
    """Two roots, and what is outside of them."""

    def __init__(self, top, user, stockade):
        self.top, self.user = top, user
        os.chmod(top, 0o755)
        for name in ["rw", "ro", "outside", "home", "state"]:
            (top / name).mkdir()
        self.rw, self.ro, self.outside = top / "rw", top / "ro", top / "outside"
        (self.outside / "canary").write_text(CANARY)
        (self.ro / "file").write_text("inside")
        (self.rw / "file").write_text("inside")
        # Where everybody may execute it.
        self.stockade = str(top / "stockade")
        shutil.copy(stockade, self.stockade)
        for path in [self.rw, self.ro, self.outside, top / "home", top / "state"]:
            os.chown(path, user, user)
        os.chown(self.outside / "canary", user, user)
        os.chown(self.ro / "file", user, user)
        os.chown(self.rw / "file", user, user)

    def start(self, command, **options):
        # What an ordinary user can execute, too.
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.top / "home")}
        env["XDG_STATE_HOME"] = str(self.top / "state")
        who = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        return subprocess.Popen(command, env=env, cwd="/", text=True, **who, **options)

    def sandbox(self, *command):
        roots = ["--root", f"{self.rw}:rw", "--root", str(self.ro)]
        return [self.stockade, "sandbox", "--allow-weaker", "memory", *roots, "--", *command]

    def guard(self, *command):
        roots = ["--root", f"{self.rw}:rw", "--root", str(self.ro)]
        return [self.stockade, "run", "--allow-weaker", "memory", *roots, "--", *command]


class Client:
    """Speaks to a server by lines."""

    def __init__(self, place, command):
        pipe = subprocess.PIPE
        self.child = place.start(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self.count = 0
        about = {"name": "escape", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}
        self.ask("initialize", params)
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def say(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def ask(self, method, params):
        self.count += 1
        self.say({"jsonrpc": "2.0", "id": self.count, "method": method, "params": params})
        while True:
            line = self.child.stdout.readline()
            if not line:
                raise Wrong(f"the server ended at {method} {params}: {self.child.wait()}")
            message = json.loads(line)
            if message.get("id") == self.count and "method" not in message:
                return message

    def call(self, tool, **arguments):
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def end(self):
        self.child.stdin.close()
        self.child.wait()


def succeeded(answer):
    return "result" in answer and not answer["result"].get("isError")


def filesystem(place):
    if not SERVER.exists():
        raise Wrong("not installed: run tests/partners/run.sh once")
    (place.rw / "link").symlink_to(place.outside / "canary")
    (place.ro / "link").symlink_to("../outside/canary")
    (place.rw / "linked").symlink_to(place.outside)
    modules = place.top / "modules"
    shutil.copytree(HERE.parent / "partners/node_modules", modules / "node_modules", symlinks=True)
    server = ["node", str(modules / SERVER.relative_to(HERE.parent / "partners")), "/"]
    said = []
    # Without a sandbox, what is tried must succeed, or nothing is shown.
    for name, command in [
        ("nothing", server), ("sandbox", place.sandbox(*server)), ("run", place.guard(*server))
    ]:
        client = Client(place, command)
        if name != "nothing":
            said.append(f"{name}: {inside(client, place)} tools work")
        count, out = outside(client, place)
        client.end()
        if name == "nothing" and len(out) < count:
            raise Wrong(f"without a sandbox, only {out} of {count} got out")
        if name != "nothing" and out:
            raise Wrong(f"{name}: got out: {out}")
        if name != "nothing":
            said[-1] += f", 0 of {count} attempts got out"
    return "; ".join(said)


def outside(client, place):
    """What is tried, and what of it succeeded."""
    canary, ro = place.outside / "canary", place.ro
    tried = [
        ("read_text_file", {"path": str(canary)}),
        ("read_file", {"path": str(place.rw / "../outside/canary")}),
        ("read_text_file", {"path": str(place.rw / "link")}),
        ("read_text_file", {"path": str(place.ro / "link")}),
        ("read_text_file", {"path": str(place.rw / "linked/canary")}),
        ("read_multiple_files", {"paths": [str(canary)]}),
        ("read_media_file", {"path": str(canary)}),
        ("read_text_file", {"path": f"/proc/self/root{canary}"}),
        ("list_directory", {"path": str(place.outside)}),
        ("list_directory_with_sizes", {"path": str(place.outside)}),
        ("directory_tree", {"path": str(place.outside)}),
        ("search_files", {"path": str(place.outside), "pattern": "canary"}),
        ("get_file_info", {"path": str(canary)}),
        ("write_file", {"path": str(place.outside / "made"), "content": "x"}),
        ("write_file", {"path": str(ro / "made"), "content": "x"}),
        ("write_file", {"path": str(ro / "file"), "content": "changed"}),
        ("edit_file", {"path": str(ro / "file"), "edits": [{"oldText": "changed", "newText": "x"}]}),
        ("create_directory", {"path": str(ro / "directory")}),
        ("move_file", {"source": str(ro / "file"), "destination": str(place.rw / "taken")}),
        ("move_file", {"source": str(canary), "destination": str(place.rw / "taken-canary")}),
    ]
    out = []
    for tool, arguments in tried:
        answer = client.call(tool, **arguments)
        text = json.dumps(answer)
        # Several files at once: one that cannot be read is said in the text.
        if tool == "read_multiple_files" and CANARY not in text:
            continue
        if succeeded(answer) or CANARY in text:
            out.append(f"{tool} {arguments}: {text[:200]}")
    restore(place)
    return len(tried), out


def restore(place):
    """As it was: only what nothing held has changed anything."""
    (place.outside / "canary").write_text(CANARY)
    (place.ro / "file").write_text("inside")
    for path in [place.outside / "made", place.ro / "made", place.rw / "taken", place.rw / "taken-canary"]:
        path.unlink(missing_ok=True)
    if (place.ro / "directory").exists():
        (place.ro / "directory").rmdir()
    for path in [place.outside / "canary", place.ro / "file"]:
        os.chown(path, place.user, place.user)


def inside(client, place):
    """Every tool, on what it may be used on."""
    rw = place.rw
    calls = {
        "write_file": {"path": str(rw / "made"), "content": "one\n"},
        "read_file": {"path": str(rw / "made")},
        "read_text_file": {"path": str(place.ro / "file")},
        "read_media_file": {"path": str(rw / "file")},
        "read_multiple_files": {"paths": [str(rw / "made"), str(place.ro / "file")]},
        "edit_file": {"path": str(rw / "made"), "edits": [{"oldText": "one", "newText": "two"}]},
        "create_directory": {"path": str(rw / "made-directory")},
        "list_directory": {"path": str(rw)},
        "list_directory_with_sizes": {"path": str(place.ro)},
        "directory_tree": {"path": str(place.ro)},
        "move_file": {"source": str(rw / "made"), "destination": str(rw / "made-directory/moved")},
        "search_files": {"path": str(rw), "pattern": "**/moved"},
        "get_file_info": {"path": str(rw / "made-directory/moved")},
        "list_allowed_directories": {},
    }
    offered = {it["name"] for it in client.ask("tools/list", {})["result"]["tools"]}
    if offered != set(calls):
        raise Wrong(f"other tools than these 14 are offered: {offered ^ set(calls)}")
    for tool, arguments in calls.items():
        answer = client.call(tool, **arguments)
        if not succeeded(answer):
            raise Wrong(f"{tool} does not work: {json.dumps(answer)[:300]}")
    moved = rw / "made-directory/moved"
    if moved.read_text() != "two\n":
        raise Wrong("what was written is not there")
    moved.unlink()
    (rw / "made-directory").rmdir()
    return len(calls)


def racer(place, seconds):
    racing = place.start(["python3", "-c", RACER, str(place.rw), str(place.outside)])
    try:
        # By itself the naive one loses within moments.
        lost = naive(place, [], min(seconds, 5))
        held = naive(place, place.sandbox()[:-1] + ["--"], seconds)
        reads, out = hardened(place, seconds)
        if racing.poll() is not None:
            raise Wrong(f"the racer ended by itself with {racing.returncode}")
    finally:
        racing.kill()
        racing.wait()
    if lost[1] == 0:
        raise Wrong(f"without a sandbox, the naive server did not lose once in {lost[0]} reads")
    if held[1] or out:
        raise Wrong(f"outside bytes: naive server {held[1]}, hardened server {out}")
    if not held[0] or not reads:
        raise Wrong(f"nothing was read: naive server {held[0]}, hardened server {reads}")
    return (
        f"in {seconds:g} s each, 0 outside bytes in {held[0]} reads of the naive server "
        f"({held[2]} refused) and in {reads} answers of the hardened one; without a sandbox the "
        f"naive one lost {lost[1]} of {lost[0]} times"
    )


def naive(place, before, seconds):
    """How often it read, how often from outside, and how often it was refused."""
    command = [*before, "python3", "-c", NAIVE, str(place.rw), str(seconds), CANARY]
    child = place.start(command, stdout=subprocess.PIPE)
    said = child.communicate()[0]
    if child.returncode:
        raise Wrong(f"the naive server ended with {child.returncode}")
    return [int(it) for it in said.split()]


def hardened(place, seconds):
    server = [place.stockade, "example", "hardened", "--root", str(place.rw)]
    client = Client(place, place.sandbox(*server))
    until, reads, out = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        for path in ["flip", "flipped/canary"]:
            answer = client.call("read_file", path=path)
            text = json.dumps(answer)
            out += CANARY in text
            reads += succeeded(answer)
    client.end()
    return reads, out


if __name__ == "__main__":
    main()
