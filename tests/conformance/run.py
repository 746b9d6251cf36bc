"""The official conformance suite against a server, directly and through Stockade, check by check.

A check that is worse through Stockade than directly fails the run; whether the server is perfect is
not asked here. With a policy that lets everything pass, nothing may be worse. With the default
policy, and where the server speaks lines and Stockade HTTP, what is worse must be exactly what
`intended.json` says, and an entry that no longer happens fails too. It installs nothing: `run.sh`
does.
"""

import argparse
import asyncio
import fnmatch
import json
import os
import re
import shlex
import shutil
import socket
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "partners"))
import guard  # noqa: E402  (its place depends on HERE)

SUITES = {
    "2025-03-26": ["--spec-version", "2025-03-26"],
    "2025-06-18": ["--spec-version", "2025-06-18"],
    "2025-11-25": ["--requirements", "2025-11-25"],
    "2026-07-28": ["--requirements", "2026-07-28"],
}
SUITE_SECONDS = 120
READY_SECONDS = 30

# What stands in front of the server, by which policy, and whether the server speaks HTTP or lines.
TARGETS = ["transparent", "default", "transparent-stdio", "default-stdio"]
TRANSPARENT = ["transparent", "transparent-stdio"]
STDIO = ["transparent-stdio", "default-stdio"]

# From best to worst; a check that is gone is worse than one that failed. What is INFO when it is direct
# is a line of a log, not a check.
RANK = ["SUCCESS", "INFO", "WARNING", "SKIPPED", "FAILURE", "missing"]
NOTES_MAX = 40


class Bench:
    """What runs during one test run, and the directory it may write to."""

    def __init__(self, options, directory):
        self.options, self.directory = options, Path(directory)
        self.slots = asyncio.Semaphore(max(2, os.cpu_count() or 2))

    async def checks(self, suite, target):
        """Every check of one suite against one target: `{(scenario, check, nth): (status, why)}`."""
        async with self.slots:
            if target in STDIO:
                return await self.checks_of(suite, target, ["--", *self.options.stdio])
            server = await self.start_server(suite, target)
            try:
                url = f"http://127.0.0.1:{server.port}/mcp"
                if target == "direct":
                    return await self.judge(suite, target, url)
                return await self.checks_of(suite, target, ["--upstream", url])
            finally:
                await guard.end(server)

    async def checks_of(self, suite, target, behind):
        policy = self.options.policy if target in TRANSPARENT else None
        stockade = guard.Stockade(os.environ["STOCKADE"], policy, self.directory / "state")
        log = self.directory / f"{target}-{suite}.log"
        gateway = await stockade.serve([], behind, log, auth=False)
        try:
            return await self.judge(suite, target, gateway.url)
        finally:
            await gateway.stop()

    async def judge(self, suite, target, url):
        out = Path(tempfile.mkdtemp(prefix=f"{target}-{suite}-", dir=self.directory))
        node, judge = tools()
        child = await asyncio.create_subprocess_exec(
            node, judge, "server", "--url", url, *SUITES[suite], "-o", str(out),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )
        try:
            said, _ = await asyncio.wait_for(child.communicate(), SUITE_SECONDS)
        finally:
            await guard.end(child)
        found = read_checks(out)
        if not found:
            raise guard.Unready(f"the conformance suite found nothing: {said.decode()[-500:]}")
        return found

    async def start_server(self, suite, target):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [it.replace("{port}", str(port)) for it in self.options.server]
        with open(self.directory / f"server-{target}-{suite}.log", "wb") as log:
            child = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, "PORT": str(port)},
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        child.port = port
        await guard.answers(port, READY_SECONDS)
        return child


def read_checks(out):
    found = {}
    for file in sorted(out.glob("*/checks.json")):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT[\d-]+Z$", "", file.parent.name)
        for check in json.loads(file.read_text()):
            nth = sum(1 for key in found if key[:2] == (scenario, check["id"]))
            found[scenario, check["id"], nth] = (check["status"], check.get("errorMessage") or "")
    return found


def worse(direct, guarded):
    """`(key, was, now, why)` of each check that is worse, and of each failure that is new."""
    for key, (was, _) in direct.items():
        now, why = guarded.get(key, ("missing", "the check was not made"))
        if was != "INFO" and RANK.index(now) > RANK.index(was):
            yield key, was, now, why
    for key, (now, why) in guarded.items():
        if key not in direct and now == "FAILURE":
            yield key, "missing", now, why


def tools():
    """A Node.js that is new enough, and the suite's program."""
    modules = HERE / "node_modules"
    own = [str(it) for it in modules.glob("node-*/bin/node") if os.access(it, os.X_OK)]
    node = own[0] if own else shutil.which("node")
    return node, str(modules / "@modelcontextprotocol/conformance/dist/index.js")


async def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="conformance-") as directory:
        bench = Bench(options, directory)
        runs = [(suite, target) for target in options.targets for suite in options.suites]
        try:
            found = await measured(bench, runs)
        finally:
            if options.keep:
                shutil.copytree(directory, options.keep, dirs_exist_ok=True)
    sys.exit(report(found, options) if found else 1)


async def measured(bench, runs):
    """The checks of every run, or nothing if one of them did not take place."""
    results = await asyncio.gather(*(bench.checks(*run) for run in runs), return_exceptions=True)
    failed = [it for it in zip(runs, results) if isinstance(it[1], BaseException)]
    for (suite, target), error in failed:
        print(f"did not run: {suite} {target}: {type(error).__name__}: {error}")
    if failed:
        return None
    found = dict(zip(runs, results))
    # Some checks wait a few hundred milliseconds and no longer. On a busy machine they need a second
    # look, alone; only what is worse both times is worse.
    for (suite, target), checks in found.items():
        lost = [it[0] for it in worse(found[suite, "direct"], checks)]
        again = await bench.checks(suite, target) if lost else {}
        for key in lost:
            if key in again and again[key] != checks.get(key):
                print(f"unsteady: {suite} {target}: {key[0]}: {key[1]}: {checks.get(key)} → {again[key]}")
                checks[key] = again[key]
    return found


def report(found, options):
    """Prints a line for each suite and target, and what is worse; the exit code."""
    intended = [(it["target"], it["suite"], it["scenario"], it["check"])
                for it in json.loads(options.intended.read_text())]
    met, notes = set(), []
    print(f"{'suite':<12}{'target':<19}{'success':>8}{'failure':>8}{'other':>7}{'worse':>7}")
    for (suite, target), checks in found.items():
        statuses = [status for status, _ in checks.values()]
        good, bad = statuses.count("SUCCESS"), statuses.count("FAILURE")
        lost = list(worse(found[suite, "direct"], checks))
        print(f"{suite:<12}{target:<19}{good:>8}{bad:>8}{len(statuses) - good - bad:>7}"
              f"{len(lost) if target != 'direct' else '–':>7}")
        for (scenario, check, _), was, now, why in lost:
            names = (target, suite, scenario, check)
            known = [it for it in intended if all(map(fnmatch.fnmatchcase, names, it))]
            met.update(known)
            if not known:
                notes.append(f"worse: {suite} {target}: {scenario}: {check}: {was} → {now}: {why[:300]}")
    due = {it for it in intended if fnmatch.filter(options.suites, it[1]) and fnmatch.filter(options.targets, it[0])}
    stale = sorted(due - met)
    for note in notes[:NOTES_MAX]:
        print(note)
    if len(notes) > NOTES_MAX:
        print(f"… and {len(notes) - NOTES_MAX} more; --keep DIR keeps everything")
    for target, suite, scenario, check in stale:
        print(f"stale: {options.intended.name} expects {suite} {target}: {scenario}: {check} to be worse, and it is not")
    return 1 if notes or stale else 0


def arguments():
    parser = argparse.ArgumentParser(
        description="The conformance suite, directly and through Stockade.",
        epilog="SERVER is a command that serves http://127.0.0.1:{port}/mcp; {port} is filled in, and is PORT.")
    parser.add_argument("--suites", default=",".join(SUITES), help=",".join(SUITES))
    parser.add_argument("--targets", help=f"direct,{','.join(TARGETS)}; what STOCKADE allows")
    parser.add_argument("--stdio", default="", metavar="CMD", help="the same server, speaking standard input and output")
    parser.add_argument("--policy", default=str(HERE / "transparent.toml"), help="for `transparent`")
    parser.add_argument("--intended", type=Path, default=HERE / "intended.json", help="what may be worse, and why")
    parser.add_argument("--keep", metavar="DIR", help="copy the suite's own results and all logs there")
    parser.add_argument("server", nargs=argparse.REMAINDER, metavar="SERVER")
    options = parser.parse_args()
    options.server or parser.error("which SERVER?")
    options.suites = [it for it in options.suites.split(",") if it in SUITES or parser.error(f"no suite {it}")]
    options.stdio = shlex.split(options.stdio)
    guarded = [it for it in TARGETS if it not in STDIO or options.stdio] if os.environ.get("STOCKADE") else []
    chosen = (options.targets or ",".join(guarded)).split(",")
    options.targets = ["direct", *(it for it in guarded if it in chosen)]
    return options


asyncio.run(main())
