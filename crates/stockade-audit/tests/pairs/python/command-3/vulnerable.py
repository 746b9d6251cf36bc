# rule: command_from_caller
# attack: ["execute", {"command": "cat ../secret.txt"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import shlex
import subprocess

@mcp.tool()
def execute(command: str) -> str:
    argv = shlex.split(command)
    return subprocess.check_output(argv, text=True, cwd=ROOT, timeout=5)
