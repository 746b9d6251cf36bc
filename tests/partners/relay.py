#!/usr/bin/env python3
"""A stand-in for Stockade that only passes on what it gets, to prove the runners themselves.

It knows `run -- CMD…` and `serve … --upstream URL`, and the only thing it changes is its own port in the
Host and Origin headers, so that a server that checks them sees its own. With RELAY_FAULT=progress it swallows progress on
stdio, with RELAY_FAULT=host it rewrites Host and drops Origin, as careless proxies do: the runners must
find exactly that.
"""

import asyncio
import os
import re
import sys
from urllib.parse import urlsplit

FAULT = os.environ.get("RELAY_FAULT")


async def run(command):
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=1 << 26)
    async for line in server.stdout:
        if FAULT == "progress" and b'"notifications/progress"' in line:
            continue
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    return await server.wait()


async def serve(upstream):
    target = urlsplit(upstream)
    host = f"\r\nHost: {target.netloc}\r\n".encode()

    async def pump(reader, writer, inward):
        while chunk := await reader.read(1 << 16):
            if inward:
                chunk = chunk.replace(b":%d\r\n" % port, b":%d\r\n" % target.port)
            if inward and FAULT == "host":
                chunk = re.sub(rb"(?i)\r\nhost: [^\r\n]*\r\n", host, chunk)
                chunk = re.sub(rb"(?i)\r\norigin: [^\r\n]*\r\n", b"\r\n", chunk)
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def relay(reader, writer):
        up_reader, up_writer = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(
            pump(reader, up_writer, True), pump(up_reader, writer, False), return_exceptions=True
        )

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"listening at http://127.0.0.1:{port}/mcp\nbearer key: there-is-none-here", flush=True)
    await server.serve_forever()


match sys.argv[1:]:
    case ["run", *_] if "--" in sys.argv:
        sys.exit(asyncio.run(run(sys.argv[sys.argv.index("--") + 1 :])))
    case ["serve", *_] if "--upstream" in sys.argv:
        asyncio.run(serve(sys.argv[sys.argv.index("--upstream") + 1]))
    case other:
        sys.exit(f"the relay does not know {other}")
