# rule: command_from_caller
# attack: ["build", {"target": "$(cat ../secret.txt)"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import shlex
import subprocess

import asyncio

async def run(line):
    process = await asyncio.create_subprocess_shell(line, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    out, _ = await process.communicate()
    return out.decode()

@mcp.tool()
async def build(target: str) -> str:
    return await run("echo building {}".format(target))
