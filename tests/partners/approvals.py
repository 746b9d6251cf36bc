"""Approvals, played to the end with the official clients in front of a real server: a call that waits
for a person is allowed in the client's form, denied there, answered too late, and allowed from now on
in the terminal for a client that has no forms; by `stockade run`, and over HTTP by `stockade serve`. What
reaches the server is written down before it.

Usage: STOCKADE=target/release/stockade tests/partners/run.sh --approvals
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
STOCKADE = os.environ["STOCKADE"]
CLIENTS = {
    "ts1": ["node", HERE / "clients/asks.mjs", "1"],
    "ts2": ["node", HERE / "clients/asks.mjs", "2"],
    "ts2 auto": ["node", HERE / "clients/asks.mjs", "2-auto"],
    "py legacy": [sys.executable, HERE / "clients/asks.py", "legacy"],
    "py auto": [sys.executable, HERE / "clients/asks.py", "auto"],
}
# Those that speak 2026-07-28 where the server does, as these do.
MODERN = ("ts2 auto", "py auto")
SERVERS = {
    "partner.py": [sys.executable, str(HERE / "servers/partner.py"), "mcp", "stdio"],
    "partner.mjs": ["node", str(HERE / "servers/partner.mjs"), "stdio"],
}
POLICY = """
default = "allow"
[[tools]]
effect = "ask"
tool = "echo"
[approvals]
client = true
[limits]
approval_timeout_s = 4
"""
ALLOW = {"action": "accept", "content": {"decision": "allow once"}}
DENY = {"action": "accept", "content": {"decision": "deny"}}


class Wrong(Exception):
    """What was seen is not what was to be seen."""


def must(holds, what, seen=""):
    if not holds:
        raise Wrong(f"{what}: {seen}")


class Place:
    def __init__(self, directory, server, over_http):
        self.heard = directory / "heard"
        self.heard.touch()
        policy = directory / "policy.toml"
        policy.write_text(POLICY)
        names = ("PATH", "LANG")
        self.env = {name: os.environ[name] for name in names if name in os.environ}
        self.env |= {"HOME": str(directory), "XDG_STATE_HOME": str(directory / "state")}
        options = ["--policy", str(policy), "--server", "partner", "--sandbox", "none"]
        # What the server is sent, to the letter, before it gets it.
        noted = ["bash", "-c", 'tee -a "$0" | "$@"', str(self.heard), *server]
        self.gateway = None
        if not over_http:
            self.guarded = [STOCKADE, "run", *options, "--", *noted]
            return
        serve = [STOCKADE, "serve", "--listen", "127.0.0.1:0", *options, "--", *noted]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.gateway = subprocess.Popen(serve, env=self.env, text=True, **pipes)
        address, key = self.gateway.stdout.readline(), self.gateway.stdout.readline()
        self.env["KEY"] = key.split()[-1]
        self.guarded = [address.split()[-1]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.gateway:
            self.gateway.terminate()
            self.gateway.wait(timeout=30)

    def calls(self):
        """The texts that the server was to echo."""
        heard = [json.loads(it) for it in self.heard.read_text().splitlines()]
        calls = [it["params"] for it in heard if it.get("method") == "tools/call"]
        must(not any("stockade" in json.dumps(it) for it in calls), "nothing of the question", calls)
        return [it["arguments"]["text"] for it in calls]

    def approvals(self, *words):
        command = [STOCKADE, "approvals", *words]
        done = subprocess.run(command, env=self.env, text=True, capture_output=True)
        must(done.returncode == 0, f"approvals {words}", done.stderr)
        return done.stdout

    def question(self):
        for _ in range(100):
            waiting = json.loads(self.approvals("list", "--format", "json"))
            if waiting:
                return waiting[0]["id"]
            time.sleep(0.05)
        raise Wrong("no question waits")

    def records(self):
        command = [STOCKADE, "audit", "query", "--format", "json", "--kind", "decision"]
        done = subprocess.run(command, env=self.env, text=True, capture_output=True)
        must(done.returncode == 0, "the ledger is read", done.stderr)
        return [json.loads(it) for it in done.stdout.splitlines()]


class Client:
    def __init__(self, command, place, forms):
        env = place.env | ({"FORMS": "1"} if forms else {})
        self.process = subprocess.Popen(
            [*command, *place.guarded], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def begins(self, *what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def ends(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the client has ended"}

    def asks(self, *what):
        self.begins(*what)
        return self.ends()

    def echo(self, text):
        self.begins("call", "echo", {"text": text})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def is_text(answer, text):
    content = answer.get("is", {}).get("content", [])
    return [it.get("text") for it in content] == [text] and not answer["is"].get("isError")


def play_forms(command, place, modern):
    with Client(command, place, forms=True) as client:
        client.asks("tools")
        client.asks("says", ALLOW, 0)
        client.echo("first")
        answer = client.ends()
        must(is_text(answer, "first"), "allowed, it is done", answer)
        shown = client.asks("says", DENY, 0)["is"]
        must(len(shown) == 1 and '"text": "first"' in shown[0], "all of it was shown, once", shown)
        client.echo("second")
        answer = client.ends()
        must("said no" in json.dumps(answer), "denied, it is not", answer)
        client.asks("says", ALLOW, 6)
        client.echo("third")
        answer = client.ends()
        # What is answered then is the call that comes again, too late.
        late = "requestState" if modern else "in time"
        must(late in json.dumps(answer), "answered too late, it is not", answer)
        shown = client.asks("says", {"action": "cancel"}, 0)["is"]
        must(len(shown) == 1, "it was asked", shown)
        client.echo("fourth")
        answer = client.ends()
        must("said no" in json.dumps(answer), "dismissed, it is not", answer)
    must(place.calls() == ["first"], "the server was sent", place.calls())
    # The newest comes first.
    by = [it["decision"] for it in place.records()[::-1] if it.get("channel") == "client"]
    must(by == ["allow", "deny", "deny"], "who has answered is written down", by)


def play_terminal(command, place):
    before = len(place.calls())
    with Client(command, place, forms=False) as client:
        client.asks("tools")
        client.echo("fifth")
        place.approvals("allow", place.question(), "--always")
        must(is_text(client.ends(), "fifth"), "allowed in the terminal, it is done")
        client.echo("fifth")
        must(is_text(client.ends(), "fifth"), "and from now on")
        client.echo("sixth")
        place.approvals("deny", place.question())
        must("said no" in json.dumps(client.ends()), "another is asked about")
        client.echo("seventh")
        answer = client.ends()
        must("in time" in json.dumps(answer), "nobody has answered", answer)
    must(place.calls()[before:] == ["fifth", "fifth"], "the server was sent", place.calls())


def played(one):
    """Plays one client before one server; says what is wrong, or nothing."""
    (server, behind), (client, command), over_http = one
    what = f"{client:10} {server:12} {'http' if over_http else 'lines':6}"
    try:
        with (
            tempfile.TemporaryDirectory() as directory,
            Place(Path(directory), behind, over_http) as place,
        ):
            command = list(map(str, command))
            play_forms(command, place, client in MODERN)
            play_terminal(command, place)
    except (Wrong, subprocess.TimeoutExpired) as error:
        return what, f"WRONG: {error}"
    return what, None


def main():
    plays = itertools.product(SERVERS.items(), CLIENTS.items(), (False, True))
    wrong = 0
    # Each has a place of its own, and waits most of the time.
    with ThreadPoolExecutor(4) as pool:
        for what, problem in pool.map(played, plays):
            wrong += problem is not None
            print(what, problem or "allowed, denied, too late, dismissed; granted", flush=True)
    return 1 if wrong else 0


sys.exit(main())
