# rule: command_from_caller
# attack: ["execute", {"command": "cat ../secret.txt"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import shlex
import subprocess

COMMANDS = {"date": ["date"], "list": ["ls", "-l"]}

@mcp.tool()
def execute(command: str) -> str:
    argv = COMMANDS.get(command)
    if not argv:
        raise ValueError("not allowed")
    return subprocess.check_output(argv, text=True, cwd=ROOT, timeout=5)
