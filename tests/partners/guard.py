"""Starts Stockade for the tests, and ends it: what both runners know about its command line."""

import asyncio
import os
import re
import signal

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/mcp")
KEY = re.compile(r"(?i)\b(?:bearer|key)\b[\s:=]+(?:(?:bearer|key)[\s:=]+)?([A-Za-z0-9_.~+/=-]{16,})")
READY_SECONDS = 30


class Unready(Exception):
    """Something did not start; says what it printed."""


class Stockade:
    """The program under test, with the policy and the data directory of this test run."""

    def __init__(self, program, policy, state):
        self.program, self.policy, self.state = os.path.abspath(program), policy, state

    def run(self, options, behind):
        """The command of a stdio server that is guarded."""
        return [self.program, "run", *self.shared(), *options, *behind]

    async def serve(self, options, behind, log, auth=True):
        """A gateway that is ready."""
        command = [self.program, "serve", "--listen", "127.0.0.1:0", *self.shared()]
        command += [*([] if auth else ["--auth", "none"]), *options, *behind]
        env = {**os.environ, "XDG_STATE_HOME": str(self.state)}
        child = await asyncio.create_subprocess_exec(
            *command, env=env, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )
        gateway = Gateway(child)
        try:
            await asyncio.wait_for(gateway.ready(log, auth), READY_SECONDS)
        except (Unready, asyncio.TimeoutError) as error:
            await gateway.stop()
            raise Unready(f"{' '.join(command)}: {gateway.said.strip() or 'said nothing'}") from error
        return gateway

    def shared(self):
        return ["--policy", self.policy] if self.policy else []


class Gateway:
    """A running `stockade serve`: where it listens, and the key it wants."""

    def __init__(self, child):
        self.child, self.url, self.key, self.said = child, None, None, ""
        self.reader = None

    async def ready(self, log, auth):
        while not (self.url and (self.key or not auth)):
            line = await self.child.stdout.readline()
            if not line:
                raise Unready
            self.said += line.decode(errors="replace")
            self.url = self.url or first(ADDRESS, self.said, 0)
            self.key = self.key or first(KEY, self.said, 1)
        self.reader = asyncio.create_task(self.drain(log))

    async def drain(self, log):
        """Keeps reading, so that the gateway never waits for a full pipe."""
        with open(log, "wb") as file:
            file.write(self.said.encode())
            while chunk := await self.child.stdout.read(1 << 16):
                file.write(chunk)

    async def stop(self):
        await end(self.child)
        if self.reader:
            await self.reader


def first(pattern, text, group):
    found = pattern.search(text)
    return found and found[group]


async def answers(port, seconds):
    """Waits until something listens at the port."""
    for _ in range(seconds * 20):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise Unready(f"nothing listens at port {port}")


async def end(child):
    """Asks a child to end, then makes it; with it goes what it has started."""
    if child.returncode is None:
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), 5)
        except asyncio.TimeoutError:
            child.kill()
            await child.wait()
    end_group(child.pid)


def end_group(leader):
    """Ends what is left of a process group that this program has made."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass
