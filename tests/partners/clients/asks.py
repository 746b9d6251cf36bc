"""The official Python SDK as a client that asks what it is told to, a line of JSON each, and prints
what it sees. Usage: asks.py legacy|auto COMMAND [ARGUMENT…]; or URL, and the bearer key in KEY.

With FORMS in the environment it shows forms to its person, who has said before what to answer.
"""

import asyncio
import json
import os
import sys

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def plain(it):
    return it.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main(mode, command, *args):
    if command.startswith("http://"):
        headers, timeout = {"authorization": f"Bearer {os.environ['KEY']}"}, httpx2.Timeout(30, read=300)
        http = httpx2.AsyncClient(headers=headers, timeout=timeout)
        server = streamable_http_client(command, http_client=http)
    else:
        server = StdioServerParameters(command=command, args=list(args), env=dict(os.environ))
    info = types.Implementation(name="asks-py", version="1.0.0")
    person = {"after": 0, "shown": []}

    async def form(_context, params):
        person["shown"].append(params.message)
        await asyncio.sleep(person["after"])
        return types.ElicitResult(**person["says"])

    forms = {"elicitation_callback": form} if os.environ.get("FORMS") else {}
    async with Client(server, mode=mode, client_info=info, **forms) as client:

        async def who(_):
            return [plain(client.server_info), client.instructions]

        async def tools(_):
            return [plain(it) for it in (await client.list_tools()).tools]

        async def prompts(_):
            return [plain(it) for it in (await client.list_prompts()).prompts]

        async def call(name, arguments=None):
            return plain(await client.call_tool(name, arguments or {}))

        async def says(answer, after):
            """What the person says to the next forms, and after so many seconds; what they were shown."""
            shown = person["shown"]
            person.update(says=answer, after=after, shown=[])
            return shown

        async def get(name):
            return plain(await client.get_prompt(name))

        does = {"who": who, "tools": tools, "prompts": prompts, "call": call, "get": get, "says": says}
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, *name = json.loads(line)
            try:
                said = {"is": await does[what](*(name or [None]))}
            except Exception as error:  # whatever the SDK makes of it is what is looked at
                said = {"error": str(error)}
            print(json.dumps(said), flush=True)


asyncio.run(main(*sys.argv[1:]))
