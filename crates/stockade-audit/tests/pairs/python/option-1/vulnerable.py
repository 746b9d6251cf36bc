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
    argv = ["find", "."] + name.split("\n") + ["x"]
    return subprocess.run(argv, capture_output=True, text=True, cwd=os.path.dirname(ROOT), timeout=5).stdout
