"""Ten real servers do honest work, with the rules and without: what comes back must be the same.

Each server runs twice in the same sandbox, on the same files: by `stockade sandbox`, where nobody
reads what is said, and by `stockade run` with the policy of a user who has written none. A call that
is refused, an answer that is mended, a tool that is not listed is a false alarm, and fails. What the
rules noted without doing anything about it is printed at the end.

    STOCKADE=target/debug/stockade tests/servers/run.sh [SERVER…]
"""

import argparse
import collections
import functools
import http.server
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from plans import FAILS, HOST, SERVERS, VOLATILE  # noqa: E402  (its place depends on HERE)

ANSWER_SECONDS = 60
DAY = "2026-01-02T03:04:05+00:00"
REVISION = "2025-06-18"
MARKS = re.compile(r"<untrusted-[0-9a-f]+>\[[^\]]*\]\n(.*)\n</untrusted-[0-9a-f]+>", re.DOTALL)
MENDED = re.compile(r"\[redacted|\[removed|\bstockade\b|rule `", re.IGNORECASE)


class Ended(Exception):
    """The server said nothing more."""


class Conversation:
    """A client that speaks to a process, one request at a time."""

    def __init__(self, command, env, log):
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, text=True
        )
        self.lines, self.last = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def send(self, message):
        self.child.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.child.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        while True:
            try:
                line = self.lines.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                raise Ended(f"{method}: no answer in {ANSWER_SECONDS} s") from None
            if line is None:
                raise Ended(f"{method}: the server has ended")
            message = json.loads(line)
            if message.get("id") == self.last and "method" not in message:
                return message.get("result", {"error": message.get("error")})
            if "id" in message:
                self.send({"id": message["id"], "error": {"code": -32601, "message": "not here"}})

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise


def listed(conversation, capabilities, what):
    """A whole listing, page by page."""
    found, cursor = [], None
    while capabilities.get(what) is not None:
        page = conversation.ask(f"{what}/list", {"cursor": cursor} if cursor else {})
        found += page.get(what, [page])
        cursor = page.get("nextCursor")
        if not cursor:
            break
    return found


def play(command, env, log, plan, fill):
    """All that a server offers and answers, as (what was asked, its marks, what came)."""
    conversation = Conversation(command, env, log)
    seen = []
    try:
        client = {"name": "ten", "version": "1"}
        begun = conversation.ask(
            "initialize", {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client}
        )
        conversation.send({"method": "notifications/initialized"})
        seen.append(("initialize", (), begun))
        capabilities = begun.get("capabilities", {})
        for what in ("tools", "prompts", "resources"):
            items = listed(conversation, capabilities, what)
            seen += [(f"{what}/list", (), item) for item in items]
            if plan.get("reads") and what == "resources":
                for item in items[:10]:
                    got = conversation.ask("resources/read", {"uri": item["uri"]})
                    seen.append((f"resources/read {item['uri']}", (VOLATILE,), got))
        answers = []
        for tool, arguments, *marks in plan["calls"]:
            arguments = arguments(answers) if callable(arguments) else fill(arguments)
            answers.append(conversation.ask("tools/call", {"name": tool, "arguments": arguments}))
            seen.append((f"{tool} {json.dumps(arguments)[:100]}", marks, answers[-1]))
    except Ended as error:
        seen.append((str(error), (), {"ended": True}))
    finally:
        conversation.end()
    return seen


def ground(root, repository):
    """The files that every run begins with."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(HERE / "ground", root)
    if repository:
        env = {**os.environ, "GIT_AUTHOR_DATE": DAY, "GIT_COMMITTER_DATE": DAY, "GIT_CONFIG_GLOBAL": os.devnull}
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@ferry.example"]
        git = functools.partial(subprocess.run, cwd=root, env=env, check=True, capture_output=True)
        git(["git", "init", "--initial-branch", "main"])
        git(["git", "config", "user.name", "Ada"])
        git(["git", "config", "user.email", "ada@ferry.example"])
        git(["git", "add", "README.md", "languages.txt"])
        git(["git", *who, "commit", "-m", "Begin"])
        git(["git", "add", "."])
        git(["git", *who, "commit", "-m", "Carry messages\n\nSigned-off-by: Ada <ada@ferry.example>"])
        with open(root / "ferry.py", "a", encoding="utf-8") as file:
            file.write("\n# changed\n")
    for path in [root, *root.rglob("*")]:
        if path.exists() and not path.is_symlink():
            os.utime(path, (1767323045, 1767323045))


def shape(value):
    """What stays the same where the words do not."""
    if isinstance(value, dict):
        return {key: shape(it) for key, it in value.items() if key != "_meta"}
    if isinstance(value, list):
        return [shape(it) for it in value]
    return type(value).__name__ if isinstance(value, (str, int, float)) and not isinstance(value, bool) else value


def unmarked(value):
    """What was said between the marks that the rules put around what may be an instruction."""
    if isinstance(value, dict):
        return {key: unmarked(it) for key, it in value.items()}
    if isinstance(value, list):
        return [unmarked(it) for it in value]
    return MARKS.sub(r"\1", value) if isinstance(value, str) else value


def differences(plain, guarded):
    """Where the two runs are not the same, in words."""
    nothing = ("nothing", (), None)
    for one, two in itertools.zip_longest(plain, guarded, fillvalue=nothing):
        asked, marks, without = one
        said = f"{asked}\n      without: {json.dumps(without)[:600]}\n      with:    {json.dumps(two[2])[:600]}"
        if VOLATILE not in marks:
            same = without == unmarked(two[2])
        else:
            mended = MENDED.search(json.dumps(two[2])) and not MENDED.search(json.dumps(without))
            same = shape(without) == shape(two[2]) and not mended
        if not same:
            yield said
        # An honest call that never worked would show nothing.
        elif bool(without.get("isError")) != (FAILS in marks):
            yield f"it {'works' if FAILS in marks else 'does not work'} without the rules: {said}"


def noted(stockade, state):
    """What the rules saw, and how often."""
    command = [stockade, "audit", "query", "--state", state, "--format", "json", "--limit", "100000"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = collections.Counter()
    for line in said.splitlines():
        record = json.loads(line)
        record = record.get("record", record)
        for it in record.get("findings", []):
            where = record.get("tool") or record.get("method") or "?"
            found[it["rule"], it.get("severity", ""), where, it.get("action", "")] += 1
    return found


class Pages(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("servers", nargs="*", metavar="SERVER", help="only these")
    options = parser.parse_args()
    stockade = os.path.abspath(os.environ["STOCKADE"])
    if unknown := set(options.servers) - set(SERVERS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}")
    pages = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Pages, directory=HERE / "ground")
    )
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    port = pages.server_address[1]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    failed, calls, flagged = [], 0, collections.Counter()
    with tempfile.TemporaryDirectory(prefix="stockade-servers-") as top:
        root = Path(top) / "work"
        # Run by root, a server is nobody, and gets there.
        os.chmod(top, 0o755)
        names = {"root": str(root), "port": port, "page": f"http://{HOST}:{port}", "chromium": chromium}

        def fill(value):
            if isinstance(value, str):
                return re.sub(r"\{(root|port|page|chromium)\}", lambda it: str(names[it[1]]), value)
            if isinstance(value, list):
                return [fill(it) for it in value]
            return {key: fill(it) for key, it in value.items()} if isinstance(value, dict) else value

        for name, plan in SERVERS.items():
            if options.servers and name not in options.servers:
                continue
            if plan.get("needs") == "chromium" and not chromium:
                print(f"{name}: not run here: missing: chromium")
                continue
            env = {**os.environ, "XDG_CONFIG_HOME": top, **fill(plan.get("env", {}))}
            policy = Path(top, "stockade", "stockade.toml")
            policy.unlink(missing_ok=True)
            if "policy" in plan:
                policy.parent.mkdir(exist_ok=True)
                policy.write_text(plan["policy"], encoding="utf-8")
            state = f"{top}/state-{name}"
            behind = [*fill(plan["options"]), "--", *(fill(str(it)) for it in plan["command"])]
            runs = {}
            for verb in ("sandbox", "run"):
                ground(root, plan.get("repository"))
                shared = ["--state", state] if verb == "run" else []
                direct = verb == "sandbox" and "none" in plan["options"]
                command = behind[behind.index("--") + 1:] if direct else [stockade, verb, *shared, *behind]
                with open(f"{top}/{name}-{verb}.log", "w", encoding="utf-8") as log:
                    runs[verb] = play(command, env, log, plan, fill)
            different = list(differences(runs["sandbox"], runs["run"]))
            ended = [it for it in runs["sandbox"] if it[2] == {"ended": True}]
            answered = len(runs["run"])
            calls += answered
            if ended:
                log = Path(f"{top}/{name}-sandbox.log").read_text(encoding="utf-8", errors="replace")
                different.append(f"without the rules it does not work: {ended[0][0]}\n{log[-1500:]}")
            print(f"{name}: {answered} answers, {'the same' if not different else 'NOT the same'}")
            for it in different:
                print(f"    {it}")
            failed += [name] if different else []
            for key, count in noted(stockade, state).items():
                flagged[(name, *key)] += count
    print(f"\n{calls} answers of honest servers. What the rules noted, and let pass or mended:")
    for (name, rule, severity, where, action), count in sorted(flagged.items()):
        print(f"    {name:<20} {rule} ({severity}{', ' + action if action else ''}) {where}: {count}")
    if not flagged:
        print("    nothing")
    if failed:
        print(f"not the same: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
