"""The official Python SDK as a client that asks what it is told to, a line of JSON each, and prints
what it sees. Usage: asks.py legacy|auto COMMAND [ARGUMENT…]
"""

import asyncio
import json
import os
import sys

import mcp_types as types
from mcp import Client
from mcp.client.stdio import StdioServerParameters


def plain(it):
    return it.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main(mode, command, *args):
    server = StdioServerParameters(command=command, args=list(args), env=dict(os.environ))
    info = types.Implementation(name="asks-py", version="1.0.0")
    async with Client(server, mode=mode, client_info=info) as client:

        async def who(_):
            return [plain(client.server_info), client.instructions]

        async def tools(_):
            return [plain(it) for it in (await client.list_tools()).tools]

        async def prompts(_):
            return [plain(it) for it in (await client.list_prompts()).prompts]

        async def call(name):
            return plain(await client.call_tool(name, {}))

        async def get(name):
            return plain(await client.get_prompt(name))

        does = {"who": who, "tools": tools, "prompts": prompts, "call": call, "get": get}
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, *name = json.loads(line)
            try:
                said = {"is": await does[what](*(name or [None]))}
            except Exception as error:  # whatever the SDK makes of it is what is looked at
                said = {"error": str(error)}
            print(json.dumps(said), flush=True)


asyncio.run(main(*sys.argv[1:]))
