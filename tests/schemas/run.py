"""JSON Schema's official test suite, put to Stockade as calls of tools.

Every group of the suite becomes a tool whose argument `v` has the group's schema, and every test of
it a call: what the suite calls valid must reach the server, and what it calls invalid must be
refused as a mismatch. What Stockade refuses by design is in `refused.json`, with the reason; an
entry that is not needed is a failure too. It installs nothing: `run.sh` does.
"""

import argparse
import collections
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE / "suite" / "json" / "tests"
REFUSED = HERE / "refused.json"
DIALECTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
# In these, `$ref` is all that counts in a schema, and what is beside it is not looked at.
REF_ALONE = ["draft4", "draft6", "draft7"]
# So many calls are sent before their answers are read.
AT_ONCE = 25
MISMATCH = "does not satisfy"


def groups(dialect, optional):
    """`(file, group)` of a dialect."""
    files = sorted(TESTS.joinpath(dialect).glob("*.json"))
    if optional:
        # Not `optional/format/`: whether a format is checked is left open by the specification.
        files += sorted(TESTS.joinpath(dialect, "optional").glob("*.json"))
    for file in files:
        for group in json.loads(file.read_text()):
            yield str(file.relative_to(TESTS / dialect)), group


def tool(name, dialect, schema):
    """A tool whose argument `v` has `schema`, which stays a schema of its own: `#` is in it."""
    own = "id" if dialect == "draft4" else "$id"
    base = f"https://suite.example/{name}"
    if isinstance(schema, dict) and dialect in REF_ALONE and "$ref" in schema:
        # Beside a `$ref`, an `$id` would not count. One level deeper it need not.
        definitions = {it: schema[it] for it in ["definitions", "$defs"] if it in schema}
        schema = {own: base, **definitions, "allOf": [schema]}
    elif isinstance(schema, dict) and own not in schema:
        schema = {own: base, **schema}
    whole = {"$schema": DIALECTS[dialect], "type": "object", "properties": {"v": schema}}
    return {"name": name, "inputSchema": whole}


def serve(file):
    """Is a server with the tools of `file`. It answers every call that reaches it."""
    info = {"capabilities": {"tools": {}}, "serverInfo": {"name": "suite", "version": "1"}}
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        method, params = message["method"], message.get("params", {})
        result = {
            "initialize": lambda: {"protocolVersion": params["protocolVersion"], **info},
            "tools/list": lambda: {"tools": json.loads(Path(file).read_text())},
            "tools/call": lambda: {"content": [{"type": "text", "text": "reached"}]},
        }[method]()
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


class Guarded:
    """Stockade in front of such a server, and its client."""

    def __init__(self, tools, directory):
        listing = Path(directory) / "tools.json"
        listing.write_text(json.dumps(tools))
        self.log = open(Path(directory) / "stderr.log", "wb")
        policy = HERE / "policy.toml"
        self.child = subprocess.Popen(
            # What is shown is the guard: the server reads its listing from wherever it is.
            [os.environ["STOCKADE"], "run", "--policy", policy, "--state", Path(directory) / "state",
             "--sandbox", "none", "--", sys.executable, __file__, "--serve", listing],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        info = {"name": "suite", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info})
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        # Without a listing there is no schema, and everything would pass.
        self.refusal = self.ask("tools/list", {}).get("error", {}).get("message")

    def say(self, message):
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def ask(self, method, params):
        self.say({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
        return self.answers(1)[method]

    def answers(self, count):
        found = {}
        while len(found) < count:
            line = self.child.stdout.readline()
            if not line:
                sys.exit(f"stockade ended: {Path(self.log.name).read_text()[-2000:]}")
            message = json.loads(line)
            if "method" not in message:
                found[message["id"]] = message
        return found

    def verdicts(self, calls):
        """What each call came to, in order."""
        for start in range(0, len(calls), AT_ONCE):
            some = calls[start:start + AT_ONCE]
            for number, (name, value) in enumerate(some):
                params = {"name": name, "arguments": {"v": value}}
                self.say({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
            found = self.answers(len(some))
            yield from (verdict(found[number]) for number in range(len(some)))

    def end(self):
        self.child.stdin.close()
        self.child.wait()
        self.log.close()


def verdict(answer):
    """`valid`, `invalid`, or why there is neither."""
    if answer.get("result", {}).get("isError"):
        text = answer["result"]["content"][0]["text"]
        return "invalid" if MISMATCH in text else text
    return "valid" if "result" in answer else json.dumps(answer["error"])


def run(dialect, optional):
    """`(where, expected, got)` for every test of a dialect."""
    waiting, found = [list(groups(dialect, optional))], []
    while waiting:
        some = waiting.pop()
        tools = [tool(f"t{number}", dialect, group["schema"]) for number, (_, group) in enumerate(some)]
        tests = [(f"t{number}", file, group, test)
                 for number, (file, group) in enumerate(some) for test in group["tests"]]
        with tempfile.TemporaryDirectory(prefix="schemas-") as directory:
            guarded = Guarded(tools, directory)
            # A listing in which too much is to be mended is refused whole: then, in two parts.
            if guarded.refusal and len(some) > 1:
                waiting += [some[len(some) // 2:], some[:len(some) // 2]]
                guarded.end()
                continue
            got = [guarded.refusal] * len(tests) if guarded.refusal else list(
                guarded.verdicts([(name, test["data"]) for name, _, _, test in tests]))
            guarded.end()
        for (_, file, group, test), it in zip(tests, got):
            where = [dialect, file, group["description"], test["description"]]
            found.append((where, "valid" if test["valid"] else "invalid", it))
    return found


def foreseen(refused, where):
    """The number of the entry that says of a test that it is refused."""
    for number, it in enumerate(refused):
        names = zip(where, [it["dialect"], it["file"], it["group"], it.get("test", "*")])
        if all(pattern == "*" or fnmatch.fnmatchcase(name, pattern) for name, pattern in names):
            return number
    return None


def main():
    options = arguments()
    refused = json.loads(REFUSED.read_text())
    met, wrong = collections.Counter(), []
    for dialect in options.dialects or DIALECTS:
        start = time.monotonic()
        counts = collections.Counter()
        for where, expected, got in run(dialect, not options.required):
            kind = "optional" if where[1].startswith("optional/") else "required"
            counts[kind] += 1
            if got == expected:
                counts[f"{kind} right"] += 1
                continue
            entry = foreseen(refused, where)
            # What is listed is refused. Nothing that the suite calls invalid may pass.
            if entry is not None and got not in ("valid", "invalid"):
                met[entry] += 1
                counts["refused"] += 1
            else:
                wrong.append(f"{' / '.join(where)}: {expected}, but {got}")
        parts = [f"{kind} {counts[f'{kind} right']}/{counts[kind]}" for kind in ("required", "optional")]
        print(f"{dialect}: {', '.join(parts)}, refused by design {counts['refused']}, "
              f"{time.monotonic() - start:.1f} s", flush=True)
    for it in wrong:
        print(f"wrong: {it}")
    stale = [] if options.dialects or options.required else [it for n, it in enumerate(refused) if not met[n]]
    for it in stale:
        print(f"stale: {json.dumps(it)}")
    sys.exit(1 if wrong or stale else 0)


def arguments():
    parser = argparse.ArgumentParser(description="JSON Schema's official test suite, through Stockade.")
    parser.add_argument("--required", action="store_true", help="leave out what the suite calls optional")
    parser.add_argument("--serve", metavar="FILE", help="be the server of these tools")
    parser.add_argument("dialects", nargs="*", metavar="DIALECT", help=", ".join(DIALECTS))
    options = parser.parse_args()
    if unknown := set(options.dialects) - {*DIALECTS}:
        parser.error(f"no {', '.join(unknown)}")
    return options


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        main()
