"""What calls that wait for a person cost: the memory of each, of the guard and of the service of
approvals, and what calls that do not wait lose by them, in one run.

    cargo build --release -p stockade
    STOCKADE=target/release/stockade python3 benches/parked.py

`run` is one client on standard input and output; `serve` is one key over HTTP, in a session and
without, in front of a process and of a remote server, each parked call on a connection of its own, as
clients have them. The memory is what the guard has more when all wait than when none does, divided by
their number; `idle` is the same of as many connections on which nothing waits, of another guard, and
what a call that waits costs beside its connection is the difference. The rate is that of one client that
calls `echo` one after the other, and the CPU what each such call costs the guard, beside the same before
anything waited, once the service has taken in all questions.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = int(os.environ.get("CALLS", 1000))
SECONDS = float(os.environ.get("SECONDS", 2))
STOCKADE = os.path.abspath(os.environ.get("STOCKADE", "stockade"))
POLICY = """
default = "allow"
[[tools]]
effect = "ask"
tool = "pay"
[limits]
approvals_max = 100000
approval_timeout_s = 3600
calls_per_minute = 1000000
calls_per_minute_per_tool = 1000000
calls_burst = 100000
same_call_max = 1000000
call_timeout_s = 600
"""
# Answers every call at once, over lines, or over HTTP where it is given a port.
SERVER = r'''
import json, sys
def answer(asked):
    modern = "io.modelcontextprotocol/protocolVersion" in asked.get("params", {}).get("_meta", {})
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    else:
        result = {"content": []} | ({"resultType": "complete"} if modern else {})
    return json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result})
if len(sys.argv) == 1:
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked: print(answer(asked), flush=True)
else:
    import asyncio
    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(it.split(b":")[1]) for it in head.lower().split(b"\r\n") if it.startswith(b"content-length")), 0)
                body = await reader.readexactly(length)
                asked = json.loads(body) if body else {}
                said = answer(asked).encode() if "id" in asked else b""
                status = b"200 OK" if said else b"202 Accepted"
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(said) + said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError): pass
        writer.close()
    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()
    asyncio.run(main())
'''


def resident(pid):
    """The memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def service(state):
    """The service of approvals of this state."""
    for it in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{it}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"service" in line and any(str(state).encode() in word for word in line):
            return int(it)
    raise SystemExit("no service of approvals")


async def at_rest(pid):
    """Returns when a process has done nothing for a second."""
    before = None
    while (now := spent(pid)) != before:
        before = now
        await asyncio.sleep(1)


def message(number, tool, modern):
    params = {"name": tool, "arguments": {"text": f"{number} " + "x" * 200}}
    if modern:
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def hello():
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    return {"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": params}


class Lines:
    """A client of `run`."""

    def __init__(self, child, modern):
        self.child, self.modern, self.pid = child, modern, child.pid

    async def begin(self):
        if not self.modern:
            await self.ask(hello())
            self.child.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    async def ask(self, asked):
        self.child.stdin.write(json.dumps(asked).encode() + b"\n")
        await self.child.stdin.drain()
        while json.loads(await self.child.stdout.readline()).get("id") != asked["id"]:
            pass

    async def park(self, asked):
        self.child.stdin.write(json.dumps(asked).encode() + b"\n")
        await self.child.stdin.drain()


class Http:
    """A client of `serve`."""

    def __init__(self, child, modern, port, key):
        self.modern, self.pid, self.port, self.child = modern, child.pid, port, child
        self.headers = f"host: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\n"
        self.parked, self.line = [], None

    def post(self, writer, asked):
        headers = self.headers
        if self.modern:
            headers += f"mcp-protocol-version: 2026-07-28\r\nmcp-method: {asked['method']}\r\nmcp-name: {asked['params']['name']}\r\n"
        body = json.dumps(asked)
        writer.write(f"POST /mcp HTTP/1.1\r\n{headers}content-length: {len(body)}\r\n\r\n{body}".encode())

    async def begin(self):
        self.line = await asyncio.open_connection("127.0.0.1", self.port)
        if not self.modern:
            head = await self.ask(hello())
            session = next(it.split(": ")[1] for it in head.split("\r\n") if it.startswith("mcp-session-id"))
            self.headers += f"mcp-session-id: {session}\r\n"
            await self.ask({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def ask(self, asked):
        reader, writer = self.line
        self.post(writer, asked)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((int(it.split(":")[1]) for it in head.split("\r\n") if it.startswith("content-length")), None)
        assert length is not None and head.startswith("http/1.1 2"), head
        await reader.readexactly(length)
        return head

    async def idle(self, asked):
        line, self.line = self.line, await asyncio.open_connection("127.0.0.1", self.port)
        await self.ask(asked)
        self.parked.append(self.line)
        self.line = line

    async def park(self, asked):
        connection = await asyncio.open_connection("127.0.0.1", self.port)
        self.post(connection[1], asked)
        head = await connection[0].readuntil(b"\r\n\r\n")
        assert b"text/event-stream" in head, head
        self.parked.append(connection)


def spent(pid):
    """The time of a processor that a process has had, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def rate(client, first):
    """How many calls pass in a second, one after the other, and what one costs the guard."""
    began, until, number = spent(client.pid), time.monotonic() + SECONDS, first
    while time.monotonic() < until:
        await client.ask(message(number, "echo", client.modern))
        number += 1
    calls = number - first
    return calls / SECONDS, (spent(client.pid) - began) / calls


async def started(home, kind, remote, modern):
    policy = home / "policy.toml"
    policy.write_text(POLICY)
    script = home / "server.py"
    script.write_text(SERVER)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    options = ["--policy", str(policy), "--state", str(home / "state")]
    behind, children = ["--sandbox", "none", "--", sys.executable, str(script)], []
    if remote:
        there = await asyncio.create_subprocess_exec(sys.executable, script, "http", stdout=subprocess.PIPE)
        port = int(await there.stdout.readline())
        behind, children = ["--upstream", f"http://127.0.0.1:{port}/mcp"], [there]
    words = [kind, *(["--listen", "127.0.0.1:0"] if kind == "serve" else [])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    guard = await asyncio.create_subprocess_exec(STOCKADE, *words, *options, *behind, env=env, limit=1 << 22, **pipes)
    children.append(guard)
    if kind == "run":
        return Lines(guard, modern), children
    address = (await guard.stdout.readline()).decode()
    key = (await guard.stdout.readline()).decode().split()[-1]
    return Http(guard, modern, int(address.split(":")[-1].split("/")[0]), key), children


async def connections(remote, modern):
    """What a connection costs on which nothing waits, in KiB."""
    with tempfile.TemporaryDirectory() as directory:
        client, children = await started(Path(directory), "serve", remote, modern)
        await client.begin()
        for _ in range(200):
            await client.ask(message(2, "echo", modern))
        before = resident(client.pid)
        for number in range(CALLS):
            await client.idle(message(10**6 + number, "echo", modern))
        after = resident(client.pid)
        for child in children:
            child.kill()
            await child.wait()
        return (after - before) / CALLS / 1024


async def measure(kind, remote, modern):
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        client, children = await started(home, kind, remote, modern)
        await client.begin()
        # Whatever is made once is made by now.
        await client.park(message(1, "pay", modern))
        for _ in range(200):
            await client.ask(message(2, "echo", modern))
        alone = await rate(client, 1000)
        asked = service(home / "state")
        before = resident(client.pid), resident(asked)
        for number in range(CALLS):
            await client.park(message(10**6 + number, "pay", modern))
        await at_rest(asked)
        after = resident(client.pid), resident(asked)
        busy = await rate(client, 10**7)
        idle = 0.0
        if kind == "serve":
            idle = await connections(remote, modern)
        guard, desk = ((b - a) / CALLS / 1024 for a, b in zip(before, after))
        where = "remote" if remote else "process"
        era = "2026-07-28" if modern else "2025-11-25"
        print(f"{kind:6} {where:8} {era:11} {guard:8.1f} {idle:8.1f} {desk:8.1f} {guard - idle + desk:8.1f} {busy[0] / alone[0]:7.2f} {busy[1] / alone[1]:7.2f}", flush=True)
        for child in children:
            child.kill()
            await child.wait()


async def main():
    print(f"{CALLS} calls wait; KiB for each, and the rate of others beside that where none waits")
    print(f"{'':6} {'before':8} {'revision':11} {'guard':>8} {'idle':>8} {'service':>8} {'a call':>8} {'rate':>7} {'CPU':>7}")
    for kind, remote, modern in [
        ("run", False, False), ("serve", False, False), ("serve", False, True),
        ("serve", True, False), ("serve", True, True),
    ]:
        await measure(kind, remote, modern)


asyncio.run(main())
