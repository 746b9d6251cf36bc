"""Real clients against real servers, directly and through Stockade, step by step.

Each client program plays a fixed list of steps and prints one JSON line for each. This runner
starts every client against every server over every route, and compares: what a client sees through
Stockade must be what it sees without. Without STOCKADE in the environment there is nothing to
compare, and the steps that work directly are listed. It installs nothing: `run.sh` does.
"""

import argparse
import asyncio
import collections
import fnmatch
import hashlib
import itertools
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = str(HERE / ".venv" / "bin" / "python")
NODE = shutil.which("node") or "node"
RUN_SECONDS = 150
READY_SECONDS = 30
NOTES_MAX = 40

sys.path.insert(0, str(HERE))
import guard  # noqa: E402  (its place depends on HERE)

CLIENTS = {
    "ts1": [NODE, "clients/ts1.mjs", "legacy"],
    "ts2-legacy": [NODE, "clients/ts2.mjs", "legacy"],
    "ts2-auto": [NODE, "clients/ts2.mjs", "auto"],
    "py-legacy": [PYTHON, "clients/py.py", "legacy"],
    "py-auto": [PYTHON, "clients/py.py", "auto"],
}
MODULES = "node_modules/@modelcontextprotocol"
SERVERS = {
    "filesystem": {
        "plan": "filesystem",
        "stdio": [NODE, f"{MODULES}/server-filesystem/dist/index.js", "{root}"],
        "options": ["--root", "{root}:rw"],
    },
    "everything": {
        "plan": "everything",
        "stdio": [NODE, f"{MODULES}/server-everything/dist/index.js", "stdio"],
        "http": [NODE, f"{MODULES}/server-everything/dist/index.js", "streamableHttp"],
        "sse": [NODE, f"{MODULES}/server-everything/dist/index.js", "sse"],
    },
    "ts2": {
        "plan": "partner",
        "stdio": [NODE, "servers/partner.mjs", "stdio"],
        "http": [NODE, "servers/partner.mjs", "http", "{port}"],
    },
    "py": {
        "plan": "partner",
        "stdio": [PYTHON, "servers/partner.py", "mcp", "stdio"],
        "http": [PYTHON, "servers/partner.py", "mcp", "http", "{port}"],
    },
    "fastmcp": {
        "plan": "partner",
        "stdio": [PYTHON, "servers/partner.py", "fastmcp", "stdio"],
        "http": [PYTHON, "servers/partner.py", "fastmcp", "http", "{port}"],
    },
}
QUICK = {"clients": ["ts2-auto", "py-legacy"], "servers": ["filesystem", "ts2"]}

# A route's name, how the client speaks, how the server speaks.
DIRECT = {"direct-stdio": ("stdio", "stdio"), "direct-http": ("http", "http"), "direct-sse": ("sse", "sse")}
GUARDED = {
    "run-stdio": ("stdio", "stdio"),
    "run-upstream": ("stdio", "http"),
    "run-sse": ("stdio", "sse"),
    "serve-stdio": ("http", "stdio"),
    "serve-http": ("http", "http"),
    "serve-sse": ("http", "sse"),
    "sse-stdio": ("sse", "stdio"),
    "sse-http": ("sse", "http"),
    "sse-sse": ("sse", "sse"),
}
# HTTP+SSE is of the legacy era.
ADDRESS = {"http": "/mcp", "sse": "/sse"}
SSE_CLIENTS = ["ts1", "ts2-legacy", "py-legacy"]

# What differs from run to run and means nothing.
NOISE = [
    (re.compile(r"127\.0\.0\.1:\d+"), "{address}"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "{uuid}"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)"), "{time}"),
    (re.compile(r"\d{1,2}:\d\d:\d\d [AP]M"), "{time}"),
]


class Bench:
    """Everything that runs during one test run, and the directory it may write to."""

    def __init__(self, directory, stockade, policy):
        self.directory = Path(directory)
        self.stockade = guard.Stockade(stockade, policy, self.directory / "state") if stockade else None
        self.slots = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        self.stop = []

    async def results(self, client, server, route):
        """The steps of one client with one server over one route: `{step: {ok, detail}}`."""
        client_side, server_side = (DIRECT | GUARDED)[route]
        root = self.root(f"{client}-{server}-{route}")
        fill = {"root": str(root)}
        plan = root.with_suffix(".json")
        plan.write_text(filled((HERE / "plans" / f"{SERVERS[server]['plan']}.json").read_text(), fill))
        command = [filled(it, fill) for it in SERVERS[server]["stdio"]]
        options = [filled(it, fill) for it in SERVERS[server].get("options", [])]
        key = None
        async with self.slots:
            if server_side != "stdio":
                upstream = await self.http_server(server, server_side)
            if route in DIRECT:
                target = command if server_side == "stdio" else [upstream]
            elif client_side == "stdio":
                behind = ["--", *command] if server_side == "stdio" else ["--upstream", upstream]
                target = self.stockade.run(options, behind)
            else:
                behind = ["--", *command] if server_side == "stdio" else ["--upstream", upstream]
                gateway = await self.stockade.serve(options, behind, root.with_suffix(".log"))
                self.stop.append(gateway.stop)
                target, key = [gateway.url.replace(ADDRESS["http"], ADDRESS[client_side])], gateway.key
            log = root.with_suffix(".err")
            steps = await self.play(client, [str(plan), client_side, *target], key, log)
        return {name: settled(it, root) for name, it in steps.items()}

    async def play(self, client, arguments, key, log):
        env = {**os.environ, "XDG_STATE_HOME": str(self.directory / "state")}
        if key:
            env["PARTNER_KEY"] = key
        with open(log, "wb") as errors:
            child = await asyncio.create_subprocess_exec(
                *CLIENTS[client], *arguments,
                cwd=HERE, env=env, stdout=asyncio.subprocess.PIPE, stderr=errors, limit=1 << 26,
                start_new_session=True,
            )
            try:
                output, _ = await asyncio.wait_for(child.communicate(), RUN_SECONDS)
            finally:
                guard.end_group(child.pid)
        try:
            lines = [json.loads(line) for line in output.splitlines()]
        except ValueError:
            raise guard.Unready(f"the client printed {output[-300:]!r}") from None
        return {it["step"]: {"ok": it["ok"], "detail": it["detail"]} for it in lines}

    async def http_server(self, server, side):
        """A server of its own, so that no client sees what another has left behind."""
        port = free_port()
        command = [filled(it, {"port": str(port)}) for it in SERVERS[server][side]]
        log = open(self.directory / f"{server}-{port}.log", "wb")
        child = await asyncio.create_subprocess_exec(
            *command, cwd=HERE, env={**os.environ, "PORT": str(port)},
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )
        log.close()
        self.stop.append(lambda: guard.end(child))
        await guard.answers(port, READY_SECONDS)
        return f"http://127.0.0.1:{port}{ADDRESS[side]}"

    def root(self, name):
        root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory)) / "root"
        root.mkdir()
        (root / "hello.txt").write_text("hello\n")
        (root / "link").symlink_to("/etc/hostname")
        return root


def filled(text, values):
    return re.sub(r"\{(root|port)\}", lambda it: values.get(it[1], it[0]), text)


def settled(step, root):
    """A step's result without what differs from run to run."""
    text = json.dumps(step).replace(str(root), "{root}")
    for pattern, name in NOISE:
        text = pattern.sub(name, text)
    return json.loads(text)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def differences(baselines, guarded):
    """`(step, what)` for each step that is the same as in none of the direct runs."""
    direct = baselines[0]
    for step in [*direct, *(it for it in guarded if it not in direct)]:
        if step not in guarded:
            yield step, "missing through stockade"
        elif step not in direct:
            yield step, f"only through stockade: {short(guarded[step])}"
        elif all(guarded[step] != it.get(step) for it in baselines):
            place, was, now = first_difference(direct[step], guarded[step])
            yield step, f"at {place or '/'}: direct {short(was)}, through stockade {short(now)}"


def first_difference(a, b, place=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(it for it in b if it not in a)]:
            if a.get(key, ...) != b.get(key, ...):
                return first_difference(a.get(key, ...), b.get(key, ...), f"{place}/{key}")
    if isinstance(a, list) and isinstance(b, list):
        for n, (x, y) in enumerate(itertools.zip_longest(a, b, fillvalue=...)):
            if x != y:
                return first_difference(x, y, f"{place}/{n}")
    return place, a, b


def short(value):
    text = "nothing" if value is ... else json.dumps(value, ensure_ascii=False)
    if len(text) <= 160:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[:140]}… ({len(text)} characters, {digest})"


def table(rows):
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def can(client, server, route):
    sides = (DIRECT | GUARDED)[route]
    return sides[1] in SERVERS[server] and ("sse" not in sides or client in SSE_CLIENTS)


async def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="partners-") as directory:
        bench = Bench(directory, os.environ.get("STOCKADE"), options.policy)
        try:
            found = await everything(bench, options)
        finally:
            for stop in reversed(bench.stop):
                await stop()
        if options.keep:
            shutil.copytree(directory, options.keep, dirs_exist_ok=True, symlinks=True)
    if options.json:
        Path(options.json).write_text(json.dumps(
            {" ".join(key): value for key, value in found.items()}, indent=1, ensure_ascii=False))
    sys.exit(report(found, options))


async def everything(bench, options):
    routes = options.routes or [*DIRECT, *(GUARDED if bench.stockade else [])]
    runs = [
        (client, server, route)
        for server in options.servers
        for route in routes
        for client in options.clients
        if can(client, server, route)
    ]
    if options.twice:
        runs += [run for run in runs if run[2] in DIRECT]
    results = await asyncio.gather(*(attempt(bench, *run) for run in runs))
    found = {}
    for run, result in zip(runs, results):
        name = (run[0], run[1], "again-" + run[2].removeprefix("direct-")) if run in found else run
        found[name] = result
    return found


async def attempt(bench, client, server, route):
    try:
        return await bench.results(client, server, route)
    except (guard.Unready, OSError, asyncio.TimeoutError) as error:
        return {"start": {"ok": False, "detail": f"{type(error).__name__}: {error}"}}


# What a route must be the same as. Where Stockade changes the transport, the SDK on one side sees the
# one and the SDK on the other side the other (an HTTP status, say), so either is right.
BASELINES = {
    "again-stdio": ["direct-stdio"], "again-http": ["direct-http"], "again-sse": ["direct-sse"],
    "run-stdio": ["direct-stdio"], "serve-http": ["direct-http"], "sse-sse": ["direct-sse"],
    "run-upstream": ["direct-http", "direct-stdio"], "serve-stdio": ["direct-stdio", "direct-http"],
    "run-sse": ["direct-sse", "direct-stdio"], "sse-stdio": ["direct-stdio", "direct-sse"],
    "serve-sse": ["direct-sse", "direct-http"], "sse-http": ["direct-http", "direct-sse"],
}


def report(found, options):
    """Prints the table and the differences; the exit code."""
    routes = list(dict.fromkeys(route for _, _, route in found))
    intended = json.loads(options.intended.read_text())
    met = collections.Counter()
    rows, notes = [["client", "server", *routes]], []
    for client, server in dict.fromkeys((client, server) for client, server, _ in found):
        row = [client, server]
        for route in routes:
            steps = found.get((client, server, route))
            direct = [found.get((client, server, it)) for it in BASELINES.get(route, [])]
            if steps is None:
                row.append("–")
            elif route in DIRECT:
                row.append(f"{sum(it['ok'] for it in steps.values())}/{len(steps)}")
            else:
                direct = [it for it in direct if it]
                unlike = list(differences(direct, steps)) if started(steps) else []
                news = [it for it in unlike if not foreseen(intended, met, client, server, route, it[0])]
                notes += [f"{client} → {server}, {route}, {step}: {what}" for step, what in news]
                steps_due = len(direct[0])
                same = steps_due - len([it for it in unlike if it[0] in direct[0]]) if started(steps) else 0
                row.append(f"{same}/{steps_due}{' ✗' if news else ''}")
        rows.append(row)
    table(rows)
    stale = [it for n, it in enumerate(intended) if not met[n]] if complete(options) else []
    for note in notes[:NOTES_MAX]:
        print(f"different: {note}")
    if len(notes) > NOTES_MAX:
        print(f"… and {len(notes) - NOTES_MAX} more; --json FILE has everything")
    for entry in stale:
        print(f"stale: {options.intended.name} expects {json.dumps(entry)}, which did not happen")
    silent = [run for run, steps in found.items() if not started(steps)]
    for client, server, route in silent:
        said = found[client, server, route]
        print(f"never connected: {client} → {server}, {route}: {short(said)}")
    return 1 if notes or stale or silent else 0


def started(steps):
    return steps.get("connect", {}).get("ok", False)


def complete(options):
    return os.environ.get("STOCKADE") and not options.quick and not options.routes \
        and options.clients == [*CLIENTS] and options.servers == [*SERVERS]


def foreseen(intended, met, client, server, route, step):
    """Whether `intended.json` says that this step differs; counts the entries that were needed."""
    for n, it in enumerate(intended):
        names = [(client, it["client"]), (server, it["server"]), (route, it["route"]), (step, it["step"])]
        if all(fnmatch.fnmatchcase(name, pattern) for name, pattern in names):
            met[n] += 1
            return True
    return False


def arguments():
    parser = argparse.ArgumentParser(description="Real clients and servers, through Stockade and without.")
    names = lambda known: lambda text: [it for it in text.split(",") if it in known or parser.error(f"no {it}")]
    parser.add_argument("--quick", action="store_true", help="two clients, two servers")
    parser.add_argument("--clients", type=names(CLIENTS), help=",".join(CLIENTS))
    parser.add_argument("--servers", type=names(SERVERS), help=",".join(SERVERS))
    parser.add_argument("--routes", type=names(DIRECT | GUARDED), help=",".join(DIRECT | GUARDED))
    parser.add_argument("--policy", default=str(HERE.parent / "conformance/transparent.toml"), help="the guard's policy")
    parser.add_argument("--default-policy", action="store_true", help="the policy that a user gets, and its intended.json")
    parser.add_argument("--twice", action="store_true", help="also compare the direct runs with themselves")
    parser.add_argument("--json", metavar="FILE", help="write every step's result")
    parser.add_argument("--keep", metavar="DIR", help="copy logs, plans and state there")
    options = parser.parse_args()
    options.intended = HERE / "intended.json"
    if options.default_policy:
        options.policy, options.intended = None, HERE / "intended-default.json"
    options.clients = options.clients or (QUICK["clients"] if options.quick else [*CLIENTS])
    options.servers = options.servers or (QUICK["servers"] if options.quick else [*SERVERS])
    if options.routes and not os.environ.get("STOCKADE") and set(options.routes) & set(GUARDED):
        parser.error("these routes need STOCKADE=path/to/stockade")
    if options.routes:
        needed = {name for it in options.routes if it in GUARDED for name in BASELINES[it]}
        options.routes = [*(it for it in DIRECT if it in needed | {*options.routes}),
                          *(it for it in GUARDED if it in options.routes)]
    return options


asyncio.run(main())
