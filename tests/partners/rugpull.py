"""A rug pull, played to the end against the official clients: a server is approved, is honest on the
first two lists, and then becomes another in one place. What is another must not arrive, and must not be
called; `lock diff` must show it, though the server is honest again when it is looked at; approved, it
must work.

Usage: STOCKADE=target/release/stockade tests/partners/run.sh --rug-pull
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
STOCKADE = os.environ["STOCKADE"]
CLIENTS = {
    "ts1": ["node", HERE / "clients/asks.mjs", "1"],
    "ts2": ["node", HERE / "clients/asks.mjs", "2"],
    "py legacy": [sys.executable, HERE / "clients/asks.py", "legacy"],
    "py auto": [sys.executable, HERE / "clients/asks.py", "auto"],
}
HONEST = {
    "identity": {"name": "turncoat", "version": "1.0.0"},
    "instructions": "Be kind.",
    "prompts": [{"name": "greet", "description": "Greets."}],
    "tools": [
        {"name": "other", "description": "Stays.", "inputSchema": {"type": "object"}},
        {
            "name": "work",
            "description": "Works.",
            "inputSchema": {
                "type": "object",
                "properties": {"text": {"type": "string", "default": "x"}},
            },
            "outputSchema": {"type": "object", "properties": {"done": {"type": "boolean"}}},
            "annotations": {"readOnlyHint": True},
            "icons": [{"src": "https://icons.example/w.png", "mimeType": "image/png"}],
        },
    ],
}
# What becomes another: where it is, what it is then, and what `lock diff` must call it.
CHANGES = {
    "a description": (["tools", 1, "description"], "Works!", "dangerous"),
    "a default": (["tools", 1, "inputSchema", "properties", "text", "default"], "y", "dangerous"),
    "an annotation": (["tools", 1, "annotations", "readOnlyHint"], False, "dangerous"),
    "an output schema": (
        ["tools", 1, "outputSchema", "properties", "done", "description"], "!", "dangerous"),
    "an icon": (["tools", 1, "icons", 0, "src"], "https://icons.example/v.png", "harmless"),
    "a prompt": (["prompts", 0, "description"], "Greets!", "dangerous"),
    "the instructions": (["instructions"], "Be kind!", "dangerous"),
    "the version": (["identity", "version"], "1.0.1", "harmless"),
}


class Wrong(Exception):
    """What was seen is not what was to be seen."""


class Client:
    def __init__(self, command, place):
        behind = [STOCKADE, "run", *place.options, "--", *place.server]
        self.process = subprocess.Popen(
            [*command, *behind], env=place.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def asks(self, *what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the client has ended"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Place:
    def __init__(self, directory):
        self.offers, self.calls = directory / "offers.json", directory / "calls"
        self.calls.touch()
        names = ("PATH", "LANG")
        self.env = {name: os.environ[name] for name in names if name in os.environ}
        self.env |= {"HOME": str(directory), "XDG_STATE_HOME": str(directory / "state")}
        # It reads and writes beside the clients, where no sandbox lets it.
        self.options = ["--server", "turncoat", "--sandbox", "none"]
        turncoat = str(HERE / "servers/turncoat.py")
        self.server = [sys.executable, turncoat, str(self.offers), str(self.calls)]

    def becomes(self, offers):
        new = self.offers.with_suffix(".new")
        new.write_text(json.dumps(offers))
        new.replace(self.offers)

    def lock(self, *words):
        command = [STOCKADE, "lock", *words, *self.options, "--", *self.server]
        done = subprocess.run(command, env=self.env, text=True, capture_output=True)
        return done.returncode, done.stdout + done.stderr


def must(holds, what, seen=""):
    if not holds:
        raise Wrong(f"{what}: {seen}")


def at(offers, path):
    for step in path:
        offers = offers[step]
    return offers


def changed(path, to):
    offers = copy.deepcopy(HONEST)
    at(offers, path[:-1])[path[-1]] = to
    return offers


def names(answer):
    return [it["name"] for it in answer.get("is", [])]


def play(command, path, to, called):
    with tempfile.TemporaryDirectory() as directory:
        place = Place(Path(directory))
        place.becomes(HONEST)
        code, said = place.lock()
        must(code == 0, "it is approved", said)
        other = changed(path, to)
        part = path[0]

        with Client(command, place) as client:
            for _ in range(2):
                must(names(client.asks("tools")) == ["other", "work"], "honest, it is listed")
            must("error" not in client.asks("call", "work"), "honest, it is called")
            place.calls.write_text("")
            place.becomes(other)
            if part == "tools":
                listed = client.asks("tools")
                must(names(listed) == ["other"], "the third list is without it", listed)
                answer = client.asks("call", "work")
                text = json.dumps(answer)
                must("is not what was approved" in text and called in text, "refused", answer)
                must("done" in json.dumps(client.asks("call", "other")), "the other works")
                must(place.calls.read_text() == "other\n", "the server was not asked")
            elif part == "prompts":
                listed = client.asks("prompts")
                must(names(listed) == [], "the list is without it", listed)
                must("is not what was approved" in json.dumps(client.asks("get", "greet")), "refused")
        if part in ("instructions", "identity"):
            with Client(command, place) as client:
                server, instructions = client.asks("who")["is"]
                must(instructions is None, "other instructions do not arrive", instructions)
                if part == "identity":
                    must(server["name"] == "stockade", "another server does not begin", server)
                    tools = client.asks("tools")
                    must(names(tools) == ["stockade_blocked"], "one tool says why", tools)
                    told = json.dumps(client.asks("call", "stockade_blocked"))
                    must("stockade lock approve" in told, "it says what to do", told)

        place.becomes(HONEST)
        code, said = place.lock("diff")
        must(code == 1 and called in said, "the difference is shown", said)
        code, said = place.lock("approve", "--yes")
        must(code == 0, "it is approved anew", said)
        place.becomes(other)
        with Client(command, place) as client:
            must(names(client.asks("tools")) == ["other", "work"], "approved, it is listed")
            must("error" not in client.asks("call", "work"), "approved, it is called")
            server, instructions = client.asks("who")["is"]
            must(instructions == other["instructions"], "approved, it says so", instructions)
            must(server["version"] == other["identity"]["version"], "approved, it is it", server)


def main():
    wrong = 0
    for client, command in CLIENTS.items():
        for what, (path, to, called) in CHANGES.items():
            try:
                play(list(map(str, command)), path, to, called)
                print(f"{client:10} {what:18} refused, shown, approved, works", flush=True)
            except (Wrong, subprocess.TimeoutExpired) as error:
                wrong += 1
                print(f"{client:10} {what:18} WRONG: {error}", flush=True)
    return 1 if wrong else 0


sys.exit(main())
