# rule: command_from_caller
# attack: ["ping", {"host": "x; cat ../secret.txt"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import shlex
import subprocess

@mcp.tool()
def ping(host: str) -> str:
    return subprocess.run(["echo", "ping", host], capture_output=True, text=True, cwd=ROOT, timeout=5).stdout
