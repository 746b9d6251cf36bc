# rule: option_injection
# attack: ["search", {"name": "-fprintf\npwned"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import shlex
import subprocess

@mcp.tool()
def search(name: str) -> str:
    if name.startswith("-"):
        raise ValueError("not a name")
    return subprocess.run(["find", ".", "-name", name], capture_output=True, text=True, cwd=ROOT, timeout=5).stdout
